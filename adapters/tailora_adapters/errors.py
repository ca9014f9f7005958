"""Every error that the learning side raises on purpose, as one tree.

TailoraError                 anything a user can act on; its text says what happened and what to do
├── ModelError               the base model
│   ├── ModelMissing         not in the cache; raised by base.load, recovered by a fetch
│   ├── ModelCorrupt         a file does not match its hash; recovered by fetching again
│   └── FetchFailed          neither the hub nor the packaged parts could be reached; partial data is kept
├── StoreError               adapters on disk
│   ├── AdapterCorrupt       weights or manifest unreadable; the engine serves the version before it
│   ├── VersionUnknown       no such version in this project
│   └── StoreUnwritable      full disk or read-only store; nothing was changed
├── CorpusError              a repository that cannot be read
│   ├── HistoryUnreadable    no git history, or a damaged one; corpus.history goes on without it
│   └── TooLittleData        fewer examples than training needs; says how many are missing
├── CheckFailed              a static checker gave no answer; repair.notice goes on without it
└── TrainingError            the worker
    ├── TrainingBusy         another process trains this project
    └── TrainingFailed       diverged, ran out of memory or was killed; the serving adapter is untouched
        └── TrainingDiverged the loss or the weights are no numbers any more; a lower learning rate may do
"""


class TailoraError(Exception):
    """Base of all errors with a message fit to show to a user."""


class ModelError(TailoraError):
    """Something about a base model."""


class ModelMissing(ModelError):
    """The base model is not in the cache."""


class ModelCorrupt(ModelError):
    """A file of the base model does not match its hash or cannot be read."""


class FetchFailed(ModelError):
    """A base model, or what a foundation adapter is made from, could not be brought to this machine."""


class StoreError(TailoraError):
    """Something about adapters on disk."""


class AdapterCorrupt(StoreError):
    """An adapter's weights, configuration or manifest cannot be read or do not match their hash."""


class VersionUnknown(StoreError):
    """The project has no such adapter version."""


class StoreUnwritable(StoreError):
    """The adapter store cannot be written (full disk, read-only); nothing was changed."""


class CorpusError(TailoraError):
    """A repository that cannot be turned into training examples."""


class HistoryUnreadable(CorpusError):
    """A repository's git history is missing, damaged or of a form that is not known."""


class TooLittleData(CorpusError):
    """Fewer usable examples than training needs."""

    def __init__(self, have: int, need: int, what: str = "training examples") -> None:
        super().__init__(
            f"{have} {what}, {need} needed: {need - have} more before this repository can be learned"
        )
        self.have = have
        self.need = need


class CheckFailed(TailoraError):
    """A static checker could not be asked about bugs; lessons lack what it would say."""


class MethodError(TailoraError):
    """A PEFT method that is not known, or settings that do not fit it or the base model."""


class TrainingError(TailoraError):
    """Something about a training run."""


class TrainingBusy(TrainingError):
    """Another process is training this project."""


class TrainingFailed(TrainingError):
    """A training run ended without a candidate; what serves is untouched."""


class TrainingDiverged(TrainingFailed):
    """The loss or the weights of a training run are no numbers any more."""
