"""Every error that the serving side raises on purpose, as one tree below ``tailora_adapters.errors.TailoraError``.

TailoraError
├── EngineError              talking to the engine
│   ├── EngineUnreachable    no engine and none could be started; raised by engine.client, shown in the status
│   └── EngineRefused        the engine answered with an error; carries its ``code``
├── CheckerFailed            a static checker that gave no answer; raised by repair.checkers, shown beside the repair
├── RepairError              a repair, or running the tests for one, needs what is not there; says what to do
├── PromptTooLong            a prompt that cannot be cut to the context length; raised by a generator
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


class OptionError(TailoraError):
    """A setting has a value that cannot be used."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
