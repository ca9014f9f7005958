"""Settings: layers, safety of what a repository may set, and bad values that are named and replaced."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tailora.options import Options, for_root, load, merge, settings_table
from tailora_adapters.methods import METHODS

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def _texts(errors):
    return [str(error) for error in errors]


def test_defaults():
    options, errors = merge({}, {}, {})
    assert options == Options()
    assert errors == []
    assert options.completion.debounce_ms == 15
    assert not options.learning.trusted


def test_later_layers_win():
    user = {"completion": {"debounce_ms": 10, "max_lines": 3, "max_tokens": 32}}
    repository = {"completion": {"max_lines": 5}}
    options, errors = merge(user, repository, {"completion": {"debounceMs": 20}})
    assert errors == []
    assert (options.completion.debounce_ms, options.completion.max_lines, options.completion.max_tokens) == (
        20,
        5,
        32,
    )


def test_camel_case_and_snake_case_from_the_client():
    options, errors = merge(
        {}, {}, {"completion": {"maxFileKb": 5, "languages_off": ["markdown"], "deadlineMs": None}}
    )
    assert errors == []
    assert options.completion.max_file_kb == 5
    assert options.completion.languages_off == ("markdown",)


@pytest.mark.parametrize(
    "layer, message",
    [
        (
            {"completion": {"debounce_ms": "abc"}},
            'completion.debounce_ms: "abc" is not a whole number from 0 to 5000; using 15',
        ),
        (
            {"completion": {"debounceMs": True}},
            "completion.debounce_ms: true is not a whole number from 0 to 5000; using 15",
        ),
        (
            {"completion": {"max_lines": 0}},
            "completion.max_lines: 0 is not a whole number from 1 to 100; using 12",
        ),
        (
            {"completion": {"multiline": "maybe"}},
            'completion.multiline: "maybe" is not one of auto, never, always; using "auto"',
        ),
        (
            {"completion": {"multiline": ["auto"]}},
            'completion.multiline: ["auto"] is not one of auto, never, always; using "auto"',
        ),
        ({"completion": {"enabled": "yes"}}, 'completion.enabled: "yes" is not true or false; using true'),
        (
            {"completion": {"languagesOff": "go"}},
            'completion.languages_off: "go" is not a list of texts; using []',
        ),
        ({"completion": {"debounce": 5}}, "completion.debounce: unknown; ignored"),
        ({"complection": {}}, "complection: unknown; ignored"),
        ({"completion": 5}, "completion: 5 is not a table of settings; ignored"),
        ("abc", 'settings: "abc" is not a table of settings; ignored'),
    ],
)
def test_a_bad_setting_is_named_and_the_default_stays(layer, message):
    options, errors = merge({}, {}, layer)
    assert _texts(errors) == [message]
    assert options == Options()


def test_a_bad_value_keeps_the_layer_below():
    options, errors = merge({"completion": {"debounce_ms": 5}}, {}, {"completion": {"debounceMs": -1}})
    assert options.completion.debounce_ms == 5
    assert _texts(errors) == ["completion.debounce_ms: -1 is not a whole number from 0 to 5000; using 5"]


def test_the_engines_section_is_left_to_the_engine():
    assert merge({"engine": {"threads": 2}}, {}, {}) == (Options(), [])
    assert _texts(merge({}, {"engine": {}}, {})[1]) == ["engine: unknown in tailora.toml; ignored"]


def test_a_repository_cannot_trust_itself():
    options, errors = merge({}, {"learning": {"trusted": True}, "model": {"download": "auto"}}, {})
    assert options == Options()
    assert _texts(errors) == [
        "learning.trusted: not taken from a repository; true in tailora.toml is ignored",
        'model.download: not taken from a repository; "auto" in tailora.toml is ignored',
    ]


def test_a_repository_can_turn_learning_off_but_not_on():
    options, errors = merge({}, {"learning": {"enabled": False}}, {})
    assert not options.learning.enabled
    assert errors == []
    options, errors = merge({"learning": {"enabled": False}}, {"learning": {"enabled": True}}, {})
    assert not options.learning.enabled
    assert _texts(errors) == [
        "learning.enabled: a repository can only turn this off; true in tailora.toml is ignored"
    ]


def test_a_repository_adds_languages_and_takes_none_away():
    layers = {"completion": {"languages_off": ["markdown"]}}, {"completion": {"languages_off": ["sql"]}}, {}
    assert merge(*layers)[0].completion.languages_off == ("markdown", "sql")


@pytest.mark.parametrize(
    "table, message",
    [
        (
            {"lora": {"rank": 4096}},
            "lora.rank: 4096 in tailora.toml is not a whole number from 1 to 128; using 8",
        ),
        (
            {"prefix": {"tokens": 10_000}},
            "prefix.tokens: 10000 in tailora.toml is not a whole number from 1 to 256; using 20",
        ),
        (
            {"dora": {"learning_rate": 7}},
            "dora.learning_rate: 7 in tailora.toml is not a number from 1e-08 to 1",
        ),
        (
            {"norms": {"last": "maybe"}},
            "norms.last: 'maybe' in tailora.toml is not true or false; using True",
        ),
        (
            {"lora": {"ranks": 4}},
            "lora.ranks: unknown in tailora.toml; ignored (lora has: learning_rate, rank",
        ),
        ({"magic": {"rank": 4}}, "magic: there is no such method in tailora.toml; ignored"),
        ({"full": {"learning_rate": 1e-5}}, "full: there is no such method in tailora.toml; ignored"),
        ({"lora": 4}, "lora: 4 in tailora.toml is not a table of settings; ignored"),
    ],
)
def test_a_bad_parameter_of_a_method_is_named_and_changes_nothing(table, message):
    options, errors = merge({}, {"learning": {"methods": table}}, {})
    assert options == Options()
    assert len(errors) == 1
    assert str(errors[0]).startswith(f"learning.methods.{message}")


def test_parameters_of_methods_are_laid_over_each_other_one_by_one():
    user = {"learning": {"method": "dora", "methods": {"lora": {"rank": 4, "alpha": 8}, "ia3": None}}}
    repository = {"learning": {"method": "lora", "methods": {"lora": {"rank": 16}, "prefix": {"tokens": 30}}}}
    client = {"learning": {"methods": {"lora": {"targetModules": ["q_proj"], "alpha": 0}}}}
    options, errors = merge(user, repository, client)
    assert options.learning.method == "lora"
    assert options.learning.methods == {
        "lora": {"rank": 16, "alpha": 8, "target_modules": ("q_proj",)},
        "prefix": {"tokens": 30},
    }
    assert _texts(errors) == ["learning.methods.lora.alpha: 0 is not a whole number from 1 to 1024; using 8"]
    assert _texts(merge({"learning": {"methods": 5}}, {}, {})[1]) == [
        "learning.methods: 5 in config.toml is not a table of settings; using {}"
    ]


def test_every_method_that_can_serve_can_be_chosen():
    for method in METHODS.values():
        options, errors = merge({}, {"learning": {"method": method.name}}, {})
        assert (options.learning.method, errors) == (method.name, []) if method.served else ("lora", errors)
        assert bool(errors) != method.served


def test_files_of_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text('[learning.methods."lora+prefix"]\ntokens = 5\n')
    (tmp_path / "tailora.toml").write_text('[learning]\nmethod = "lora+prefix"\ntrusted = true\n')
    options, errors = for_root(tmp_path)
    assert options.learning.method == "lora+prefix"
    assert options.learning.methods == {"lora+prefix": {"tokens": 5}}
    assert not options.learning.trusted
    assert len(errors) == 1


def test_files(tmp_path):
    assert load(tmp_path / "config.toml") == ({}, [])
    good = tmp_path / "tailora.toml"
    good.write_text("[completion]\nmax_lines = 3\n")
    assert load(good) == ({"completion": {"max_lines": 3}}, [])
    good.write_text("[completion\n")
    values, errors = load(good)
    assert values == {}
    assert str(errors[0]).startswith("tailora.toml: cannot be read")
    good.write_bytes(b"\xff\xfe")
    assert str(load(good)[1][0]).startswith("tailora.toml: cannot be read")


def test_the_documented_table_is_the_code():
    assert settings_table() in DOCS.read_text(encoding="utf-8")
    for section in fields(Options):
        for item in fields(getattr(Options(), section.name)):
            assert f"`{section.name}.{item.name}`" in settings_table()


def test_vs_code_describes_the_settings_as_they_are():
    script = Path(__file__).parents[2] / "editors" / "vscode" / "scripts" / "settings.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
