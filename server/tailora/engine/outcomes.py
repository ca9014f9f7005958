"""What became of suggestions: takes it from clients, has it stored, and takes back a version that users do not want.

Knows the wire format and when to look at the figures; what they mean is up to ``regression``, and what serves to the
store. Invariant: a version is taken back by itself once at most; a user who picks it again has the last word.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tailora.engine.wire import BadRequest, Fields
from tailora_adapters import regression
from tailora_adapters.base.cache import base_info
from tailora_adapters.manifest import BaseInfo
from tailora_adapters.outcomes import Accepted, Event, Kept, Shown, VersionOutcomes
from tailora_adapters.store import ProjectStore

__all__ = ["Batch", "note", "parse"]

_log = logging.getLogger(__name__)

_MOST_EVENTS = 1000
_LONGEST_NAME = 64
_MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What a client tells."""

    root: str
    events: tuple[Event, ...]
    """Their ``model`` is not known yet."""


def parse(body: Fields) -> Batch:
    """Reads a request.

    Raises:
        BadRequest: names the field that is wrong.
    """
    given = body.objects("events")
    if len(given) > _MOST_EVENTS:
        raise BadRequest(f"events must be at most {_MOST_EVENTS}, not {len(given)}")
    return Batch(body.text("root"), tuple(_event(fields) for fields in given))


def _event(fields: Fields) -> Event:
    kind, ident = fields.text("event"), _name(fields, "id")
    if kind == "accepted":
        return Accepted(ident, fields.integer("characters", 0, 0, _MOST_CHARACTERS))
    if kind == "kept":
        after_s = fields.integer("after_s", 0, 0, 180)
        if after_s not in (30, 180):
            raise fields.wrong("after_s", "30 or 180")
        return Kept(ident, after_s, fields.number("ratio", 0.0, 0.0, 1.0))
    if kind != "shown":
        raise fields.wrong("event", 'one of "shown", "accepted", "kept"')
    adapter = _name(fields, "adapter")
    if adapter not in ("foundation", "none") and not (adapter.isascii() and adapter.isdigit()):
        raise fields.wrong("adapter", '"foundation", "none" or a version')
    return Shown(
        ident,
        adapter,
        "",
        _name(fields, "language"),
        fields.flag("multiline"),
        fields.integer("characters", 0, 0, _MOST_CHARACTERS),
        min(time.time(), fields.number("at", time.time(), 0.0, 1e12)),
    )


def _name(fields: Fields, key: str) -> str:
    value = str(fields.text(key))
    if len(value) > _LONGEST_NAME:
        raise fields.wrong(key, f"at most {_LONGEST_NAME} characters")
    return value


def note(
    store: ProjectStore,
    model: str,
    events: Sequence[Event],
    rules: regression.Rules = regression.Rules(),
    clock: Callable[[], float] = time.time,
) -> str | None:
    """Stores ``events`` of suggestions that ``model`` made; why the serving version was rolled back, if it was.

    Raises:
        StoreUnwritable: nothing was stored.
    """
    new = store.outcomes.record(
        [replace(event, model=model) if isinstance(event, Shown) else event for event in events]
    )
    base = base_info(model)
    serving = store.serving(base) if new else None
    if serving is None or serving.withdrawn is not None or not new[serving.version]:
        return None
    version = serving.version
    shown = store.outcomes.summary().get(version, VersionOutcomes()).shown
    if not regression.look_due(shown, new[version], rules):
        return None
    figures = store.outcomes.summary(since=clock() - rules.window_s, model=model)
    before = _before(store, base, figures)
    verdict = regression.judge(figures.get(version, VersionOutcomes()), before, shown, rules)
    if verdict is None:
        return None
    reason = verdict.text(f"version {version}")
    if not store.withdraw(version, reason, base):
        return None
    _log.warning("%s: %s", store.root, reason)
    return reason


def _before(
    store: ProjectStore, base: BaseInfo, figures: dict[str, VersionOutcomes]
) -> dict[str, VersionOutcomes]:
    """What served before the serving version, by name, the latest first."""
    served = {f"version {version}": figures.get(version, VersionOutcomes()) for version in store.before(base)}
    floor, bare = (figures.get(name, VersionOutcomes()) for name in ("foundation", "none"))
    if bare.shown > floor.shown:
        return served | {"the bare base model": bare}
    return served | {"the foundation adapter": floor}
