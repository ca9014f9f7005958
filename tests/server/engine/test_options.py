"""Settings of the engine: where they come from and what a bad one does."""

import json
from dataclasses import asdict, fields
from pathlib import Path

from tailora.engine import machine
from tailora.engine.options import EngineOptions, read_options, rules_of
from tailora.engine.recommend import Calibration, ModelTimes, calibration_key
from tailora.engine.schedule import Rules
from tailora_adapters.base import cache, catalogue

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


def write(home: Path, text: str) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text(text)


def test_without_anything_the_defaults_hold(home: Path) -> None:
    assert read_options({}) == (EngineOptions(), [])


def test_the_documented_table_is_the_code() -> None:
    text = DOCS.read_text(encoding="utf-8")
    options = EngineOptions()
    for item in fields(EngineOptions):
        value = getattr(options, item.name)
        default = f"{value:g}" if isinstance(value, float) else json.dumps(value)
        written = "by the GPU's memory" if item.name == "model" else f"`{default}`"
        assert f"| `engine.{item.name}` | {written} |" in text
    assert text.count("| `engine.") == len(fields(EngineOptions))


def test_the_schedule_has_the_same_defaults() -> None:
    assert rules_of(EngineOptions()) == Rules()
    assert rules_of(EngineOptions(max_load=1.0, train_seconds=30)) == Rules(max_load=1.0, train_seconds=30)


def test_the_environment_goes_before_the_file(home: Path) -> None:
    write(home, '[engine]\nmodel = "a"\nthreads = 3\ntcp = true\n[lsp]\nx = 1\n')
    options, problems = read_options({"TAILORA_ENGINE_MODEL": "b", "TAILORA_ENGINE_IDLE_EXIT_S": "7"})
    assert (options.model, options.threads, options.tcp, options.idle_exit_s) == ("b", 3, True, 7.0)
    assert problems == []


def test_bad_values_are_named_and_replaced(home: Path) -> None:
    values = ['threads = "many"', "quiet_s = -1", "model = 5", "speed = 1", 'tcp = "perhaps"']
    values += ['quantization = "int3"', 'device = "gpu"']
    write(home, "[engine]\n" + "\n".join(values))
    options, problems = read_options({"TAILORA_ENGINE_IDLE_EXIT_S": "nan"})
    assert options == EngineOptions()
    named = sorted(problem.split(":")[0] for problem in problems)
    assert named == [
        "engine.device",
        "engine.idle_exit_s",
        "engine.model",
        "engine.quantization",
        "engine.quiet_s",
        "engine.speed",
        "engine.tcp",
        "engine.threads",
    ]


def test_a_file_that_is_no_toml_is_named(home: Path) -> None:
    write(home, "[engine\n")
    options, problems = read_options({})
    assert options == EngineOptions()
    assert "config.toml" in problems[0]


def test_a_section_that_is_no_table_is_named(home: Path) -> None:
    write(home, "engine = 3\n")
    assert "not a table" in read_options({})[1][0]


FAST = Calibration(
    {model.name: ModelTimes(1.0, 0.1, 0.1, 0.1) for model in catalogue.known()}, memory_mb=1 << 20
)


def test_auto_before_a_measurement_is_the_default_and_says_so(home: Path) -> None:
    options, problems = read_options({"TAILORA_ENGINE_MODEL": "auto"})
    assert options == EngineOptions()
    assert "tailora model recommend" in problems[0]


def test_auto_is_what_was_recommended(home: Path) -> None:
    machine.keep("calibration", calibration_key(3, "auto"), {"calibration": asdict(FAST)})
    write(home, '[engine]\nmodel = "auto"\nthreads = 3\n')
    options, problems = read_options({})
    assert (options.model, options.threads, problems) == ("qwen2.5-coder-7b", 3, [])


def test_auto_keeps_the_limit(home: Path) -> None:
    machine.keep("calibration", calibration_key(0, "auto"), {"calibration": asdict(FAST)})
    write(home, '[engine]\nmodel = "auto"\nlatency_ms = 20\n')
    assert read_options({})[0].model == "qwen2.5-coder-0.5b"


def test_auto_never_switches_to_a_model_that_is_not_here(home: Path) -> None:
    machine.keep("calibration", calibration_key(0, "auto"), {"calibration": asdict(FAST)})
    small = catalogue.find("qwen2.5-coder-0.5b")
    cache.write_record(cache.folder_of(small), cache.Record(cache.FORMAT, small.name, "", None, "", {}))
    options, problems = read_options({"TAILORA_ENGINE_MODEL": "auto"})
    assert options.model == small.name
    (told,) = problems
    assert told.startswith("engine.model: ")
    assert "tailora model pull qwen2.5-coder-7b" in told


def test_a_path_called_anything_is_left_alone(home: Path) -> None:
    assert read_options({"TAILORA_ENGINE_MODEL": "/models/auto"})[0].model == "/models/auto"
