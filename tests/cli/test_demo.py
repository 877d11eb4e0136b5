"""`nearfar demo` from end to end, on a small library instead of Python's own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfar.data import load, load_retrieval
from nearfar.demo.docstrings import part_of
from nearfar.demo.questions import COUNT, SHOWN, sample_questions

from .conftest import NOUNS, Nearfar

VERBS = ["sits", "runs", "flies", "swims", "plays", "sings"]
# Steps so small that no ranking changes: there is no improvement to report.
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
    assert refused.err.startswith("nearfar: nearfar-demo: --out: ")
    assert "--resume" in refused.err

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
    questions = sample_questions(load_retrieval(folder / "data" / "test"), 0)
    for question in questions:
        place = answers.index(question.text)
        rank = int(re.findall(r"rank (\d+) of 360", answers[place + 1])[0])
        hits = answers[place + 2 : place + 2 + SHOWN + (rank > SHOWN)]
        assert all("(house, tree)" in hit for hit in hits)
        # The expected entry is always shown and marked, with its true rank.
        assert [int(hit[4:].split()[0]) for hit in hits] == [*range(1, SHOWN + 1), *([rank] if rank > SHOWN else [])]
        assert [i for i, hit in enumerate(hits) if hit.startswith("  * ")] == [min(rank - 1, SHOWN)]
        assert any(f"{name.rpartition('.')[2]}(" in hits[min(rank - 1, SHOWN)] for name in question.expected)
        assert answers[place + 1].strip().startswith("found" if rank <= 10 else "not found")
    page = (folder / "report.html").read_text()
    assert verdict.partition(":")[0] in page
    assert "there is no interval" in page
    assert "Better:" not in page
    for question in questions:
        assert question.text in page

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
    assert list(told["answers"]) == list(told["expected"]) == [question.text for question in questions]
    assert len(questions) == COUNT
    assert all(len(hits) == SHOWN for hits in told["answers"].values())
    for text, hits in told["answers"].items():
        expected = told["expected"][text]
        ranks = [hit["rank"] for hit in hits if hit["id"] in expected["entries"]]
        assert ranks == ([expected["rank"]] if expected["rank"] <= SHOWN else [])


def test_a_python_without_its_library_as_source_files(workspace: Path, library: Path, nearfar: Nearfar):
    for path in sorted(library.glob("*.py"))[1:]:
        path.unlink()
    ended = nearfar("demo", "--model", "tiny", "--out", "new/demo")
    assert ended.code == 2
    assert "30 documented entries" in ended.err.splitlines()[-1]
    assert not (workspace / "new").exists()
