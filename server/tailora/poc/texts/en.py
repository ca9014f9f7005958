"""The page in English."""

from tailora.poc.decide import Rule, Verdict
from tailora.poc.texts.shape import Risk, Stage, Texts
from tailora.poc.texts.writing import Writing

__all__ = ["TEXTS", "WRITING"]

WRITING = Writing(
    language="en",
    percent="\u00a0%",
    points="\u00a0points",
    to="\u00a0to\u00a0",
    brackets=(" (", ")"),
    comma=", ",
    second="\u00a0s",
    minute="\u00a0min",
    hour="\u00a0h",
    bit="\u00a0bits",
    watt_hour="\u00a0Wh",
    currencies={},
    currency="EUR",
    day=lambda day: f"{day.day}\u00a0{day:%B}\u00a0{day.year}",
)

TEXTS = Texts(
    title="Proof of concept: a code model tailored to {repository}",
    lead=(
        "Tailora suggests code while people type, with a model that runs on their own machines. This page says whether "
        "it pays to let that model learn this repository, from what was tried on this machine."
    ),
    date="Date",
    repository="Repository",
    model="Model",
    machine="Machine",
    machine_value="{processor}, {cores} cores, {memory} memory, {gpu}",
    no_gpu="no GPU",
    recommendation="Recommendation",
    verdicts={
        Verdict.STOP: "Stop: do not go on with this for {repository} as it is now.",
        Verdict.EXTEND: "Extend the trial: what was seen is not enough to roll it out.",
        Verdict.ROLL_OUT: "Roll out by stages, beginning with stage\u00a01, in which nobody sees a change.",
    },
    nexts={
        Verdict.STOP: (
            "People can still use Tailora without learning: set `learning.enabled` to `false`. Ask again when the "
            "repository has changed much."
        ),
        Verdict.EXTEND: (
            "Run `tailora poc` again with more `--minutes` and the same `--work`: it goes on where it stopped. What is "
            "missing is listed below."
        ),
        Verdict.ROLL_OUT: "Each stage has a criterion for going on and a way back; see below.",
    },
    next_all_tried=(
        "All that was planned was tried. More questions tell more: {command}. What is missing is listed below."
    ),
    chosen="Method and settings: {method}, learning rate {rate}, other settings as they are by default.",
    why="Why",
    why_gain=(
        "Gain: on code that was kept out of learning, the prediction error (loss) falls by {loss_by}, from "
        "{loss_before} to {loss_after} (95 % interval of the fall: {loss_low} to {loss_high}; {cases} places, "
        "training runs: {seeds})."
    ),
    why_no_gain=(
        "Gain: on code that was kept out of learning, the prediction error (loss) changes by {loss_change} (95 % "
        "interval: {loss_change_low} to {loss_change_high}; {cases} places, training runs: {seeds}). A gain beyond "
        "chance was not seen."
    ),
    why_visible=(
        "What people would see: places that are filled exactly right {exact} (95 % interval: {exact_low} to "
        "{exact_high}); likeness of answers to what is right {similar} ({similar_low} to {similar_high})."
    ),
    why_no_answers="What people would see: the reports do not tell it.",
    why_side=(
        "Side effects and costs: the loss on code of other repositories changes by {forgetting}; a number that was "
        "planted to test for memorising {told}. One run took {run_time} here."
    ),
    why_cost="A month on one's own hardware, for {users} users: {own}{lacks}.",
    why_not_more="What speaks against more",
    why_nothing="Nothing was trained and tested, so there is no figure of a gain.",
    reasons={
        Rule.TOO_SMALL: (
            "The repository is too small: of its {files} files that may be learned no three parts can be made, one to "
            "learn from, one to choose by and one to test with. No figure would mean anything."
        ),
        Rule.ALL_FAILED: "None of the candidates could be trained; the reasons are in the table of what was tried.",
        Rule.NO_GAIN: (
            "The loss is not lower beyond chance: interval of the change {loss_change_low} to {loss_change_high}, "
            "corrected p = {p}."
        ),
        Rule.WORSE: (
            "Answers are worse beyond chance: exact {exact} ({exact_low} to {exact_high}), alike {similar} "
            "({similar_low} to {similar_high})."
        ),
        Rule.INSECURE: "More findings of a security checker than before, beyond chance: {insecure}.",
        Rule.FORGETS: "The loss on code of other repositories rises by {forgetting}, more than {margin}.",
        Rule.MEMORISES: (
            "A number that was planted in what was learned comes first among {numbers} like it: what stands in the "
            "code may come out again."
        ),
        Rule.NO_TIME: "The time did not suffice to train and test a single candidate.",
        Rule.FEW_SEEDS: "Too few training runs: {seeds}, and {needed} are needed to see how much chance there is.",
        Rule.NOT_VISIBLE: (
            "That answers are better is not certain: exact {exact_low} to {exact_high}, alike {similar_low} to "
            "{similar_high}. More places to ask about would tell."
        ),
        Rule.TOO_DEAR: "A month costs more than seats of a hosted assistant at the prices below.",
        Rule.TOO_SLOW: "A machine would train for {retraining}, longer than it is on.",
    },
    not_measured_value="not measured",
    told="can be told from others like it, so the model may repeat what it has read",
    not_told="does not come out first among others like it",
    measured="What was measured",
    measured_lead="What there is to learn from. Nothing left this machine, and nothing of the repository was run.",
    files="May be learned",
    files_value="{files} files, {lines} lines, {tokens} tokens",
    languages="Languages (files)",
    left_out="Left out",
    nothing_left_out="nothing",
    left_out_reasons={
        "secret": "with a secret in it",
        "secret scan failed": "could not be searched for secrets",
        "generated": "generated",
        "vendored": "of others",
        "hidden folder": "hidden folder",
        "ignored": "ignored by git",
        "language unknown": "no known programming language",
        "too small": "too small",
        "too large": "too large",
        "duplicate": "the same as another",
        "near-duplicate": "nearly the same as another",
        "symlink": "a link",
        "unreadable": "cannot be read",
        "not UTF-8": "not UTF-8",
        "binary": "binary",
        "not a regular file": "no regular file",
        "nested repository": "another repository",
        "forgotten by the user": "to be forgotten",
    },
    over_limit="over a limit",
    other_reasons="other",
    secrets="Secrets",
    secrets_value="files left out for a secret: {secrets}",
    history="History",
    history_value="{commits} commits read, for secrets that were removed and for what is recent",
    no_history="none that can be read",
    parts="Three parts",
    parts_value="{train} files to learn from, {validation} to choose by, {test} to test with; none is in two",
    parts_too_few="cannot be made: too few files",
    base_model="Base model",
    base_model_value="on this machine; licence {licence}",
    tried="What was tried",
    tried_lead=(
        "Cheap things first, with the same amount of training for all, until {minutes} minutes were used; what was "
        "begun was finished. {total} were used."
    ),
    tried_table="Candidates",
    candidate="Candidate",
    what_it_is="What it is",
    runs="Runs",
    runs_note="runs: {seeds}",
    time_here="Time here",
    result="Result",
    baselines="Without learning",
    baselines_what="The model as it is, and with the adapter that ships with Tailora: the yardstick for the others.",
    steps={"seeds": "{method}, again", "rates": "{method}, learning rates"},
    methods={
        "lora": ("LoRA", "Small added matrices in all layers; the usual choice."),
        "ia3": ("IA3", "A few factors for each layer; the smallest."),
        "pfeiffer": ("Bottleneck adapters", "Small added layers between those that are there."),
        "prefix": ("Prefix tuning", "Learned values that stand before every prompt."),
    },
    results={
        Verdict.STOP: "does not meet the rules",
        Verdict.EXTEND: "not enough to tell yet",
        Verdict.ROLL_OUT: "meets all rules",
    },
    done="done",
    failed="could not be trained",
    skipped="Not tried, as the time did not suffice:",
    skipped_item="{name} (about {time})",
    skipped_unknown="{name} (time unknown)",
    nothing_skipped="Everything that was planned was tried.",
    gained="What it gained",
    gained_lead=(
        "All figures are of code that was kept out of learning, and compare with {reference}. An interval says where "
        "the true value lies with 95 % confidence on tests like these; where it holds zero, there may be no difference."
    ),
    references={
        "foundation": "the model with the adapter that ships with Tailora, which serves before anything is learned",
        "base": "the bare model, as no adapter ships for it",
    },
    chart="Change of the prediction error (loss)",
    chart_axis="change of the loss, %: left of 0 is better",
    chart_note="Dots are what was measured, bars the 95 % intervals.",
    chart_summary="{count} candidates; lowest: {best}.",
    gains_table="Each candidate against what serves without learning",
    loss="Loss",
    loss_note="less is better",
    exact_match="Exactly right",
    similarity="Alike",
    forgetting="Loss elsewhere",
    forgetting_note="other repositories",
    planted="Planted number",
    planted_note="0: cannot be told",
    insecure="Insecure lines",
    insecure_note="findings of lines",
    insecure_value="{issues} of {lines}",
    size="Size",
    nothing_gained="No candidate was measured, so there is nothing to show.",
    used="What people accepted",
    used_lead="Counted on this machine for this repository, without any text.",
    no_usage=(
        "None yet: nobody's suggestions were counted in this repository. Stage 1 below counts them; until then nothing "
        "here says what people make of the suggestions."
    ),
    used_table="Suggestions",
    who="Suggested by",
    used_before="Without learning",
    used_learned="With what was learned",
    shown="Shown",
    accepted="Accepted",
    characters="Accepted characters",
    per_suggestion="Characters a suggestion",
    costs="Costs",
    costs_lead=(
        "Amounts are reckoned from the inputs below. Their defaults are assumptions of {day}, nobody's price list: "
        "replace them with your own."
    ),
    here_table="This proof of concept",
    item="Item",
    amount="Amount",
    note="Note",
    here_time="Time",
    here_energy="Energy",
    here_energy_note="estimated from {watts} W over that time, not measured at the plug",
    here_money="Electricity",
    month_table="Each month, for {users} users",
    per_user="A user",
    own="Own hardware",
    own_note="{machines} machines: electricity for {hours} h, and the price of a machine over {months} months",
    cloud="Cloud",
    cloud_note="{machines} rented machines with a GPU for {hours} h; how fast it is there was not measured",
    seats="Hosted assistant",
    seats_note="for comparison: seats of a service that runs elsewhere and gets the code that it is shown",
    no_price="no price given",
    lacks="without “{names}”, for which no price is given",
    retraining="Training",
    retraining_value="{hours} a month on each machine, beside other work",
    retraining_measured="from earlier training runs of this repository",
    retraining_bound="from the runs here, which learn less than a usual one: usually longer",
    retraining_unknown="not known: nothing was trained",
    inputs_table="Inputs",
    inputs_lead="0 means that no price is given; it is left out of sums, which say so.",
    inputs={
        "users": "Users",
        "users_per_machine": "Users of a machine",
        "kwh": "Electricity, a kWh",
        "watts": "Power of a machine under load",
        "hardware": "Price of a machine",
        "months": "Use of a machine",
        "hours": "A machine is on, a month",
        "days": "Days of work, a month",
        "retrainings": "Trainings of a user, a day",
        "gpu_hour": "Rented GPU machine, an hour",
        "seat": "Hosted assistant, a user and month",
    },
    units={"watts": "\u00a0W", "months": "\u00a0months", "hours": "\u00a0h", "days": "\u00a0days"},
    value="Value",
    source="From",
    default="assumption of {day}",
    given="given",
    option="Option",
    risks="Risks, and which check covers each",
    risks_lead=(
        "The gate is a set of checks that every newly trained adapter has to pass before it serves; its figures are in "
        "`tailora adapter show`."
    ),
    risk="Risk",
    check="Check",
    seen="Seen here",
    left="What remains",
    risk_rows=(
        Risk(
            name="Secrets",
            what="Passwords or keys in the code are learned and suggested.",
            check=(
                "Files with a secret, also one that only the history shows, are not learned; the gate asks every "
                "adapter for those secrets."
            ),
            seen="files left out for a secret: {secrets}",
            left="A secret that no scan knows. `tailora train --explain` lists what is left out.",
        ),
        Risk(
            name="Memorised code",
            what="The model repeats what it has read word for word.",
            check="A random number is planted in every training; an adapter that tells it does not pass the gate.",
            seen="planted number: {planted}",
            left="Treat an adapter like the code that it learned: who may not see one may not get the other.",
        ),
        Risk(
            name="Insecure lines",
            what="Suggested code has weaknesses.",
            check="A security checker (bandit, where it is installed) reads the Python lines written in this trial.",
            seen="findings: {insecure} lines",
            left="Other languages, and what the checker does not know. Review as usual.",
        ),
        Risk(
            name="Forgetting",
            what="The model gets worse at code of other kinds.",
            check="The gate lets the loss on code of Python's library rise by 5 % at most.",
            seen="loss elsewhere: {forgetting}",
            left="Languages that are not asked about.",
        ),
        Risk(
            name="Quality drifts",
            what="A later adapter is worse than the one before.",
            check=(
                "Each has to beat the one that serves on code it has not seen; in use, one whose suggestions are "
                "accepted less beyond chance is withdrawn by itself."
            ),
            seen="loss: {loss}",
            left=(
                "Below 60 suggestions on either side nothing is judged. `tailora adapter rollback` goes back by hand."
            ),
        ),
        Risk(
            name="Licence of the model",
            what="Terms of the base model forbid the use.",
            check="Every model in the catalogue names its licence: `tailora model list`.",
            seen="{licence}",
            left="Have it read by those who answer for it, as also the licences of code of others in the repository.",
        ),
        Risk(
            name="Lock-in",
            what="One cannot get away from the vendor.",
            check="Adapters are exported in PEFT's open format (`tailora adapter export`); the source is Apache-2.0.",
            seen="models and adapters lie on this machine",
            left="An adapter fits its own base model only; with another one it is learned anew.",
        ),
        Risk(
            name="Stale knowledge",
            what="The repository moves on, and suggestions are of yesterday.",
            check="It is learned again in the background after changes; recent edits can count more.",
            seen="commits read: {commits}",
            left="Until the next training a change is known only from what is open in the editor.",
        ),
        Risk(
            name="Who can see code",
            what="Code leaves the company, or reaches people who may not see it.",
            check=(
                "Everything runs on the user's machine; there is no telemetry, and nobody else gets a user's adapters, "
                "not even by a copy of the repository."
            ),
            seen="nothing left this machine",
            left="A rented machine is somebody else's: with the cloud this has to be settled anew.",
        ),
    ),
    stages="Roll-out by stages",
    stages_lead={
        Verdict.STOP: "Not recommended now. So it would be done:",
        Verdict.EXTEND: "Not yet. When the trial has shown enough, so it is done:",
        Verdict.ROLL_OUT: "Go on to the next stage only when the criterion is met.",
    },
    stage_does="What is done",
    stage_ends="Go on when",
    stage_back="Way back",
    stage_rows=(
        Stage(
            name="Stage 1: shadow",
            does=(
                'Everyone sets `completion.adapter` to `"foundation"`: suggestions come from the adapter that ships, '
                "and are counted. The repository is learned in the background all the same, and the gate judges; "
                "`tailora adapter list` shows its figures."
            ),
            ends=(
                "Two weeks; 500 suggestions counted; at least two versions passed the gate, and no check about secrets "
                "or the planted number failed."
            ),
            back="Set `learning.enabled` to `false`; `tailora adapter delete` deletes what was learned.",
        ),
        Stage(
            name="Stage 2: some users",
            does=(
                'Some users, in teams that want to, set `completion.adapter` to `"serving"` and get what was learned.'
            ),
            ends=(
                "Two weeks; accepted characters a suggestion are not below those of stage 1; no version was withdrawn "
                "by itself (a fall of 20 % or more beyond chance, at a level of 1 %, from 60 suggestions on)."
            ),
            back=(
                "`tailora adapter rollback` goes back a version, `tailora adapter disable` to the adapter that ships."
            ),
        ),
        Stage(
            name="Stage 3: all",
            does='`completion.adapter` is left at its default, `"serving"`, for all.',
            ends="No end: look at `tailora adapter list` each month, and make this page again each quarter.",
            back="As in stage 2. Each withdrawal says its reason.",
        ),
    ),
    rules="By which rules",
    rules_lead="Each candidate is judged by itself; the best verdict counts, and among equals the lowest loss.",
    rule_texts=(
        "Stop if the repository is too small for three parts, or no candidate could be trained.",
        "Stop if after {needed} training runs no candidate's loss is lower: its 95 % interval below zero, and p below "
        "{level} after correction for the number of candidates (Holm).",
        "Stop if answers are worse beyond chance (exact or alike), or a security checker finds more (Fisher's test, "
        "p below {level}).",
        "Stop if the loss on code of other repositories rises by more than {margin}, or a planted number comes first "
        "among others like it.",
        "Extend if there are fewer than {needed} training runs, if neither exact nor alike answers are better beyond "
        "chance, or if the time did not suffice for a candidate.",
        "Extend if a month costs more than seats of a hosted assistant (asked only where you gave the prices, never by "
        "assumptions), or a machine would train longer than it is on.",
        "Otherwise roll out by stages.",
    ),
    again="How to do it again",
    again_lead="The same files, versions and processor give the same figures, but for times.",
    again_commands=(
        "This page again; what is there of it is not trained again",
        "All runs in detail",
        "Learn with the recommended settings; the gate decides whether it serves",
        "What is learned, and what is left out",
        "Whether something is wrong with this machine",
    ),
    not_measured="What was not measured",
    not_measured_items=(
        "How fast suggestions come with what was learned: `tailora bench latency`.",
        "Tasks other than completion, and other sizes of the model.",
        "What people make of it, beyond what is counted above.",
        "Repositories other than this one, and this one in a year.",
        "Energy at the plug.",
    ),
    gpu_not_measured="Anything on a GPU (CUDA): there times, costs and which candidate is cheap may differ.",
    glossary="Words",
    glossary_items={
        "Adapter": "A small file that changes what a model answers. The model itself stays as it is.",
        "Adapter that ships (foundation adapter)": (
            "Comes with Tailora and teaches the model to fill gaps in code. It knows nothing of your repository."
        ),
        "Training, fine-tuning": "Adjusting an adapter by examples, here by gaps cut out of the repository's files.",
        "Training run, seed": (
            "The same training with other random numbers. Several show how much of a result is chance."
        ),
        "Kept out (held-out) code": "Files that were never trained on, and so tell whether something was understood.",
        "Loss": "How far the model is off when it predicts code, in nats a token. Less is better.",
        "Exactly right (exact match)": "Share of gaps that were filled letter by letter as they were.",
        "Alike (edit similarity)": "How much of an answer is as it should be, from 0 to 100 %.",
        "95 % interval": "Where the true value lies with 95 % confidence, as far as tests like these can tell.",
        "Learning rate": "How large the steps of training are.",
        "Gate": "Checks that decide whether a new adapter may serve.",
        "Planted number (canary)": (
            "A random number put into what is learned, to see whether the model gives it away; in bits, from 0 (cannot "
            "be told) upwards."
        ),
        "Token": "A piece of text, some three to four characters of code.",
        "GPU, CUDA": "A processor for graphics and models, and NVIDIA's way to use it.",
    },
)
