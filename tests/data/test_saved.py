"""Folders of `datasets.save_to_disk`."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from nearfar.data import load
from nearfar.data.places import places
from nearfar.errors import InputError

ROWS = {"anchor": ["a", "b", "c"], "positive": ["x", "y", "z"]}


def test_one_split(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "x", num_shards=2)
    for source in (tmp_path / "x", str(tmp_path / "x")):
        assert load(source).to_dict() == ROWS
    assert load(tmp_path / "x", limit=2).to_dict() == {name: texts[:2] for name, texts in ROWS.items()}
    assert places(tmp_path / "x").at(2) == {"file": str(tmp_path / "x"), "row": 3}


def test_several_splits(tmp_path: Path) -> None:
    part = Dataset.from_dict({"q": ["a"], "positive": ["b"]})
    DatasetDict({"train": part, "test": Dataset.from_dict({"q": ["c"], "positive": ["d"]})}).save_to_disk(
        tmp_path / "x"
    )
    assert load(tmp_path / "x", columns={"anchor": "q"})["anchor"][:] == ["a"]
    assert load(tmp_path / "x", columns={"anchor": "q"}, split="test")["anchor"][:] == ["c"]
    assert load(tmp_path / "x" / "test", columns={"anchor": "q"})["anchor"][:] == ["c"]
    with pytest.raises(InputError, match="no split 'trian'; did you mean 'train'") as caught:
        load(tmp_path / "x", split="trian")
    assert caught.value.field == "split"


def test_names_of_classes_are_kept_and_mistakes_have_their_row(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features).save_to_disk(tmp_path / "x")
    assert load(tmp_path / "x").features["label"].names == ["no", "yes"]
    Dataset.from_dict({"text": ["a", ""]}).save_to_disk(tmp_path / "y")
    with pytest.raises(InputError, match=r"y: text: row 2: "):
        load(tmp_path / "y")


def test_damaged_and_empty_folders(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "x")
    (tmp_path / "x" / "data-00000-of-00001.arrow").write_bytes(b"no")
    with pytest.raises(InputError, match="to_parquet"):
        load(tmp_path / "x")
    Dataset.from_dict({"text": []}).save_to_disk(tmp_path / "y")
    with pytest.raises(InputError, match="is empty"):
        load(tmp_path / "y")


def test_a_folder_without_its_facts_is_refused_as_such(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "x")
    (tmp_path / "x" / "dataset_info.json").unlink()
    with pytest.raises(InputError, match="save_to_disk"):
        load(tmp_path / "x")


@pytest.mark.parametrize("state", ["[]", "5", "{", "{}", '{"_data_files": 5}'])
def test_a_broken_state_is_refused(tmp_path: Path, state: str) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "x")
    (tmp_path / "x" / "state.json").write_text(state)
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x")
    assert Path(str(caught.value.file)) == tmp_path / "x"


def test_texts_are_mapped_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = Features({"label": ClassLabel(names=["no", "yes"]), "body": Value("string")})
    saved = Dataset.from_dict({"label": [0, 1, 1], "body": ["a", "b", "c"]}, features=features)
    saved.with_format("numpy").save_to_disk(tmp_path / "x", num_shards=2)
    with monkeypatch.context() as patch:
        patch.setattr("nearfar.data._arrow.Gathered.__init__", None)
        found = load(tmp_path / "x", columns={"text": "body"})
        part = load(tmp_path / "x", columns={"text": "body"}, limit=2)
    assert [Path(file["filename"]).parent for file in found.cache_files] == [tmp_path / "x"] * 2
    assert found.features["label"].names == ["no", "yes"]
    assert found[:] == {"text": ["a", "b", "c"], "label": [0, 1, 1]}
    assert part[:] == {"text": ["a", "b"], "label": [0, 1]}


def test_values_that_are_converted_are_copied(tmp_path: Path) -> None:
    rows = {"anchor": ["a", "b"], "positive": [["x", "y"], ["z"]]}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "lists")
    assert load(tmp_path / "lists")[:] == {"anchor": ["a", "a", "b"], "positive": ["x", "y", "z"]}
    features = Features({"text": Value("large_string"), "label": Value("int32")})
    Dataset.from_dict({"text": ["a", "b"], "label": [4, 5]}, features=features).save_to_disk(tmp_path / "types")
    found = load(tmp_path / "types")
    assert (found[:], found.cache_files) == ({"text": ["a", "b"], "label": [4, 5]}, [])
    assert found.features == Features({"text": Value("string"), "label": Value("int64")})
