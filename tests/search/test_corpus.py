"""Reading the corpus of a search."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.search.corpus import read_corpus

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
    assert (ids, texts) == (["d1", "d2"], ["Cats sit", "run"])
    with pytest.raises(InputError, match=rf"{name}: .*--columns"):
        read_corpus(tmp_path / name, {"text": "title"})


def test_another_name_is_no_beir_corpus(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(BEIR)
    assert read_corpus(tmp_path / "mine.jsonl")[0] is None
