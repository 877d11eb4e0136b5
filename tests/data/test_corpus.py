"""Reading the documents of a corpus file."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from nearfar.data import write_jsonl
from nearfar.data._arrow import Gathered
from nearfar.data.corpus import corpus_sha256, index_beside, read_corpus, where_is
from nearfar.errors import InputError

BEIR = '{"_id": "d1", "title": "Cats", "text": "sit"}\n{"_id": "d2", "title": "", "text": "run"}\n'


def test_rows_of_any_file_have_no_ids(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    ids, texts = read_corpus(tmp_path / "a.txt")
    assert (ids, list(texts)) == (None, ["one", "two"])
    (tmp_path / "a.csv").write_text("body\nthree\n")
    assert list(read_corpus(tmp_path / "a.csv", {"text": "body"})[1]) == ["three"]


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_corpus_has_ids_and_titles(tmp_path: Path, name: str) -> None:
    content = BEIR.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    ids, texts = read_corpus(tmp_path / name)
    assert (ids, list(texts)) == (["d1", "d2"], ["Cats sit", "run"])
    with pytest.raises(InputError, match=rf"{name}: .*--columns"):
        read_corpus(tmp_path / name, {"text": "title"})


def test_texts_beyond_a_limit_are_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is written to a file that is mapped: what is in memory does not grow with the corpus."""
    monkeypatch.setattr("nearfar.data.corpus.ROWS", 2)
    held: list[int] = []
    monkeypatch.setattr("nearfar.data._arrow.Gathered.__init__.__defaults__", (1,))
    add = Gathered.add

    def counted(self: Gathered, batch: pa.RecordBatch) -> None:
        add(self, batch)
        held.append(sum(each.num_rows for each in self.batches))

    monkeypatch.setattr(Gathered, "add", counted)
    write_jsonl([{"_id": str(row), "title": f"t{row}", "text": "x"} for row in range(7)], tmp_path / "corpus.jsonl")
    ids, texts = read_corpus(tmp_path / "corpus.jsonl")
    assert ids == [str(row) for row in range(7)]
    assert list(texts) == [f"t{row} x" for row in range(7)]
    assert texts[2:4] == ["t2 x", "t3 x"]
    assert held == [0, 0, 0, 0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_corpus_without_ids_is_a_table(tmp_path: Path, stream: bool) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text('{"text": "sit"}\n{"text": "run"}\n')
    ids, texts = read_corpus(file, stream=stream)
    assert (ids, list(texts)) == (None, [["sit", "run"]] if stream else ["sit", "run"])
    file.write_text('{"body": "sit"}\n')
    assert list(read_corpus(file, {"text": "body"}, stream=stream)[1]) == ([["sit"]] if stream else ["sit"])
    file.write_text('{"text": "sit"}\n{"_id": "d2", "text": "run"}\n')
    with pytest.raises(InputError, match=r"corpus\.jsonl:1: _id: is missing"):
        list(read_corpus(file, stream=stream)[1])


def test_another_name_is_no_beir_corpus(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(BEIR)
    assert read_corpus(tmp_path / "mine.jsonl")[0] is None


def test_the_hash_of_a_folder_changes_with_any_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    (folder / "inner").mkdir(parents=True)
    seen = set()
    for name, text in (("a.txt", "one"), ("inner/b.txt", "two"), ("inner/b.txt", "three"), ("c.txt", "one")):
        (folder / name).write_text(text)
        seen.add(corpus_sha256(folder))
    assert len(seen) == 4
    assert corpus_sha256(folder / "a.txt") == corpus_sha256(folder / "c.txt")
    with pytest.raises(InputError, match="nowhere"):
        corpus_sha256(tmp_path / "nowhere.txt")


def test_a_corpus_of_the_hub_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.dataset_info", lambda name: SimpleNamespace(sha=f"commit of {name}"))
    assert corpus_sha256("user/name:config") == "commit of user/name"
    assert (index_beside("user/name:config"), where_is("user/name")) == (Path("name-config.index"), "user/name")
    (tmp_path / "user" / "name").mkdir(parents=True)
    assert index_beside("user/name") == Path("user/name.index")

    def unreachable(name: str) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.dataset_info", unreachable)
    with pytest.raises(InputError, match=r"'user/other' is neither .*no route"):
        corpus_sha256("user/other")
