"""A base model with an adapter to train on, and other adapters of the same form put in its place for measuring.

The layers below ``first_layer`` are the foundation adapter's in every adapter that a project trains, so the decoder
merges them once. Knows nothing of data, of the gate or of versions.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tailora_adapters import foundation
from tailora_adapters.base.device import default_device
from tailora_adapters.base.load import Loaded, load_model
from tailora_adapters.errors import AdapterCorrupt, TrainingFailed
from tailora_adapters.methods import LoraSettings, attach, freeze_below, resume
from tailora_adapters.training.decoder import Decoder, make_decoder
from tailora_adapters.training.exam import Exam, Results
from tailora_adapters.training.save import CONFIG_FILE, WEIGHTS_FILE

__all__ = ["Session", "Values", "load_for_training", "measure_alone", "update_norm"]

Values = Mapping[str, Tensor]
"""An adapter's parameters above the cut, by their name in the model."""


def load_for_training(model: str) -> Loaded:
    """The base model as training wants it: QLoRA (Dettmers et al., arXiv 2305.14314) where there is a GPU, not measured
    yet; on CPUs dense, as the decoder makes its own 8 bits of it."""
    device = default_device()
    return load_model(model, quantization="nf4" if device == "cuda" else "none", device=device)


class Session:
    """One model in memory.

    Args:
        start: Folder of the adapter to go on from; None: the foundation adapter, or a new one where none ships.
        lower_share: Share of the layers, from below, that are not trained.

    Raises:
        ModelMissing, ModelCorrupt: the base model.
        AdapterCorrupt: ``start``.
    """

    def __init__(
        self, model: str, start: Path | None, *, lora: LoraSettings, lower_share: float, seed: int
    ) -> None:
        self.loaded = load_for_training(model)
        self.first_layer = int(self.loaded.model.config.num_hidden_layers * lower_share)
        floor = foundation.find(self.loaded.record.name)
        torch.manual_seed(seed)
        folder = start or (floor.path if floor else None)
        self.model: PeftModel = (
            resume(self.loaded.model, folder) if folder else attach(self.loaded.model, lora)
        )
        freeze_below(self.model, self.first_layer)
        self.decoder: Decoder = make_decoder(self.model, self.first_layer)
        self.base: Values = self.read(floor.path) if floor else _untrained(self.model)
        """Of the foundation adapter, or of one that changes nothing."""
        self.start: Values = self.values()
        """What training goes on from."""
        with self.holding(self.base):
            self.base_norm = update_norm(self.model)

    def values(self) -> Values:
        """A copy of what the model holds now."""
        return {name: parameter.detach().clone() for name, parameter in self._trained().items()}

    def put(self, values: Values) -> None:
        """Replaces what the model holds."""
        with torch.no_grad():
            for name, parameter in self._trained().items():
                parameter.copy_(values[name])

    @contextlib.contextmanager
    def holding(self, values: Values) -> Iterator[None]:
        """The model with other values for a while."""
        before = self.values()
        self.put(values)
        try:
            yield
        finally:
            self.put(before)

    def scaled(self, values: Values, scale: float) -> Values:
        """What lies at ``scale`` on the way from the start to ``values``, at 1 (Wortsman et al., arXiv 2109.01903)."""
        return {name: self.start[name].lerp(value, scale) for name, value in values.items()}

    def read(self, folder: Path) -> Values:
        """An adapter's values.

        Raises:
            AdapterCorrupt: it cannot be read, has another form than the model's, or other layers below the cut.
        """
        state = {
            name.replace(".lora_A.weight", ".lora_A.default.weight").replace(
                ".lora_B.weight", ".lora_B.default.weight"
            ): value
            for name, value in _load(folder).items()
        }
        known = {name: value for name, value in self.model.named_parameters() if ".default." in name}
        same_form = known.keys() == state.keys() and all(
            value.shape == state[name].shape for name, value in known.items()
        )
        if not same_form or not math.isclose(_scale(folder), self._scale()):
            raise AdapterCorrupt(f"the adapter in {folder} has another form")
        trained = self._trained()
        for name, value in known.items():
            if name not in trained and not torch.equal(
                value.to(torch.bfloat16), state[name].to(torch.bfloat16)
            ):
                raise AdapterCorrupt(f"the adapter in {folder} has lower layers of its own")
        return {name: state[name].float() for name in trained}

    def _scale(self) -> float:
        config = self.model.peft_config["default"]
        return float(config.lora_alpha) / (math.sqrt(config.r) if config.use_rslora else config.r)

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        return {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }


def measure_alone(model: str, folder: Path, exam: Exam, first_layer: int) -> tuple[Results, float]:
    """The answers of an adapter of any form, in a model of its own, and the norm of its update.

    ``first_layer`` is the session's, so that an adapter that it has, too, gives the same bits.

    Raises:
        AdapterCorrupt: it does not fit the model.
    """
    loaded = load_for_training(model)
    adapted = resume(loaded.model, folder)
    decoder = make_decoder(adapted, first_layer)
    return exam.again().take(decoder), update_norm(adapted)


def _load(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error


def _scale(folder: Path) -> float:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        rank = float(config["r"])
        return float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error


def _untrained(model: PeftModel) -> Values:
    """Of a LoRA that changes nothing: B is zero."""
    return {
        name: torch.zeros_like(parameter) if ".lora_B." in name else parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@torch.no_grad()
def update_norm(model: PeftModel) -> float:
    """Frobenius norm of the whole update: root of the sum over modules of |scale B A|^2.

    Raises:
        TrainingFailed: it is not a number.
    """
    total = 0.0
    for module in model.modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            # |B A|^2 = trace((B^T B)(A A^T)): never forms the full matrix.
            total += float(((b.T @ b) * (a @ a.T)).sum()) * module.scaling["default"] ** 2
    if not math.isfinite(total):
        raise TrainingFailed("the adapter's weights are not numbers any more: lower the learning rate")
    return math.sqrt(total)
