"""What a training run took in energy, as codecarbon (extra ``energy``) estimates it; nothing without it.

An estimate, and to be shown as one: where processor or GPU have no counters, codecarbon reckons from their nominal
power and their load. Knows nothing of training. Invariant: nothing leaves the machine, no file is written and
nothing printed, whatever a ``.codecarbon.config`` in the working directory asks for; a fault in it is no fault here.
"""

import contextlib
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Energy", "measured_energy"]

_log = logging.getLogger(__name__)

_EVERY_SECONDS = 15

_ALONE: dict[str, Any] = {
    "output_methods": [],
    "output_handlers": [],
    "emissions_endpoint": None,
    "electricitymaps_api_token": "",  # None would have it look for one
    "force_carbon_intensity_g_co2e_kwh": 0.0,  # so that nobody is asked for it: only the energy is wanted
    "country_iso_code": "USA",  # demanded, and of no effect on energy
    "cloud_provider": None,
    "allow_multiple_runs": True,  # else it writes a lock into the temporary folder
    "tracking_mode": "machine",
    "log_level": "critical",
    "measure_power_secs": _EVERY_SECONDS,
}
"""Every setting that could reach the network, a file or the terminal, so that no configuration file sets it."""


@dataclass(slots=True)
class Energy:
    """What was measured; complete when the block of ``measured_energy`` has ended."""

    watt_hours: float | None = None
    """Estimated. None where codecarbon is not installed or could not tell."""


@contextlib.contextmanager
def measured_energy(make_tracker: Callable[..., Any] | None = None) -> Iterator[Energy]:
    """Estimates what the whole machine takes while the block runs.

    ``make_tracker`` stands for codecarbon's ``OfflineEmissionsTracker``.
    """
    energy = Energy()
    make = make_tracker or _codecarbon()
    tracker = _quietly(lambda: _started(make)) if make else None
    try:
        yield energy
    finally:
        if tracker is not None:
            energy.watt_hours = _quietly(lambda: _stopped(tracker))


def _codecarbon() -> Callable[..., Any] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module("codecarbon")
    except ImportError:
        return None
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it has read ``log_level``
    made: Callable[..., Any] = module.OfflineEmissionsTracker
    return made


def _started(make: Callable[..., Any]) -> Any:
    tracker = make(**_ALONE)
    tracker.start()
    return tracker


def _stopped(tracker: Any) -> float | None:
    tracker.stop()
    kilowatt_hours = float(tracker.final_emissions_data.energy_consumed)
    return round(1000 * kilowatt_hours, 3) if kilowatt_hours > 0 else None


def _quietly(work: Callable[[], Any]) -> Any:
    """The result of ``work``; None, and a line in the log, if the library fails in whatever way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a foreign library's boundary: energy is not worth a training
            _log.info("energy is not estimated: %s: %s", type(error).__name__, error)
            return None
