"""The ways to answer that learn nothing in a comparison. Knows nothing of methods."""

import time

from tailora.evaluation.methods.comparison import BASELINES
from tailora.evaluation.methods.places import write_json
from tailora.evaluation.methods.work import USUAL, Work
from tailora_adapters.methods.attached import Attached, attached
from tailora_adapters.training.adapters import Session, load_for_training
from tailora_adapters.training.decoder import Decoder, make_decoder
from tailora_adapters.training.memory import give_back

__all__ = ["Baselines"]


class Baselines(Work):
    """What learns nothing here."""

    def run(self) -> None:
        """The base comes first: what the others forgot is reckoned from it."""
        asked = self.comparison.asked
        missing = [name for name in asked if not self.places.result(self.cell.task, name, 0).exists()]
        if bare := [name for name in missing if name != "foundation"]:
            model, decoder = _plain(self.comparison.model)
            for name in bare:
                self.progress(asked.index(name) / len(asked), BASELINES[name])
                self._one(name, model, decoder)
            del model, decoder
            give_back()
        if "foundation" in missing:
            self.progress(asked.index("foundation") / len(asked), BASELINES["foundation"])
            self.questions = self.questions.anew()
            session = Session(self.comparison.model, None, lower_share=USUAL.lower_share, seed=0)
            self._one("foundation", session.model, session.decoder)
        self.progress(1.0, "baselines done")

    def _one(self, name: str, model: Attached, decoder: Decoder) -> None:
        began = time.monotonic()
        total = sum(parameter.numel() for parameter in model.base.parameters())
        made = self.document(name, BASELINES[name], 0, began, {"num_total_params": total})
        made["test_info"] = self.tested(decoder, base=name == "base")
        made["run_info"]["total_time"] = round(time.monotonic() - began, 1)
        write_json(self.places.result(self.cell.task, name, 0), made)


def _plain(model: str) -> tuple[Attached, Decoder]:
    base = attached(load_for_training(model).model)
    return base, make_decoder(base, int(base.base.config.num_hidden_layers * USUAL.lower_share))
