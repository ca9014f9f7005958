"""What a training run is told of its method, and the documented parameters."""

from pathlib import Path

import pytest

from tailora.method_options import How, arguments, how_by_files, how_of, methods_table
from tailora_adapters.errors import MethodError
from tailora_adapters.methods import METHODS, parameters_of

DOCS = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_documented_parameters_are_the_code() -> None:
    assert methods_table() in DOCS.read_text(encoding="utf-8")
    for method in METHODS.values():
        for name in parameters_of(method) if method.served else ():
            assert any(
                f"`{method.name}`" in row and f"| `{name}` |" in row for row in methods_table().splitlines()
            )


def test_what_is_given_goes_before_the_settings() -> None:
    settings = {"prefix": {"tokens": 30, "start": "random", "learning_rate": 0.003}, "lora": {"rank": 4}}
    assert arguments("prefix", settings) == [
        *("--method", "prefix", "--set", "tokens=30", "--set", "start=random", "--learning-rate", "0.003"),
    ]
    assert arguments("prefix", settings, {"tokens": "5"}, 0.01) == [
        *("--method", "prefix", "--set", "tokens=5", "--set", "start=random", "--learning-rate", "0.01"),
    ]
    assert arguments("dora", settings) == ["--method", "dora"]
    assert arguments("lora", {"lora": {"target_modules": ("q_proj", "v_proj")}})[2:] == [
        *("--set", "target_modules=q_proj,v_proj"),
    ]


@pytest.mark.parametrize(
    "method, given, message",
    [
        ("magic", {}, "there is no method 'magic'"),
        ("full", {}, "can be compared, not served; choose another method"),
        ("lora", {"rank": 4096}, "lora.rank must be a whole number from 1 to 128, not 4096"),
        ("lora", {"tokens": 4}, "lora has no setting 'tokens'"),
    ],
)
def test_what_is_refused_before_anything_is_trained(method: str, given: dict[str, int], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        how_of(method, given)


def test_files(tmp_path: Path, store_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert how_by_files(tmp_path) == How("lora", ("--method", "lora"))
    (tmp_path / "tailora.toml").write_text(
        '[learning]\nmethod = "prefix"\n[learning.methods.prefix]\ntokens = 10_000\nstart = "random"\n'
    )
    assert how_by_files(tmp_path) == How("prefix", ("--method", "prefix", "--set", "start=random"))
    assert "learning.methods.prefix.tokens: 10000" in caplog.text
