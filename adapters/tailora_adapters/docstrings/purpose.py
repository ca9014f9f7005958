"""Training for docstrings: those of a repository that agree with their functions. Knows nothing of models."""

from tailora_adapters.docstrings.examples import documented
from tailora_adapters.training.purpose import Purpose
from tailora_adapters.training.tasks import TASK_TRAINING, TaskGather

__all__ = ["DOCSTRING"]

DOCSTRING = Purpose("docstring", TaskGather(documented), train=TASK_TRAINING)
