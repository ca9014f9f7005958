"""What a run is for: completion, or something else that learns from the same repository in the same way.

A purpose says which examples a run makes and where its versions lie; the loop, the checks and the promotion are the
same. Knows nothing of models.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.learnable import Learnable
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.purposes import PurposeName
from tailora_adapters.store import ProjectStore
from tailora_adapters.training.data import DataSettings, RunData, gather

__all__ = ["COMPLETION", "Gather", "Purpose"]


class Gather(Protocol):
    """See ``training.data.gather``."""

    def __call__(
        self,
        found: Learnable,
        tokenizer: CodeTokenizer,
        settings: DataSettings,
        *,
        changed: Collection[str],
        trained: Collection[str],
        whole: bool,
        replay: Reservoir | None,
        unreadable: Callable[[Sequence[SourceFile]], Mapping[str, str]],
        seed: int,
    ) -> RunData:
        """What to train on, and what to ask.

        Raises:
            TooLittleData: fewer examples than a run needs.
        """


@dataclass(frozen=True, slots=True)
class Purpose:
    """One use of what is learned."""

    name: PurposeName
    gather: Gather
    more: bool = False
    """Whether a candidate has to fill more holes exactly than what serves, and not only no fewer."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """What is trained otherwise than for completion: fields of ``TrainSettings``."""

    def store(self, project: ProjectStore) -> ProjectStore:
        """Where its versions lie."""
        return project.part(self.name)


COMPLETION = Purpose("completion", gather)
