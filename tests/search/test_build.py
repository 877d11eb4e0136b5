"""Building an index, and opening or building it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.search import build_index, open_index, open_or_build, read_metadata
from search.helpers import CORPUS, Reader


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
    with pytest.raises(InputError, match=r"index: .*corpus"):
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
    (tmp_path / ".index.vectors").mkdir()
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
        with pytest.raises(InputError, match=r"index: --index: "):
            other.submit(meanwhile).result()
    assert meanwhile().built == "the corpus has changed"


def test_an_index_of_other_columns_is_built_again(tiny_model, tmp_path: Path, corpus_file: Path):
    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model, corpus_file, read, folder, columns={"text": "body"})
    assert open_or_build(tiny_model, corpus_file, read, folder, columns={"text": "body"}).built is None
    assert read_metadata(folder).columns == {"text": "body"}
    assert open_or_build(tiny_model, corpus_file, read, folder).built == "built with other columns"
    assert read.calls == 2


def test_an_index_of_another_version_is_built_again(tiny_model, tmp_path: Path, corpus_file: Path):
    read, folder = Reader(corpus_file), tmp_path / "index"
    open_or_build(tiny_model, corpus_file, read, folder)
    (folder / "index.yaml").write_text("format: 99\n")
    with pytest.raises(InputError, match=r"index\.yaml: "):
        open_index(folder, model=tiny_model)
    assert open_or_build(tiny_model, corpus_file, read, folder).built is not None
    assert read_metadata(folder).count == len(CORPUS)


def test_progress_and_row_numbers_as_ids(tiny_model, tmp_path: Path):
    done: list[tuple[int, int]] = []
    index = build_index(
        tiny_model, CORPUS, tmp_path / "index", batch_size=1, progress=lambda n, total: done.append((n, total))
    )
    assert done == [(32, 90), (64, 90), (90, 90)]
    assert index.texts.column("id").to_pylist() == [str(row) for row in range(1, 91)]


def test_what_is_not_built(tiny_model, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for texts, folder, options, message in (
        (CORPUS, tmp_path, {}, rf"^{tmp_path}: "),
        (CORPUS, tmp_path / "notes.txt", {}, r"notes\.txt: "),
        (CORPUS, tmp_path / "index", {"ids": ["a"]}, r"^ids: .*1 ids for 90 texts"),
        ([], tmp_path / "index", {}, "at least one text"),
    ):
        with pytest.raises(InputError, match=message):
            build_index(tiny_model, texts, folder, **options)
    nowhere = tmp_path / "nowhere.txt"
    with pytest.raises(InputError, match=r"nowhere\.txt: "):
        open_or_build(tiny_model, nowhere, Reader(nowhere), tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
