"""Figures as tables, for people.

Knows the JSON documents of the benchmarks, and nothing of how they came about.
"""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

__all__ = ["interference_tables", "promotion_tables", "repair_tables", "tables", "training_tables"]

_ROWS = (
    ("p50", "keystroke to suggestion, p50", "ms"),
    ("p95", "keystroke to suggestion, p95", "ms"),
    ("prefill", "prefill, 700-token prompt", "tokens/s"),
    ("decode", "decode, speculation off", "tokens/s"),
    ("decode_speculative", "decode, speculation on", "tokens/s"),
    ("shown", "moments with a suggestion", "%"),
    ("agreed_length", "agreed length, all moments", "characters"),
    ("agreed_length_shown", "agreed length, shown ones", "characters"),
    ("exact_line", "first line exact", "%"),
    ("answered_p50", "answered before the next key, p50", "ms"),
    ("answered_p95", "answered before the next key, p95", "ms"),
    ("first_token", "first token, median", "ms"),
    ("cached", "shown from a cache", "%"),
    ("reused", "prompt tokens reused", "%"),
    ("unanswered", "no suggestion until the visit's end", "%"),
)
_PROCESSES = (
    ("lsp_initialized_ms", "`tailora lsp` to `initialized`", "ms"),
    ("engine_first_completion_ms", "engine start to first completion", "ms"),
    ("engine_uss_mb", "engine memory, unshared", "MB"),
    ("engine_rss_mb", "engine memory, resident", "MB"),
    ("lsp_rss_mb", "language server memory, resident", "MB"),
    ("adapter_swap_ms", "adapter swap", "ms"),
    ("cancel_prefill_ms", "cancel during prefill, median", "ms"),
    ("cancel_prefill_ms_max", "cancel during prefill, largest", "ms"),
    ("cancel_decode_ms", "cancel during decode, median", "ms"),
    ("cancel_decode_ms_max", "cancel during decode, largest", "ms"),
)
_TRAINING_ROWS = (
    ("time_to_loss_s", "time to the plain way's loss, as measured", "s", "time_to_loss_ratio"),
    ("time_to_loss_interpolated_s", "the same, interpolated", "s", "time_to_loss_interpolated_ratio"),
    ("tokens_per_second", "tokens a second", "tokens/s", "tokens_per_second_ratio"),
    ("labels_per_second", "labels a second", "labels/s", "labels_per_second_ratio"),
    ("peak_rss_mb", "memory, resident, peak", "MB", "peak_rss_ratio"),
    ("seconds", "training in all", "s", ""),
    ("loading_s", "loading, not counted", "s", ""),
)
_LOSSES = (
    ("start_loss", "held-out loss before"),
    ("lowest_loss", "held-out loss, lowest"),
    ("final_loss", "held-out loss at the end"),
)


def tables(value: dict[str, Any]) -> Iterator[Table]:
    """What was measured, one table a subject."""
    if any(value["ours"].get(key) is not None for key, _, _ in _ROWS):
        yield _sides(value)
    if value["adapter"] is not None:
        yield _adapter(value)
    if value["processes"] is not None:
        table = Table("process", "", title="Processes")
        for key, name, unit in _PROCESSES:
            table.add_row(name, _figure(value["processes"].get(key), unit))
        yield table


def interference_tables(value: dict[str, Any]) -> Iterator[Table]:
    """Idle beside training, and how the training fared."""
    trace, machine = value["trace"], value["machine"]
    table = Table(
        "figure",
        "idle",
        "while training",
        "ratio",
        "over the rounds",
        title=f"{trace['places']} places, {trace['rounds']} rounds",
        caption=f"{machine['cpu']}, {machine['threads']} threads, {machine['memory_mb']} MB; {machine['model']}",
    )
    for key, name, unit in _ROWS:
        if (idle := value["idle"].get(key)) is not None:
            low_high = value["spread"].get(f"{key}_ratio")
            table.add_row(
                name,
                _figure(idle, unit),
                _figure(value["training"].get(key), unit),
                _number(value.get(f"{key}_ratio")) if low_high else "",
                f"{_number(low_high[0])} to {_number(low_high[1])}" if low_high else "",
            )
    yield table
    worker = value["worker"]
    table = Table("training meanwhile", "")
    table.add_row("suspended, share of the time", _figure(worker["suspended"], "%"))
    table.add_row("cores that it computed on, mean", _number(worker["cores"]))
    table.add_row("runs started", str(worker["runs"]))
    table.add_row("places dropped as a run ended", str(trace["dropped"]))
    table.add_row("memory left, least", f"{worker['least_available_mb']} MB")
    yield table


def training_tables(value: dict[str, Any]) -> Iterator[Table]:
    """Both sides of ``time_to_loss``, and the losses that they came to."""
    data, machine, rounds = value["data"], value["machine"], value["settings"]["rounds"]
    table = Table(
        "figure",
        "Tailora",
        "plain",
        "ratio",
        "over the rounds",
        title=f"{data['examples']} examples of {data['package']}, {data['tokens']} tokens, {rounds} rounds",
        caption=f"{machine['cpu']}, {machine['threads']} threads, {machine['memory_mb']} MB; {machine['model']}\n"
        f"torch {machine['torch']}, transformers {machine['transformers']}, peft {machine['peft']}",
    )
    ours, plain = value["ours"], value["plain"]
    for key, name, unit, ratio in _TRAINING_ROWS:
        low, high = value["spread"].get(ratio, (None, None))
        table.add_row(
            name,
            _figure(ours[key], unit),
            _figure(plain[key], unit),
            _number(value[ratio]) if ratio else "",
            f"{_number(low)} to {_number(high)}" if ratio else "",
        )
    for key, name in _LOSSES:
        losses = ("-" if side[key] is None else f"{side[key]:.3f}" for side in (ours, plain))
        table.add_row(name, *losses, "", "")
    yield table


def promotion_tables(value: dict[str, Any]) -> Iterator[Table]:
    """Of ``tailora bench promotion``."""
    quiet, promoted = value["quiet_s"], value["promoted_s"]
    found = "none was promoted" if promoted is None else f"{promoted:.0f} s from saving to promotion (median)"
    table = Table(
        "saved", "lines", "seconds", "training run", "decision", title=f"{value['package']}: {found}"
    )
    for row in value["saves"]:
        decision = row["decision"] if row["has_seen_it"] else f"{row['decision']}; has not seen the file"
        table.add_row(
            row["file"], str(row["lines"]), f"{row['seconds']:.0f}", f"{row['worker_s']:.0f} s", decision
        )
    table.caption = f"{quiet:.0f} s of it: quiet that is waited for"
    yield table


def repair_tables(value: dict[str, Any]) -> Iterator[Table]:
    """Of ``tailora bench repair``."""
    goals, machine = value["goals"], value["machine"]
    table = Table(
        "menu",
        "p50",
        "p95",
        "largest",
        "requests",
        title=f"Menu of quick fixes, ms; goal: p95 at most {goals['menu_p95_ms']:.0f}",
        caption=f"{machine['cpu']}, {machine['threads']} threads, {machine['memory_mb']} MB",
    )
    for name, row in value["menu"].items():
        what = name if name == "selection" else f"diagnostics: {name}"
        times = (f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "max_ms"))
        table.add_row(what, *times, str(row["requests"]))
    yield table
    if (found := value["resolve"]) is None:
        return
    low, high = found["spread_s"]
    table = Table(
        "fix",
        "seconds",
        "what it is",
        title=f"{found['cases']} fixes: {found['median_s']:.1f} s in the median, {low:.1f} to {high:.1f}; "
        f"goal: median at most {goals['resolve_median_s']:.0f}",
        caption=f"{found['with_edit']} with an edit, {found['verified']} verified; {machine['model']}",
    )
    for row in found["rows"]:
        table.add_row(
            row["id"], f"{row['seconds']:.1f}", row["title"] if row["edit"] else "nothing that holds"
        )
    yield table


def _sides(value: dict[str, Any]) -> Table:
    peer, ratio = value["peer"], value["ratio"]
    table = Table(
        "figure", "Tailora", title=f"{value['trace']['places']} places, {value['trace']['rounds']} rounds"
    )
    if peer is not None:
        table.add_column("llama.cpp")
        table.add_column("ratio")
        table.add_column("over the rounds")
    for key, name, unit in _ROWS:
        row = [name, _figure(value["ours"].get(key), unit)]
        if row[1] == "-":
            continue
        if peer is not None:
            low_high = value["spread"].get("ratio", {}).get(key)
            row += [
                _figure(peer.get(key), unit),
                _number(ratio.get(key)),
                f"{_number(low_high[0])} to {_number(low_high[1])}" if low_high else "",
            ]
        table.add_row(*row)
    return table


def _adapter(value: dict[str, Any]) -> Table:
    table = Table(
        "figure", "no adapter", f"adapter: {value['trace']['adapter']}", "ratio", title="The adapter's cost"
    )
    for key, name, unit in _ROWS:
        if (bare := value["adapter"]["none"].get(key)) is not None:
            ratio = _number(value["adapter"]["ratio"].get(key))
            table.add_row(name, _figure(bare, unit), _figure(value["ours"].get(key), unit), ratio)
    return table


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:.1%}"
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
