"""Files that are compressed with Zstandard: every reader, several frames, and damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load, load_retrieval, write_jsonl
from nearfar.data.corpus import read_corpus
from nearfar.data.documents import load_documents
from nearfar.data.files import open_binary, text_lines
from nearfar.errors import InputError


def packed(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


ROWS = {
    "x.jsonl": b'{"anchor": "a", "positive": "b"}\n{"anchor": "c", "positive": "d"}\n',
    "x.json": b'[{"anchor": "a", "positive": "b"}, {"anchor": "c", "positive": "d"}]',
    "x.csv": b"\xef\xbb\xbfanchor,positive\na,b\nc,d\n",
    "x.tsv": b"anchor\tpositive\na\tb\nc\td\n",
}


@pytest.mark.parametrize("name", ROWS)
def test_tables(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.zst"
    path.write_bytes(packed(ROWS[name]))
    assert load(path).to_list() == [{"anchor": "a", "positive": "b"}, {"anchor": "c", "positive": "d"}]
    assert load(tmp_path).to_list() == load(path).to_list(), "in a folder too"


def test_parquet_is_unpacked_first(tmp_path: Path) -> None:
    pq.write_table(pa.table({"anchor": ["a"] * 3000, "positive": ["b"] * 3000}), tmp_path / "x.parquet")
    path = tmp_path / "y.parquet.zst"
    path.write_bytes(packed((tmp_path / "x.parquet").read_bytes()))
    assert len(load(path)) == 3000
    other = tmp_path / "z.parquet.gz"
    other.write_bytes(gzip.compress((tmp_path / "x.parquet").read_bytes()))
    assert len(load(other)) == 3000


def test_plain_text_and_beir_format(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.zst"
    path.write_bytes(packed("één\ntwee\n\ndrie\n".encode()))
    assert load(path)["text"][:] == ["één", "twee", "drie"]
    assert load_documents(path)["text"][:] == ["één\ntwee", "drie"]
    folder = tmp_path / "beir"
    folder.mkdir()
    write_jsonl([{"_id": "1", "title": "t", "text": "a"}], folder / "corpus.jsonl")
    write_jsonl([{"_id": "q", "text": "b"}], folder / "queries.jsonl")
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.zst").write_bytes(packed((folder / name).read_bytes()))
        (folder / name).unlink()
    (folder / "qrels-test.tsv.zst").write_bytes(packed(b"q\t1\t1\n"))
    assert load_retrieval(folder).relevant == {"q": {"1": 1}}
    ids, texts = read_corpus(folder / "corpus.jsonl.zst")
    assert (ids, list(texts)) == (["1"], ["t a"])


def test_several_frames_and_large_files(tmp_path: Path) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(50_000))
    path = tmp_path / "x.txt.zst"
    path.write_bytes(packed(lines) + packed(b"the end\n"))
    with open_binary(path) as raw:
        assert raw.read() == lines + b"the end\n"
    assert sum(1 for _ in text_lines(path)) == 50_001


@pytest.mark.parametrize("damage", ["cut", "junk", "another"])
def test_damage_is_one_line(tmp_path: Path, damage: str) -> None:
    lines = packed(b"".join(b"line %d\n" % number for number in range(50_000)))
    path = tmp_path / "x.txt.zst"
    path.write_bytes({"cut": lines[:-20], "junk": lines + b"junk", "another": b"no frame at all"}[damage])
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.file == path
    assert ("truncated" in str(caught.value)) == (damage == "cut")


def test_the_name_has_to_say_it(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(packed(ROWS["x.jsonl"]))
    with pytest.raises(InputError, match=r"\.zst"):
        load(tmp_path / "x.jsonl")
    path = tmp_path / "x.csv.zst"
    path.write_bytes(packed(b""))
    with pytest.raises(InputError, match="is empty"):
        load(path)
