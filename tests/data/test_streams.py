"""Texts as a stream: the same as loaded ones, with nothing kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict

from nearfar.data import _arrow, load
from nearfar.data.corpus import read_corpus
from nearfar.data.streams import TextStream
from nearfar.errors import InputError

TEXTS = [f"text {number}" for number in range(20_000)]


@pytest.fixture
def nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream needs neither a temporary file nor a table of all rows."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("rows are gathered")

    monkeypatch.setattr(_arrow.Gathered, "__init__", never)
    monkeypatch.setattr(_arrow.tempfile, "TemporaryFile", never)


def write(path: Path, texts: Iterable[str] = TEXTS) -> Path:
    content = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    with pa.CompressedOutputStream(str(path), "zstd") if path.suffix == ".zst" else path.open("wb") as file:
        file.write(content)
    return path


def read(source: Any, **options: Any) -> list[str]:
    return list(chain.from_iterable(TextStream(source, **options)))


@pytest.mark.usefixtures("nothing_is_copied")
def test_files_and_folders(tmp_path: Path) -> None:
    assert read(write(tmp_path / "x.jsonl.zst")) == TEXTS
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "1.jsonl", TEXTS[:15_000])
    write(tmp_path / "parts" / "2.jsonl.zst", TEXTS[15_000:])
    assert read(tmp_path / "parts") == TEXTS
    Dataset.from_dict({"body": TEXTS}).to_parquet(tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet", columns={"text": "body"}) == TEXTS


@pytest.mark.usefixtures("nothing_is_copied")
def test_folders_of_save_to_disk(tmp_path: Path) -> None:
    part = Dataset.from_dict({"text": TEXTS})
    part.save_to_disk(tmp_path / "one", num_shards=2)
    DatasetDict(train=part.select(range(10)), test=part).save_to_disk(tmp_path / "two")
    assert read(tmp_path / "one") == TEXTS
    assert read(tmp_path / "two", split="test") == TEXTS
    with pytest.raises(InputError, match="no split 'dev'"):
        TextStream(tmp_path / "two", split="dev")


@pytest.mark.usefixtures("nothing_is_copied")
def test_a_hub_dataset_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*names: Any, **how: Any) -> Any:
        asked.append((names, how))
        return Dataset.from_dict({"n": range(20_000), "text": TEXTS}).to_iterable_dataset(num_shards=3)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read("user/name:config") == TEXTS
    assert asked == [(("user/name", "config"), {"split": "train", "streaming": True})]


def test_a_lost_connection_names_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Any:
        for text in TEXTS[:10_000]:
            yield {"text": text}
        raise ConnectionError("lost")

    features = datasets.Features({"text": datasets.Value("string")})
    stream = datasets.IterableDataset.from_generator(rows, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: stream)
    with pytest.raises(InputError, match=r"^user/name: cannot be read after row 8192"):
        read("user/name")


def test_windows(tmp_path: Path) -> None:
    windows = list(TextStream(write(tmp_path / "x.jsonl")).windows(3000))
    assert [len(window) for window in windows] == [3000] * 6 + [2000]
    assert list(chain.from_iterable(windows)) == TEXTS


def test_it_can_be_read_twice_and_names_mistakes(tmp_path: Path) -> None:
    stream = TextStream(write(tmp_path / "x.jsonl", TEXTS[:10]))
    assert list(stream) == list(stream) == [TEXTS[:10]]
    with pytest.raises(InputError, match=r"x\.jsonl:9001: text"):
        read(write(tmp_path / "x.jsonl", [*TEXTS[:9000], " "]))
    with pytest.raises(InputError, match="text"):
        TextStream(tmp_path / "x.jsonl", columns={"text": "body"})
    with pytest.raises(InputError, match="nowhere"):
        TextStream(tmp_path / "nowhere.jsonl")


def test_a_corpus_in_beir_format(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps({"_id": f"d{n}", "title": "t", "text": f"x {n}"}) + "\n" for n in range(9000)))
    ids, texts = read_corpus(file, stream=True)
    assert list(chain.from_iterable(texts)) == list(load_texts := read_corpus(file)[1])
    assert ids == [f"d{n}" for n in range(len(load_texts))]
    with pytest.raises(InputError, match="--columns"):
        read_corpus(file, {"text": "x"}, stream=True)
    assert read_corpus(write(tmp_path / "x.jsonl"), stream=True)[0] is None
    assert list(load(tmp_path / "x.jsonl")["text"]) == read(tmp_path / "x.jsonl")
