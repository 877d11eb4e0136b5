"""Rows of one role, of a stream and of several roles: which columns are kept, in which order, by which names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import Recipe
from nearfar.training.rows import by_task, described, named, rows_for, source_of, together


def recipe(several: bool = False, **inputs: tuple[str, ...]) -> Recipe:
    def prepare(*_: Any) -> Any:
        raise AssertionError("rows are read before anything is prepared")

    return Recipe("mine", inputs, TrainingOptions, prepare, multi_dataset=several)


def pairs(*texts: str, **columns: list[Any]) -> Dataset:
    return Dataset.from_dict({"anchor": [f"{t} a" for t in texts], "positive": [f"{t} p" for t in texts], **columns})


TWO = recipe(background=("sentences",), target=("sentences",))


def sentences(*texts: str, column: str = "text") -> Dataset:
    return Dataset.from_dict({column: list(texts)})


def test_one_role_keeps_the_columns_of_its_first_schema_that_fits() -> None:
    rows = pairs("x", "y", domain=["d", "e"], task=["1", "2"], other=[1, 2])
    assert rows_for(recipe(rows=("pairs",)), rows).column_names == ["anchor", "positive"]
    assert rows_for(recipe(rows=("domain pairs", "pairs")), rows).column_names == ["anchor", "positive", "domain"]
    assert rows_for(recipe(rows=("pairs", "domain pairs")), rows).column_names == ["anchor", "positive"]


def test_training_takes_two_rows() -> None:
    mine = recipe(rows=("pairs",))
    with pytest.raises(InputError):
        rows_for(mine, pairs("x"))
    assert len(rows_for(mine, pairs("x", "y"))) == 2


def test_a_stream_has_its_tasks_in_the_order_in_which_they_appear() -> None:
    stream = recipe(stream=("pairs",))
    found = rows_for(stream, pairs("m", "n", "o", "p", task=["z", "a", "z", "a"]))
    assert isinstance(found, DatasetDict)
    assert list(found) == ["z", "a"]
    assert found["z"]["anchor"] == ["m a", "o a"]
    assert found["a"]["anchor"] == ["n a", "p a"]
    assert found["z"].column_names == ["anchor", "positive"]
    # Of several datasets each is a task.
    found = rows_for(stream, {"second": pairs("x", "y"), "first": pairs("u", "v", "w")})
    assert {name: len(part) for name, part in found.items()} == {"second": 2, "first": 3}
    assert list(found) == ["second", "first"]
    with pytest.raises(InputError) as caught:
        rows_for(stream, pairs("x", "y"))
    assert caught.value.field == "task"


def test_tasks_are_called_by_their_text() -> None:
    found = by_task(Dataset.from_dict({"text": ["a", "b", "c"], "task": [2, 1, 2]}))
    assert {name: part["text"][:] for name, part in found.items()} == {"2": ["a", "c"], "1": ["b"]}


def test_each_role_has_its_dataset() -> None:
    found = rows_for(TWO, {"target": sentences("t", "u", "v"), "background": sentences("b", "c")})
    assert list(found) == ["background", "target"]
    assert found["target"]["text"] == ["t", "u", "v"]
    assert found["background"]["text"] == ["b", "c"]


@pytest.mark.parametrize(
    "data",
    [
        {"target": sentences("t", "u")},
        {"target": sentences("t", "u"), "background": sentences("b", "c"), "third": sentences("x", "y")},
        {"target": sentences("t", "u"), "other": sentences("b", "c")},
        [sentences("t", "u"), sentences("b", "c")],
        sentences("t", "u"),
        {},
    ],
)
def test_other_datasets_than_the_roles_are_refused(data: Any) -> None:
    with pytest.raises(InputError) as caught:
        rows_for(TWO, data)
    assert caught.value.field == "--data"
    assert "target" in str(caught.value)
    assert "background" in str(caught.value)


def test_rows_that_do_not_fit_a_role_name_it() -> None:
    with pytest.raises(InputError, match="background"):
        rows_for(TWO, {"target": sentences("t", "u"), "background": pairs("b", "c")})


def test_mappings_belong_to_the_datasets_in_the_order_in_which_these_are_given() -> None:
    """Whatever the order of the recipe's roles."""
    data = {"target": sentences("t", "u", column="body"), "background": sentences("b", "c")}
    found = rows_for(TWO, data, [{"text": "body"}, None])
    assert found["target"]["text"] == ["t", "u"]
    assert found["background"]["text"] == ["b", "c"]
    assert list(found) == ["background", "target"]
    turned = dict(reversed(data.items()))
    assert rows_for(TWO, turned, [None, {"text": "body"}])["target"]["text"] == ["t", "u"]
    for wrong in ([None], [None, None, None], {"text": "body"}):
        with pytest.raises(InputError) as caught:
            rows_for(TWO, data, wrong)
        assert caught.value.field == "--columns"


def test_files_with_the_same_name_stay_apart() -> None:
    assert list(named(["a/rows.jsonl", "b/rows.csv", "c/rows.tsv"]) or ()) == ["rows", "rows-2", "rows-3"]


def test_what_is_recorded_of_several_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl([{"text": "t"}, {"text": "u"}, {"text": "v"}], Path("target.jsonl"))
    data = {"target": "target.jsonl", "background": sentences("b", "c")}
    rows = rows_for(TWO, data)
    found = described(data, rows)
    assert found["rows"] == 5
    assert {name: each["rows"] for name, each in found["sets"].items()} == {"background": 2, "target": 3}
    # A path holds wherever a run is resumed from.
    assert found["sets"]["target"]["source"] == str(tmp_path / "target.jsonl") == source_of("target.jsonl")
    assert "Dataset" in found["sets"]["background"]["source"]
    assert str(tmp_path / "target.jsonl") in found["source"]
    other = described(data, rows_for(TWO, {**data, "background": sentences("b", "d")}))
    assert other["sets"]["target"] == found["sets"]["target"]
    assert other["sets"]["background"]["sha256"] != found["sets"]["background"]["sha256"]
    # A name on the hub is no path.
    assert source_of("user/name") == "user/name"
    assert source_of(None) is None


def test_texts_of_all_datasets_are_looked_through() -> None:
    both = DatasetDict(a=sentences("t", "u"), b=sentences("v"))
    assert together(both)["text"] == ["t", "u", "v"]
    assert together(both["a"]) is both["a"]


def test_a_folder_of_images_without_labels_is_a_table_where_a_role_accepts_images(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("plain/b.png", "plain/a.png", "sorted/x/1.png", "sorted/y/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    images = recipe(background=("images",), target=("image + label", "images"))
    data = {"background": tmp_path / "plain", "target": tmp_path / "sorted"}
    found = rows_for(images, data)
    assert [Path(path).name for path in found["background"]["image"]] == ["a.png", "b.png"]
    assert found["background"].column_names == ["image"]
    assert found["target"].column_names == ["image", "label"]
    assert found["target"]["label"][:] == ["x", "y"]
    assert rows_for(images, {**data, "target": tmp_path / "plain"})["target"].column_names == ["image"]
    with pytest.raises(InputError):
        rows_for(TWO, data)
