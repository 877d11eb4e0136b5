"""A run's folder: what counts as a checkpoint, what a resumed run must share, and whom a folder belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nearfar.errors import InputError
from nearfar.kinds._trainer_files import COMPLETE
from nearfar.training.folder import RunFolder, check_free, read_configuration

#: As `nearfar.training.run` records it, without what decides nothing.
CONFIGURATION: dict[str, Any] = {
    "recipe": "infonce",
    "data": {"source": "/rows.jsonl", "rows": 100, "sha256": "aa"},
    "columns": {"anchor": "q"},
    "model": {"name": "minilm", "weights": "bb"},
    "evaluation": "/held.jsonl",
    "evaluation_columns": None,
    "evaluation_sha256": "ee",
    "options": {"epochs": 1.0, "temperature": 0.05},
    "seed": 0,
    "command": "nearfar train",
    "versions": {"nearfar": "1"},
}


def checkpoint(folder: RunFolder, step: int, *, stage: int = 1, whole: bool = True) -> Path:
    made = folder.checkpoints_of(stage) / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "model.safetensors").touch()
    if whole:
        (made / COMPLETE).touch()
    return made


def test_a_run_goes_on_from_its_last_whole_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.last_checkpoint() is None
    checkpoint(folder, 9)
    tenth = checkpoint(folder, 10)  # by number, not by letters
    half = checkpoint(folder, 11, whole=False)
    other = folder.checkpoints / "checkpoint-notes"
    other.mkdir()
    assert folder.last_checkpoint() == tenth
    assert not half.exists()
    assert other.exists()


def test_stages_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    first, third = checkpoint(folder, 5), checkpoint(folder, 2, stage=3)
    assert [folder.last_checkpoint(stage) for stage in (1, 2, 3)] == [first, None, third]
    assert len({folder.checkpoints_of(stage) for stage in (1, 2, 3)}) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipe", "simcse"),
        ("data", {"source": "/rows.jsonl", "rows": 100, "sha256": "cc"}),
        ("columns", None),
        ("model", {"name": "minilm", "weights": "dd"}),
        ("evaluation", None),
        ("evaluation_columns", {"anchor": "q"}),
        ("evaluation_sha256", "ff"),
        ("evaluation_sha256", None),
        ("options", {"epochs": 1.0, "temperature": 0.1}),
        ("options", {"epochs": 1.0, "temperature": 0.05, "new": 3}),
        ("options", {"epochs": 1.0}),
        ("seed", 1),
    ],
)
def test_a_run_is_resumed_only_as_it_was_begun(field: str, value: Any, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(CONFIGURATION)
    folder.check({**CONFIGURATION, "command": "nearfar train --resume", "versions": {"nearfar": "2"}}, resume=True)
    with pytest.raises(InputError) as caught:
        folder.check({**CONFIGURATION, field: value}, resume=True)
    assert (caught.value.field or "").partition(".")[0] == field
    assert caught.value.file == folder.configuration


def test_a_run_is_resumed_with_another_number_of_processes_that_load_batches(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.start({**CONFIGURATION, "options": {**CONFIGURATION["options"], "workers": 8}})
    for options in ({**CONFIGURATION["options"], "workers": 0}, CONFIGURATION["options"]):
        assert folder.check({**CONFIGURATION, "options": options}, resume=True) == {}


def test_other_evaluation_rows_are_named_by_their_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(CONFIGURATION)
    with pytest.raises(InputError, match=r"/held\.jsonl"):
        folder.check({**CONFIGURATION, "evaluation_sha256": "ff"}, resume=True)


def test_a_run_of_a_version_that_did_not_hash_evaluation_rows_is_resumed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start({name: value for name, value in CONFIGURATION.items() if name != "evaluation_sha256"})
    assert folder.check(CONFIGURATION, resume=True) == {}


def test_a_resumed_run_keeps_what_was_recorded(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(CONFIGURATION)
    folder.start({**CONFIGURATION, "command": "nearfar train --resume"})
    assert read_configuration(folder.configuration) == CONFIGURATION


def test_a_folder_is_free_or_has_the_run_to_resume(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.check(CONFIGURATION, resume=False)
    with pytest.raises(InputError) as caught:
        folder.check_free(resume=True)
    assert caught.value.field == "--resume"
    folder.path.mkdir()
    folder.check_free(resume=False)  # an empty folder is free
    (folder.path / "notes.txt").touch()
    with pytest.raises(InputError) as caught:
        folder.check_free(resume=False)
    assert caught.value.field == "--out"
    folder.start(CONFIGURATION)
    folder.check_free(resume=True)
    with pytest.raises(InputError):
        folder.check_free(resume=False)
    with pytest.raises(InputError):
        check_free(tmp_path / "run" / "notes.txt" / "run.yaml", "run", resume=False)  # a file is no folder


@pytest.mark.parametrize("content", [b"a: [1", b"- 1\n", b"\xff\xfe", b""])
def test_a_damaged_configuration_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path).check(CONFIGURATION, resume=True)
    assert caught.value.file == file


def test_files_are_written_as_they_are_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(CONFIGURATION)
    assert yaml.safe_load(folder.configuration.read_text("utf-8")) == CONFIGURATION
    with pytest.raises(ValueError, match="JSON"):
        folder.write_json(folder.metrics, {"loss": float("nan")})
    assert not folder.metrics.exists()

    def save(path: str) -> None:
        Path(path).mkdir()
        (Path(path) / "weights").write_text("new")

    folder.model.mkdir()
    (folder.model / "old").touch()
    folder.replace_model(save)
    assert [file.name for file in folder.model.iterdir()] == ["weights"]


def of_tasks(**hashes: str) -> dict[str, Any]:
    """A configuration on a stream; the hash of each task by its name."""
    sets = {name: {"source": f"/{name}.jsonl", "rows": 10, "sha256": found} for name, found in hashes.items()}
    source = ", ".join(each["source"] for each in sets.values())
    return {**CONFIGURATION, "data": {"source": source, "rows": 10 * len(sets), "sets": sets}}


def test_tasks_can_be_added_to_a_finished_run_with_other_evaluation_rows(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(of_tasks(a="11", b="22"))
    longer = {**of_tasks(a="11", b="22", c="33"), "evaluation": "/more.jsonl", "evaluation_sha256": "ff"}
    with pytest.raises(InputError):  # it is not finished
        folder.check(longer, True)
    folder.metrics.write_text('{"steps": 20, "stages": [{"steps": 10}, {"steps": 10}]}')
    changed = folder.check(longer, True)
    assert changed == {"stream": (["a", "b"], ["a", "b", "c"])}
    folder.lengthen(longer, changed)
    there = read_configuration(folder.configuration)
    assert there["data"] == longer["data"]
    assert there["lengthened"] == [{"steps": 20, "options": {}, "tasks": ["a", "b"]}]
    assert not folder.metrics.exists()


@pytest.mark.parametrize("now", [{"a": "11"}, {"a": "11", "b": "23", "c": "33"}, {"c": "33", "a": "11", "b": "22"}])
def test_earlier_tasks_stay_as_they_were(tmp_path: Path, now: dict[str, str]) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(of_tasks(a="11", b="22"))
    folder.metrics.write_text('{"steps": 20}')
    with pytest.raises(InputError, match="data"):
        folder.check(of_tasks(**now), True)


@pytest.mark.parametrize(
    ("resume", "checkpoints", "main", "kept"),
    [(False, False, True, False), (True, False, True, True), (False, True, True, True), (False, False, False, True)],
)
def test_only_a_new_run_without_a_checkpoint_is_cleared_when_refused(
    resume: bool, checkpoints: bool, main: bool, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.start(CONFIGURATION)
    (tmp_path / "note.txt").write_text("mine")
    checkpoint(folder, 3, whole=checkpoints)
    monkeypatch.setattr("nearfar.training.folder.is_main_process", lambda: main)
    with pytest.raises(InputError), folder.cleared_if_refused(resume):
        raise InputError("a row has no negative")
    assert folder.configuration.exists() == kept
    assert (tmp_path / "note.txt").read_text() == "mine"
    assert not list(folder.checkpoints.glob("*/model.safetensors")) or kept


def test_another_error_clears_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.start(CONFIGURATION)
    with pytest.raises(KeyboardInterrupt), folder.cleared_if_refused(resume=False):
        raise KeyboardInterrupt
    assert folder.configuration.exists()
