"""The metadata of an index, and damage that they show."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nearfar.errors import InputError
from nearfar.models import fingerprint
from nearfar.search import build_index, open_index, open_or_build, read_metadata
from nearfar.search.metadata import IndexMetadata, corpus_fingerprint, named, stale, write_metadata
from search.helpers import CORPUS, Reader

METADATA = IndexMetadata(
    format=2,
    model="minilm",
    model_fingerprint="0",
    corpus="corpus.txt",
    corpus_fingerprint="1",
    columns={"text": "body"},
    similarity="cosine",
    dimension=3,
    count=2,
    sha256={"texts.arrow": "2"},
)


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
            with pytest.raises(InputError, match=rf"{name}: .*; remove the folder"):
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
    with pytest.raises(InputError, match=r"index\.yaml: .*checksums"):
        open_index(folder, model=tiny_model)


def test_a_name_that_loads_from_any_working_directory(
    tiny_model, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tiny_model_folder.parent)
    name, loaded = named(tiny_model_folder.name)
    assert name == str(tiny_model_folder.resolve())
    assert stale(METADATA, loaded, None) == "built with another model"
    assert named(tiny_model) == (None, tiny_model)


def test_a_corpus_is_compared_only_where_there_is_one(tiny_model, corpus_file: Path):
    metadata = replace(METADATA, model_fingerprint=fingerprint(tiny_model))
    assert corpus_fingerprint(None) is None
    assert stale(metadata, tiny_model, None) is None
    assert stale(metadata, tiny_model, corpus_fingerprint(corpus_file)) == "the corpus has changed"
    same = replace(metadata, corpus_fingerprint=corpus_fingerprint(corpus_file))
    assert stale(same, tiny_model, corpus_fingerprint(corpus_file)) is None


def test_metadata_are_read_as_they_were_written(tmp_path: Path):
    write_metadata(tmp_path / "index.yaml", METADATA)
    assert read_metadata(tmp_path) == METADATA
    for field, wrong in (("count", "many"), ("columns", ["text"]), ("model", 3), ("dimension", None)):
        write_metadata(tmp_path / "index.yaml", replace(METADATA, **{field: wrong}))
        with pytest.raises(InputError, match=rf"index\.yaml: .*{field}"):
            read_metadata(tmp_path)
