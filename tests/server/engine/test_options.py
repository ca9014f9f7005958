"""Settings of the engine: where they come from and what a bad one does."""

from pathlib import Path

from tailora.engine.options import EngineOptions, read_options


def write(home: Path, text: str) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text(text)


def test_without_anything_the_defaults_hold(home: Path) -> None:
    assert read_options({}) == (EngineOptions(), [])


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
