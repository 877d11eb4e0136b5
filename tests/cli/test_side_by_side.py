"""Two commands on one folder or file: one works, the other says so in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.writing import file_claimed, folder_claimed

from .conftest import Nearfar

QUICK = ("--set", "max_steps=2", "--set", "batch_size=8", "--model", "tiny")
FOLDERS = {
    "train": ("train", "infonce", "--data", "pairs.jsonl", "--out", "busy", *QUICK),
    "compare": ("compare", "infonce", "--data", "pairs.jsonl", "--eval", "heldout.jsonl", "--out", "busy", *QUICK),
    "sweep": ("sweep", "infonce", "--data", "pairs.jsonl", "--eval", "labelled.jsonl", "--out", "busy", *QUICK),
    "inspect": ("inspect", "tiny", "--data", "pairs.jsonl", "--out", "busy"),
    "demo": ("demo", "--out", "busy", "--model", "tiny"),
    "flow --store": ("flow", "calls.csv", "--out", "f.html", "--store", "busy", "--model", "tiny"),
}
FILES = {
    "encode": ("encode", "tiny", "sentences.jsonl", "--out", "busy.npy"),
    "predict": ("predict", "tiny", "sentences.jsonl", "--out", "busy.jsonl"),
    "search": ("search", "tiny", "sentences.jsonl", "the cat", "--index", "busy"),
    "flow": ("flow", "calls.csv", "--out", "busy.html", "--model", "tiny"),
    "flow --export": ("flow", "calls.csv", "--out", "f.html", "--export", "busy.json", "--model", "tiny"),
    "fuse": ("fuse", "tiny", "tiny", "tiny", "--out", "busy"),
    "refine generate": ("refine", "generate", "sentences.jsonl", "--out", "busy.jsonl", "--model", "tiny"),
    "refine filter": ("refine", "filter", "pairs.jsonl", "--out", "busy.jsonl", "--encoder", "tiny"),
    "refine --calls": (
        *("refine", "generate", "sentences.jsonl", "--out", "g.jsonl", "--model", "tiny"),
        *("--calls", "busy.jsonl"),
    ),
    "generate": ("generate", "tiny", "--prompt", "the cat", "--out", "busy.jsonl"),
    "evaluate": (
        *("evaluate", "tiny", "--data", "heldout.jsonl", "--dims", "8"),
        *("--report", "busy.html"),
    ),
}


@pytest.fixture
def elsewhere(workspace: Path):
    """Claims a path for a command that runs in another thread, as another process would."""
    import threading

    (workspace / "calls.csv").write_text("dialogue_id,speaker,text\n1,user,a cat\n1,agent,a dog\n")
    done, claimed = threading.Event(), threading.Event()
    threads = []

    def claim(how, path: str) -> None:
        def hold() -> None:
            with how(workspace / path):
                claimed.set()
                done.wait(60)

        threads.append(threading.Thread(target=hold))
        threads[0].start()
        assert claimed.wait(60)

    yield claim
    done.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_the_second_command_says_that_another_is_at_work(
    name: str, workspace: Path, nearfar: Nearfar, elsewhere
) -> None:
    arguments = {**FOLDERS, **FILES}[name]
    busy = next(each for each in arguments if each.startswith("busy"))
    elsewhere(folder_claimed if name in FOLDERS else file_claimed, busy)
    there = {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.is_file()}
    ended = nearfar(*arguments)
    lines = [line for line in ended.err.splitlines() if line.startswith("nearfar:")]
    assert ended.code == 2, ended.err
    assert len(lines) == 1
    assert "another process is at work here (process " in lines[0]
    assert f"{busy}: --" in lines[0]
    assert {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.is_file()} == there


def test_wrong_input_leaves_no_folder_behind(workspace: Path, nearfar: Nearfar) -> None:
    (workspace / "bad.jsonl").write_text('{"anchor": 1}\n')
    before = set(workspace.rglob("*"))
    assert nearfar("train", "infonce", "--data", "bad.jsonl", "--out", "new/run", *QUICK).code == 2
    assert nearfar("compare", "infonce", "--data", "bad.jsonl", "--out", "new/out", *QUICK).code == 2
    assert nearfar("encode", "tiny", "bad.jsonl", "--out", "new/v.npy").code == 2
    assert set(workspace.rglob("*")) == before


def test_what_a_killed_command_left_is_in_nobodys_way(workspace: Path, nearfar: Nearfar) -> None:
    (workspace / "run").mkdir()
    (workspace / "run" / ".lock").write_text("{}")
    (workspace / ".v.npy.lock").touch()
    (workspace / ".v.npy.4711.part").touch()
    assert nearfar("train", "infonce", "--data", "pairs.jsonl", "--out", "run", *QUICK).code == 0
    assert nearfar("encode", "tiny", "sentences.jsonl", "--out", "v.npy").code == 0
    assert not [path for path in workspace.rglob(".*") if "tiny" not in path.parts]
