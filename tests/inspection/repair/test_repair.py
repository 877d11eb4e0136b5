"""Repairing rows: planted faults are found, every change is listed, and a judge must confirm."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from pyarrow import parquet

from fake_endpoint import completion
from nearfar.data import load
from nearfar.errors import InputError
from nearfar.inspection.repair import RepairOptions, repair
from nearfar.inspection.repair.judging import endpoint_judge, model_judge

WORDS = [
    *("cat", "dog", "fish", "bird", "tree", "house", "sky", "sea", "bank", "loan"),
    *("card", "song", "band", "guitar", "drum", "rain", "snow", "sun", "wind", "mat"),
]
CLEAN = [{"anchor": f"{word} {word}", "positive": f"the {word}"} for word in WORDS]


def repaired(rows: list[dict[str, Any]], model: Any, out: Path, **options: Any) -> tuple[Any, list[Any], list[Any]]:
    found = repair(model, Dataset.from_list(rows), out, **options)
    return found, load(out).to_list(), read(Path(f"{out}.changes.jsonl"))


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


class Judge:
    """Knows the right pairs."""

    def __init__(self) -> None:
        self.right = {(row["anchor"], row["positive"]) for row in CLEAN}

    def __call__(self, first: Any, second: Any) -> np.ndarray:
        return np.array([float(pair in self.right) for pair in zip(first, second, strict=True)])


def test_duplicates_are_dropped_and_listed(tiny_model, tmp_path: Path) -> None:
    rows = [*CLEAN, {"anchor": "Cat  cat", "positive": "the CAT"}]
    keeping = RepairOptions(near_duplicate=1.0)
    found, kept, changes = repaired(rows, tiny_model, tmp_path / "out.jsonl", options=keeping)
    assert kept == CLEAN
    assert found.changes == {"duplicates: drop": 1}
    (change,) = changes
    assert change["row"] == 21
    assert "row 1" in change["reason"]
    assert change["before"] == rows[-1]


def test_near_duplicates_are_dropped_on_request_only(tiny_model, tmp_path: Path) -> None:
    rows = [*CLEAN, {name: f"{text} the" for name, text in CLEAN[0].items()}]
    asked = {"near_duplicates": "drop", "wrong_positives": "keep"}
    found, kept, changes = repaired(
        rows, tiny_model, tmp_path / "out.jsonl", options=RepairOptions(asked, near_duplicate=0.95)
    )
    assert kept == CLEAN
    assert found.changes == {"near_duplicates: drop": 1}
    assert "row 1" in changes[0]["reason"]
    options = RepairOptions({"wrong_positives": "keep"}, near_duplicate=0.95)
    found, kept, changes = repaired(rows, tiny_model, tmp_path / "kept.jsonl", options=options)
    assert (found.changes, kept, changes) == ({}, rows, [])


def test_a_judge_must_confirm_that_a_positive_is_wrong(tiny_model, tmp_path: Path) -> None:
    wrong = {0: "the snow", 7: "the guitar", 12: "the dog"}
    rows = [{**row, "positive": wrong.get(number, row["positive"])} for number, row in enumerate(CLEAN)]
    options = RepairOptions(near_duplicate=1.0, wrong_rank=0.0)
    _, kept, changes = repaired(rows, tiny_model, tmp_path / "out.jsonl", options=options, judge=Judge())
    listed = {change["row"] - 1 for change in changes}
    assert listed <= set(wrong)  # the judge knows that the others are right
    assert len(listed) >= 2
    assert kept == [row for number, row in enumerate(rows) if number not in listed]
    alone, same, _ = repaired(rows, tiny_model, tmp_path / "alone.jsonl", options=options)
    assert alone.changes == {}
    assert alone.kept["wrong_positives"] >= len(listed)  # found, and said, but kept
    assert same == rows


def test_few_suspects_are_compared_with_a_hundred_random_pairs(tiny_model, tmp_path: Path) -> None:
    """A suspect that scores above most random pairs is right, however few suspects there are."""
    rows = [*CLEAN[:-1], {"anchor": "mat mat", "positive": "cat dog"}]
    right, calls = Judge(), []

    def judge(first: Any, second: Any) -> np.ndarray:
        calls.append(list(zip(first, second, strict=True)))
        return np.where(np.array(second) == "cat dog", 0.5, right(first, second))

    options = RepairOptions({"duplicates": "keep"}, wrong_rank=0.5)
    repaired(rows, tiny_model, tmp_path / "out.jsonl", options=options, judge=judge)
    random, suspects = calls
    assert len(suspects) < 100 == len(random)
    assert not set(random) & set(suspects)


def test_pairs_that_the_judge_does_not_answer_are_counted(tiny_model, tmp_path: Path) -> None:
    rows = [*CLEAN[:-1], {"anchor": "mat mat", "positive": "cat dog"}]
    options = RepairOptions(near_duplicate=1.0, wrong_rank=0.5)
    silent, kept, _ = repaired(
        rows, tiny_model, tmp_path / "out.jsonl", options=options, judge=lambda a, b: np.full(len(a), np.nan)
    )
    assert (silent.changes, kept) == ({}, rows)
    assert silent.unanswered == silent.judged > 100
    right = Judge()
    partly, _, _ = repaired(
        rows,
        tiny_model,
        tmp_path / "partly.jsonl",
        options=options,
        judge=lambda a, b: np.where(np.array(b) == "the cat", np.nan, right(a, b)),
    )
    assert 0 < partly.unanswered < partly.judged == silent.judged


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_other_columns_are_kept(suffix: str, tiny_model, tmp_path: Path) -> None:
    """Also by changed rows and those of lists of positives; what has no value remains without one."""
    rows: list[dict[str, Any]] = [{**row, "id": number} for number, row in enumerate(CLEAN)]
    rows[0] |= {"positive": ["the cat", "the dog"], "note": None, "id": 2**60 + 1}
    rows[1:] = [{**row, "positive": [row["positive"]]} for row in rows[1:]]
    rows[4] |= {"note": {"by": ["A"]}}
    rows.append({**rows[3], "id": 99})
    file, out = tmp_path / "rows.jsonl", tmp_path / f"out.{suffix}"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = repair(tiny_model, file, out, options=RepairOptions(near_duplicate=1.0))
    kept = parquet.read_table(out).to_pylist() if suffix == "parquet" else read(out)
    assert found.written == len(CLEAN) + 1 == len(kept)
    assert [row["id"] for row in kept] == [2**60 + 1, 2**60 + 1, *range(1, len(CLEAN))]
    assert kept[5]["note"] == {"by": ["A"]}
    assert list(kept[1]) == ["anchor", "positive", "id", "note"]
    assert kept[2] == {**CLEAN[1], "id": 1, **({} if suffix == "jsonl" else {"note": None})}
    (change,) = read(tmp_path / f"out.{suffix}.changes.jsonl")
    assert change["before"] == {**CLEAN[3], "id": 99}


def test_masked_and_relabelled_rows_keep_other_columns(tiny_model, tmp_path: Path) -> None:
    rows = [{**row, "negative": "the mat", "id": str(number)} for number, row in enumerate(CLEAN[:-1])]
    rows[3] |= {"negative": rows[3]["positive"]}
    options = RepairOptions({"false_negatives": "relabel", "wrong_positives": "keep"}, wrong_rank=0.99)
    repair(tiny_model, Dataset.from_list(rows), tmp_path / "out.jsonl", options=options, judge=Judge())
    kept = [row for row in read(tmp_path / "out.jsonl") if row["id"] == "3"]
    assert len(kept) == 2
    assert {row["negative"] for row in kept} != {rows[3]["positive"]}


def test_what_a_file_cannot_represent_is_named(tiny_model, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{**row, "day": date(2026, 1, 1), "id": number} for number, row in enumerate([*CLEAN, CLEAN[0]])]
    repair(tiny_model, Dataset.from_list(rows), tmp_path / "out.jsonl")
    assert set(read(tmp_path / "out.jsonl")[0]) == {"anchor", "positive", "id"}
    assert "out.jsonl: left out, because the file cannot represent their values: 'day'; use .parquet" in caplog.text
    caplog.clear()
    repair(tiny_model, Dataset.from_list(rows), tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist()[0]["day"] == date(2026, 1, 1)
    mixed = [{**row, "question": row["anchor"], "anchor": "a", "id": at or "no"} for at, row in enumerate(CLEAN)]
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, mixed)))
    repair(tiny_model, tmp_path / "mixed.jsonl", tmp_path / "mixed.parquet", columns={"anchor": "question"})
    assert parquet.read_table(tmp_path / "mixed.parquet").column_names == ["anchor", "positive"]
    assert "'id'; use .jsonl" in caplog.text
    assert "the column 'anchor' is left out, because --columns gives its name to another" in caplog.text


@pytest.mark.parametrize("action", ["mask", "drop", "relabel"])
def test_false_negatives(action: str, tiny_model, tmp_path: Path) -> None:
    """The negative of row 3 is another row's positive of the same anchor."""
    rows = [{**row, "negative": f"a warm {WORDS[-1 - number]}"} for number, row in enumerate(CLEAN)]
    rows.append({**rows[2], "positive": "the cold sea bird"})
    rows[2]["negative"] = "The cold SEA bird"
    actions = {"false_negatives": action, "wrong_positives": "keep", "duplicates": "keep"}
    found, kept, changes = repaired(
        rows, tiny_model, tmp_path / "out.parquet", options=RepairOptions(actions), judge=lambda a, b: np.zeros(len(a))
    )
    assert found.changes == {f"false_negatives: {action}": 1}
    assert changes[0]["row"] == 3
    if action == "drop":
        assert kept == [row for number, row in enumerate(rows) if number != 2]
        return
    assert changes[0]["before"] == "The cold SEA bird"
    assert kept[2]["negative"] == changes[0]["after"] not in ("the fish", "the cold sea bird")
    assert len(kept) == len(rows) + (action == "relabel")
    if action == "relabel":
        assert kept[3] == {**kept[2], "positive": "The cold SEA bird"}


def test_a_mask_does_not_match_the_anchor(tiny_model, tmp_path: Path) -> None:
    """It is no positive of the anchor, whose case and white space do not count, and no other false negative of it."""
    asked = [("cat dog", "the sea", "the sky"), ("Cat  DOG", "the sky", "the bank"), ("CAT dog", "the fish", "cat dog")]
    asked += [("the rain", "cat dog", "the loan"), ("the loan", "the song", "the rain")]
    rows = [dict(zip(("anchor", "positive", "negative"), texts, strict=True)) for texts in asked]
    for seed in range(5):
        options = RepairOptions(wrong_rank=0.99, near_duplicate=1.0, seed=seed)
        _, kept, changes = repaired(rows, tiny_model, tmp_path / f"{seed}.jsonl", options=options)
        assert {change["row"] for change in changes} >= {1, 3}
        assert {row["negative"] for row in kept[:3]} <= {"the bank", "the song"}


def test_wrong_labels_become_those_that_the_other_texts_make_likely(tiny_model, tmp_path: Path) -> None:
    nouns, places = ("cat", "dog", "bird", "fish"), ("mat", "grass", "sea")
    rows = [{"text": f"the {noun} sits on {place}", "label": "animal"} for noun in nouns for place in places]
    nouns, kinds = ("bank", "loan", "card", "bill"), ("money", "account", "balance")
    rows += [{"text": f"pay the {noun} {kind}", "label": "money"} for noun in nouns for kind in kinds]
    right = [row["label"] for row in rows]
    for number in (3, 17):
        rows[number]["label"] = "money" if rows[number]["label"] == "animal" else "animal"
    options = RepairOptions(near_duplicate=1.0)
    found, kept, changes = repaired(rows, tiny_model, tmp_path / "out.jsonl", options=options)
    assert [row["label"] for row in kept] == right
    assert {change["row"] for change in changes} == {4, 18}
    assert found.changes == {"wrong_labels: relabel": 2}
    assert (changes[0]["before"], changes[0]["after"]) == ("money", "animal")
    refused, same, _ = repaired(
        rows, tiny_model, tmp_path / "b.jsonl", options=options, judge=lambda a, b: np.zeros(len(a))
    )
    assert refused.changes == {}
    assert same == rows


def test_equal_texts_with_other_labels_contradict(tiny_model, tmp_path: Path) -> None:
    rows = [{"text": f"the {word}", "label": "a"} for word in WORDS] + [{"text": "The  cat", "label": "b"}]
    options = RepairOptions({"wrong_labels": "keep"}, near_duplicate=1.0)
    _, kept, changes = repaired(rows, tiny_model, tmp_path / "out.jsonl", options=options)
    assert len(kept) in (len(WORDS), len(WORDS) + 1)
    assert all("row 1" in change["reason"] for change in changes)


def test_judges(tiny_model, server, tmp_path: Path) -> None:
    from nearfar.generation.endpoint import Endpoint

    pairs = ["the cat", "the cat"], ["the cat", "loan money"]
    own, other = model_judge(tiny_model)(*pairs)
    assert own == pytest.approx(1, abs=1e-5)
    assert own > other
    server.reply = lambda body, number: (200, {}, completion("4.5" if "loan" not in str(body) else "no idea"))
    judge = endpoint_judge(Endpoint(server.url, "any", first_wait=0.01), tmp_path / "calls.jsonl")
    scores = judge(*pairs)
    assert scores[0] == 4.5
    assert np.isnan(scores[1])
    judge(*pairs)
    assert len(server.requests) == 2  # answers are reused


def test_what_cannot_be_repaired(tiny_model, tmp_path: Path) -> None:
    for options in ({"x": "drop"}, {"duplicates": "mask"}):
        with pytest.raises(InputError, match="actions"):
            RepairOptions(options)
    with pytest.raises(InputError, match="sentences"):
        repair(tiny_model, Dataset.from_dict({"text": WORDS}), tmp_path / "out.jsonl")
    with pytest.raises(InputError, match="suffix"):
        repair(tiny_model, Dataset.from_list(CLEAN), tmp_path / "out.csv")


def test_labels_of_few_texts_are_counted(tiny_model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nearfar.cli.inspect import _print_repaired

    rows = [{"text": f"the {word}", "label": label} for word, label in zip(WORDS, "ab" * 8 + "cccd", strict=True)]
    found, kept, _ = repaired(rows, tiny_model, tmp_path / "out.jsonl", options=RepairOptions(near_duplicate=1.0))
    assert found.unchecked >= 4
    assert [row["label"] for row in kept[-4:]] == list("cccd")
    _print_repaired(found, tmp_path / "out.jsonl")
    assert f"labels not checked: {found.unchecked} (fewer than five texts" in capsys.readouterr().out
