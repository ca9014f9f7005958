"""Adapters on a transformers model of the Llama family: of any method, several in memory, one or none at work.

Every projection becomes a module that does what the adapter at work does to it (``methods.effects``); weights of norms
are exchanged. Quantized projections are used as they are. Knows nothing of files, tokens or caches.
"""

from collections.abc import Callable

from torch import Tensor, nn
from transformers import PreTrainedModel

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.methods.effects import Bottleneck, Effect, Effects, LayerEffects

__all__ = ["ChangedModel"]


class _AtWork:
    """Which adapter is; every changed projection has the same one of these."""

    name: str | None = None


class _Change(nn.Module):
    """One adapter on one projection. Buffers, so that a recorded graph finds them where they were."""

    a: Tensor | None
    b: Tensor | None
    gain: Tensor | None
    shift: Tensor | None

    def __init__(
        self,
        effect: Effect | None,
        bottleneck: Bottleneck | None,
        bias: Tensor | None,
        place: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        effect = effect or Effect()
        shift = effect.shift
        if effect.gain is not None and bias is not None:
            # The projection's own bias is in what the gain multiplies, and must not be.
            rest = (1 - effect.gain) * bias.float().cpu()
            shift = rest if shift is None else rest + shift
        b = None if effect.b is None else effect.factor * effect.b
        for name, tensor in (("a", effect.a), ("b", b), ("gain", effect.gain), ("shift", shift)):
            self.register_buffer(name, None if tensor is None else place(tensor))
        behind = ("down", "down_bias", "up", "up_bias")
        for name in behind if bottleneck is not None else ():
            self.register_buffer(name, place(getattr(bottleneck, name)))
        self._narrow = Bottleneck(*(getattr(self, name) for name in behind)) if bottleneck else None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """``y``, the projection of ``x``, changed."""
        if self.gain is not None:
            y = y * self.gain
        if self.shift is not None:
            y = y + self.shift
        if self.a is not None and self.b is not None:
            y = y + nn.functional.linear(nn.functional.linear(x, self.a), self.b)
        return y if self._narrow is None else self._narrow(y)


class _Changed(nn.Module):
    """A projection with the adapters that change it."""

    def __init__(self, inner: nn.Module, at_work: _AtWork) -> None:
        super().__init__()
        self.inner = inner
        self.changes = nn.ModuleDict()
        self._at_work = at_work

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        name = self._at_work.name
        if name is None or name not in self.changes:
            return y
        changed: Tensor = self.changes[name](x, y)
        return changed


class ChangedModel:
    """A model's projections and norms, as adapters change them. Changes the model that it is given."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._at_work = _AtWork()
        self._projections: dict[tuple[int, str], _Changed] = {}
        self._norms: dict[str, nn.Parameter] = {}
        """The model's own weights of norms that an adapter changes, by module."""
        self._others: dict[str, dict[str, nn.Parameter]] = {}
        """Those of each adapter."""
        try:
            self._shape: Shape | None = Shape.from_config(model.config.to_dict())
            inner = {
                (layer, name): model.get_submodule(f"model.layers.{layer}.{name}")
                for layer in range(self._shape.layers)
                for name in self._shape.projections
            }
        except (KeyError, AttributeError):
            self._shape = None
            return
        for (layer, name), module in inner.items():
            self._projections[layer, name] = _Changed(module, self._at_work)
            model.set_submodule(f"model.layers.{layer}.{name}", self._projections[layer, name])

    @property
    def shape(self) -> Shape:
        """The model's.

        Raises:
            AdapterCorrupt: no adapter fits it.
        """
        if self._shape is None:
            kind = self._model.config.model_type
            raise AdapterCorrupt(f"adapters are served on models of the Llama family only, and not on {kind}")
        return self._shape

    def add(self, name: str, effects: Effects) -> None:
        """Takes an adapter in; it is not at work before ``use``. ``name`` is a Python name."""
        for number, layer in enumerate(effects.layers):
            for at in self.shape.projections:
                effect, bottleneck = layer.projections.get(at), _behind(layer, at)
                if effect is not None or bottleneck is not None:
                    changed = self._projections[number, at]
                    bias = getattr(changed.inner, "bias", None)
                    changed.changes[name] = _Change(effect, bottleneck, bias, self._place)
        norms = {"model.norm": effects.norm}
        for number, layer in enumerate(effects.layers):
            norms[f"model.layers.{number}.input_layernorm"] = layer.norm_in
            norms[f"model.layers.{number}.post_attention_layernorm"] = layer.norm_post
        self._others[name] = {
            at: nn.Parameter(self._place(weight), requires_grad=False)
            for at, weight in norms.items()
            if weight is not None
        }

    def remove(self, name: str) -> None:
        """Gives an adapter up."""
        if self._at_work.name == name:
            self.use(None)
        del self._others[name]
        for changed in self._projections.values():
            if name in changed.changes:
                del changed.changes[name]

    def use(self, name: str | None) -> None:
        """Which adapter is at work from now on; None for none."""
        if name == self._at_work.name:
            return
        for at, own in self._norms.items():
            self._model.get_submodule(at).weight = own
        self._norms.clear()
        for at, other in self._others[name].items() if name is not None else ():
            module = self._model.get_submodule(at)
            self._norms[at], module.weight = module.weight, other
        self._at_work.name = name

    def _place(self, tensor: Tensor) -> Tensor:
        """Where the model computes, and in its type."""
        return tensor.to(self._model.device, self._model.dtype).contiguous()


def _behind(layer: LayerEffects, at: str) -> Bottleneck | None:
    """The small network behind the sublayer that ends with this projection."""
    if at == "self_attn.o_proj":
        return layer.after_attention
    return layer.after_mlp if at == "mlp.down_proj" else None
