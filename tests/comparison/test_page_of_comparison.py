"""The page of a comparison: that every number is the one it is said to be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nearfar.comparison.fitting import Fit
from nearfar.comparison.page import comparison_page
from nearfar.comparison.ranking import Against, Cost, Ranked, label
from nearfar.comparison.result import Comparison, Failure
from nearfar.evaluation.intervals import Interval
from page_reading import Read, read_page

MIB = 2**20
#: The base model, as pages call it.
BASE = label("base")
FACTS: dict[str, Any] = {
    "data": "rows.jsonl",
    "variants": {},
    "evaluation": "held.jsonl",
    "model": "tiny",
    "options": {"epochs": 2},
}


def against(mean: float, corrected: float) -> Against:
    return Against(Interval(mean, mean - 0.125, mean + 0.125), corrected / 4, corrected)


RANKING = [
    Ranked(1, "simcse", Interval(0.75, 0.5, 0.875), (0.6875, 0.8125), against(0.25, 0.04), against(0.5, 0.0001), None,
           Cost(40, 31.25, 0.03125, 300 * MIB, 2000 * MIB)),
    Ranked(2, "infonce", Interval(0.5, 0.25, 0.625), (0.4375, 0.5625), None, against(0.375, 0.02), against(-0.25, 0.04),
           Cost(20, 62.5, None, 100 * MIB, 1000 * MIB)),
    Ranked(3, "base", Interval(0.25, 0.125, 0.375), (0.25,), against(-0.375, 0.02), None, against(-0.5, 0.001),
           Cost(0, 0.0, None, None, None)),
]  # fmt: skip


def comparison(**more: Any) -> Comparison:
    metrics = {
        "task": "retrieval",
        "seeds": 2,
        "recommended": "simcse",
        "rows": {"training": 1000, "evaluation": 200},
        "split": None,
        "leaks": {"says": "nothing shared"},
        **more.pop("metrics", {}),
    }
    found = Comparison(
        Path("out"),
        "nDCG@10",
        RANKING,
        "infonce",
        "use it",
        "is better",
        "out/runs/simcse-0/model",
        [Fit("infonce"), Fit("simcse"), Fit("dse", "no scores")],
        [Failure("debcse", 1, "no memory", Path("log.txt"))],
        [],
        metrics,
    )
    return replace(found, **more)


def page_of(facts: dict[str, Any] = FACTS, **more: Any) -> Read:
    return read_page(comparison_page(comparison(**more), facts))


def numbers(figure: dict[str, Any]) -> dict[str, list[float]]:
    return {
        row[0]: [value for value in row if isinstance(value, (int, float)) and not isinstance(value, bool)]
        for row in figure["rows"]
    }


def test_the_ranking_and_the_differences_have_their_intervals() -> None:
    scores, differences, seconds = (numbers(figure) for figure in page_of().figures)
    assert scores == {"simcse": [0.75, 0.5, 0.875], "infonce": [0.5, 0.25, 0.625], BASE: [0.25, 0.125, 0.375]}
    # Against the baseline, and not of the baseline itself.
    assert differences == {"simcse": [0.25, 0.125, 0.375], BASE: [-0.375, -0.5, -0.25]}
    assert seconds == {"simcse": [31.25], "infonce": [62.5]}


def test_the_tables_of_differences() -> None:
    found = page_of()
    with_rank = next(i for i, table in enumerate(found.tables) if table[0][0] == "rank")
    assert found.stressed[with_rank] == [0]
    first, second, third = found.table("rank")
    assert (first["rank"], first["model"], first["nDCG@10"]) == ("1", "simcse", "0.750")
    assert (first["p, corrected"], third["p, corrected"]) == ("0.040", "0.020")
    assert first["verdict"] == "better"
    assert third["verdict"] == "worse"
    assert second["verdict"] not in ("better", "worse", "no significant difference")
    assert first["minus infonce"] == "+0.250"
    assert first["95% interval"].split("\u00a0")[::2] == ["+0.125", "+0.375"]
    assert third["minus infonce"] == "\u22120.375"
    base = found.table("minus the base model")
    assert [row["model"] for row in base] == ["simcse", "infonce"]
    assert [row["minus the base model"] for row in base] == ["+0.500", "+0.375"]
    assert [row["p, corrected"] for row in base] == ["< 0.001", "0.020"]
    seeds = found.table("seed 1")
    assert [(row["model"], row["seed 0"][:5], row["seed 1"][:5]) for row in seeds] == [
        ("simcse", "0.688", "0.812"),
        ("infonce", "0.438", "0.562"),
    ]


def test_costs_are_in_their_units() -> None:
    def costs(**more: Any) -> list[list[str]]:
        """Name, steps, seconds, seconds of a step, MiB, and MiB on a GPU where there is one."""
        return next(table[1:] for table in page_of(**more).tables if "steps" in table[0])

    first, second = costs()
    assert [first[:2], second[:2]] == [["simcse", "40"], ["infonce", "20"]]
    assert [float(first[2]), float(second[2])] == pytest.approx([31.25, 62.5], abs=0.06)
    assert float(first[3]) == pytest.approx(0.031)
    assert not re.search(r"\d", second[3])
    assert [each.replace(",", "") for each in (*first[4:], *second[4:])] == ["300", "2000", "100", "1000"]
    without = [replace(row, cost=replace(row.cost, gpu_memory=None)) for row in RANKING]
    assert len(costs(ranking=without)[0]) == 5


def test_the_tone_is_good_where_something_is_better_than_the_base_model() -> None:
    assert page_of().tone == "good"
    kept = page_of(metrics={"recommended": "base"})
    assert kept.tone == "neutral"
    assert kept.stressed[next(i for i, table in enumerate(kept.tables) if table[0][0] == "rank")] == [2]


def test_what_took_no_part_is_listed() -> None:
    found = page_of()
    assert found.subtitle.split()[0] == "2"  # recipes, without the base model
    assert "200" in found.subtitle
    assert (found.facts["seeds"], found.facts["training rows"]) == ("2", "1,000")
    cells = [row for table in found.tables for row in table]
    assert [list(row.values()) for row in found.table("why")] == [["dse", "no scores"]]
    assert ["debcse", "1", "no memory", "log.txt"] in cells
    plain = page_of(failures=[], fits=[Fit("infonce")])
    assert len(plain.tables) == len(found.tables) - 2


def test_one_seed_has_no_table_of_seeds_and_the_base_model_as_baseline_no_table_of_its_own() -> None:
    assert len(page_of(metrics={"seeds": 1}).tables) == len(page_of().tables) - 1
    as_baseline = [replace(row, baseline=row.base) for row in RANKING]
    found = page_of(ranking=as_baseline, baseline="base")
    assert not any("minus the base model" in table[0] for table in found.tables)


def test_a_page_without_the_base_model() -> None:
    without = [replace(row, base=None) for row in RANKING[:2]]
    found = page_of(ranking=without, fits=[Fit("simcse"), Fit("base", "cannot read images")])
    assert found.subtitle.split()[0] == "2"
    assert not any("minus the base model" in table[0] for table in found.tables)
    assert [list(row.values()) for row in found.table("why")] == [[BASE, "cannot read images"]]
    # Nothing to use where all models are at chance.
    none = page_of(ranking=without, model=None, metrics={"recommended": None})
    assert none.tone == "neutral"


def test_where_rows_came_from() -> None:
    split = {"says": "by groups"}
    held = page_of({**FACTS, "evaluation": None, "data": object()}, metrics={"split": split})
    assert not {"held.jsonl", "None"} & set(held.facts.values())
    assert any(value.endswith("object") for value in held.facts.values())
    assert "by groups" in held.texts
    assert "nothing shared" in held.texts
    assert {"rows.jsonl", "held.jsonl", "tiny"} <= set(page_of().facts.values())
    assert "a/held.jsonl" in page_of({**FACTS, "evaluation": Path("a/held.jsonl")}).facts.values()


def test_prompts_of_each_model_are_shown_where_there_are_any():
    prompts = {"simcse": {"query": "ask: ", "document": "say: "}, "base": {}}
    assert "ask: " in str(page_of(metrics={"prompts": prompts}))
    assert "prompts" not in str(page_of())
