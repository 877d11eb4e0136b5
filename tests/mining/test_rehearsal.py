"""A rehearsal buffer: how many items, which ones, and what of them is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from nearfar.mining.rehearsal import Quota, RehearsalBuffer, herded, with_rehearsal


def rows(*labels: str, each: int = 10) -> Dataset:
    texts = [f"{label} {number}" for label in labels for number in range(each)]
    return Dataset.from_dict({"text": texts, "label": [text.split()[0] for text in texts]})


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("quota", "items", "expected"),
    [
        (Quota(), 50, 0),
        (Quota(memory_per_class=3), 50, 3),
        (Quota(memory_per_class=3), 2, 2),
        (Quota(memory_size=100, total_labels=30), 50, 3),
        (Quota(memory_share=0.1), 50, 5),
        (Quota(memory_share=0.01), 50, 1),
        (Quota(memory_per_class=3, memory_size=900, total_labels=2, memory_share=1.0), 50, 3),
    ],
)
def test_quota_of_a_class(quota: Quota, items: int, expected: int) -> None:
    assert quota.of(items) == expected


@pytest.mark.parametrize("selection", ["random", "herding"])
def test_nothing_of_a_task_before_it_ends_and_never_more_than_the_quota(selection: Any) -> None:
    torch.manual_seed(0)
    buffer = RehearsalBuffer(Quota(memory_size=13, total_labels=4), selection)
    assert (len(buffer), buffer.rows) == (0, None)
    first, second = rows("a", "b"), rows("c", "d", each=2)
    buffer.add("first", first, vectors(20))
    assert len(buffer) == 6
    assert buffer.rows is not None
    assert set(buffer.rows["label"]) == {"a", "b"}
    assert set(buffer.rows["text"]) < set(first["text"])
    buffer.add("second", second, vectors(4))
    assert len(buffer) == 10
    assert buffer.described()["tasks"] == {"first": {"a": 3, "b": 3}, "second": {"c": 2, "d": 2}}


def test_random_items_depend_on_the_seed() -> None:
    def drawn(seed: int) -> list[str]:
        torch.manual_seed(seed)
        buffer = RehearsalBuffer(Quota(memory_per_class=4))
        buffer.add("first", rows("a", each=100))
        assert buffer.rows is not None
        return buffer.rows["text"][:]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_herding_keeps_the_mean() -> None:
    line = np.array([[0.0], [1.0], [4.0], [7.0], [8.0]])  # mean 4
    assert herded(line, 3) == [2, 1, 3]  # 4; then (4 + 1) / 2 and (4 + 7) / 2 are equally close; then 12 / 3
    assert sorted(herded(line, 9)) == [0, 1, 2, 3, 4]
    many = vectors(200)
    chosen = many[herded(many, 20)].mean(0)
    assert np.linalg.norm(chosen - many.mean(0)) < np.linalg.norm(many[:20].mean(0) - many.mean(0)) / 3


def test_features_are_kept_instead_of_rows(tmp_path: Path) -> None:
    buffer, found = RehearsalBuffer(Quota(memory_per_class=2), keep="features"), vectors(20)
    with pytest.raises(ValueError, match="vector"):
        buffer.add("first", rows("a", "b"))
    buffer.add("first", rows("a", "b"), found)
    assert buffer.rows is None
    stored = buffer.stored(["z", "b", "a"])
    assert stored is not None
    assert stored[1].tolist() == [2, 2, 1, 1]
    assert all(any(np.array_equal(vector, own) for own in found) for vector in stored[0].numpy())
    buffer.finish(tmp_path)
    assert {path.name for path in (tmp_path / "rehearsal").iterdir()} == {
        "README.md",
        "contents.json",
        "vectors.safetensors",
    }
    written = "".join((tmp_path / "rehearsal" / name).read_text() for name in ("README.md", "contents.json"))
    assert "a 1" not in written
    assert load_file(tmp_path / "rehearsal" / "vectors.safetensors")["vectors"].shape == (4, 3)


def test_rows_are_written_and_said(tmp_path: Path) -> None:
    buffer = RehearsalBuffer(Quota(memory_per_class=2))
    assert buffer.finish(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
    buffer.add("first", rows("a", "b"))
    assert buffer.finish(tmp_path) == {"rehearsal": buffer.described()}
    lines = (tmp_path / "rehearsal" / "rows.jsonl").read_text().splitlines()
    assert buffer.rows is not None
    assert [json.loads(line)["text"] for line in lines] == buffer.rows["text"][:]
    assert "4 of your training rows" in (tmp_path / "rehearsal" / "README.md").read_text()
    contents = json.loads((tmp_path / "rehearsal" / "contents.json").read_text())
    assert contents["labels"] == ["a", "a", "b", "b"]


def test_nothing_is_written_on_request(tmp_path: Path) -> None:
    buffer = RehearsalBuffer(Quota(memory_per_class=2), keep="nothing")
    buffer.add("first", rows("a", "b"))
    assert buffer.rows is not None
    buffer.finish(tmp_path)
    assert {path.name for path in (tmp_path / "rehearsal").iterdir()} == {"README.md", "contents.json"}


def test_files_in_memory_are_written_with_the_rows(tmp_path: Path) -> None:
    buffer = RehearsalBuffer(Quota(memory_per_class=1))
    audio = [{"bytes": b"12", "path": "a.wav"}, {"bytes": b"34", "path": "b.wav"}]
    buffer.add("first", Dataset.from_dict({"audio": audio, "label": ["a", "b"]}))
    buffer.finish(tmp_path)
    found = Dataset.from_parquet(str(tmp_path / "rehearsal" / "rows.parquet"), cache_dir=str(tmp_path / "cache"))
    assert [each["bytes"] for each in found["audio"]] == [b"12", b"34"]  # type: ignore[index]


def test_rows_of_a_task_and_rehearsed_rows() -> None:
    new, old = rows("c", each=2), rows("order_drink", each=1)
    names = ["order_drink", "c"]
    found = with_rehearsal(new, old, names, ["text"])
    assert found.column_names == ["text", "label"]
    assert found["text"][:] == ["c 0", "c 1", "order_drink 0"]
    assert found["label"][:] == [[1, 0], [1, 0], [0, 1]]
    assert with_rehearsal(new, None, names, ["text"])["label"][:] == [[1, 0], [1, 0]]
    said = with_rehearsal(new, old, names, ["text"], label_in_text=True)
    assert said["text"][:] == ["c c 0", "c c 1", "order drink order_drink 0"]
    assert said["label"][:] == found["label"][:]
