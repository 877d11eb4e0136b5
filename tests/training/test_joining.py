"""Several datasets of one schema: joined, mapped and weighted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Dataset

from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.recipes import get
from nearfar.training.joining import Joined, check_weights, listed, mapping_of_each, parse_weights, weighted
from nearfar.training.rows import rows_for
from nearfar.training.run import train


def pairs(prefix: str, count: int) -> Dataset:
    texts = [f"{prefix}{number}" for number in range(count)]
    return Dataset.from_dict({"anchor": texts, "positive": [f"{text} it is" for text in texts]})


def test_datasets_are_joined_in_order() -> None:
    joined = Joined({"a": pairs("a", 2), "b": pairs("b", 3)})
    assert joined.rows["anchor"][:] == ["a0", "a1", "b0", "b1", "b2"]
    assert joined.origins().tolist() == [0, 0, 1, 1, 1]
    alone = pairs("a", 2)
    assert Joined({"a": alone}).rows is alone


def test_other_columns_and_types_are_refused() -> None:
    scored = Dataset.from_dict({"sentence1": ["a"], "sentence2": ["b"], "score": [0.5]})
    with pytest.raises(InputError) as error:
        Joined({"a.jsonl": pairs("a", 2), "b.jsonl": scored})
    assert (error.value.file, error.value.field) == ("b.jsonl", "--data")
    labels = [Dataset.from_dict({"text": ["a"], "label": [label]}) for label in (1, "one")]
    with pytest.raises(InputError, match="'label'"):
        Joined(dict(zip(("a", "b"), labels, strict=True)))


@pytest.mark.parametrize(("weights", "expected"), [((1, 1), (4, 10)), ((2, 0.5), (8, 5)), ((1.5, 0.1), (6, 1))])
def test_weights(weights, expected) -> None:
    joined = Joined({"a": pairs("a", 4), "b": pairs("b", 10)})
    found = weighted(joined.rows, joined.origins(), weights)
    counts = Counter(text[0] for text in found["anchor"])
    assert (counts["a"], counts["b"]) == expected
    assert found["anchor"][:] == weighted(joined.rows, joined.origins(), weights)["anchor"][:]
    of_rows = Counter(found["anchor"])
    for name, weight in zip("ab", weights, strict=True):
        assert {of_rows[f"{name}{row}"] for row in range(4)} <= {int(weight), int(np.ceil(weight))}


def test_mappings_are_for_all_or_for_each() -> None:
    first, second = {"anchor": "q"}, {"anchor": "query"}
    assert mapping_of_each(None, 2) == [None, None]
    assert mapping_of_each(first, 2) == [first, first]
    assert mapping_of_each([first, second], 2) == [first, second]
    with pytest.raises(InputError, match="--columns"):
        mapping_of_each([first, second], 3)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, float("nan")), (1.0, float("inf"))])
def test_weights_out_of_range(weights) -> None:
    with pytest.raises(InputError, match="--weights"):
        check_weights(weights, 2)


def test_weights_of_the_command_line() -> None:
    assert parse_weights("2,0.5") == [2.0, 0.5]
    assert parse_weights(None) is None
    assert check_weights(None, 2) == [1.0, 1.0]
    with pytest.raises(InputError, match="--weights"):
        parse_weights("much")


def test_sources_by_name() -> None:
    assert listed("a.jsonl") == {"a.jsonl": "a.jsonl"}
    assert list(listed(["a.jsonl", pairs("a", 1)])) == ["a.jsonl", "dataset 2"]
    for wrong in ([], ["a.jsonl", "a.jsonl"]):
        with pytest.raises(InputError, match="--data"):
            listed(wrong)


def test_a_run_on_weighted_datasets(tiny_model_folder: Path, tmp_path: Path) -> None:
    write_jsonl([{"q": row["anchor"], "positive": row["positive"]} for row in pairs("a", 8)], tmp_path / "a.jsonl")
    pairs("b", 20).save_to_disk(tmp_path / "b")
    data, columns = [tmp_path / "a.jsonl", tmp_path / "b"], [{"anchor": "q"}, None]
    found = rows_for(get("infonce"), data, columns, weights=(2, 0.5))
    assert Counter(text[0] for text in found["anchor"]) == {"a": 16, "b": 10}
    options = {"model": tiny_model_folder, "max_steps": 1, "batch_size": 4}
    run = train("infonce", data, columns=columns, weights=(2, 0.5), out=tmp_path / "run", **options)
    recorded = yaml.safe_load((run.folder / "run.yaml").read_text())
    assert (recorded["weights"], recorded["data"]["rows"]) == ([2, 0.5], 26)
    assert run.metrics["drawn"][0]["rows"] == 26


@pytest.mark.parametrize(
    ("recipe", "weights"), [("codiemb", (1, 1)), ("infonce", (1,)), ("contrastive_search", (1, 1))]
)
def test_weights_that_do_not_fit(recipe: str, weights: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"^--weights: "):
        rows_for(get(recipe), [pairs("a", 4), pairs("b", 4)], weights=weights)
