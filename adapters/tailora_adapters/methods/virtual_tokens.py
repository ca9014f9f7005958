"""Methods that put trained tokens ahead of all others: as keys and values of every layer, or as embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.methods.method import Method, parameter

__all__ = [
    "MOST_TOKENS",
    "PREFIX",
    "PROMPT",
    "P_TUNING",
    "P_TUNING_V2",
    "STARTS",
    "PrefixSettings",
    "prefix_config",
]

MOST_TOKENS = 256
STARTS = ("activations", "random")


@dataclass(frozen=True, slots=True)
class PrefixSettings:
    """Keys and values that stand ahead in every layer."""

    tokens: int = parameter(20, low=1, high=MOST_TOKENS)
    """Tokens ahead; Li and Liang, section 7.2: 10 to 200, fewer where data is little."""
    start: str = parameter("activations", choices=STARTS)
    """What they begin as: `activations` of code, which is far better on little data (Li and Liang, section 7.4), or
    `random`."""
    projection: bool = parameter(False)
    """Whether they are computed by a small network while they are trained (Li and Liang, section 4.3); the more is to
    be trained, and it begins at random."""
    encoder_width: int = parameter(512, low=1, high=1024)
    """Of that network; 512 in the paper's experiments."""


def prefix_config(settings: PrefixSettings, shape: Shape, layers: Sequence[int]) -> Any:
    """A prefix of keys and values."""
    from peft import PrefixTuningConfig

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
    """Embeddings that stand ahead."""

    tokens: int = parameter(20, low=1, high=MOST_TOKENS)
    """Tokens ahead; Lester et al., section 3.2: more than 20 gain little."""
    text: str = parameter(
        "Complete the code as its authors would, in this repository's own style and with its own names.\n",
        length=2000,
    )
    """What they begin as, again and again where it is shorter, as in the paper's section 3.2; empty: at random."""


def _prompt(settings: PromptSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import PromptTuningConfig, PromptTuningInit

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
    """Embeddings that an encoder makes while they are trained."""

    tokens: int = parameter(20, low=1, high=MOST_TOKENS)
    """Tokens ahead."""
    encoder: str = parameter("MLP", choices=("LSTM", "MLP"))
    """What computes them: `LSTM` as in the paper's section 3.2, or `MLP`, which has less to be trained."""
    encoder_width: int = parameter(256, low=1, high=512)
    """Of the encoder."""
    encoder_layers: int = parameter(2, low=1, high=4)
    """Of an `LSTM`."""


def _p_tuning(settings: PTuningSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import PromptEncoderConfig

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
