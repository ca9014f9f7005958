"""A base model with one adapter on it, by peft: a ``PeftModel`` for each part of the method, all around one base.

Gives the adapter's tensors under the names that peft saves them by, with their gradients, so that training computes
through what ``effects`` reads from a saved adapter, too. Knows nothing of training or of files.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel, PeftModelForCausalLM, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.methods import bottleneck_tuner
from tailora_adapters.methods.effects import (
    Ahead,
    Effects,
    Frozen,
    FrozenOf,
    LayerEffects,
    read_effects,
    state_of,
)
from tailora_adapters.methods.method import Method, Settings

__all__ = ["HYBRID", "TOKENS", "Attached", "attached", "load_on", "put_on"]

_ = bottleneck_tuner  # registers itself with peft
# What peft asks of transformers at every adapter is none of the user's business.
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)

TOKENS = "prompt_embeddings"
"""Name of the tensor of tokens ahead of all others."""

HYBRID = "HYBRID"
"""``peft_type`` in the configuration of an adapter of several parts, each with its own under ``parts``."""


class Attached:
    """One base model and its parts; none is a base model alone."""

    def __init__(
        self,
        base: PreTrainedModel,
        parts: tuple[PeftModel, ...] = (),
        configs: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """``configs``: of each part; peft keeps only the last one's where there are several."""
        self.base = base
        self.parts = parts
        self._configs = [_config(part) for part in parts] if configs is None else list(configs)
        self._tensors = [None if _has_encoder(part) else _saved_names(part) for part in parts]

    @property
    def wants_lengths(self) -> bool:
        """Whether its effects depend on how long the rows of the base's matrices are."""
        return any(config.get("use_dora") for config in self._configs)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The adapter's, by name; those of the base are none of it."""
        found: dict[str, nn.Parameter] = {}
        seen: set[int] = set()  # a later part sees those before it, by other names
        for part in self.parts:
            for name, parameter in part.named_parameters():
                if ".default" in name and ".ranknum." not in name and id(parameter) not in seen:
                    found[name] = parameter
                    seen.add(id(parameter))
        return found

    def train(self, mode: bool = True) -> None:
        """Or ``eval``, as modules have it."""
        for model in (self.base, *self.parts):
            model.train(mode)

    def config(self) -> Mapping[str, Any]:
        """What goes to ``adapter_config.json``."""
        return self._configs[0] if len(self._configs) == 1 else {"peft_type": HYBRID, "parts": self._configs}

    def tensors(self) -> dict[str, Tensor]:
        """By saved name, live."""
        found: dict[str, Tensor] = {}
        for part, names in zip(self.parts, self._tensors, strict=True):
            found |= {TOKENS: _encoded(part)} if names is None else names
        return found

    def ahead(self, shape: Shape) -> Ahead:
        """The tokens that it puts ahead of all others, as they are now."""
        for part, config in zip(self.parts, self._configs, strict=True):
            if _has_encoder(part):
                return read_effects(config, {TOKENS: _encoded(part)}, shape, _no_weights).ahead
        return Ahead()

    def effects(self, shape: Shape, frozen: FrozenOf) -> Effects:
        """What the adapter does as it is now.

        Raises:
            AdapterCorrupt: see ``read_effects``.
        """
        if not self.parts:
            return Effects((LayerEffects(),) * shape.layers)
        return read_effects(self.config(), self.tensors(), shape, frozen)


def attached(model: Attached | PeftModel | nn.Module) -> Attached:
    """The same for a model that peft, or nobody, put an adapter on."""
    if isinstance(model, Attached):
        return model
    if isinstance(model, PeftModel):
        return Attached(model.get_base_model(), (model,))
    return Attached(model)


def _no_weights(_layer: int, name: str) -> Frozen:
    raise LookupError(name)


def _has_encoder(part: PeftModel) -> bool:
    return bool(part.peft_config["default"].is_prompt_learning)


def _saved_names(part: PeftModel) -> Mapping[str, Tensor]:
    live = part.state_dict(keep_vars=True)
    named: Mapping[str, Tensor] = get_peft_model_state_dict(
        part, state_dict=live, save_embedding_layers=False
    )
    return named


def _encoded(part: PeftModel) -> Tensor:
    """(tokens, width) of the trained tokens."""
    encoder = part.prompt_encoder["default"]
    count = part.peft_config["default"].num_virtual_tokens
    if part.peft_config["default"].inference_mode:  # what a network computed was loaded in its place
        stored: Tensor = encoder.embedding.weight[:count]
        return stored
    tokens = part.prompt_tokens["default"][:count].to(encoder.embedding.weight.device)
    embeddings: Tensor = encoder(tokens[None])[0]
    return embeddings


def _config(part: PeftModel) -> dict[str, Any]:
    config: dict[str, Any] = part.peft_config["default"].to_dict()
    return config


def put_on(base: PreTrainedModel, method: Method, settings: Settings, layers: Sequence[int]) -> Attached:
    """A new adapter on ``layers`` of the base.

    Raises:
        MethodError: the settings do not fit the model.
    """
    shape = Shape.from_config(base.config.to_dict())
    parts, configs = [], []
    with _as_meant():
        for config in method.configure(settings, shape, layers):
            parts.append(get_peft_model(base, config))
            configs.append(_config(parts[-1]))
    return _trainable(Attached(base, tuple(parts), configs))


def load_on(base: PreTrainedModel, folder: Path, *, trainable: bool = True) -> Attached:
    """A copy of the adapter in a folder, of any method.

    Raises:
        AdapterCorrupt: it cannot be read, or does not fit the base.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        state = load_file(folder / "adapter_model.safetensors")
        parts, configs = [], []
        for one in config["parts"] if config.get("peft_type") == HYBRID else [config]:
            made = PeftConfig.from_peft_type(**one)
            made.inference_mode = not trainable
            if made.is_prompt_learning and getattr(made, "prefix_projection", False):
                made.prefix_projection = False  # what is saved is what the network computed
            with _as_meant():
                part = PeftModelForCausalLM(base, made)
                result = set_peft_model_state_dict(part, state_of(one, state))
            if result.unexpected_keys and not made.is_prompt_learning:
                raise ValueError(f"unexpected weights: {result.unexpected_keys[0]}")
            parts.append(part)
            configs.append(one)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        RuntimeError,
        AttributeError,
        SafetensorError,
    ) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be loaded: {error}") from error
    found = Attached(base, tuple(parts), configs)
    return _trainable(found) if trainable else found


_EXPECTED = (
    ".*with PEFT for a second time",
    "Already found a `peft_config`",
    "Unsupported layer type",
    ".*rank_pattern keys",
)


@contextmanager
def _as_meant() -> Iterator[None]:
    """What peft warns of here is wanted: several parts on one base, and norms that it does not know."""
    with warnings.catch_warnings():
        for message in _EXPECTED:
            warnings.filterwarnings("ignore", message)
        yield


def _trainable(adapter: Attached) -> Attached:
    """A part that is put on freezes those before it."""
    for parameter in adapter.parameters().values():
        parameter.requires_grad_(True)
    return adapter
