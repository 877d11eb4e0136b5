"""Several datasets in a comparison: joined, mapped and weighted."""

from __future__ import annotations

from collections import Counter

from datasets import Dataset

from nearfar.comparison.prepared import prepare
from nearfar.comparison.request import Request, chosen_recipes
from nearfar.data import write_jsonl


def pairs(prefix: str, count: int) -> Dataset:
    texts = [f"{prefix}{number}" for number in range(count)]
    return Dataset.from_dict({"anchor": texts, "positive": [f"{text} it is" for text in texts]})


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
