"""Copies of an index in databases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfar.data import write_jsonl
from nearfar.data.corpus import read_corpus
from nearfar.errors import InputError
from nearfar.search import SearchIndex, open_or_build
from nearfar.search.stores import store_index
from search.helpers import CORPUS


@pytest.fixture
def index(tiny_model, tmp_path: Path) -> SearchIndex:
    corpus = tmp_path / "texts.jsonl"
    write_jsonl([{"text": text, "words": len(text.split())} for text in CORPUS], corpus)
    return open_or_build(tiny_model, corpus, lambda: read_corpus(corpus), tmp_path / "index")


def vectors_of(index: SearchIndex) -> np.ndarray:
    return index.vectors_of(np.arange(len(CORPUS)))


def test_a_parquet_file_has_ids_and_lists_of_fixed_size(index: SearchIndex, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = store_index(index, "parquet", tmp_path / "x.parquet", fields=["words"])
    assert (done.count, done.checked, done.found) == (90, 20, 20)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.schema.names == ["id", "text", "words", "vector"]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 32)
    assert table.column("id").to_pylist() == [str(row) for row in range(1, 91)]
    np.testing.assert_array_equal(np.array(table.column("vector").to_pylist(), np.float32), vectors_of(index))


def test_a_table_of_lancedb(index: SearchIndex, tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    done = store_index(index, "lancedb", tmp_path / "documents.lance", fields=["words"])
    assert done.found == done.checked == 20
    table = lancedb.connect(str(tmp_path)).open_table("documents")
    assert table.count_rows() == 90
    (hit,) = table.search(vectors_of(index)[7].tolist()).where("words = 6").limit(1).to_list()
    assert (hit["id"], hit["text"]) == ("8", CORPUS[7])
    with pytest.raises(InputError, match="already exists"):
        store_index(index, "lancedb", tmp_path / "documents.lance")


@pytest.mark.parametrize(("store", "name"), [("parquet", "x.parquet"), ("lancedb", "x.lance")])
def test_what_a_killed_export_left_is_removed(index: SearchIndex, tmp_path: Path, store: str, name: str) -> None:
    pytest.importorskip("lancedb" if store == "lancedb" else "pyarrow")
    place = tmp_path / "exports"
    (place / f".{name}.999999.part").mkdir(parents=True)
    (place / f".{name}.lock").touch()
    store_index(index, store, place / name)
    assert [path.name for path in place.iterdir()] == [name]


def test_a_table_of_lancedb_that_fails_leaves_nothing(index: SearchIndex, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")

    def stop(done: int, total: int) -> None:
        raise RuntimeError("stopped")

    place = tmp_path / "database"
    place.mkdir()
    with pytest.raises(Exception, match="stopped"):
        store_index(index, "lancedb", place / "x.lance", progress=stop)
    assert not list(place.iterdir())


def test_a_collection_of_qdrant(index: SearchIndex, tmp_path: Path) -> None:
    qdrant_client = pytest.importorskip("qdrant_client")
    done = store_index(index, "qdrant", tmp_path / "documents", fields=["words"])
    assert done.found == done.checked == 20
    client = qdrant_client.QdrantClient(path=str(tmp_path / "documents"))
    assert client.count("documents").count == 90
    (point,) = client.query_points("documents", query=vectors_of(index)[7].tolist(), limit=1).points
    assert point.payload == {"id": "8", "text": CORPUS[7], "words": 6}
    client.close()
    with pytest.raises(InputError, match="already exists"):
        store_index(index, "qdrant", tmp_path / "documents")


def test_what_is_refused(index: SearchIndex, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lancedb, qdrant, parquet"):
        store_index(index, "faiss", tmp_path / "x")
    with pytest.raises(InputError, match="parquet"):
        store_index(index, "parquet", tmp_path / "x.csv")
    with pytest.raises(InputError, match="no such column"):
        store_index(index, "parquet", tmp_path / "x.parquet", fields=["year"])
    with pytest.raises(InputError, match="'text' of its own"):
        store_index(index, "parquet", tmp_path / "x.parquet", fields=["words", "text"])
    assert not (tmp_path / "x.parquet").exists()


def test_a_server_that_does_not_answer(index: SearchIndex) -> None:
    pytest.importorskip("qdrant_client")
    with pytest.raises(InputError, match="cannot be reached"):
        store_index(index, "qdrant", "http://127.0.0.1:9/documents")


def test_the_command(index: SearchIndex, tmp_path: Path, tiny_model_folder: Path, capsys) -> None:
    import json

    from nearfar.cli.app import run

    corpus = tmp_path / "texts.jsonl"
    assert run(["search", str(tiny_model_folder), str(corpus), "the cat", "--index", str(tmp_path / "named")]) == 0
    capsys.readouterr()
    command = ["export", str(tmp_path / "named"), "--for", "parquet", "--out", str(tmp_path / "x.parquet")]
    assert run([*command, "--fields", "words", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 20
    assert run([*command, "--int8"]) == 2
    assert "--int8" in capsys.readouterr().err
