"""`nearfar demo` from end to end, on a small library of our own instead of Python's."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfar.data import load, load_retrieval
from nearfar.demo.docstrings import part_of
from nearfar.demo.run import QUERIES

from .conftest import NOUNS, Nearfar

VERBS = ["sits", "runs", "flies", "swims", "plays", "sings"]
# Steps so small that no ranking changes: the demo has nothing to boast of.
SMALL = "--set max_steps=2 --set learning_rate=1e-9 --set batch_size=8 --set max_length=32"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four modules of 30 functions in each part."""
    folder = tmp_path / "library"
    folder.mkdir()
    left = {"train": 4, "validation": 4, "test": 4}
    number = 0
    while any(left.values()):
        number += 1
        part = part_of(f"module{number}", 0)
        if left[part]:
            left[part] -= 1
            source = "raise RuntimeError('source files are read, never run')\n\n"
            for function in range(30):
                noun, verb = NOUNS[function % len(NOUNS)], VERBS[function // 5]
                source += f"def {noun}{function}_of{number}(house, tree):\n"
                source += f'    """The {noun} {verb} by house {function} in street {number}.\n\n    It is green."""\n\n'
            (folder / f"module{number}.py").write_text(source)

    def sources(packages: object) -> Iterator[tuple[Path, Path]]:
        assert list(packages) == []  # type: ignore[call-overload]
        yield from ((folder, path) for path in sorted(folder.glob("*.py")))

    monkeypatch.setattr("nearfar.demo.docstrings._sources", sources)
    return folder


def test_demo(workspace: Path, library: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch):
    command = ["demo", "--model", "tiny", *shlex.split(SMALL)]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nearfar.training.run.train", interrupted)
        stopped = nearfar(*command)
    assert stopped.code == 130
    assert stopped.out == ""
    assert stopped.err.endswith(
        "nearfar: interrupted; what was finished is kept; train and compare go on by --resume\n"
    )

    refused = nearfar(*command)
    assert refused.code == 2
    assert refused.err.startswith("nearfar: nearfar-demo: --out: is there already; pass --resume")

    done = nearfar(*command, "--resume")
    assert done.code == 0, done
    folder = workspace / "nearfar-demo"
    assert {path.name for path in folder.iterdir()} == {"data", "run", "index", "report.html"}
    assert "360 documented entries: 120 to train on, 120 to validate and 120 to test, split by whole" in done.err
    learnt = {row["positive"] for row in load(folder / "data" / "train.jsonl")}
    assert len(learnt) == 120
    for part in ("validation", "test"):
        held_out = load_retrieval(folder / "data" / part)
        assert (len(held_out.corpus), len(held_out.queries)) == (360 if part == "test" else 120, 120)
        # The right answers are entries that training did not see.
        right = {held_out.corpus[entry] for entries in held_out.relevant.values() for entry in entries}
        assert len(right) == 120
        assert not learnt & right

    verdict, *answers = done.out.strip().splitlines()
    assert verdict.startswith("No significant improvement: nDCG@10 went from ")
    assert verdict.endswith("so there is no interval).")
    for query in QUERIES:
        assert answers.count(query) == 1
    assert len([line for line in answers if line.startswith("  0.") and "(house, tree)" in line]) == 3 * len(QUERIES)
    page = (folder / "report.html").read_text()
    assert verdict.partition(":")[0] in page
    assert "all items changed alike" in page
    assert "Better:" not in page
    for query in QUERIES:
        assert query in page

    # What it says to do next works as it stands.
    search = next(line for line in answers if line.startswith("nearfar search "))
    found = nearfar(*shlex.split(search)[1:], "--json")
    assert found.code == 0, found
    assert found.json["hits"][0]["id"].startswith("module")

    again = nearfar(*command, "--resume", "--json")
    assert again.code == 0, again
    told = again.json
    assert (told["folder"], told["entries"]) == ("nearfar-demo", 360)
    assert told["difference"]["low"] <= 0 <= told["difference"]["high"]
    before, after = (told[when]["metrics"]["ndcg@10"] for when in ("before", "after"))
    assert f"went from {before:.3f} to {after:.3f}" in verdict
    assert list(told["answers"]) == list(QUERIES)
    assert all(len(hits) == 3 for hits in told["answers"].values())


def test_a_python_without_its_library_as_source_files(workspace: Path, library: Path, nearfar: Nearfar):
    for path in sorted(library.glob("*.py"))[1:]:
        path.unlink()
    ended = nearfar("demo", "--model", "tiny", "--out", "new/demo")
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == (
        "nearfar: this Python's library has only 30 documented entries; "
        "run the demo with a Python that ships its library as source files"
    )
    assert not (workspace / "new").exists()
