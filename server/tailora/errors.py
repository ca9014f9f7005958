"""Every error that the serving side raises on purpose, as one tree below ``tailora_adapters.errors.TailoraError``.

TailoraError
├── EngineError              talking to the engine
│   ├── EngineUnreachable    no engine and none could be started; raised by engine.client, shown in the status
│   └── EngineRefused        the engine answered with an error; carries its ``code``
├── CheckerFailed            a static checker that gave no answer; raised by repair.checkers, shown beside the repair
├── RepairError              a repair, or running the tests for one, needs what is not there; says what to do
├── PromptTooLong            a prompt that cannot be cut to the context length; raised by a generator
├── ReportInvalid            a run's report that is not whole; raised by evaluation.methods.record, left out or shown
└── OptionError              a setting with a bad value; names its key, recovered by the default
"""

from tailora_adapters.errors import TailoraError

__all__ = [
    "CheckerFailed",
    "EngineError",
    "EngineRefused",
    "EngineUnreachable",
    "OptionError",
    "PromptTooLong",
    "RepairError",
    "ReportInvalid",
]


class EngineError(TailoraError):
    """Something between a client and the engine."""


class EngineUnreachable(EngineError):
    """No engine answers and none could be started."""


class EngineRefused(EngineError):
    """The engine answered with an error."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class CheckerFailed(TailoraError):
    """A static checker cannot be run, crashed, took too long, or answered what cannot be read."""


class RepairError(TailoraError):
    """A repair cannot be tried; nothing was changed."""


class PromptTooLong(TailoraError):
    """The prompt exceeds the model's context even after cutting."""


class ReportInvalid(TailoraError):
    """The report of a run that cannot be used; ``problems`` has each, in plain words."""

    def __init__(self, path: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.path = path
        self.problems = problems


class OptionError(TailoraError):
    """A setting has a value that cannot be used."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
