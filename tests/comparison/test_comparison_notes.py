"""Which notes a reader of a comparison's figures gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nearfar.comparison.notes import _on_baseline, _on_rows, _on_scores, _on_seeds


def test_few_seeds_are_said_to_be_few() -> None:
    (one,), (two,), (four,), (five,), (nine,) = (list(_on_seeds(seeds)) for seeds in (1, 2, 4, 5, 9))
    assert "4" in four
    assert "9" in nine
    assert two.replace("2", "4") == four
    assert five.replace("5", "9") == nine
    # More is said of one and of a few than of five.
    assert len(five) < len(four)
    assert one not in (two, five)


def test_what_was_done_to_the_rows() -> None:
    def said(texts: list[str], dropped: int = 0, learn: bool = False) -> list[str]:
        prepared: Any = SimpleNamespace(dropped=dropped, learn=learn)
        return list(_on_rows(texts, prepared))

    assert said([]) == []
    (texts,) = said(["simcse", "debcse"])
    assert "simcse, debcse" in texts
    (dropped,) = said([], dropped=1234)
    assert "1,234" in dropped
    assert len(said(["simcse"], 1, True)) == 3


def test_another_baseline_than_was_asked_for() -> None:
    (said,) = _on_baseline("dse", "infonce")
    assert "dse" in said
    assert "infonce" in said
    assert list(_on_baseline("infonce", "infonce")) == []
    assert list(_on_baseline(None, "infonce")) == []


def test_scores_that_do_not_exist_and_winners_of_several() -> None:
    def run(score: float | None) -> dict[str, Any]:
        return {"primary": "spearman", "metrics": {"spearman": score, "pearson": None}}

    assert list(_on_scores([run(0.5), run(0.25)], 2)) == []
    (undefined,) = _on_scores([run(0.5), run(None)], 2)
    (several,) = _on_scores([run(0.5), run(0.25)], 3)
    assert undefined != several
