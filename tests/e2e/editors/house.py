"""A small repository in a house style of its own, of which a short training run learns something measurable."""

import subprocess
from pathlib import Path

__all__ = ["write_house"]

_THINGS = {
    "invoice": ("total", "due_date"),
    "customer": ("name", "city"),
    "parcel": ("weight", "carrier"),
    "ticket": ("seat", "price"),
    "voucher": ("code", "value"),
    "contract": ("start", "months"),
    "meeting": ("room", "topic"),
    "payment": ("amount", "method"),
    "shelf": ("row", "books"),
    "vehicle": ("plate", "wheels"),
    "branch": ("street", "manager"),
    "holiday": ("day", "country"),
}
_MODULE = '''\
"""Rules about {thing}s."""

from ledger import Outcome, Registry, audited


class {name}Desk:
    """Keeps {thing}s and answers for them."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @audited("{thing}.open")
    def open(self, {first}, {second}) -> Outcome:
        """Opens a {thing}."""
        if not {first}:
            return Outcome.refused("{thing}", reason="{first} is missing")
        entry = self.registry.stamp("{thing}", {first}={first}, {second}={second})
        return Outcome.accepted("{thing}", entry=entry)

    @audited("{thing}.close")
    def close(self, entry) -> Outcome:
        """Closes a {thing}."""
        if entry.closed:
            return Outcome.refused("{thing}", reason="it is closed already")
        entry = self.registry.seal("{thing}", entry)
        return Outcome.accepted("{thing}", entry=entry)
'''


def write_house(root: Path) -> Path:
    """The repository, at ``root``."""
    root.mkdir(parents=True)
    for thing, (first, second) in _THINGS.items():
        text = _MODULE.format(thing=thing, name=thing.capitalize(), first=first, second=second)
        (root / f"{thing}s.py").write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "Import")):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
    return root
