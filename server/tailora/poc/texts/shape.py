"""Every text of the page, as fields that each language fills. Knows no language.

Texts with names in braces are filled by ``str.format``; a test holds the languages to the same names. In texts, a
command or a setting stands between backquotes and is shown as code.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tailora.poc.decide import Rule, Verdict

__all__ = ["Risk", "Stage", "Texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A row of the table of risks; ``seen`` is what was found here, with names in braces."""

    name: str
    what: str
    check: str
    seen: str
    left: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A step of a roll-out."""

    name: str
    does: str
    ends: str
    back: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A language."""

    # Head and decision
    title: str
    lead: str
    date: str
    repository: str
    model: str
    machine: str
    machine_value: str
    no_gpu: str
    recommendation: str
    verdicts: Mapping[Verdict, str]
    """The decision in a sentence."""
    nexts: Mapping[Verdict, str]
    """What to do now."""
    next_all_tried: str
    """Instead of that for an extension, where the time was enough for everything."""
    chosen: str

    # Why
    why: str
    why_gain: str
    why_no_gain: str
    why_visible: str
    why_no_answers: str
    why_side: str
    why_cost: str
    why_not_more: str
    why_nothing: str
    reasons: Mapping[Rule, str]
    """What speaks against a roll-out, with what was seen."""
    not_measured_value: str
    told: str
    not_told: str

    # What was measured and tried
    measured: str
    measured_lead: str
    files: str
    files_value: str
    languages: str
    left_out: str
    nothing_left_out: str
    left_out_reasons: Mapping[str, str]
    """By the reason's name in the selection."""
    over_limit: str
    other_reasons: str
    secrets: str
    secrets_value: str
    history: str
    history_value: str
    no_history: str
    parts: str
    parts_value: str
    parts_too_few: str
    base_model: str
    base_model_value: str
    tried: str
    tried_lead: str
    tried_table: str
    candidate: str
    what_it_is: str
    runs: str
    runs_note: str
    time_here: str
    result: str
    baselines: str
    baselines_what: str
    steps: Mapping[str, str]
    """By what follows the method in a step's name."""
    methods: Mapping[str, tuple[str, str]]
    """By method: its name and what it is."""
    results: Mapping[Verdict, str]
    done: str
    failed: str
    skipped: str
    skipped_item: str
    skipped_unknown: str
    nothing_skipped: str

    # What it gained
    gained: str
    gained_lead: str
    references: Mapping[str, str]
    """By baseline."""
    chart: str
    chart_axis: str
    chart_note: str
    chart_summary: str
    gains_table: str
    loss: str
    loss_note: str
    exact_match: str
    similarity: str
    forgetting: str
    forgetting_note: str
    planted: str
    planted_note: str
    insecure: str
    insecure_note: str
    insecure_value: str
    size: str
    nothing_gained: str

    # Use
    used: str
    used_lead: str
    no_usage: str
    used_table: str
    who: str
    used_before: str
    used_learned: str
    shown: str
    accepted: str
    characters: str
    per_suggestion: str

    # Costs
    costs: str
    costs_lead: str
    here_table: str
    item: str
    amount: str
    note: str
    here_time: str
    here_energy: str
    here_energy_note: str
    here_money: str
    month_table: str
    per_user: str
    own: str
    own_note: str
    cloud: str
    cloud_note: str
    seats: str
    seats_note: str
    no_price: str
    lacks: str
    retraining: str
    retraining_value: str
    retraining_measured: str
    retraining_bound: str
    retraining_unknown: str
    inputs_table: str
    inputs_lead: str
    inputs: Mapping[str, str]
    """By the input's name."""
    units: Mapping[str, str]
    """Behind the value, where it is no amount."""
    value: str
    source: str
    default: str
    given: str
    option: str

    # Risks, stages, rules
    risks: str
    risks_lead: str
    risk: str
    check: str
    seen: str
    left: str
    risk_rows: tuple[Risk, ...]
    stages: str
    stages_lead: Mapping[Verdict, str]
    stage_does: str
    stage_ends: str
    stage_back: str
    stage_rows: tuple[Stage, ...]
    rules: str
    rules_lead: str
    rule_texts: tuple[str, ...]

    # Again, not measured, words
    again: str
    again_lead: str
    again_commands: tuple[str, ...]
    """What each of the commands is for."""
    not_measured: str
    not_measured_items: tuple[str, ...]
    gpu_not_measured: str
    glossary: str
    glossary_items: Mapping[str, str]
