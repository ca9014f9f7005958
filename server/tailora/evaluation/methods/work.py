"""What the runs of one cell share: where things lie, what is asked, and how a document is made of it.

Knows nothing of how anything is trained.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tailora.evaluation.methods import document
from tailora.evaluation.methods.comparison import BASELINES, Cell, Comparison
from tailora.evaluation.methods.places import Places, read_json
from tailora.evaluation.methods.probes import insecure
from tailora.evaluation.methods.questions import Questions
from tailora.evaluation.methods.tasks import case_ids
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.memory import peak_rss_mb
from tailora_adapters.training.run import RunSettings

__all__ = ["USUAL", "Progress", "Work"]

USUAL = RunSettings()
"""What a project's own training does."""

Progress = Callable[[float, str], None]


@dataclass(slots=True)
class Work:
    """What runs of every kind share."""

    comparison: Comparison
    cell: Cell
    places: Places
    questions: Questions
    progress: Progress

    def document(
        self, name: str, title: str, seed: int, began: float, train_info: Mapping[str, Any], **run: Any
    ) -> dict[str, Any]:
        """Without the answers."""
        return {
            "format": document.FORMAT,
            "run_info": {
                "created_at": document.now(),
                "total_time": round(time.monotonic() - began, 1),
                "experiment_name": f"{self.cell.task}/{name}/seed-{seed}",
                "peft_branch": document.version_of("peft"),
                "train_config": {},
                "peft_config": None,
                "error_msg": "",
                "tailora": document.version_of("tailora"),
                "command": list(self.places.command),
                "method": name,
                "title": title,
                "role": "baseline",
                "task": self.cell.task,
                "seed": seed,
                "model": self.comparison.model,
                "repository": self.comparison.root.name,
                "started_again": self.places.begun,
                **run,
            },
            "train_info": {
                "accelerator_memory_reserved_avg": 0,
                "accelerator_memory_max": 0,
                "accelerator_memory_reserved_99th": 0,
                "peak_rss": int(peak_rss_mb() * 2**20),
                "train_time": 0.0,
                "file_size": 0,
                "num_trainable_params": 0,
                "num_total_params": 0,
                "status": "success",
                "metrics": [],
                "token_budget": self.comparison.sizes.tokens,
                "tokens": 0,
                "tokens_per_second": 0.0,
                "steps": 0,
                "learning_rate": None,
                "grid": [],
                "energy": {"watt_hours": None, "estimated": True, "source": "nothing was trained"},
                "money": document.money(self.comparison.prices, 0.0, 0.0) | {"note": "nothing was trained"},
                **train_info,
            },
            "test_info": document.empty_test(),
            "meta_info": document.meta_info(self.comparison, self.questions.material),
        }

    def tested(self, decoder: Decoder, *, base: bool = False) -> dict[str, Any]:
        """``test_info`` of a model, without how fast it serves. ``base``: it is the one that others are measured from,
        which sees no snippets of other files."""
        questions, material = self.questions, self.questions.material
        scores = questions.test(decoder, bare=base)
        more, totals = questions.more(scores), questions.totals(scores)
        own = document.answers(scores, more)
        generic = _rounded(questions.generic(decoder))
        known = {name: self._baseline(name) for name in BASELINES}
        reference = known["base"]
        before = generic if base else reference["forgetting"]["generic_loss"] if reference else None
        return {
            "cases": len(scores.exact),
            "metrics": document.metrics(scores, more, totals),
            "higher_is_better": {**dict.fromkeys((*more, *totals), True), **document.HIGHER},
            "per_case": own,
            "case_ids": case_ids(material.bare if base else material.test),
            "against": {
                name: document.against(own, info["per_case"]) for name, info in known.items() if info
            },
            "forgetting": {
                "generic_loss": generic,
                "generic_loss_base": before,
                "relative": _rounded(generic / before - 1) if generic and before else None,
            },
            "latency": None,
            "canary_exposure": questions.exposure(decoder),
            "insecure": insecure(material.test, scores.answers, material.texts),
        }

    def _baseline(self, name: str) -> dict[str, Any] | None:
        found = read_json(self.places.result(self.cell.task, name, 0))
        return found["test_info"] if found else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
