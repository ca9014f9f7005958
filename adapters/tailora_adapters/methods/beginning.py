"""What a new adapter begins as where that depends on the model: tokens ahead that come from text.

Prefixes of real activations and embeddings of real words are far better on little data than random ones (Li and Liang,
arXiv 2101.00190, section 7.4; Lester et al., arXiv 2104.08691, section 3.2). Knows nothing of training.
"""

from typing import Any

import torch
from torch import Tensor

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.methods.attached import Attached
from tailora_adapters.methods.method import Settings

__all__ = ["begin"]

_CODE = '''"""Helpers of this project."""

import re
from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """The lines of a file that are not empty."""
    return [line for line in path.read_text().splitlines() if line.strip()]


'''


@torch.no_grad()
def begin(adapter: Attached, settings: Settings, tokenizer: CodeTokenizer) -> None:
    """Puts the start in place that the settings ask for; without any the adapter stays as peft made it."""
    for part in adapter.parts:
        for name in ("vera_A", "vera_B"):  # as they will be saved: what is trained on is what serves
            for shared in getattr(part.base_model, name, {}).values():
                shared.copy_(shared.to(torch.bfloat16))
        config = part.peft_config["default"]
        if not config.is_prompt_learning:
            continue
        encoder = part.prompt_encoder["default"]
        count: int = config.num_virtual_tokens
        if getattr(settings, "start", "") == "activations" and not config.prefix_projection:
            encoder.embedding.weight.copy_(_activations(adapter.base, _ids(tokenizer, _CODE, count)))
        elif text := getattr(settings, "text", ""):
            ids = _ids(tokenizer, text, count)
            encoder.embedding.weight.copy_(adapter.base.get_input_embeddings()(ids).float())


def _ids(tokenizer: CodeTokenizer, text: str, count: int) -> Tensor:
    """The first ``count`` tokens of the text, which is repeated where it is shorter."""
    ids = tokenizer.encode(text)
    return torch.tensor((ids * (count // len(ids) + 1))[:count])


def _activations(model: Any, ids: Tensor) -> Tensor:
    """Keys and values of every layer, flat as peft has them: (tokens, layers * 2 * kv heads * head width)."""
    cache = model.model(input_ids=ids[None].to(model.device), use_cache=True).past_key_values
    # (kv heads, tokens, width) of each layer, keys first -> (tokens, layers, 2, kv heads, width)
    parts = torch.stack([torch.stack((layer.keys[0], layer.values[0])) for layer in cache.layers])
    return parts.permute(3, 0, 1, 2, 4).flatten(1).float()
