"""What AdaLoRA does in training beside the gradients: ranks are pruned where they matter least, and the factors are
kept orthogonal (Zhang et al., arXiv 2303.10512, sections 3.1 and 3.2).

The importance of ranks is peft's; the schedule follows the share of the run that is done, as runs may end by the clock.
Knows nothing of the loop.
"""

from typing import Any

import torch
from peft.tuners.adalora import AdaLoraModel
from torch import Tensor

from tailora_adapters.methods.attached import Attached
from tailora_adapters.methods.lora_variants import AdaLoraSettings

__all__ = ["Allocation", "allocation_of"]


class Allocation:
    """Of one run."""

    def __init__(self, model: AdaLoraModel, settings: AdaLoraSettings) -> None:
        self._model = model.model
        self._settings = settings
        self._allocator: Any = model.rankallocator
        self._factors = [
            (parameter, ".lora_A." in name)
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad and (".lora_A." in name or ".lora_B." in name)
        ]
        self._steps = 0
        self._pattern: dict[str, list[bool]] | None = None

    def penalty(self) -> Tensor:
        """What is added to a step's loss: how far the factors are from orthogonal."""
        parts = []
        for factor, by_rank in self._factors:
            products = factor @ factor.T if by_rank else factor.T @ factor
            parts.append((products - torch.eye(len(products), device=products.device)).norm())
        return self._settings.orthogonality * torch.stack(parts).mean()

    def after_step(self, done: float) -> None:
        """Follows the gradients of a step, which are still there; ``done`` is the share of the run, 0 to 1."""
        self._steps += 1
        begin, end = self._settings.warmup_share, 1 - self._settings.final_share
        if self._pattern is None:
            self._allocator.update_ipt(self._model)
        if done >= end:
            self.finish()
        elif done > begin and self._steps % self._settings.interval == 0:
            left = (1 - (done - begin) / (end - begin)) ** 3
            surplus = self._allocator.init_bgt - self._allocator.target_bgt
            self._prune(int(self._allocator.target_bgt + surplus * left))

    def finish(self) -> None:
        """Down to the ranks that are to be left; they stay."""
        if self._pattern is None:
            self._pattern = self._prune(self._allocator.target_bgt)
        elif self._pattern:  # empty where nothing was to be pruned
            self._allocator.mask_using_rank_pattern(self._model, self._pattern)

    def _prune(self, budget: int) -> dict[str, list[bool]]:
        if budget >= self._allocator.init_bgt:
            return {}
        pattern: dict[str, list[bool]] = self._allocator.mask_to_budget(self._model, budget)
        return pattern


def allocation_of(adapter: Attached, settings: Any) -> Allocation | None:
    """For AdaLoRA; None for any other method."""
    model = adapter.parts[0].base_model if adapter.parts else None
    return Allocation(model, settings) if isinstance(model, AdaLoraModel) else None
