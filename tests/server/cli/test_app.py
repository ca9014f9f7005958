"""One tree of commands; what a user can act on is one line and exit code 1."""

import json
from pathlib import Path
from typing import Any

import pytest

from tailora import __version__
from tailora_adapters.base import catalogue
from tailora_adapters.training import launch


def test_version_and_help(tailora: Any) -> None:
    assert tailora("--version").out.strip() == __version__
    shown = tailora("--help")
    assert shown.code == 0
    for command in ("lsp", "engine", "status", "stop", "doctor", "demo", "train", "model", "adapter", "eval"):
        assert command in shown.out


def test_unknown_command(tailora: Any) -> None:
    assert tailora("no-such-command").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("adapter", "show", "7"),
        ("adapter", "use", "../../etc"),
        ("model", "info", "[/odd] [name]"),
        ("model", "info", "no-such-model"),
        ("model", "info", "qwen2.5-coder-0.5b"),
        ("eval", "infilling", "--data", "/no/such/file"),
        ("train", "/no/such/repository", "--explain"),
        ("train", __file__, "--explain"),
        ("train", "n" * 300),
        ("status", "n" * 300),
        ("adapter", "disable", "--project", "n" * 300),
        ("adapter", "import", "n" * 300),
        ("eval", "infilling", "--data", "n" * 300),
        ("model", "info", "n" * 300),
    ],
)
def test_error_is_one_line(tailora: Any, arguments: tuple[str, ...]) -> None:
    result = tailora(*arguments)
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1


def test_a_plot_that_cannot_be_written_costs_no_result(
    tailora: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailora.evaluation import personalization, trees

    monkeypatch.setattr(trees, "between_commits", lambda *_: [{}])
    monkeypatch.setattr(personalization, "measure", lambda *_, **__: {"measured": 1})
    monkeypatch.setattr(personalization, "plot", lambda _result: "<svg/>")
    plot = tmp_path / "missing" / "plot.svg"
    asked = ("eval", "personalization", "--repo", tmp_path, "--from", "v1", "--json", "--plot", plot)
    done = tailora(*asked)
    assert done.json["measured"] == 1
    assert (done.code, done.err) == (1, f"error: {plot}: No such file or directory\n")


def test_model_list(tailora: Any) -> None:
    rows = tailora("model", "list", "--json").json
    assert [row["name"] for row in rows] == [model.name for model in catalogue.known()]
    assert [row["name"] for row in rows if row["default"]] == ["qwen2.5-coder-0.5b"]
    assert not any(row["ready"] for row in rows)
    shown = tailora("model", "list").out
    assert "485 MB to fetch" in shown
    assert "(default)" in shown


def test_model_info_and_remove(
    tailora: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(tiny.models, tmp_path / "models")
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "models"))
    found = tailora("model", "info", tiny.name, "--json").json
    assert found["name"] == "tiny"
    assert found["bytes"] > 100_000
    assert "model.safetensors" in found["files"]
    assert "source_sha256" in tailora("model", "info", tiny.name).out
    assert tailora("model", "remove", tiny.name).code == 0
    assert tailora("model", "info", tiny.name).code == 1
    assert Path(tiny.name).is_dir()  # the user's own folder stays


def test_train_explain(tailora: Any, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    (root / "node_modules").mkdir(parents=True)
    (root / "main.py").write_text("def main(values):\n    return max(values)\n\n\n" * 20)
    (root / "node_modules" / "x.js").write_text("var x = 1\n")
    (root / "secret.py").write_text("key = 'AKIA" + "IOSFODNN7" + "EXAMPLQ'\n" * 6)
    (root / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    found = tailora("train", root, "--explain", "--json").json
    assert found["learned"] == ["main.py"]
    reasons = {item["path"]: item["reason"] for item in found["left_out"]}
    assert "secret.py" in reasons
    assert found["counts"] == {"language unknown": 1, "secret": 1, "vendored": 1}
    assert found["history"] == {"commits": 0, "recent_lines": 0, "reason": "no git repository"}
    shown = tailora("train", root, "--explain").out
    assert shown.splitlines()[:2] == ["      1  learned", "      1  left out: language unknown"]
    assert "all count alike (0 commits; no git repository)" in shown
    assert "learned   main.py" in shown
    assert "secret.py" in shown


@pytest.mark.parametrize("option", ["--json", "--explain"])
def test_what_is_kept_out_is_not_trained(tailora: Any, tmp_path: Path, option: str) -> None:
    (tmp_path / "tailora.toml").write_text("[learning]\nenabled = false\n")
    (tmp_path / "main.py").write_text("def main():\n    return 1\n")
    refused = tailora("train", tmp_path, option)
    assert (refused.code, refused.out) == (1, "")
    where = tmp_path / "tailora.toml"
    assert refused.err == f"error: this repository is not learned: {where} sets learning.enabled = false\n"


def test_train_too_little(tailora: Any, tiny: Any, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "main.py").write_text("def main():\n    return 1\n")
    result = tailora("train", root, "--model", tiny.name, "--json")
    assert result.code == 0
    done = json.loads(result.out)
    assert done["decision"] == "too_little_data"
    assert "needed" in done["reason"]
    assert "selecting" in result.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--method", "full"), "full fine-tuning makes a whole model and no adapter"),
        (("--set", "rank=4096"), "lora.rank must be a whole number from 1 to 128, not '4096'"),
        (("--set", "rank"), "--set is followed by NAME=VALUE"),
    ],
)
def test_a_method_that_cannot_be_trained_is_refused(
    tailora: Any, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "main.py").write_text("def main():\n    return 1\n")
    refused = tailora("train", tmp_path, *arguments)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("error: ")
    assert message in refused.err


def test_train_follows_the_settings(tailora: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def train(root: Path, model: str, *, method: list[str], **_: Any) -> dict[str, Any]:
        asked.append(method)
        return {"decision": "failed", "version": None, "reason": "the rank is 100; 1 to 64", "gate": None}

    monkeypatch.setattr(launch, "train_in_worker", train)
    settings = (
        '[learning]\nmethod = "dora"\n[learning.methods.dora]\nrank = 100\nalpha = -1\nlearning_rate = 0.01\n'
    )
    (tmp_path / "tailora.toml").write_text(settings)
    done = tailora("train", tmp_path)
    assert (done.code, done.out) == (1, "failed: the rank is 100; 1 to 64\n")
    assert "settings: learning.methods.dora.alpha: -1 in tailora.toml is not a whole number" in done.err
    tailora("train", tmp_path, "--set", "rank=4", "--learning-rate", "0.1")
    tailora("train", tmp_path, "--method", "lora")
    assert asked == [
        ["--method", "dora", "--set", "rank=100", "--learning-rate", "0.01"],
        ["--method", "dora", "--set", "rank=4", "--learning-rate", "0.1"],
        ["--method", "lora"],
    ]


def test_a_second_engine_says_that_one_runs(tailora: Any) -> None:
    from tailora.engine import endpoint

    with endpoint.acquire_lock():
        endpoint.publish(endpoint.Endpoint(4321, __version__, endpoint.PROTOCOL, socket="engine.sock"))
        done = tailora("engine")
    assert (done.code, done.out, done.err) == (0, "", "an engine runs already: process 4321\n")


def test_status_without_an_engine(tailora: Any) -> None:
    assert tailora("status", "--json").json == {"engine": None}
    assert "no engine is running" in tailora("status").out
    assert tailora("stop").code == 1
