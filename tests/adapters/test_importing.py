"""What is imported is a plain LoRA of this base model, and serves only after the gate let it."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters import foundation, importing
from tailora_adapters.base import cache, catalogue
from tailora_adapters.errors import AdapterCorrupt, ModelMissing, StoreError, TailoraError, TrainingFailed
from tailora_adapters.importing import admit, import_adapter
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, GateResult, Manifest
from tailora_adapters.store import ProjectStore, Store

GOOD = GateResult("promoted", "better", (), {"base_nll": 2.0})
BAD = GateResult("rejected", "worse", (), {})
WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"


@pytest.fixture
def project(tmp_path: Path) -> ProjectStore:
    root = tmp_path / "root"
    root.mkdir()
    return Store(tmp_path / "store").project(root)


@pytest.fixture
def folder(make_lora: Callable[..., Path], tmp_path: Path) -> Path:
    """An adapter for the tiny models without a manifest."""
    return Path(shutil.copytree(make_lora(3), tmp_path / "given"))


@pytest.fixture
def bring(project: ProjectStore, tiny: Any) -> Callable[..., Any]:
    """``bring(folder)``: imports it for the tiny model."""
    return lambda folder, claimed=True: import_adapter(project, folder, tiny.name, claimed=claimed)


def base_of(tiny: Any) -> BaseInfo:
    return cache.base_info(tiny.name)


def write_manifest(folder: Path, base: BaseInfo, **changes: Any) -> None:
    manifest = Manifest(
        version="7",
        base=base,
        parent="6",
        seed=4,
        data=DataInfo(9, 90, 2, (FileInfo("a.py", "0", 9),)),
        cost=Cost(5.0, 6.0, 7.0),
        gate=GOOD,
        weights_sha256=cache.hash_file(folder / WEIGHTS),
    )
    (folder / MANIFEST).write_text(replace(manifest, **changes).to_json())


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the header of the weights."""
    data = (folder / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


class TestImport:
    def test_is_a_candidate_that_does_not_serve(
        self, bring: Any, project: ProjectStore, folder: Path, tiny: Any
    ) -> None:
        (folder / "README.md").write_text("peft writes one")
        version = bring(folder)
        assert (version.version, version.status) == ("1", "candidate")
        assert version.manifest.base == base_of(tiny)
        assert version.manifest.settings["imported"] == {"from": "given", "base": "claimed"}
        assert sorted(path.name for path in version.path.iterdir()) == [CONFIG, WEIGHTS, MANIFEST]
        assert project.serving() is None
        with pytest.raises(StoreError, match="never judged"):
            project.use("1")

    def test_the_gate_decides(self, bring: Any, project: ProjectStore, folder: Path) -> None:
        seen = []

        def judge(version: Any) -> GateResult:
            seen.append(version.path.is_dir())
            return GOOD

        assert admit(project, bring(folder), judge).status == "serving"
        assert seen == [True]
        assert project.get("1").manifest.gate == GOOD  # type: ignore[union-attr]
        assert admit(project, bring(folder), lambda _version: BAD).status == "rejected"
        assert project.serving().version == "1"  # type: ignore[union-attr]
        with pytest.raises(StoreError, match="worse"):
            project.use("2")

    def test_what_could_not_be_judged_is_not_kept(
        self, bring: Any, project: ProjectStore, folder: Path
    ) -> None:
        def fail(_version: Any) -> GateResult:
            raise TrainingFailed("out of memory")

        with pytest.raises(TrainingFailed):
            admit(project, bring(folder), fail)
        assert project.versions() == []

    def test_a_manifest_is_kept_but_not_its_gate(self, bring: Any, folder: Path, tiny: Any) -> None:
        write_manifest(folder, base_of(tiny))
        manifest = bring(folder, claimed=False).manifest
        assert (manifest.version, manifest.parent, manifest.gate) == ("1", None, None)
        assert manifest.data.files[0].path == "a.py"
        assert manifest.settings["imported"]["parent"] == "6"

    def test_an_exported_version_comes_in_elsewhere(
        self, bring: Any, project: ProjectStore, folder: Path, tmp_path: Path, tiny: Any
    ) -> None:
        admit(project, bring(folder), lambda _version: GOOD)
        project.export("1", tmp_path / "out")
        other = Store(tmp_path / "store").project(tmp_path / "other")
        version = import_adapter(other, tmp_path / "out", tiny.name, claimed=False)
        assert version.sha256 == project.get("1").sha256
        assert version.status == "candidate"

    def test_the_configuration_is_written_anew(self, bring: Any, folder: Path) -> None:
        edit(folder / CONFIG, auto_mapping={"parent_library": "evil"}, base_model_name_or_path="evil/model")
        config = json.loads((bring(folder).path / CONFIG).read_text())
        assert "evil" not in json.dumps(config)
        assert (config["r"], config["lora_alpha"], config["peft_type"]) == (4, 8, "LORA")

    def test_peft_loads_it(self, bring: Any, make_lora: Any, make_model: Any) -> None:
        from tailora_adapters.methods import resume

        folder = make_lora(4, modules=("self_attn.q_proj", "mlp.up_proj"))
        resume(make_model("qwen2"), bring(folder).path)

    def test_without_a_manifest_the_base_must_be_named(self, bring: Any, folder: Path) -> None:
        with pytest.raises(StoreError, match="--base"):
            bring(folder, claimed=False)

    def test_a_model_that_is_not_here(self, project: ProjectStore, folder: Path, store_home: Path) -> None:
        with pytest.raises(ModelMissing, match="model pull"):
            import_adapter(project, folder, catalogue.DEFAULT_CPU, claimed=True)

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"name": "other"}, "base model other"),
            ({"sha256": "9" * 64}, "the weights had another hash"),
            ({"tokenizer_sha256": "9" * 64}, "the tokenizer had another hash"),
        ],
    )
    def test_another_base(
        self, bring: Any, folder: Path, tiny: Any, changes: dict[str, str], message: str
    ) -> None:
        write_manifest(folder, replace(base_of(tiny), **changes))
        with pytest.raises(StoreError, match=message):
            bring(folder)

    def test_weights_that_the_manifest_does_not_describe(self, bring: Any, folder: Path, tiny: Any) -> None:
        write_manifest(folder, base_of(tiny), weights_sha256="0" * 64)
        with pytest.raises(AdapterCorrupt, match="hashes differ"):
            bring(folder)

    def test_an_update_far_larger_than_the_foundations(
        self, bring: Any, folder: Path, make_lora: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = make_lora(3, strength=0.001)
        found = foundation.FoundationAdapter(small, "", None)  # type: ignore[arg-type]
        monkeypatch.setattr(importing.foundation, "find", lambda _name: found)
        with pytest.raises(AdapterCorrupt, match="times that of the foundation"):
            bring(folder)


class TestRefused:
    @pytest.fixture(autouse=True)
    def nothing_is_left(self, project: ProjectStore) -> Any:
        yield
        assert project.versions() == []
        assert not list(project.directory.glob(".tmp-*"))

    @pytest.mark.parametrize(
        "name", ["adapter_model.bin", "weights.pt", "modeling.py", "extra.safetensors", ".x"]
    )
    def test_any_other_file(self, bring: Any, folder: Path, name: str) -> None:
        (folder / name).write_bytes(b"x")
        with pytest.raises(StoreError, match=name):
            bring(folder)

    def test_a_folder_inside(self, bring: Any, folder: Path) -> None:
        (folder / "manifest.json").mkdir()
        with pytest.raises(StoreError, match="not a file"):
            bring(folder)

    @pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
    def test_links_and_pipes(self, bring: Any, folder: Path, name: str) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)
        with pytest.raises(StoreError, match="symbolic link"):
            bring(folder)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(StoreError, match="not a file"):
            bring(folder)

    @pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
    def test_a_missing_file(self, bring: Any, folder: Path, name: str) -> None:
        (folder / name).unlink()
        with pytest.raises(StoreError, match=f"{name} missing"):
            bring(folder)

    def test_no_folder(self, bring: Any, tmp_path: Path, folder: Path) -> None:
        for path in (tmp_path / "nowhere", folder / CONFIG):
            with pytest.raises(StoreError, match="cannot be read"):
                bring(path)

    def test_large_files(self, bring: Any, folder: Path) -> None:
        with (folder / WEIGHTS).open("r+b") as file:
            file.truncate(200_000_001)  # sparse
        with pytest.raises(StoreError, match="more than 200 MB"):
            bring(folder)

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"peft_type": "LOHA"}, "LOHA"),
            ({"use_dora": True}, "use_dora"),
            ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
            ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
            ({"trainable_token_indices": [1]}, "trainable_token_indices"),
            ({"some_later_setting": 1}, "some_later_setting"),
            ({"bias": "all"}, "biases"),
            ({"init_lora_weights": "pissa"}, "pissa"),
            ({"r": 0}, "rank 0"),
            ({"r": 65}, "rank 65"),
            ({"r": True}, "rank True"),
            ({"r": 8}, "shape"),
            ({"lora_alpha": "8"}, "lora_alpha"),
            ({"lora_alpha": float("nan")}, "lora_alpha"),
            ({"lora_alpha": -1}, "lora_alpha"),
            ({"target_modules": ".*"}, "target_modules"),
            ({"target_modules": ["q_proj"]}, "do not agree"),
        ],
    )
    def test_configurations(self, bring: Any, folder: Path, changes: dict[str, Any], message: str) -> None:
        edit(folder / CONFIG, **changes)
        with pytest.raises(AdapterCorrupt, match=message):
            bring(folder)

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
    def test_damaged_configurations(self, bring: Any, folder: Path, content: bytes) -> None:
        (folder / CONFIG).write_bytes(content)
        with pytest.raises(AdapterCorrupt):
            bring(folder)

    @pytest.mark.parametrize(
        "name",
        [
            "base_model.model.lm_head.weight",
            "base_model.model.model.embed_tokens.lora_A.weight",
            "base_model.model.model.layers.4.mlp.up_proj.lora_A.weight",
            "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector",
            "base_model.model.model.layers.0.input_layernorm.weight",
        ],
    )
    def test_tensors_of_anything_else(self, bring: Any, folder: Path, name: str) -> None:
        def change(header: dict[str, Any]) -> None:
            header[name] = header.pop("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight")

        rewrite(folder, change)
        with pytest.raises(AdapterCorrupt, match="not part of a LoRA"):
            bring(folder)

    def test_tensors_of_another_type(self, bring: Any, folder: Path) -> None:
        def change(header: dict[str, Any]) -> None:
            for name, tensor in header.items():
                if name != "__metadata__":
                    tensor["dtype"] = "I16"

        rewrite(folder, change)
        with pytest.raises(AdapterCorrupt, match="type I16"):
            bring(folder)

    def test_half_a_lora(self, bring: Any, folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        state = load_file(folder / WEIGHTS)
        del state["base_model.model.model.layers.2.mlp.up_proj.lora_B.weight"]
        save_file(state, folder / WEIGHTS)
        with pytest.raises(AdapterCorrupt, match=r"layer 2 .* half"):
            bring(folder)

    @pytest.mark.parametrize("strength, message", [(float("nan"), "not numbers"), (0.0, "changes nothing")])
    def test_weights(self, bring: Any, make_lora: Any, strength: float, message: str) -> None:
        with pytest.raises(AdapterCorrupt, match=message):
            bring(make_lora(8, strength=strength))

    @pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
    def test_cut_off_weights(self, bring: Any, folder: Path, size: int) -> None:
        data = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(data[:size])
        with pytest.raises(TailoraError):
            bring(folder)

    @pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
    def test_damaged_manifests(self, bring: Any, folder: Path, content: bytes) -> None:
        (folder / MANIFEST).write_bytes(content)
        with pytest.raises(AdapterCorrupt):
            bring(folder)
