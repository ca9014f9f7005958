"""Methods that put trained tokens ahead of all others: as keys and values of every layer, or as embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import MethodError
from tailora_adapters.methods.method import Method

__all__ = ["PREFIX", "PROMPT", "P_TUNING", "P_TUNING_V2", "PrefixSettings", "prefix_config"]

_MOST_TOKENS = 256


def _check_tokens(tokens: int) -> None:
    if not 1 <= tokens <= _MOST_TOKENS:
        raise MethodError(f"{tokens} tokens ahead of all others: 1 to {_MOST_TOKENS} are possible")


@dataclass(frozen=True, slots=True)
class PrefixSettings:
    """``start``: ``activations`` of code, which is far better on little data (Li and Liang, section 7.4), or
    ``random``. ``projection``: the prefix is computed by a small network while it is trained (their section 4.3)."""

    tokens: int = 20
    start: str = "activations"
    projection: bool = False
    encoder_width: int = 512
    """Of that network."""


def prefix_config(settings: PrefixSettings, shape: Shape, layers: Sequence[int]) -> Any:
    """A prefix of keys and values."""
    from peft import PrefixTuningConfig

    _check_tokens(settings.tokens)
    if settings.start not in ("activations", "random"):
        raise MethodError(f"start is 'activations' or 'random', not {settings.start!r}")
    return PrefixTuningConfig(
        num_virtual_tokens=settings.tokens,
        prefix_projection=settings.projection,
        encoder_hidden_size=settings.encoder_width,
        task_type="CAUSAL_LM",
    )


PREFIX = Method(
    name="prefix",
    title="prefix tuning",
    source="arXiv 2101.00190",
    defaults=PrefixSettings(),
    parts=(prefix_config,),
    learning_rate=1e-2,
    rates=(3e-3, 1e-2, 3e-2),
    whole=True,
    linear=False,
)
"""Keys and values of every layer, from those of code."""

P_TUNING_V2 = Method(
    name="p-tuning-v2",
    title="P-tuning v2",
    source="arXiv 2110.07602",
    defaults=PrefixSettings(start="random"),
    parts=(prefix_config,),
    learning_rate=1e-2,
    rates=(3e-3, 1e-2, 3e-2),
    whole=True,
    linear=False,
)
"""The same as deep prompts, begun at random."""


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """Embeddings that begin as those of a text, as in the paper's section 3.2."""

    tokens: int = 20
    text: str = (
        "Complete the code as its authors would, in this repository's own style and with its own names.\n"
    )
    """Begins the tokens, again and again where it is shorter; empty: at random."""


def _prompt(settings: PromptSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import PromptTuningConfig, PromptTuningInit

    _check_tokens(settings.tokens)
    return PromptTuningConfig(
        num_virtual_tokens=settings.tokens,
        prompt_tuning_init=PromptTuningInit.RANDOM,  # the text's are put in afterwards: no tokenizer by name here
        task_type="CAUSAL_LM",
    )


PROMPT = Method(
    name="prompt",
    title="prompt tuning",
    source="arXiv 2104.08691",
    defaults=PromptSettings(),
    parts=(_prompt,),
    learning_rate=1e-2,
    rates=(3e-3, 1e-2, 3e-2),
    whole=True,
    linear=False,
)
"""Embeddings ahead of the prompt."""


@dataclass(frozen=True, slots=True)
class PTuningSettings:
    """The encoder that the embeddings come from while they are trained: ``LSTM`` as in the paper, or ``MLP``."""

    tokens: int = 20
    encoder: str = "MLP"
    encoder_width: int = 256
    encoder_layers: int = 2


def _p_tuning(settings: PTuningSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import PromptEncoderConfig

    _check_tokens(settings.tokens)
    if settings.encoder not in ("LSTM", "MLP"):
        raise MethodError(f"encoder is 'LSTM' or 'MLP', not {settings.encoder!r}")
    return PromptEncoderConfig(
        num_virtual_tokens=settings.tokens,
        encoder_reparameterization_type=settings.encoder,
        encoder_hidden_size=settings.encoder_width,
        encoder_num_layers=settings.encoder_layers,
        task_type="CAUSAL_LM",
    )


P_TUNING = Method(
    name="p-tuning",
    title="P-tuning",
    source="arXiv 2103.10385",
    defaults=PTuningSettings(),
    parts=(_p_tuning,),
    learning_rate=3e-3,
    rates=(1e-3, 3e-3, 1e-2),
    whole=True,
    linear=False,
    resumes=False,
)
"""Embeddings that an encoder makes."""
