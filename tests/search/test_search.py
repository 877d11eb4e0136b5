from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sentence_transformers import SentenceTransformer

import nearfar.search.index as index_module
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.search import build_index, open_index, open_or_build, read_metadata

WORDS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card"]
CORPUS = [f"the {a} sits under a {b}" for a in WORDS for b in WORDS if a != b]


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join(CORPUS))
    return file


class Reader:
    """Reads a corpus and counts how often it was asked to."""

    def __init__(self, file: Path) -> None:
        self.file, self.calls = file, 0

    def __call__(self) -> tuple[None, list[str]]:
        self.calls += 1
        return None, self.file.read_text().splitlines()


def test_hits_are_the_exact_nearest(tiny_model, tmp_path: Path):
    ids = [f"doc-{row}" for row in range(len(CORPUS))]
    index = build_index(tiny_model, CORPUS, tmp_path / "index", ids=ids, batch_size=1)
    hits = index.search("a loan from the bank", k=7)
    scores = (encode(tiny_model, CORPUS) @ encode(tiny_model, ["a loan from the bank"])[0]).astype(np.float64)
    assert [hit.rank for hit in hits] == list(range(1, 8))
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:7], atol=1e-5)
    assert all(hit.text == CORPUS[int(hit.id.removeprefix("doc-"))] for hit in hits)
    assert len(index.search("cat", k=1_000)) == len(CORPUS)


def test_graph_search_finds_the_same(tiny_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    index = build_index(tiny_model, CORPUS, tmp_path / "index")
    exact = index.search("the dog", k=5)
    monkeypatch.setattr(index_module, "EXACT_BELOW", 0)
    assert index.search("the dog", k=5)[0].text == exact[0].text
    assert len(index.search("the dog", k=80)) == 80
    assert index.vectors.expansion_search == 160


def test_dot_product_models_keep_their_lengths(tiny_model_folder: Path, tmp_path: Path):
    model = load(tiny_model_folder, device="cpu")
    model.similarity_fn_name = "dot"
    hits = build_index(model, CORPUS, tmp_path / "index").search("the dog", k=3)
    dots = encode(model, CORPUS, normalize=False) @ encode(model, ["the dog"], normalize=False)[0]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(dots)[::-1][:3], rtol=1e-4)
    model.similarity_fn_name = "euclidean"
    with pytest.raises(InputError, match="euclidean"):
        build_index(model, CORPUS, tmp_path / "other")


def test_second_opening_encodes_no_document(
    tiny_model_folder: Path, tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
):
    read, folder = Reader(corpus_file), tmp_path / "index"
    first = open_or_build(str(tiny_model_folder), corpus_file, read, folder)
    assert first.built == "new"
    encoded: list[Any] = []
    plain = SentenceTransformer.encode

    def counting(self: SentenceTransformer, inputs: Any, **options: Any) -> Any:
        encoded.append(inputs)
        return plain(self, inputs, **options)

    monkeypatch.setattr(SentenceTransformer, "encode", counting)
    second = open_or_build(str(tiny_model_folder), corpus_file, read, folder)
    assert second.built is None
    assert second.search("the sun", k=4) == first.search("the sun", k=4)
    assert encoded == [["the sun"], ["the sun"]]
    assert read.calls == 1
    assert open_index(folder).search("the sun", k=4) == first.search("the sun", k=4)


def test_a_changed_corpus_is_noticed(tiny_model_folder: Path, tmp_path: Path, corpus_file: Path):
    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model_folder, corpus_file, read, folder)
    corpus_file.write_text("the weather is cold\nthe song is loud")
    with pytest.raises(InputError, match="stale: the corpus"):
        open_index(folder, corpus=corpus_file)
    index = open_or_build(tiny_model_folder, corpus_file, read, folder)
    assert index.built == "the corpus has changed"
    assert {hit.text for hit in index.search("cold")} == {"the weather is cold", "the song is loud"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_changed_model_is_noticed(tiny_model_folder: Path, tmp_path: Path, corpus_file: Path):
    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model_folder, corpus_file, read, folder)
    other = load(tiny_model_folder, device="cpu")
    next(other.parameters()).data += 0.5
    with pytest.raises(InputError, match="another model"):
        open_index(folder, model=other)
    assert open_or_build(other, corpus_file, read, folder).built == "built with another model"
    with pytest.raises(InputError, match="name a model"):
        open_index(folder)


def test_a_build_that_fails_leaves_the_earlier_index(tiny_model, tmp_path: Path):
    folder = tmp_path / "index"
    build_index(tiny_model, CORPUS, folder)
    with pytest.raises(InputError, match="row 3"):
        build_index(tiny_model, ["a", "b", None], folder, batch_size=1)  # type: ignore[list-item]
    assert read_metadata(folder).count == len(CORPUS)
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_build_left_is_put_right(tiny_model, tmp_path: Path, corpus_file: Path):
    folder = tmp_path / "index"
    build_index(tiny_model, CORPUS, folder, corpus=corpus_file)
    (tmp_path / ".index.part").mkdir()
    (tmp_path / ".index.lock").touch()
    folder.rename(tmp_path / ".index.old")  # as if the kill had come between the two renames

    reader = Reader(corpus_file)
    assert open_or_build(tiny_model, corpus_file, reader, folder).built is None
    assert reader.calls == 0
    assert {path.name for path in tmp_path.iterdir()} == {"index", "corpus.txt"}
    (tmp_path / ".index.lock").touch()  # as if the kill had come when all but the lock was in place
    assert open_or_build(tiny_model, corpus_file, reader, folder).built is None
    assert {path.name for path in tmp_path.iterdir()} == {"index", "corpus.txt"}


def test_one_process_builds_and_others_may_search(tiny_model, tmp_path: Path, corpus_file: Path):
    from concurrent.futures import ThreadPoolExecutor

    from nearfar.writing import file_claimed

    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model, corpus_file, read, folder)

    def meanwhile() -> Any:
        return open_or_build(tiny_model, corpus_file, read, folder)

    with ThreadPoolExecutor(1) as other, file_claimed(folder):
        (tmp_path / ".index.part").mkdir()
        assert other.submit(meanwhile).result().built is None
        assert (tmp_path / ".index.part").exists(), "the draft of the one that builds"
        corpus_file.write_text("the weather is cold")
        with pytest.raises(InputError, match="another process is at work here"):
            other.submit(meanwhile).result()
    assert meanwhile().built == "the corpus has changed"


@pytest.mark.parametrize("name", ["vectors.usearch", "texts.arrow"])
@pytest.mark.parametrize("damage", ["missing", "cut", "one bit", "exchanged"])
def test_a_damaged_index_is_named_before_a_native_library_reads_it(
    tiny_model, tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
):
    from usearch.index import Index as Vectors

    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model, corpus_file, read, folder)
    build_index(tiny_model, CORPUS[::-1], tmp_path / "other")
    file = folder / name
    content = bytearray(file.read_bytes())
    file.unlink()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "one bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "exchanged":
        file.write_bytes((tmp_path / "other" / name).read_bytes())

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a native library read it")

    with monkeypatch.context() as patch:
        patch.setattr(Vectors, "restore", never)
        for call in (
            lambda: open_index(folder, model=tiny_model),
            lambda: open_or_build(tiny_model, corpus_file, read, folder),
        ):
            with pytest.raises(InputError, match=rf"{name}: the index is damaged: .*; remove the folder"):
                call()
    shutil.rmtree(folder)
    assert open_or_build(tiny_model, corpus_file, read, folder).built == "new"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "damaged: not valid YAML"),
        ("[]", "damaged: expected names"),
        ("format: 2\ncount: many", "damaged: invalid"),
        ("\0", "damaged"),
    ],
)
def test_damaged_metadata_are_named(tiny_model, tmp_path: Path, corpus_file: Path, content: str, told: str):
    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model, corpus_file, read, folder)
    (folder / "index.yaml").write_text(content)
    with pytest.raises(InputError, match=rf"index.yaml: is {told}"):
        open_or_build(tiny_model, corpus_file, read, folder)


def test_an_index_without_checksums_still_loads_with_a_note(
    tiny_model, tmp_path: Path, corpus_file: Path, caplog: pytest.LogCaptureFixture
):
    read, folder = Reader(corpus_file), tmp_path / "index"
    hits = open_or_build(tiny_model, corpus_file, read, folder).search("the dog")
    metadata = yaml.safe_load((folder / "index.yaml").read_text())
    assert caplog.text == ""
    del metadata["sha256"]
    (folder / "index.yaml").write_text(yaml.safe_dump({**metadata, "format": 1}))
    opened = open_or_build(tiny_model, corpus_file, read, folder)
    assert opened.built is None
    assert opened.search("the dog") == hits
    assert "without checksums" in caplog.text
    (folder / "index.yaml").write_text(yaml.safe_dump(metadata))
    with pytest.raises(InputError, match="the checksums are missing"):
        open_index(folder, model=tiny_model)


def test_what_is_refused(tiny_model, tmp_path: Path):
    with pytest.raises(InputError, match="not an index"):
        open_index(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        build_index(tiny_model, CORPUS, tmp_path)
    with pytest.raises(InputError, match="1 ids for 90 texts"):
        build_index(tiny_model, CORPUS, tmp_path / "index", ids=["a"])
    with pytest.raises(InputError, match="at least one text"):
        build_index(tiny_model, [], tmp_path / "index")
    with pytest.raises(InputError, match=r"nowhere.txt: no such file"):
        open_or_build(tiny_model, tmp_path / "nowhere.txt", Reader(tmp_path / "nowhere.txt"), tmp_path / "index")
    index = build_index(tiny_model, CORPUS[:2], tmp_path / "index")
    with pytest.raises(InputError, match=r"^query: "):
        index.search("  ")
    with pytest.raises(InputError, match=r"^k: .* 0"):
        index.search("cat", k=0)
    (tmp_path / "index" / "index.yaml").write_text("format: 99\n")
    with pytest.raises(InputError, match="version"):
        open_index(tmp_path / "index")


def test_a_reranker_decides_on_the_order(tiny_model_folder: Path, yes_no_folder: Path, tmp_path: Path, capsys) -> None:
    from nearfar.cli.app import run
    from nearfar.kinds.loading import load_scorer

    texts = [f"the {word} and so" for word in ("cat", "dog", "sky", "sea", "red", "bank")]
    write_jsonl([{"text": text} for text in texts], tmp_path / "texts.jsonl")
    base = ["search", str(tiny_model_folder), str(tmp_path / "texts.jsonl"), "the dog", "--json"]
    assert run([*base, "-k", "3", "--rerank", str(yes_no_folder)]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    scores = load_scorer(yes_no_folder, device="cpu").score_pairs(["the dog"] * 6, texts)
    assert [hit["text"] for hit in hits] == [texts[row] for row in np.argsort(-scores)[:3]]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert [hit["score"] for hit in hits] == pytest.approx(sorted(scores, reverse=True)[:3], abs=1e-5)
    assert run([*base, "-k", "1", "--depth", "1", "--rerank", str(yes_no_folder)]) == 0
    (hit,) = json.loads(capsys.readouterr().out)["hits"]
    assert run([*base, "-k", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == hit["id"]
