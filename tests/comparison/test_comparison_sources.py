"""Several datasets in a comparison: joined, mapped and weighted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from nearfar.comparison.prepared import prepare
from nearfar.comparison.request import Request, chosen_recipes
from nearfar.comparison.sources import (
    Joined,
    check_weights,
    listed,
    mapping_of_each,
    parse_weights,
    weighted,
)
from nearfar.data import write_jsonl
from nearfar.errors import InputError


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


def request(**how) -> Request:
    return Request(chosen_recipes(["infonce"]), **how)


def test_a_comparison_weights_what_is_trained_on_and_not_what_is_held_out(tmp_path) -> None:
    write_jsonl([{"q": row["anchor"], "positive": row["positive"]} for row in pairs("a", 20)], tmp_path / "a.jsonl")
    pairs("b", 20).save_to_disk(tmp_path / "b")
    data = [str(tmp_path / "a.jsonl"), str(tmp_path / "b")]
    columns = [{"anchor": "q"}, None]
    plain = prepare(request(data=data, columns=columns))
    found = prepare(request(data=data, columns=columns, weights=(3, 1)))
    assert found.held_out["anchor"][:] == plain.held_out["anchor"][:]
    counts, before = (Counter(text[0] for text in each.training["anchor"]) for each in (found, plain))
    assert (counts["a"], counts["b"]) == (3 * before["a"], before["b"])
    assert len(plain.training) + len(plain.held_out) == 40


def test_leaks_are_dropped_before_weights(tmp_path) -> None:
    held_out = pairs("b", 3)
    found = prepare(request(data=[pairs("a", 4), pairs("b", 6)], evaluate_on=held_out, drop_leaks=True, weights=(1, 2)))
    assert found.dropped == 3
    assert Counter(found.training["anchor"][:]) == {
        **dict.fromkeys(("a0", "a1", "a2", "a3"), 1),
        **dict.fromkeys(("b3", "b4", "b5"), 2),
    }


def test_what_is_recorded(tmp_path) -> None:
    (tmp_path / "a.jsonl").touch()
    known = str(tmp_path / "a.jsonl")
    alone = request(data=known, columns={"anchor": "q"}).recorded()
    assert (alone["data"], alone["columns"]) == (known, {"anchor": "q"})
    assert "weights" not in alone, "comparisons of earlier versions are resumed"
    several = request(data=[known, "user/name"], columns=[{"anchor": "q"}, None], weights=(2, 1)).recorded()
    assert several["data"] == f"{known}, user/name"
    assert (several["columns"], several["weights"]) == ([{"anchor": "q"}, {}], [2, 1])
