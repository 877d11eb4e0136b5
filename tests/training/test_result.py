"""What `metrics.json` says of a run, on results made by hand."""

from __future__ import annotations

import json
import math

import pytest

from nearfar.evaluation import Interval
from nearfar.evaluation.result import Result
from nearfar.training.held_out import averaged
from nearfar.training.result import metrics_of, stage_metrics


def result(score: float, seconds: float = 0.0) -> Result:
    return Result("retrieval", "ndcg@10", {"ndcg@10": score, "mrr@10": score / 2}, n=20, seconds=seconds)


def tasks(**scores: float) -> Result:
    """The result of a stream whose tasks reached these scores."""
    return averaged({name: result(score) for name, score in scores.items()})


def test_difference_is_after_minus_before_with_its_bounds() -> None:
    log = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "eval_ndcg@10": 0.5}]
    found = metrics_of("infonce", 2, log, result(0.25, 1.0), result(0.75, 2.0), Interval(0.5, 0.375, 0.625))
    assert (found["recipe"], found["steps"], found["last_loss"]) == ("infonce", 2, 2.0)
    assert found["difference"] == {"metric": "ndcg@10", "value": 0.5, "low": 0.375, "high": 0.625}
    assert found["before"]["metrics"] == {"ndcg@10": 0.25, "mrr@10": 0.125}
    assert found["after"]["metrics"] == {"ndcg@10": 0.75, "mrr@10": 0.375}
    # The same seed must give the same file, however long it took.
    assert "seconds" not in found["before"]
    assert "seconds" not in found["after"]


def test_what_does_not_exist_is_null() -> None:
    found = metrics_of("dse", 1, [], result(math.nan), result(0.5), None)
    assert found["last_loss"] is None
    assert found["difference"] == {"metric": "ndcg@10", "value": None, "low": None, "high": None}
    assert found["before"]["metrics"]["ndcg@10"] is None
    json.dumps(found, allow_nan=False)
    assert set(metrics_of("dse", 1, [], None, None, None)) == {"recipe", "steps", "last_loss"}


def test_average_and_forgetting_of_a_stream() -> None:
    stages = [
        ("a", 3, tasks(a=0.9, b=0.2, c=0.1)),
        ("b", 4, tasks(a=0.6, b=0.8, c=0.3)),
        ("c", 5, tasks(a=0.5, b=0.7, c=0.6)),
    ]
    found = stage_metrics(stages, tasks(a=0.1, b=0.1, c=0.1))
    assert [(stage["name"], stage["steps"]) for stage in found["stages"]] == [("a", 3), ("b", 4), ("c", 5)]
    assert found["stages"][1]["metrics"]["ndcg@10 of b"] == 0.8
    # The last task cannot be forgotten: a lost 0.9 - 0.5, b 0.8 - 0.7.
    assert found["stream"]["average"] == pytest.approx((0.5 + 0.7 + 0.6) / 3)
    assert found["stream"]["forgetting"] == pytest.approx((0.4 + 0.1) / 2)


def test_scores_on_all_tasks_seen_so_far() -> None:
    stages = [
        ("a", 3, tasks(a=1.0, b=0.0, c=0.0)),
        ("b", 4, tasks(a=0.25, b=0.75, c=0.0)),
        ("c", 5, tasks(a=0.1, b=0.3, c=0.5)),
    ]
    equal = stage_metrics(stages, tasks(a=0.0, b=0.0, c=0.0), {"a": 10, "b": 10, "c": 10})["stream"]
    assert equal["seen"] == pytest.approx([1.0, 0.5, 0.3])
    assert (equal["average_seen"], equal["last_seen"]) == (pytest.approx(0.6), pytest.approx(0.3))
    # A task counts by its rows.
    by_rows = stage_metrics(stages, tasks(a=0.0, b=0.0, c=0.0), {"a": 30, "b": 10, "c": 10})["stream"]
    assert by_rows["seen"] == pytest.approx([1.0, (0.25 * 3 + 0.75) / 4, (0.1 * 3 + 0.3 + 0.5) / 5])
    assert "seen" not in stage_metrics(stages, tasks(a=0.0, b=0.0, c=0.0))["stream"]


def test_word_error_rates_and_slots_of_a_stream() -> None:
    def written(metric: str = "wer", **rates: float) -> Result:
        each = {name: {"accuracy": 0.5, metric: rate} for name, rate in rates.items()}
        return averaged({name: Result("classify", "accuracy", metrics, n=2) for name, metrics in each.items()})

    stages = [("a", 1, written(a=0.5, b=2.0)), ("b", 1, written(a=0.25, b=0.75))]
    found = stage_metrics(stages, written(a=1.0, b=1.0), {"a": 10, "b": 30})["stream"]
    assert (found["average"], found["forgetting"]) == (0.5, 0.0)
    assert found["last_wer"] == pytest.approx((0.25 + 3 * 0.75) / 4)
    assert found["average_wer"] == pytest.approx((0.5 + found["last_wer"]) / 2)
    assert "last_slu_f1" not in found
    by_stage = {"a": {"a": 1.0, "b": 0.0}, "b": {"a": 0.5, "b": 1.0}}
    slots = [(name, 1, written("slu_f1", **rates)) for name, rates in by_stage.items()]
    found = stage_metrics(slots, written("slu_f1", a=0.0, b=0.0), {"a": 10, "b": 30})["stream"]
    assert (found["last_slu_f1"], found["average_slu_f1"]) == pytest.approx((3.5 / 4, (1 + 3.5 / 4) / 2))


def test_forgetting_is_below_zero_where_earlier_tasks_improve() -> None:
    stages = [("a", 1, tasks(a=0.5, b=0.1)), ("b", 1, tasks(a=0.75, b=0.5))]
    assert stage_metrics(stages, tasks(a=0.0, b=0.0))["stream"] == {
        "average": pytest.approx(0.625),
        "forgetting": pytest.approx(-0.25),
    }


def test_stages_without_several_tasks_forget_nothing() -> None:
    stages = [("a", 2, result(0.4)), ("b", 2, result(math.nan))]
    found = stage_metrics(stages, result(0.1))
    assert set(found) == {"stages"}
    assert found["stages"][1]["metrics"] == {"ndcg@10": None, "mrr@10": None}
    unmeasured = stage_metrics([("a", 2, None), ("b", 2, None)], None)
    assert unmeasured == {
        "stages": [{"name": "a", "steps": 2, "metrics": None}, {"name": "b", "steps": 2, "metrics": None}]
    }
    # After one measured stage nothing can be said of what later ones lost.
    assert "stream" not in stage_metrics([("a", 2, tasks(a=0.5, b=0.5))], tasks(a=0.0, b=0.0))
