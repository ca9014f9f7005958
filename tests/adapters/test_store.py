"""Versions appear complete or not at all, one serves, every step back works, whatever happens to the disk."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailora_adapters import paths
from tailora_adapters.errors import (
    AdapterCorrupt,
    StoreError,
    StoreUnwritable,
    TrainingBusy,
    VersionUnknown,
)
from tailora_adapters.manifest import BaseInfo, Check, Cost, DataInfo, GateResult, Manifest
from tailora_adapters.store import AdapterVersion, ProjectStore, Store

MANIFEST = Manifest(
    base=BaseInfo("tiny", "a" * 64, "b" * 64), seed=0, data=DataInfo(1, 2, 3), cost=Cost(1.0, 2.0, 3.0)
)
GATE = GateResult("rejected", "no better than the base", (Check("held-out", False, 2.0, 1.9, "worse"),))


def safetensors(payload: bytes) -> bytes:
    header = json.dumps(
        {"w": {"dtype": "U8", "shape": [len(payload)], "data_offsets": [0, len(payload)]}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + payload


def fill(folder: Path, payload: bytes = b"weights") -> None:
    (folder / "adapter_model.safetensors").write_bytes(safetensors(payload))
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')


def add(project: ProjectStore, payload: bytes = b"weights") -> AdapterVersion:
    with project.candidate() as candidate:
        fill(candidate.path, payload)
        return candidate.commit(MANIFEST)


def statuses(project: ProjectStore) -> dict[str, str]:
    return {version.version: version.status for version in project.versions()}


def serving(project: ProjectStore) -> str | None:
    version = project.serving()
    return None if version is None else version.version


def break_weights(version: AdapterVersion) -> None:
    path = version.path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def project(tmp_path: Path) -> ProjectStore:
    root = tmp_path / "My Repo!"
    root.mkdir()
    return Store(tmp_path / "store").project(root)


@pytest.fixture
def three(project: ProjectStore) -> ProjectStore:
    """Versions 1, 2 and 3, promoted in turn; 3 serves."""
    for payload in (b"one", b"two", b"three"):
        project.promote(add(project, payload).version)
    return project


class TestIdentity:
    def test_same_folder_same_project(self, tmp_path: Path, project: ProjectStore) -> None:
        link = tmp_path / "link"
        link.symlink_to(project.root)
        assert Store(tmp_path / "store").project(link).id == project.id
        assert project.id.startswith("my-repo-")

    def test_same_name_elsewhere_is_another_project(self, tmp_path: Path, project: ProjectStore) -> None:
        other = tmp_path / "other" / "My Repo!"
        assert Store(tmp_path / "store").project(other).id != project.id

    def test_default_home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TAILORA_HOME", str(tmp_path))
        assert Store().home == paths.projects_dir()

    def test_reading_creates_nothing(self, tmp_path: Path, project: ProjectStore) -> None:
        assert project.versions() == []
        assert project.serving() is None
        assert not project.disabled
        assert not project.paused
        assert project.state_mtime() == 0
        project.delete_all()
        assert not (tmp_path / "store").exists()

    def test_projects_lists_what_was_written(self, tmp_path: Path, project: ProjectStore) -> None:
        store = Store(tmp_path / "store")
        assert store.projects() == []
        add(project)
        (tmp_path / "store" / "junk").mkdir()
        assert [(found.root, found.id) for found in store.projects()] == [(project.root, project.id)]

    def test_a_damaged_project_file_hides_only_that_project(
        self, tmp_path: Path, project: ProjectStore
    ) -> None:
        add(project)
        other = Store(tmp_path / "store").project(tmp_path / "other")
        add(other)
        (other.directory / "project.json").write_text("{")
        assert [found.id for found in Store(tmp_path / "store").projects()] == [project.id]


class TestCandidate:
    def test_commit_makes_a_complete_version(self, project: ProjectStore) -> None:
        with project.candidate() as candidate:
            fill(candidate.path)
            (candidate.path / "README.md").write_text("peft writes one")
            version = candidate.commit(MANIFEST)
        assert version.version == "1"
        assert version.status == "candidate"
        assert version.manifest is not None
        assert version.manifest.version == "1"
        assert version.sha256 == version.manifest.weights_sha256 != ""
        assert sorted(path.name for path in version.path.iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
            "manifest.json",
        ]
        assert not list(project.directory.glob(".tmp-*"))
        assert serving(project) is None

    def test_leaving_without_commit_leaves_nothing(self, project: ProjectStore) -> None:
        with project.candidate() as candidate:
            fill(candidate.path)
        assert project.versions() == []
        assert not list(project.directory.glob(".tmp-*"))

    @pytest.mark.parametrize("missing", ["adapter_model.safetensors", "adapter_config.json"])
    def test_an_incomplete_candidate_is_refused(self, project: ProjectStore, missing: str) -> None:
        with project.candidate() as candidate:
            fill(candidate.path)
            (candidate.path / missing).unlink()
            with pytest.raises(AdapterCorrupt, match=missing):
                candidate.commit(MANIFEST)
        assert add(project).version == "1"

    def test_commits_once(self, project: ProjectStore) -> None:
        with project.candidate() as candidate:
            fill(candidate.path)
            candidate.commit(MANIFEST)
            with pytest.raises(StoreError, match="already"):
                candidate.commit(MANIFEST)

    def test_only_one_trains(self, project: ProjectStore) -> None:
        caught: list[BaseException] = []

        def contend() -> None:
            try:
                with Store(project.directory.parent).project(project.root).candidate():
                    pass
            except TrainingBusy as error:
                caught.append(error)

        with project.lock(), project.candidate():  # reentrant for the holder
            thread = threading.Thread(target=contend)
            thread.start()
            thread.join()
        assert len(caught) == 1
        assert str(project.root) in str(caught[0])
        with project.lock():
            pass

    def test_a_kill_loses_only_the_candidate(self, project: ProjectStore) -> None:
        add(project)
        script = (
            "import sys, time; from pathlib import Path; from tailora_adapters.store import Store\n"
            "project = Store(Path(sys.argv[1])).project(Path(sys.argv[2]))\n"
            "with project.candidate() as candidate:\n"
            "    (candidate.path / 'adapter_model.safetensors').write_bytes(b'half')\n"
            "    print('ready', flush=True); time.sleep(60)\n"
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", script, str(project.directory.parent), str(project.root)],
            stdout=subprocess.PIPE,
        )
        with worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
            with pytest.raises(TrainingBusy), project.candidate():
                pass
            worker.send_signal(signal.SIGKILL)
        assert len(list(project.directory.glob(".tmp-*"))) == 1
        assert list(statuses(project)) == ["1"]
        assert add(project).version == "2"
        assert not list(project.directory.glob(".tmp-*"))


class TestServing:
    def test_promotion_retires_what_served(self, three: ProjectStore) -> None:
        assert statuses(three) == {"1": "retired", "2": "retired", "3": "serving"}
        assert serving(three) == "3"

    def test_another_process_is_noticed_at_once(self, three: ProjectStore) -> None:
        other = Store(three.directory.parent).project(three.root)
        assert serving(three) == "3"
        stamps = [three.state_mtime()]
        for _ in range(20):
            other.use("1")
            stamps.append(three.state_mtime())
            assert serving(three) == "1"
            other.use("2")
            stamps.append(three.state_mtime())
            assert serving(three) == "2"
        assert len(set(stamps)) == len(stamps)

    def test_unchanged_state_is_not_read_again(
        self, three: ProjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = three.serving()
        monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read a file"))
        assert three.serving() is first

    def test_disable_and_enable(self, three: ProjectStore) -> None:
        three.disable()
        assert three.disabled
        assert serving(three) is None
        three.promote(add(three).version)
        assert serving(three) is None
        three.enable()
        assert serving(three) == "4"

    def test_paused(self, three: ProjectStore) -> None:
        three.set_paused(True)
        assert Store(three.directory.parent).project(three.root).paused
        assert serving(three) == "3"
        three.set_paused(False)
        assert not three.paused

    @pytest.mark.parametrize("version", ["4", "0", "01", "", "..", "../1", "x"])
    def test_unknown_versions(self, three: ProjectStore, version: str) -> None:
        calls: list[Callable[[str], object]] = [
            three.get, three.promote, three.reject, three.use, three.delete, three.verify
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(VersionUnknown, match="there are 1, 2, 3"):
                call(version)
        assert serving(three) == "3"


class TestRollback:
    def test_goes_further_back_each_time(self, three: ProjectStore) -> None:
        back = [three.rollback() for _ in range(4)]
        assert [version and version.version for version in back] == ["2", "1", None, None]
        assert serving(three) is None
        assert set(statuses(three).values()) == {"retired"}

    def test_a_version_rolled_back_is_not_returned_to(self, three: ProjectStore) -> None:
        three.rollback()
        three.promote(add(three).version)
        assert serving(three) == "4"
        three.rollback()
        assert serving(three) == "2"

    def test_use_picks_any(self, three: ProjectStore) -> None:
        assert three.use("1").status == "serving"
        assert serving(three) == "1"
        three.rollback()
        assert serving(three) == "3"

    def test_a_rejected_version_is_not_used(self, three: ProjectStore) -> None:
        version = add(three).version
        assert three.reject(version, GATE).status == "rejected"
        with pytest.raises(StoreError, match="no better than the base"):
            three.use(version)
        assert serving(three) == "3"

    def test_rejecting_what_serves_steps_back(self, three: ProjectStore) -> None:
        three.reject("3")
        assert statuses(three) == {"1": "retired", "2": "serving", "3": "rejected"}


class TestGate:
    def test_result_is_kept_with_unknown_fields(self, project: ProjectStore) -> None:
        version = add(project)
        path = version.path / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"future": 1}))
        rejected = project.reject(version.version, GATE)
        assert rejected.manifest is not None
        assert rejected.manifest.gate == GATE
        assert json.loads(path.read_text())["future"] == 1

    def test_old_rejected_versions_lose_their_weights_only(self, project: ProjectStore) -> None:
        for _ in range(5):
            project.reject(add(project).version, GATE)
        kept = [(v.path / "adapter_model.safetensors").exists() for v in project.versions()]
        assert kept == [False, False, True, True, True]
        assert set(statuses(project).values()) == {"rejected"}
        with pytest.raises(AdapterCorrupt):
            project.verify("1")
        assert statuses(project)["1"] == "rejected"


class TestCorruption:
    def test_a_cut_off_file_serves_the_version_before(
        self, three: ProjectStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert serving(three) == "3"
        break_weights(three.get("3"))
        with caplog.at_level(logging.WARNING):
            assert serving(three) == "2"
        assert "version 3 cannot serve" in caplog.text
        assert statuses(three) == {"1": "retired", "2": "serving", "3": "corrupt"}
        assert three.get("3").problem is not None
        assert serving(Store(three.directory.parent).project(three.root)) == "2"

    @pytest.mark.parametrize("name", ["manifest.json", "adapter_config.json", "adapter_model.safetensors"])
    @pytest.mark.parametrize("content", [None, b"", b"{", b"\xff" * 100])
    def test_any_damaged_file_is_noticed(self, three: ProjectStore, name: str, content: bytes | None) -> None:
        path = three.get("3").path / name
        path.unlink() if content is None else path.write_bytes(content)
        assert serving(Store(three.directory.parent).project(three.root)) == "2"

    def test_all_damaged_serves_the_foundation(self, three: ProjectStore) -> None:
        for version in three.versions():
            break_weights(version)
        assert serving(three) is None
        assert set(statuses(three).values()) == {"corrupt"}

    def test_what_was_rolled_back_does_not_stand_in(self, three: ProjectStore) -> None:
        three.rollback()
        break_weights(three.get("2"))
        assert serving(three) == "1"

    def test_rollback_skips_damaged_ones(self, three: ProjectStore) -> None:
        break_weights(three.get("2"))
        version = three.rollback()
        assert version is not None
        assert version.version == "1"

    def test_promoting_a_damaged_version_changes_nothing(self, three: ProjectStore) -> None:
        version = add(three)
        break_weights(version)
        with pytest.raises(AdapterCorrupt):
            three.promote(version.version)
        assert serving(three) == "3"

    def test_verify_finds_a_flipped_bit(self, three: ProjectStore) -> None:
        three.verify("3")
        path = three.get("3").path / "adapter_model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.raises(AdapterCorrupt, match="hash"):
            three.verify("3")
        assert serving(three) == "2"
        data[-1] ^= 1
        path.write_bytes(data)
        assert three.use("3").status == "serving"

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"history": 1}', b"\xff"])
    def test_a_damaged_state_serves_the_foundation_and_reuses_no_number(
        self, three: ProjectStore, content: bytes
    ) -> None:
        (three.directory / "state.json").write_bytes(content)
        assert serving(three) is None
        assert add(three).version == "4"
        three.use("3")
        assert serving(three) == "3"


class TestDelete:
    def test_serving_steps_back_first(self, three: ProjectStore) -> None:
        three.delete("3")
        assert serving(three) == "2"
        assert list(statuses(three)) == ["1", "2"]
        assert not list(three.directory.glob(".tmp-*"))

    def test_numbers_are_not_used_twice(self, three: ProjectStore) -> None:
        three.delete("3")
        assert add(three).version == "4"
        three.delete_all()
        assert add(three).version == "5"

    def test_delete_all_leaves_nothing_learned(self, three: ProjectStore) -> None:
        three.disable()
        three.ask_retrain("keys.py is to be forgotten")
        (three.directory / "replay.json").write_text("{}")
        three.delete_all()
        assert three.versions() == []
        left = {path.name for path in three.directory.iterdir() if not path.name.startswith(".")}
        assert left - {"project.json", "state.json"} == set()
        assert three.retrain is None
        assert three.disabled
        three.enable()
        assert serving(three) is None

    def test_delete_all_while_the_engine_writes(
        self, three: ProjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changed = three.directory / "changed.json"
        iterdir = Path.iterdir

        def gone_meanwhile(path: Path) -> Iterator[Path]:
            for found in iterdir(path):
                if found == changed:
                    found.unlink()
                yield found

        changed.write_text("{}")
        monkeypatch.setattr(Path, "iterdir", gone_meanwhile)
        three.delete_all()
        assert three.versions() == []

    def test_delete_all_waits_for_no_worker(self, three: ProjectStore) -> None:
        errors: list[BaseException] = []

        def delete() -> None:
            try:
                Store(three.directory.parent).project(three.root).delete_all()
            except TrainingBusy as error:
                errors.append(error)

        with three.candidate():
            thread = threading.Thread(target=delete)
            thread.start()
            thread.join()
        assert errors
        assert serving(three) == "3"

    def test_prune_keeps_what_rollback_needs(self, three: ProjectStore) -> None:
        for _ in range(4):
            add(three)
        assert three.prune(keep=2) == ["1", "4", "5"]
        assert list(statuses(three)) == ["2", "3", "6", "7"]
        assert serving(three) == "3"
        assert three.prune(keep=2) == []


class TestExport:
    def test_copies_three_files(self, three: ProjectStore, tmp_path: Path) -> None:
        three.export("2", tmp_path / "out" / "two")
        for path in three.get("2").path.iterdir():
            assert (tmp_path / "out" / "two" / path.name).read_bytes() == path.read_bytes()

    def test_overwrites_nothing(self, three: ProjectStore, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(StoreError, match="not an empty folder"):
            three.export("2", tmp_path)
        with pytest.raises(StoreError, match="not an empty folder"):
            three.export("2", tmp_path / "mine")
        with pytest.raises(StoreUnwritable):
            three.export("2", tmp_path / "mine" / "below")


class TestUnwritable:
    def test_a_file_in_place_of_the_store(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("")
        project = Store(tmp_path / "store").project(tmp_path)
        assert project.serving() is None
        assert project.versions() == []
        for write in (project.disable, project.rollback, lambda: add(project)):
            with pytest.raises(StoreUnwritable, match="TAILORA_HOME"):
                write()

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
    def test_a_read_only_store_still_serves(self, three: ProjectStore) -> None:
        break_weights(three.get("3"))
        three.directory.chmod(0o500)
        try:
            assert serving(three) == "2"
            with pytest.raises(StoreUnwritable, match="permission"):
                three.disable()
        finally:
            three.directory.chmod(0o700)

    @pytest.mark.parametrize(
        "code, advice", [(errno.ENOSPC, "free some space"), (errno.EROFS, "TAILORA_HOME")]
    )
    def test_a_failed_write_changes_nothing(
        self, three: ProjectStore, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        version = add(three).version
        before = statuses(three)
        monkeypatch.setattr(paths, "write_atomic", fail)
        for write in (
            lambda: three.promote(version),
            lambda: three.reject("3"),
            lambda: three.delete("3"),
            lambda: add(three),
            three.rollback,
            three.disable,
        ):
            with pytest.raises(StoreUnwritable, match=advice):
                write()
            assert statuses(three) == before
            assert serving(three) == "3"

    def test_a_damaged_adapter_is_skipped_on_a_full_disk(
        self, three: ProjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(paths, "write_atomic", fail)
        break_weights(three.get("3"))
        version = three.serving()
        assert version is not None
        assert (version.version, version.status) == ("2", "serving")


def test_two_processes_promoting_at_once(three: ProjectStore) -> None:
    script = (
        "import sys; from pathlib import Path; from tailora_adapters.store import Store\n"
        "project = Store(Path(sys.argv[1])).project(Path(sys.argv[2]))\n"
        "sys.stdin.readline()\n"
        "for _ in range(25): project.promote(sys.argv[3]); project.set_paused(not project.paused)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(three.directory.parent), str(three.root), version],
            stdin=subprocess.PIPE,
        )
        for version in ("1", "2")
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.close()
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    last = serving(three)
    assert last in ("1", "2")
    other = {"1": "2", "2": "1"}[last]
    assert statuses(three) == {last: "serving", other: "retired", "3": "retired"}
    back = [three.rollback(), three.rollback(), three.rollback()]
    assert [version and version.version for version in back] == [other, "3", None]


def test_imports_no_torch() -> None:
    code = (
        "import sys, tailora_adapters.store; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_withdrawn_version_comes_back_only_by_hand(project: ProjectStore) -> None:
    for _ in range(4):
        project.promote(add(project).version)
    assert project.before() == ["3", "2", "1"]
    assert project.withdraw("4", "few accepted")
    assert (serving(project), project.get("4").withdrawn) == ("3", "few accepted")
    assert not project.withdraw("4", "again")
    project.use("4")
    project.use("2")
    assert project.before() == ["3", "1"]
    project.rollback()
    assert serving(project) == "3"
    assert ProjectStore(project.root, project.directory).get("4").withdrawn == "few accepted"
    project.delete("4")
    assert add(project).withdrawn is None


def test_damage_does_not_bring_a_withdrawn_version_back(project: ProjectStore) -> None:
    for _ in range(3):
        project.promote(add(project).version)
    project.withdraw("3", "few accepted")
    project.use("3")
    project.use("2")
    break_weights(project.get("2"))
    assert serving(project) == "1"


class TestRepair:
    def test_versions_of_their_own(self, project: ProjectStore, tmp_path: Path) -> None:
        project.promote(add(project).version)
        repair = project.repair
        assert serving(repair) is None
        repair.promote(add(repair, b"repair").version)
        assert (serving(project), serving(repair)) == ("1", "1")
        assert (repair.id, repair.root) == (project.id, project.root)
        project.rollback()
        assert (serving(project), serving(repair)) == (None, "1")
        again = Store(tmp_path / "store").project(project.root)
        assert serving(again.repair) == "1"
        assert [version.version for version in again.versions()] == ["1"]

    def test_it_may_come_first(self, project: ProjectStore, tmp_path: Path) -> None:
        project.repair.promote(add(project.repair).version)
        assert Store(tmp_path / "store").knows(project.root)
        assert [one.root for one in Store(tmp_path / "store").projects()] == [project.root]

    def test_one_training_at_a_time(self, project: ProjectStore, tmp_path: Path) -> None:
        other = Store(tmp_path / "store").project(project.root)
        busy: list[str] = []

        def contend(store: ProjectStore) -> None:
            try:
                with store.candidate():
                    pass
            except TrainingBusy:
                busy.append(store.directory.name)

        for holder, contender in ((project, other.repair), (project.repair, other)):
            with holder.lock():
                thread = threading.Thread(target=contend, args=(contender,))
                thread.start()
                thread.join()
        assert busy == ["repair", project.id]

    def test_all_goes(self, project: ProjectStore) -> None:
        project.repair.promote(add(project.repair).version)
        project.delete_all()
        assert project.repair.versions() == []
        assert not (project.directory / "repair").exists()
