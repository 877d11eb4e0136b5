"""What is uploaded: the model, its card, figures and report, and nothing of this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.models.loading import load
from nearfar.models.sums import changes
from nearfar.serving.pushing import push


class FakeApi:
    """A Hub that keeps what it is given."""

    def __init__(self, *, private: bool | None = None, error: Exception | None = None) -> None:
        self.private, self.error, self.created, self.files = private, error, {}, {}

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> str:
        if self.error is not None:
            raise self.error
        self.created = {"repo_id": repo_id, "private": private}
        # A repository that exists stays as it is.
        self.private = private if self.private is None else self.private
        return f"https://huggingface.co/{repo_id}"

    def repo_info(self, repo_id: str) -> Any:
        return SimpleNamespace(private=self.private)

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
        root = Path(folder_path)
        self.files = {
            file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()
        }


def test_a_dry_run_writes_what_is_uploaded(trained: Path, tmp_path: Path) -> None:
    api = FakeApi()
    pushed = push(trained, "me/search", api=api)
    dry = push(trained, "me/search", dry_run=tmp_path / "upload")
    written = {name: (tmp_path / "upload" / name).read_bytes() for name in dry.files}
    assert written == api.files
    assert {"README.md", "model.safetensors", "metrics.json", "report.html", "run.yaml"} <= set(written)
    assert api.created == {"repo_id": "me/search", "private": True}
    assert (pushed.private, pushed.url) == (True, "https://huggingface.co/me/search")
    assert not changes(tmp_path / "upload")[1]
    assert load(tmp_path / "upload").encode("a cat").shape == (32,)


def test_nothing_of_this_machine_and_no_rows_are_uploaded(trained: Path, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    shutil.copytree(trained, tmp_path / "run", dirs_exist_ok=True)
    for name in ("optimizer.pt", ".lock"):
        (tmp_path / "run/model" / name).write_bytes(b"")
    api = FakeApi()
    push(tmp_path / "run", "me/search", api=api)
    assert not [name for name in api.files if "checkpoint" in name or name.endswith((".pt", ".lock", ".jsonl"))]
    for name, content in api.files.items():
        for own in (str(pairs.parent), str(tmp_path), str(Path.home()) + "/", "the cat sits on a dog"):
            assert own.encode() not in content, (name, own)
    settings = yaml.safe_load(api.files["run.yaml"])
    assert settings["data"]["source"] == settings["evaluation"] == pairs.name
    assert "command" not in settings


def test_a_file_with_the_home_folder_is_refused(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["note"] = str(Path.home() / "secret.txt")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=r"metrics\.json"):
        push(folder, "me/search", dry_run=tmp_path / "upload")
    assert not (tmp_path / "upload").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_repository_that_is_public_already_needs_the_option(trained: Path) -> None:
    api = FakeApi(private=False)
    with pytest.raises(InputError, match="--public"):
        push(trained, "me/search", api=api)
    assert not api.files
    assert not push(trained, "me/search", public=True, api=api).private
    assert api.files


def test_what_the_hub_says_is_one_line(trained: Path) -> None:
    with pytest.raises(InputError, match="no space for you"):
        push(trained, "me/search", api=FakeApi(error=OSError("no space for you\nmore")))


def test_without_a_token_the_command_ends_with_2(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert run(["push", str(trained), "--to", "me/search"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_lists_the_files(trained: Path, tmp_path: Path, capsys) -> None:
    assert run(["push", str(trained), "--to", "me/search", "--dry-run", str(tmp_path / "up"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["private"] is True
    assert "README.md" in found["files"]


def test_other_folders_and_names_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="user/name"):
        push(trained, "search", api=FakeApi())
    with pytest.raises(InputError, match=r"run\.yaml"):
        push(tmp_path, "me/search", api=FakeApi())
    with pytest.raises(InputError, match="already exists"):
        push(trained, "me/search", dry_run=tmp_path)


@pytest.mark.parametrize("name", ["me/a..b", "me/-a", "me/a.git", f"me/{'a' * 97}"])
def test_names_that_the_hub_does_not_take_are_refused(name: str, trained: Path, tmp_path: Path) -> None:
    api = FakeApi()
    for dry_run in (None, tmp_path / "upload"):
        with pytest.raises(InputError, match="--to: invalid repository"):
            push(trained, name, api=api, dry_run=dry_run)
    assert not api.created
    assert not (tmp_path / "upload").exists()


def test_an_adapter_of_a_local_base_model_is_refused(trained: Path, tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    settings = {"base_model_name_or_path": str(tiny_model_folder)}
    (folder / "model/adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="base model"):
        push(folder, "me/search", api=FakeApi())
