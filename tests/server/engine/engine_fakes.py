"""A scripted generator, an engine process and a training worker for tests. No model, no sleeping."""

import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tailora.engine.generator import AdapterRef, GenerationRequest, GenerationStats, GenerationStep
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, Manifest
from tailora_adapters.store import ProjectStore


class FakeGenerator:
    """Says ``w0 w1 …``: ``max_tokens`` words, the last one with ``length``.

    With ``hold`` set, the generator takes no step before ``step`` was called for it. The prefix ``forever``
    has no end, and a word a millisecond.
    """

    def __init__(self) -> None:
        self.loads = 0
        self.unloads = 0
        self.requests: list[GenerationRequest] = []
        self.load_errors: list[Exception] = []
        self.errors: dict[str, Exception] = {}
        """What to raise, by prefix."""
        self.corrupt: dict[str, Exception] = {}
        """What to raise, by the adapter's key."""
        self.hold = False
        self.hold_load = threading.Event()
        self.hold_load.set()
        self.steps_taken = 0
        self._permits = threading.Semaphore(0)
        self.at_step = threading.Semaphore(0)
        """Released each time the generator waits for a permit."""
        self._loaded = False

    def step(self, count: int = 1) -> None:
        self._permits.release(count)

    def load(self, progress: Callable[[float, str], None]) -> None:
        progress(0.5, "half")
        self.hold_load.wait(20)
        self.loads += 1
        if self.load_errors:
            raise self.load_errors.pop(0)
        self._loaded = True

    def unload(self) -> None:
        self.unloads += 1
        self._loaded = False

    @property
    def loaded(self) -> bool:
        return self._loaded

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Iterator[GenerationStep]:
        self.requests.append(request)
        if request.adapter is not None and request.adapter.key in self.corrupt:
            raise self.corrupt[request.adapter.key]
        if request.prefix in self.errors:
            raise self.errors[request.prefix]
        while request.prefix == "forever" and not cancelled():
            yield GenerationStep("w ")
            time.sleep(0.001)  # the time that a token takes
        stats = GenerationStats(prompt_tokens=len(request.prefix.split()))
        for index in range(request.max_tokens):
            if self.hold:
                self.at_step.release()
                self._permits.acquire(timeout=20)
            if cancelled():
                return
            self.steps_taken += 1
            stats = replace(stats, completion_tokens=index + 1)
            last = index == request.max_tokens - 1
            yield GenerationStep(f"w{index} ", "length" if last else None, stats)

    def info(self) -> dict[str, object]:
        return {"name": "fake", "quantization": "none", "device": "cpu", "fim": True}


def no_adapter(project: str | None, wanted: str, *, broken: frozenset[str]) -> AdapterRef | None:
    return None


def commit(project: ProjectStore, value: int, base: str = "m") -> str:
    """Serves a new version whose weights are one number."""
    with project.candidate() as candidate:
        header = json.dumps({"w": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}).encode()
        weights = struct.pack("<Q", len(header)) + header + bytes([value])
        (candidate.path / "adapter_model.safetensors").write_bytes(weights)
        (candidate.path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        manifest = Manifest(
            base=BaseInfo(base, "0", "0"), seed=1, data=DataInfo(1, 1, 1), cost=Cost(1.0, 1.0, 1.0)
        )
        version = candidate.commit(manifest).version
    project.promote(version)
    return version
