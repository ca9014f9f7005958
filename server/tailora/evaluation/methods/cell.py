"""One method, or the baselines, for one task, in a process of its own: ``python -m tailora.evaluation.methods.cell``.

Trains with each learning rate of the grid and the first seed, chooses by the validation part, trains with the other
seeds, and asks every one that counts the same questions. What is done is on disk: a cell that is started again goes on
behind it. Speaks the training worker's protocol on stdout: progress, and one last event.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailora.evaluation.methods.comparison import Cell, Comparison
from tailora.evaluation.methods.places import Places
from tailora_adapters import threads
from tailora_adapters.errors import TailoraError
from tailora_adapters.training.worker import Emitter, follow

__all__ = ["run_cell"]

_log = logging.getLogger(__name__)


def run_cell(
    comparison: Comparison, cell: Cell, places: Places, progress: Callable[[float, str], None]
) -> None:
    """Does what is not done yet.

    Raises:
        TailoraError: the repository or the model.
    """
    from tailora.evaluation.methods.baselines import Baselines
    from tailora.evaluation.methods.questions import Questions
    from tailora.evaluation.methods.tasks import TASKS, gather
    from tailora.evaluation.methods.trainings import Trainings
    from tailora_adapters.base import cache, catalogue
    from tailora_adapters.base.tokenizer import CodeTokenizer
    from tailora_adapters.training.memory import bound_primitives

    bound_primitives()
    folder, _ = cache.open_record(catalogue.find(comparison.model))
    tokenizer = CodeTokenizer.from_folder(folder)
    progress(0.0, "reading the repository")
    task = TASKS[cell.task]
    material = gather(comparison.root, task, tokenizer, comparison.sizes, comparison.data_seed)
    questions = Questions(task, material, tokenizer)
    if cell.method is None:
        Baselines(comparison, cell, places, questions, progress).run()
    else:
        Trainings(comparison, cell, places, questions, progress).run()


def main() -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--method", default=None)
    parser.add_argument("--parent-pid", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    emit = Emitter.on_stdout()
    threads.settle()  # before torch is imported
    follow(arguments.parent_pid)
    places = Places.open(arguments.out)
    done: dict[str, Any] = {"event": "done", "decision": "finished", "reason": ""}
    try:
        run_cell(
            Comparison.read(arguments.out),
            Cell(arguments.task, arguments.method),
            places,
            lambda fraction, message: emit.progress(message.partition(", step ")[0], fraction, message),
        )
    except (TailoraError, MemoryError) as error:
        done = {"event": "done", "decision": "failed", "reason": str(error) or "out of memory"}
    except Exception as error:  # noqa: BLE001 - the process boundary: whoever waits gets an answer
        _log.exception("the comparison failed")
        done = {"event": "done", "decision": "failed", "reason": f"{type(error).__name__}: {error}"}
    emit.write(done)
    return 1 if done["decision"] == "failed" else 0


if __name__ == "__main__":
    sys.exit(main())
