"""Training for whole functions: the bodies of a repository's documented ones. Knows nothing of models."""

from tailora_adapters.generation.examples import written
from tailora_adapters.training.purpose import Purpose
from tailora_adapters.training.tasks import TASK_TRAINING, TaskGather

__all__ = ["GENERATION"]

GENERATION = Purpose("generation", TaskGather(written), train=TASK_TRAINING)
