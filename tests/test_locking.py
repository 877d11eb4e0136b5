"""One process at a time on a file or a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.writing import LOCK, file_claimed, folder_claimed

HOLDER = """
import sys
from pathlib import Path
from nearfar import writing
with getattr(writing, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def held(how: str, path: Path) -> subprocess.Popen[str]:
    """Another process that has claimed a path, until its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, how, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


CLAIMS = {"file_claimed": file_claimed, "folder_claimed": folder_claimed}


@pytest.mark.parametrize("how", CLAIMS)
def test_a_second_process_is_told_who_is_at_work(how: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "out"
    other = held(how, path)
    told = rf"another process is at work here \(process {other.pid} on .+, since 2"
    with pytest.raises(InputError, match=told), CLAIMS[how](path):
        raise AssertionError("never here")
    other.communicate("")
    assert list(tmp_path.iterdir()) == [], "what was made for the lock alone is gone"
    with CLAIMS[how](path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", CLAIMS)
def test_the_lock_of_a_killed_process_is_free(how: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    other = held(how, path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    lock = path / LOCK if how == "folder_claimed" else tmp_path / ".out.lock"
    assert lock.exists()
    with CLAIMS[how](path):
        assert f'"process": {os.getpid()},' in lock.read_text()
    assert not lock.exists()


def test_waits_where_it_is_asked_to(tmp_path: Path) -> None:
    other = held("folder_claimed", tmp_path)
    assert other.stdin is not None
    other.stdin.close()
    with folder_claimed(tmp_path, wait=60):
        pass


def test_the_same_thread_may_claim_twice(tmp_path: Path) -> None:
    with folder_claimed(tmp_path / "out"):
        with folder_claimed(tmp_path / "out"):
            (tmp_path / "out" / "kept").touch()
        with pytest.raises(InputError, match="at work"):
            held_elsewhere(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept"]


def held_elsewhere(path: Path) -> None:
    """Claim in another thread."""
    from concurrent.futures import ThreadPoolExecutor

    def claim() -> None:
        with folder_claimed(path):
            pass

    with ThreadPoolExecutor(1) as pool:
        pool.submit(claim).result()


def test_a_child_that_was_forked_off_frees_nothing(tmp_path: Path) -> None:
    with folder_claimed(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                raise SystemExit  # leaves through the block
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert (tmp_path / LOCK).exists()


def test_a_folder_that_vanishes_under_a_claim_is_made_again(tmp_path: Path) -> None:
    """Two that start together, of which the first is refused and removes what it made."""
    script = "from nearfar.writing import folder_claimed\nfrom nearfar.errors import InputError\nimport sys\n"
    script += "for _ in range(300):\n try:\n  with folder_claimed(sys.argv[1]): pass\n except InputError: pass\n"
    several = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "out" / "deep")]) for _ in range(3)]
    assert [each.wait(timeout=120) for each in several] == [0, 0, 0]
    # Who made a folder and leaves while another is in it leaves it to stay, empty.
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_half_written_files_of_killed_processes_go(tmp_path: Path) -> None:
    mine, other = tmp_path / ".v.npy.123.part", tmp_path / ".w.npy.123.part"
    for draft in (mine, other):
        draft.touch()
    with file_claimed(tmp_path / "v.npy"):
        assert not mine.exists()
    assert other.exists()
    with folder_claimed(tmp_path):
        pass
    assert not other.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = "file/out: --out: cannot be written"
    with pytest.raises(InputError, match=told), folder_claimed(tmp_path / "file" / "out"):
        raise AssertionError("never here")
