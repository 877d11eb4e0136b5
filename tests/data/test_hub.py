from __future__ import annotations

from typing import Any

import datasets
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from nearfar.data import load
from nearfar.errors import InputError


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the hub: `answer` is given, or raised; `asked` records the call."""
    state: dict[str, Any] = {"answer": None, "asked": None}

    def load_dataset(*args: object, **options: object) -> object:
        state["asked"] = args, options
        if isinstance(state["answer"], Exception):
            raise state["answer"]
        return state["answer"]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return state


def test_a_hub_id_with_a_configuration(hub: dict[str, Any]) -> None:
    hub["answer"] = Dataset.from_dict({"q": ["a", "b"], "a": ["c", "d"]})
    dataset = load("user/name:config", columns={"anchor": "q", "positive": "a"}, split="dev", limit=1)
    assert hub["asked"] == (("user/name", "config"), {"split": "dev"})
    assert dataset.to_list() == [{"anchor": "a", "positive": "c"}]


def test_rows_of_the_hub_are_checked_in_the_order_of_the_dataset(hub: dict[str, Any]) -> None:
    rows = {"text": [f"t{number}" for number in range(20_000)] + [" "]}
    hub["answer"] = Dataset.from_dict(rows).select(range(10_000, 20_001))
    assert load("user/name", limit=10_000)["text"][:3] == ["t10000", "t10001", "t10002"]
    with pytest.raises(InputError, match=r"^user/name: text: row 10001: "):
        load("user/name")


def test_class_names_and_images_are_kept(hub: dict[str, Any]) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "image": Image()})
    image_value = {"path": "x.png", "bytes": None}
    table = pa.table({"text": ["a"], "label": [1], "image": [image_value]}, schema=features.arrow_schema)
    hub["answer"] = Dataset(table)
    assert hub["answer"].features == features
    dataset = load("user/name")
    assert dataset.column_names == ["image", "text", "label"]
    assert dataset.features["label"] == features["label"]
    assert dataset.features["image"] == features["image"]
    assert dataset.cast_column("image", Image(decode=False))[0] == {"image": image_value, "text": "a", "label": 1}


@pytest.mark.parametrize(
    ("answer", "pieces"),
    [
        (ConnectionError("Couldn't reach it\nat all"), ["neither an existing file"]),
        (datasets.exceptions.DatasetNotFoundError("doesn't exist"), ["neither an existing file", "check the spelling"]),
        (RuntimeError("Dataset scripts are no longer supported"), ["scripts are no longer supported"]),
        (ValueError("Unknown split \"tran\". Should be one of ['train', 'test']."), ["split", "did you mean 'train'?"]),
        (
            ValueError("Config name is missing.\nPlease pick one among the available configs: ['en', 'de']"),
            ["user/name:en", "en, de"],
        ),
        (ValueError("something else"), ["cannot be loaded (something else)"]),
        (Dataset.from_dict({"text": []}), ["'tran'"]),
        (Dataset.from_dict({"words": ["a"]}), ["'words'"]),
    ],
)
def test_what_can_go_wrong_on_the_hub(hub: dict[str, Any], answer: object, pieces: list[str]) -> None:
    hub["answer"] = answer
    with pytest.raises(InputError) as caught:
        load("user/name", split="tran")
    for piece in ("user/name", *pieces):
        assert piece in str(caught.value)


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"^'nosuch/thing' .*Offline"):
        load("nosuch/thing")
