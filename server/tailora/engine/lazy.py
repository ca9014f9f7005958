"""A generator that comes into being at its first load, so that the engine answers before torch is imported.

Made and used on the generation thread, but for ``info``. Where the model is not on this machine, nothing is
imported.
"""

from collections.abc import Callable, Iterator

from tailora.engine.generator import GenerationRequest, GenerationStep, Generator
from tailora.engine.options import EngineOptions
from tailora_adapters.errors import ModelMissing

__all__ = ["LazyGenerator"]


def _make_torch_generator(options: EngineOptions) -> Generator:
    from tailora.engine.torch_generator import TorchGenerator

    return TorchGenerator(
        options.model, quantization=options.quantization, device=options.device, threads=options.threads
    )


class LazyGenerator:
    """Implements ``Generator`` by the one that ``make`` returns (default: the torch generator)."""

    def __init__(
        self,
        options: EngineOptions,
        make: Callable[[EngineOptions], Generator] | None,
        is_ready: Callable[[str], bool],
    ) -> None:
        self._options = options
        self._make = make or _make_torch_generator
        self._is_ready = is_ready
        self._generator: Generator | None = None

    def load(self, progress: Callable[[float, str], None]) -> None:
        """Loads the weights. Raises as ``Generator.load``."""
        if not self._is_ready(self._options.model):
            raise ModelMissing(
                f"{self._options.model} is not on this machine; `tailora model pull` fetches it"
            )
        if self._generator is None:
            progress(0.0, "starting the generator")
            self._generator = self._make(self._options)
        self._generator.load(progress)

    def unload(self) -> None:
        """Gives the memory back."""
        if self._generator is not None:
            self._generator.unload()

    @property
    def loaded(self) -> bool:
        """Whether ``generate`` can run."""
        return self._generator is not None and self._generator.loaded

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Iterator[GenerationStep]:
        """Yields steps. Raises as ``Generator.generate``."""
        assert self._generator is not None, "load comes first"
        return self._generator.generate(request, cancelled)

    def info(self) -> dict[str, object]:
        """What the generator says; nothing before its first load."""
        generator = self._generator
        return generator.info() if generator is not None else {}
