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
