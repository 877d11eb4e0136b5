"""Copies of an index in databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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


@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_rounded_vectors_are_exported_with_length_1(tiny_model, tmp_path: Path, precision: str) -> None:
    import pyarrow.parquet as pq

    corpus = tmp_path / "texts.jsonl"
    write_jsonl([{"text": text} for text in CORPUS], corpus)
    whole = open_or_build(tiny_model, corpus, lambda: read_corpus(corpus), tmp_path / "whole")
    rounded = open_or_build(tiny_model, corpus, lambda: read_corpus(corpus), tmp_path / "index", precision=precision)
    assert np.abs(np.linalg.norm(vectors_of(rounded), axis=1) - 1).max() > 1e-4
    store_index(rounded, "parquet", tmp_path / "x.parquet")
    vectors = np.array(pq.read_table(tmp_path / "x.parquet").column("vector").to_pylist(), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert ((vectors * vectors_of(whole)).sum(1) > 0.999).all()


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


@contextmanager
def serving(
    answer: Callable[[str, str], tuple[int, object] | None],
) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A server that answers as Qdrant does, or closes the connection; its address, and what it was asked."""
    asked: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            asked.append((self.command, path, self.headers.get("api-key") or ""))
            found = answer(self.command, path)
            if found is None:
                self.close_connection = True
                return
            body = json.dumps({"result": found[1], "status": "ok", "time": 0}).encode()
            self.send_response(found[0])
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_a_server_that_fails_in_the_middle(index: SearchIndex) -> None:
    pytest.importorskip("qdrant_client")

    def answer(method: str, path: str) -> tuple[int, object]:
        return (500 if path.endswith("/points") else 200), ({"exists": False} if path.endswith("/exists") else True)

    with (
        serving(answer) as (address, asked),
        pytest.raises(InputError, match=r"fails .*500.*log of the server") as said,
    ):
        store_index(index, "qdrant", f"{address}/documents")
    assert "\n" not in str(said.value)
    assert asked[-1][:2] == ("DELETE", "/collections/documents")


def test_a_server_that_dies_in_the_middle(index: SearchIndex) -> None:
    pytest.importorskip("qdrant_client")

    def answer(method: str, path: str) -> tuple[int, object] | None:
        if path.endswith("/points") or method == "DELETE":
            return None
        return 200, ({"exists": False} if path.endswith("/exists") else True)

    with serving(answer) as (address, _), pytest.raises(InputError, match=r"cannot be reached .*remove the unfinished"):
        store_index(index, "qdrant", f"{address}/documents")


def test_a_collection_that_cannot_be_created_is_not_removed(index: SearchIndex) -> None:
    """Another process may just have created it."""
    pytest.importorskip("qdrant_client")

    def answer(method: str, path: str) -> tuple[int, object]:
        return (200, {"exists": False}) if path.endswith("/exists") else (409, None)

    with serving(answer) as (address, asked), pytest.raises(InputError, match="409"):
        store_index(index, "qdrant", f"{address}/documents")
    assert "DELETE" not in {method for method, *_ in asked}


def test_a_server_that_wants_a_key(index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("qdrant_client")
    monkeypatch.delenv("QDRANT_API_KEY", raising=False)
    with serving(lambda *_: (401, None)) as (address, asked):
        with pytest.raises(InputError, match="requires an API key; set QDRANT_API_KEY"):
            store_index(index, "qdrant", f"{address}/documents")
        monkeypatch.setenv("QDRANT_API_KEY", "secret")
        with (
            pytest.warns(UserWarning, match="insecure"),
            pytest.raises(InputError, match="refuses the API key") as said,
        ):
            store_index(index, "qdrant", f"{address}/documents")
    assert [key for *_, key in asked] == ["", "secret"]
    assert "secret" not in str(said.value)


@pytest.mark.parametrize(
    "address", ["http://localhost:abc/documents", "http://[::1/documents", "http:///documents", "http://localhost:1"]
)
def test_an_address_that_is_none(index: SearchIndex, address: str) -> None:
    pytest.importorskip("qdrant_client")
    with pytest.raises(InputError, match="HOST:PORT"):
        store_index(index, "qdrant", address)


@pytest.mark.parametrize(
    ("store", "out"), [("lancedb", "s3://b/x.lance"), ("parquet", "gs://b/x.parquet"), ("qdrant", "grpc://host/x")]
)
def test_an_address_of_another_machine_is_refused(index: SearchIndex, store: str, out: str) -> None:
    with pytest.raises(InputError, match=f"{out}: --out: .*copy it"):
        store_index(index, store, out)


def test_the_command(index: SearchIndex, tmp_path: Path, tiny_model_folder: Path, capsys) -> None:
    from nearfar.cli.app import run

    corpus = tmp_path / "texts.jsonl"
    assert run(["search", str(tiny_model_folder), str(corpus), "the cat", "--index", str(tmp_path / "named")]) == 0
    capsys.readouterr()
    command = ["export", str(tmp_path / "named"), "--for", "parquet", "--out", str(tmp_path / "x.parquet")]
    assert run([*command, "--fields", "words", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 20
    assert run([*command, "--int8"]) == 2
    assert "--int8" in capsys.readouterr().err
