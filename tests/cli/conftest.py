from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nearfar.cli.app import run

NOUNS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank"]
NOUN_PAIRS = [(a, b) for a in NOUNS for b in NOUNS if a != b]


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1, self.out
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


Nearfar = Callable[..., Ended]


def jsonl(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_tables(folder: Path) -> None:
    """Good rows of every kind that a command takes."""
    pairs = [{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in NOUN_PAIRS]
    (folder / "pairs.jsonl").write_text(jsonl(pairs))
    (folder / "heldout.jsonl").write_text(jsonl(pairs[:12]))
    labelled = [{"text": f"the {a} and a {b}", "label": a} for a, b in NOUN_PAIRS]
    (folder / "labelled.jsonl").write_text(jsonl(labelled))
    (folder / "sentences.jsonl").write_text(jsonl({"text": row["text"]} for row in labelled))
    scores = [{"sentence1": f"the {a}", "sentence2": f"a {b}", "score": len(a + b)} for a, b in NOUN_PAIRS[:20]]
    (folder / "sts.jsonl").write_text(jsonl(scores))
    (folder / "beir" / "qrels").mkdir(parents=True)
    (folder / "beir" / "corpus.jsonl").write_text(jsonl({"_id": noun, "text": f"the {noun}"} for noun in NOUNS))
    (folder / "beir" / "queries.jsonl").write_text(jsonl({"_id": f"q{noun}", "text": noun} for noun in NOUNS))
    (folder / "beir" / "qrels" / "test.tsv").write_text("".join(f"q{noun}\t{noun}\t1\n" for noun in NOUNS))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors as tiny as these are done before a second thread wakes up."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def workspace(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with tables and the tiny model as `tiny`, in which a test may do what it likes."""
    # Whatever the machine's environment says, no command must reach for the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = tmp_path / "work"
    folder.mkdir()
    write_tables(folder)
    shutil.copytree(tiny_model_folder, folder / "tiny")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def nearfar(capsys: pytest.CaptureFixture[str]) -> Nearfar:
    """Runs a command in this process."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call
