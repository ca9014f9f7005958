"""A completion on its way through the engine: what the event loop holds while the generation thread works.

Invariant: a job ends exactly once, and that is decided on the event loop alone, so no lock is needed for it.
The generation thread only reads ``cancelled`` and hands over what it produced; whatever it hands over after
the end is dropped.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from tailora.engine.generator import GenerationRequest, GenerationStats, GenerationStep

__all__ = ["Job"]


class Job:
    """One submitted request; iterate over it for its steps. Made by ``Scheduler.submit`` only.

    The iteration ends after a step with a ``finish_reason`` (``stop``, ``length`` or ``superseded``), ends
    without one if the job was cancelled, or raises what made it fail.
    """

    def __init__(
        self,
        request: GenerationRequest,
        project: str | None,
        wanted: str,
        submitted: float,
        on_end: Callable[["Job"], None],
        *,
        background: bool = False,
    ) -> None:
        self.request = request
        self.project = project
        self.wanted = wanted
        self.submitted = submitted
        self.background = background
        """Whether nobody waits for it yet: it makes way for any other request."""
        self.adapter = "none"
        """Label of the adapter that is used, known from the first step on."""
        self.queue_ms = 0.0
        """From the submission to the start of its generation, model load included."""
        self.stats = GenerationStats()
        """Those of the newest step."""
        self.outcome: str | None = None
        """``stop``, ``length``, ``superseded``, ``cancelled`` or ``failed``; None while the job is alive."""
        self._stop = threading.Event()
        self._steps: asyncio.Queue[GenerationStep | BaseException | None] = asyncio.Queue()
        self._on_end = on_end

    def cancelled(self) -> bool:
        """Whether the generator shall stop. Any thread."""
        return self._stop.is_set()

    def deliver(self, step: GenerationStep) -> None:
        """Takes a step; one with a ``finish_reason`` ends the job. Event loop only."""
        if self.outcome is not None:
            return
        self.stats = step.stats
        self._steps.put_nowait(step)
        if step.finish_reason is not None:
            self._end(step.finish_reason)

    def fail(self, error: BaseException) -> None:
        """Ends the job with an error. Event loop only."""
        if self.outcome is None:
            self._steps.put_nowait(error)
            self._end("failed")

    def supersede(self) -> None:
        """Ends the job because a newer one for its document came. Event loop only."""
        self.deliver(GenerationStep("", "superseded", self.stats))

    def cancel(self) -> None:
        """Ends the job because nobody waits for it any more. Event loop only, idempotent."""
        if self.outcome is None:
            self._steps.put_nowait(None)
            self._end("cancelled")

    def _end(self, outcome: str) -> None:
        self.outcome = outcome
        self._stop.set()
        self._on_end(self)

    async def __aiter__(self) -> AsyncIterator[GenerationStep]:
        """The steps. Leaving the iteration early cancels the job."""
        try:
            while True:
                item = await self._steps.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
                if item.finish_reason is not None:
                    return
        finally:
            self.cancel()
