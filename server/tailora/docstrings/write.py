"""From a function to its docstring: what the model writes, brought into shape, and held against the signature.

A new one is written into a hole before the body; where parameters are missing in it, each one's description is written
into a hole of its own. One that no longer fits keeps its author's words. Invariant: what contradicts the function, or
does not parse as its docstring, is never returned. Knows nothing of LSP.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tailora.docstrings.amend import GAP, amended, missing, summary, with_gap
from tailora.docstrings.layout import placed, shaped
from tailora.docstrings.target import Target
from tailora.infill import Filler, Limits
from tailora.repair.syntax import Syntax
from tailora_adapters.corpus.functions import Function, find_functions
from tailora_adapters.docstrings.check import problems
from tailora_adapters.docstrings.style import Style

__all__ = ["Written", "make_docstring"]

Progress = Callable[[float, str], None]

_FEWEST_WORDS = 2
_ENTRY_TOKENS = 48
_SECOND_TEMPERATURE = 0.6


@dataclass(frozen=True, slots=True)
class Written:
    """A docstring that agrees with its function."""

    text: str
    """The whole file with it."""
    doc: str


async def make_docstring(
    text: str,
    target: Target,
    style: Style,
    filler: Filler,
    limits: Limits,
    progress: Progress = lambda _fraction, _message: None,
) -> Written | None:
    """The file with the docstring written or updated; None where nothing came that agrees with the function.

    Raises:
        EngineError: the model cannot be asked.
    """
    work = _Work(text, target.function, style, filler, limits, progress)
    try:
        async with asyncio.timeout(limits.seconds):
            return await (work.update() if target.what == "update" else work.write())
    except TimeoutError:
        return None


@dataclass(slots=True)
class _Work:
    text: str
    function: Function
    style: Style
    filler: Filler
    limits: Limits
    progress: Progress

    async def write(self) -> Written | None:
        """A new docstring; asked for twice at most, then at least its summary."""
        best = ""
        for attempt in range(2):
            self.progress(0.1 + 0.4 * attempt, "writing" if not attempt else "writing another one")
            raw, finished = await self._raw(attempt)
            doc = shaped(raw, self.function, self.style, finished=finished)
            if len(doc.split()) < _FEWEST_WORDS:
                continue
            best = best or doc
            made = await self._complete(amended(self.function, doc, rename=False, raises=True), raises=True)
            if made is not None:
                return made
        if not best:
            return None
        doc = shaped(summary(best, self.function.language), self.function, self.style)
        return self._checked(doc, raises=True) if len(doc.split()) >= _FEWEST_WORDS else None

    async def update(self) -> Written | None:
        """The docstring that stands there, in line with the function."""
        assert self.function.doc is not None
        self.progress(0.1, "comparing with the signature")
        doc = amended(self.function, self.function.doc.text, rename=True, raises=False)
        return await self._complete(doc, raises=False)

    async def _raw(self, attempt: int) -> tuple[str, bool]:
        hole = placed(self.text, self.function, self.style, GAP)
        prefix, _, suffix = hole.partition(GAP)
        if self.function.language == "python" and self.style.below:
            prefix += f"\n{self.function.inner}"
        filled = await self.filler.fill(
            prefix,
            suffix,
            max_tokens=self.limits.max_tokens,
            stop=(self.style.closing,),
            temperature=_SECOND_TEMPERATURE if attempt else 0.0,
            seed=attempt,
        )
        return filled.text, filled.finished

    async def _complete(self, doc: str, *, raises: bool) -> Written | None:
        """With descriptions of the parameters that have none."""
        due = missing(self.function, doc)
        for number, parameter in enumerate(due):
            self.progress(0.5 + 0.5 * number / len(due), f"describing {parameter.name}")
            gapped = with_gap(self.function, doc, parameter)
            prefix, _, suffix = placed(self.text, self.function, self.style, gapped).partition(GAP)
            filled = await self.filler.fill(prefix, suffix, max_tokens=_ENTRY_TOKENS, stop=("\n",))
            told = " ".join(filled.text.partition("\n")[0].partition(self.style.closing)[0].split())
            if not told:
                return None
            doc = gapped.replace(GAP, told)
        return self._checked(doc, raises=raises)

    def _checked(self, doc: str, *, raises: bool) -> Written | None:
        """With ``doc`` in its place, if that is what stands there then and agrees."""
        if problems(self.function, doc, raises=raises):
            return None
        made = placed(self.text, self.function, self.style, doc)
        language = self.function.language
        now = next(
            (
                one
                for one in find_functions(made, language)
                if one.name == self.function.name and one.doc is not None and one.doc.text == doc
            ),
            None,
        )
        if now is None or Syntax(made, language).errors() > Syntax(self.text, language).errors():
            return None
        return Written(made, doc)
