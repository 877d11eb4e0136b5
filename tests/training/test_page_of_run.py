"""The page of a run: which verdict which figures give, and that every number is the one it is said to be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfar.evaluation import Interval, bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.similarity import PairSimilarity
from nearfar.reports.page import Page
from nearfar.training.page import add_rehearsal, add_stages, training_page, verdict
from nearfar.training.result import Run
from page_reading import Read, read_page

VALUES = np.linspace(0, 1, 40)
CONFIGURATION: dict[str, Any] = {
    "recipe": "infonce",
    "data": {"rows": 1234, "source": "rows.jsonl"},
    "model": {"name": "tiny"},
    "seed": 3,
    "options": {"epochs": 2.0, "batch_size": 8},
}


def result(score: float, **more: float) -> Result:
    metrics = {"ndcg@10": score, "mrr@10": score / 2, **more}
    return Result("retrieval", "ndcg@10", metrics, n=40, per_item={"ndcg@10": VALUES + score - VALUES.mean()})


def perplexity(score: float) -> Result:
    return Result("perplexity", "log_probability", {"log_probability": score, "perplexity": -1000 * score}, n=40)


def page_of(before: Result | None = None, after: Result | None = None, change: Interval | None = None, **more) -> Read:
    metrics = {"steps": 50, **more.pop("metrics", {})}
    run = Run(Path("out"), None, before, after, change, more.pop("log", []), more.pop("similarities", None), metrics)
    return read_page(training_page(run, CONFIGURATION))


@pytest.mark.parametrize(
    ("change", "tone"),
    [
        (Interval(0.25, 0.125, 0.375), "good"),
        (Interval(0.25, -0.125, 0.625), "neutral"),
        (Interval(0.25, 0.0, 0.5), "neutral"),
        (Interval(-0.25, -0.375, -0.125), "bad"),
        (Interval(-0.25, -0.5, 0.0), "neutral"),
        (Interval(-0.25, -0.625, 0.125), "neutral"),
        # All items changed alike, which says nothing on how others would.
        (Interval(0.25, 0.25, 0.25), "neutral"),
        (Interval(-0.25, -0.25, -0.25), "neutral"),
        (None, "neutral"),
    ],
)
def test_only_an_interval_beside_zero_is_better_or_worse(change: Interval | None, tone: str) -> None:
    delta = 0.25 if change is None else change.mean
    said, found = verdict(result(0.5), result(0.5 + delta), change)
    assert found == tone
    assert f"0.500 to {0.5 + delta:.3f} ({delta:+.3f}" in said
    # The bounds are said where there are two.
    for bound in (change.low, change.high) if change is not None and not change.degenerate else ():
        assert f"{bound:+.3f}" in said


def test_the_words_follow_the_tone() -> None:
    spans = {"good": 1.0, "neutral": 0.0, "bad": -1.0}
    words = {
        tone: re.sub(r"[-+\d.,]", "", verdict(result(0.5), result(0.5), Interval(mean, mean - 0.5, mean + 0.5))[0])
        for tone, mean in spans.items()
    }
    assert len(set(words.values())) == 3


def test_perplexity_goes_from_the_first_to_the_last() -> None:
    said, tone = verdict(perplexity(-2.5), perplexity(-2.0), Interval(0.5, 0.25, 0.75))
    assert tone == "good"
    assert "2,500.0 to 2,000.0" in said
    assert "+0.500" in said


def test_before_and_after_have_their_own_figures_and_intervals() -> None:
    before, after = result(0.5, undefined=float("nan")), result(0.75, undefined=0.5)
    found = page_of(before, after, Interval(0.25, 0.2, 0.3))
    assert found.tone == "good"
    chart = found.figures[0]["rows"]
    for series, each in (("before", before), ("after", after)):
        (row,) = (row for row in chart if row[0] == "nDCG@10" and series in row)
        interval = bootstrap_mean(each.per_item["ndcg@10"], seed=3)  # type: ignore[index]
        assert [value for value in row if isinstance(value, float)] == pytest.approx(list(interval))
    # A metric without values an item has no whiskers, and one that is undefined has no row.
    assert [value for row in chart if row[0] == "MRR@10" for value in row if isinstance(value, float)] == [0.25, 0.375]
    assert {row[0] for row in chart} == {"nDCG@10", "MRR@10"}


def test_curves_are_of_the_loss_and_of_the_primary_metric() -> None:
    log = [
        {"step": 10.0, "loss": 3.0},
        {"step": 10.0, "eval_ndcg@10": 0.25, "eval_runtime": 7.0},
        {"step": 20.0, "loss": 2.0},
    ]
    found = page_of(result(0.5), result(0.5), None, log=log)
    numbers = [
        [value for row in figure["rows"] for value in row if not isinstance(value, str)] for figure in found.figures
    ]
    assert [10, 3, 20, 2] in numbers
    assert [10, 0.25] in numbers
    assert all(7.0 not in each for each in numbers)


def test_similarities_are_of_their_time() -> None:
    before = PairSimilarity(np.full(4, 0.25), np.full(4, -0.5))
    after = PairSimilarity(np.full(4, 0.75), np.full(4, 0.0))
    found = page_of(result(0.5), result(0.5), None, similarities=(before, after))
    first, second = found.figures[-2:]
    assert first != second
    assert first == page_of(result(0.5), result(0.5), None, similarities=(before, before)).figures[-1]
    assert second == page_of(result(0.5), result(0.5), None, similarities=(after, after)).figures[-1]


def test_items_seen_in_training_are_said() -> None:
    seen = page_of(result(0.5), result(0.5), None, metrics={"held_out_seen_in_training": 17})
    assert any("17" in text for text in seen.texts)
    none = page_of(result(0.5), result(0.5), None, metrics={"held_out_seen_in_training": 0})
    assert len(none.texts) == len(seen.texts) - 1


def test_without_evaluation_data_nothing_is_claimed() -> None:
    found = page_of()
    assert found.tone == "neutral"
    assert found.figures == []
    assert not re.search(r"\d\.\d\d\d", found.verdict)
    assert (found.facts["recipe"], found.facts["seed"]) == ("infonce", "3")
    assert "1,234" in found.subtitle
    assert "50" in found.subtitle
    assert found.table("option") == [
        {"option": "epochs", "value": "2.0"},
        {"option": "batch_size", "value": "8"},
    ]


def test_stages_and_what_was_forgotten() -> None:
    page = Page("Stages")
    stages = [
        {"name": "first", "steps": 1200, "metrics": {"ndcg@10": 0.25}},
        {"name": "second", "steps": 7, "metrics": {"ndcg@10": None}},
    ]
    add_stages(page, {"stages": stages, "stream": {"average": 0.625, "forgetting": 0.125}})
    found = read_page(page)
    rows = found.table("nDCG@10")
    assert [(row["stage"], row["steps"]) for row in rows] == [("first", "1,200"), ("second", "7")]
    assert rows[0]["nDCG@10"] == "0.250"
    assert not re.search(r"\d", rows[1]["nDCG@10"])
    assert re.findall(r"\d\.\d+", found.texts[-1]) == ["0.625", "0.125"]


def test_scores_on_the_tasks_seen_so_far() -> None:
    page = Page("Stages")

    def scores(*each: float) -> dict[str, float]:
        return {"mean accuracy": sum(each) / 2, "accuracy of a": each[0], "accuracy of b": each[1]}

    stages = [
        {"name": "a", "steps": 5, "metrics": scores(0.875, 0.0)},
        {"name": "b", "steps": 5, "metrics": scores(0.25, 0.75)},
    ]
    seen = {"seen": [0.875, 0.5], "average_seen": 0.6875, "last_seen": 0.5}
    add_stages(page, {"stages": stages, "stream": {"average": 0.5, "forgetting": 0.625, **seen}})
    found = read_page(page)
    assert re.findall(r"\d\.\d+", found.texts[-1]) == ["0.688", "0.500"]
    line, cells = found.figures
    assert line["rows"] == [[1, 0.875, 0.875], [2, 0.5, 0.25]]
    assert cells["rows"] == [["after a", 0.875, 0.0], ["after b", 0.25, 0.75]]


@pytest.mark.parametrize(("keep", "said"), [("rows", "these rows"), ("features", "vectors"), ("nothing", "none")])
def test_what_the_folder_contains_of_rehearsed_rows(keep: str, said: str) -> None:
    page = Page("Rehearsal")
    add_rehearsal(page, {"items": 1200, "keep": keep, "tasks": {"a": {"x": 500, "y": 700}}})
    found = read_page(page)
    assert found.table("task") == [{"task": "a", "labels": "2", "rows": "1,200"}]
    assert "1,200" in page.html()
    assert said in page.html()


def test_cost_of_a_language_model() -> None:
    mib = 2**20
    cost = {
        "parameters": {"all": 1_000_000, "without_embeddings": 750_000},
        "memory_bytes": {"optimizer": 8 * mib, "weights": 4 * mib, "gradients": 2 * mib},
        "speed": {"tokens_per_second": 1234.4},
        "tokens_seen": 65_536,
        "dense": {"note": "a note", "perplexity": 12.5},
    }
    found = page_of(metrics=cost)
    figures = [row[1] for row in next(t for t in found.tables if t[0] == ["", "figure"])[1:]]
    assert [re.sub(r"[^\d.,]", "", each) for each in figures] == [
        "12.50",
        "1,000,000",
        "750,000",
        "8.0",
        "4.0",
        "2.0",
        "1,234",
    ]
    assert "65,536" in found.subtitle
    unknown = page_of(metrics={**cost, "speed": {"tokens_per_second": None}, "dense": {"note": "", "perplexity": None}})
    shown = [row[1] for row in next(t for t in unknown.tables if t[0] == ["", "figure"])[1:]]
    assert len(shown) == 6
    assert not re.search(r"\d", shown[-1])
