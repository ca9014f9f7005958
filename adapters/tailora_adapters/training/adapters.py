"""A base model with an adapter to train on, and other adapters of the same form put in its place for measuring.

The layers below ``first_layer`` are the foundation adapter's in every adapter that a project trains, so the decoder
merges them once. Knows nothing of data, of the gate or of versions.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from tailora_adapters import foundation
from tailora_adapters.base.device import Quantization, default_device
from tailora_adapters.base.load import Loaded, load_model
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.errors import AdapterCorrupt, MethodError, TrainingDiverged
from tailora_adapters.manifest import Manifest
from tailora_adapters.methods import LORA, Method, Settings, method_named
from tailora_adapters.methods.attached import Attached, attached, load_on, put_on
from tailora_adapters.methods.beginning import begin
from tailora_adapters.methods.growth import factor_of, grown, train_only, widened
from tailora_adapters.methods.lora import freeze_below
from tailora_adapters.training.decoder import Decoder, make_decoder
from tailora_adapters.training.exam import Exam, Results
from tailora_adapters.training.save import CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE, as_saved

__all__ = [
    "Alone",
    "Session",
    "Values",
    "load_alone",
    "load_for_training",
    "measure_alone",
    "merged",
    "update_norm",
]

Values = Mapping[str, Tensor]
"""An adapter's parameters above the cut, by their name in the model."""


def load_for_training(model: str, method: Method = LORA) -> Loaded:
    """The base model as training wants it: in 4 bits (QLoRA, Dettmers et al., arXiv 2305.14314) where the method says
    so, and on GPUs where it allows that, not measured yet; else dense: on CPUs the decoder makes its own 8 bits.

    On CPUs the values of the 4 bits are held dense, too: what is trained is the same, by the same code as a LoRA, and
    without the memory that 4 bits would save. bitsandbytes has no gradients there of the order that it brings NF4 into
    on processors with bf16."""
    device = default_device()
    usual = "nf4" if device == "cuda" and method.quantized else "none"
    quantization = cast(Quantization, method.quantization or usual)
    loaded = load_model(model, quantization=quantization, device=device)
    if device != "cpu" or quantization == "none":
        return loaded
    dense = cast(PreTrainedModel, loaded.model.dequantize())
    dense.requires_grad_(False)
    return replace(loaded, model=dense.eval())


class Session:
    """One model in memory.

    Args:
        start: Folder of the adapter to go on from; None: the foundation adapter, or a new one where none ships.
        method: Of the adapter. One whose ``floor`` is ``merged`` begins above the foundation adapter.
        shape: The method's settings; None: its defaults.
        lower_share: Share of the layers, from below, that are not trained, where the method leaves that choice.

    Raises:
        ModelMissing, ModelCorrupt, ModelError: the base model.
        AdapterCorrupt: ``start``.
        MethodError: the settings do not fit the model.
    """

    def __init__(
        self,
        model: str,
        start: Path | None,
        *,
        method: Method = LORA,
        shape: Settings | None = None,
        lower_share: float,
        seed: int,
    ) -> None:
        if not method.served:
            raise MethodError(f"{method.title} makes a whole model and no adapter: it can only be compared")
        self.method = method
        self.loaded = load_for_training(model, method)
        base = self.loaded.model
        layers: int = base.config.num_hidden_layers
        self.first_layer = 0 if method.whole else int(layers * lower_share)
        self.floor = foundation.find(self.loaded.record.name)
        """The foundation adapter, if one ships."""
        torch.manual_seed(seed)
        shape = method.defaults if shape is None else shape
        if method.floor == "continued":
            if start:
                adapter = load_on(base, start)
            elif self.floor:
                adapter = grown(base, self.floor.path, method, shape)
            else:
                adapter = put_on(base, method, shape, range(layers))
            freeze_below(adapter.parameters(), self.first_layer)
            train_only(adapter, shape.target_modules)
        else:
            if self.floor:
                base = merged(base, self.floor.path)
            if start:
                adapter = load_on(base, start)
            else:
                adapter = put_on(base, method, shape, range(self.first_layer, layers))
                begin(adapter, shape, self.loaded.tokenizer)
        self.model: Attached = adapter
        self.decoder: Decoder = make_decoder(self.model, self.first_layer)
        self._base = self._untrained() if method.floor == "continued" else None
        self.start: Values = self.values()
        """What training goes on from."""
        with self.as_base():
            own = update_norm(self.model)
        if self._base is None:
            own = _norm_of(self.floor.path) if self.floor else 0.0
        self.base_norm: float = own or 0.0
        """Of the foundation adapter's update; 0 where none ships."""

    def _untrained(self) -> Values:
        return self.read(self.floor.path) if self.floor else _without_update(self._trained())

    @contextlib.contextmanager
    def as_base(self) -> Iterator[None]:
        """The model for a while as it serves where a project has no adapter."""
        if self._base is None:
            with self.decoder.without_adapter():
                yield
        else:
            with self.holding(self._base):
                yield

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
        """What lies at ``scale`` on the way from the start to ``values``, at 1 (Wortsman et al., arXiv 2109.01903), as
        it would be saved."""
        return {name: as_saved(self.start[name].lerp(value, scale)).float() for name, value in values.items()}

    def read(self, folder: Path) -> Values:
        """The values of an adapter of the same method and form, or of one of a lower rank.

        Raises:
            AdapterCorrupt: it cannot be read, has another form than the model's, or other layers below the cut.
        """
        if self.method.floor != "continued" or len(self.model.parts) != 1:
            raise AdapterCorrupt(f"the adapter in {folder} is looked at in a model of its own")
        saved = {
            name.replace(".lora_A.weight", ".lora_A.default.weight").replace(
                ".lora_B.weight", ".lora_B.default.weight"
            ): value
            for name, value in _load(folder).items()
        }
        config, known = self.model.config(), self.model.parameters()
        state = widened(saved, config["r"], _factor(folder) / factor_of(config))
        same_form = known.keys() == state.keys() and all(
            value.shape == state[name].shape for name, value in known.items()
        )
        if not same_form:
            raise AdapterCorrupt(f"the adapter in {folder} has another form")
        trained = self._trained()
        for name, value in known.items():
            rows = len(saved[name])  # of A; what was added to it counts for nothing, as B has zeros there
            if name not in trained and not torch.equal(
                value[:rows].to(torch.bfloat16), state[name][:rows].to(torch.bfloat16)
            ):
                raise AdapterCorrupt(f"the adapter in {folder} has lower layers of its own")
        return {name: state[name].float() for name in trained}

    def _trained(self) -> dict[str, nn.Parameter]:
        return {
            name: parameter for name, parameter in self.model.parameters().items() if parameter.requires_grad
        }


def measure_alone(model: str, folder: Path, exam: Exam, first_layer: int) -> tuple[Results, float | None]:
    """The answers of an adapter of any form, in a model of its own, and the norm of its update where it has one.

    ``first_layer`` is the session's, so that an adapter that it has, too, gives the same bits.

    Raises:
        AdapterCorrupt: it does not fit the model.
    """
    alone = load_alone(model, folder, first_layer)
    return exam.again().take(alone.decoder), update_norm(alone.model)


@dataclass(frozen=True, slots=True)
class Alone:
    """A model that is only asked."""

    model: Attached
    decoder: Decoder
    tokenizer: CodeTokenizer


def load_alone(model: str, folder: Path | None, first_layer: int = 0, method: Method | None = None) -> Alone:
    """The base with the adapter in ``folder``, of any form, to be asked; the base alone without one.

    ``method``: the adapter's, with the quantization to ask it in; None: as its manifest says.

    Raises:
        ModelMissing, ModelCorrupt, ModelError: the base model.
        AdapterCorrupt: the adapter does not fit the model.
    """
    if method is None:
        method = _method_of(folder) if folder else LORA
    loaded = load_for_training(model, method)
    base: nn.Module = loaded.model
    floor = foundation.find(model) if method.floor == "merged" else None
    if floor is not None:
        base = merged(base, floor.path)
    adapted = load_on(base, folder, trainable=False) if folder else Attached(loaded.model)
    decoder = make_decoder(adapted, 0 if method.whole else first_layer)
    return Alone(adapted, decoder, loaded.tokenizer)


def _method_of(folder: Path) -> Method:
    """Of the adapter in a version's folder; LoRA where nothing tells."""
    try:
        return method_named(Manifest.read(folder / MANIFEST_FILE).method)
    except AdapterCorrupt:
        return LORA
    except MethodError as error:
        raise AdapterCorrupt(str(error)) from error


def merged(base: nn.Module, folder: Path) -> nn.Module:
    """The base with a LoRA in its weights."""
    merged: nn.Module = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    return merged


def _load(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error


def _factor(folder: Path) -> float:
    try:
        return factor_of(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error


def _without_update(trained: Mapping[str, Tensor]) -> Values:
    """Of a LoRA that changes nothing: B is zero."""
    return {
        name: torch.zeros_like(parameter) if ".lora_B." in name else parameter.detach().clone()
        for name, parameter in trained.items()
    }


def _norm_of(folder: Path) -> float:
    from tailora_adapters.training.weights import update_norm as norm_in_files

    return norm_in_files(folder)


@torch.no_grad()
def update_norm(model: Attached | PeftModel) -> float | None:
    """Frobenius norm of a LoRA's whole update: root of the sum over modules of |scale B A|^2. None for an adapter
    without any, whose parameters are no update of matrices.

    Raises:
        TrainingDiverged: a parameter is not a number.
    """
    adapter = attached(model)
    total, counted = 0.0, False
    for module in adapter.base.modules():
        if isinstance(module, LoraLinear) and "default" in module.lora_A:
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            # |B A|^2 = trace((B^T B)(A A^T)): never forms the full matrix.
            total += float(((b.T @ b) * (a @ a.T)).sum()) * module.scaling["default"] ** 2
            counted = True
    others = (float(parameter.sum()) for parameter in adapter.parameters().values())
    if not math.isfinite(total) or not all(map(math.isfinite, others)):
        raise TrainingDiverged("the adapter's weights are not numbers any more: lower the learning rate")
    return math.sqrt(total) if counted else None
