"""The page of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import HOSTILE

from chromium import Chromium
from nearfar.comparison.fitting import Fit
from nearfar.comparison.page import comparison_page
from nearfar.comparison.ranking import against_baseline, rank, recommendation, recommended
from nearfar.comparison.run import Comparison
from nearfar.comparison.runner import Failure

GAINS = {"infonce": 0.1, "simcse": 0.02, "codiemb": 0.11, "contrastive_gap": -0.1}


def measured(gain: float, seed: int, *, trained: bool) -> dict[str, Any]:
    values = np.linspace(0.2, 0.6, 200) + gain + np.random.default_rng([seed, int(gain * 100) + 50]).normal(0, 0.1, 200)
    found: dict[str, Any] = {"task": "retrieval", "primary": "ndcg@10", "per_item": {"ndcg@10": values.tolist()}}
    cost = {"steps": 40, "seconds": 30 + gain, "seconds_a_step": 0.4, "memory": 2**30, "gpu_memory": 2**31}
    return found | {"metrics": {"ndcg@10": float(values.mean())}} | ({"cost": cost} if trained else {})


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    runs = {name: [measured(gain, seed, trained=True) for seed in range(3)] for name, gain in GAINS.items()}
    ranking = rank({**runs, "base": [measured(0.0, 9, trained=False)]}, "infonce")
    said, verdicts = recommendation(ranking, "nDCG@10"), against_baseline(ranking)
    metrics = {
        "task": "retrieval",
        "seeds": 3,
        "recommended": recommended(ranking).name,
        "rows": {"training": 1000, "evaluation": 200},
        "split": None,
        "leaks": {"says": HOSTILE},
    }
    return Comparison(
        tmp_path,
        "nDCG@10",
        ranking,
        "infonce",
        said,
        verdicts,
        f"runs/{HOSTILE}",
        [Fit("infonce"), Fit("dse", "needs scores (sentence1, sentence2, score)")],
        [Failure("debcse", 1, HOSTILE, tmp_path / "log.txt")],
        ["A note.", HOSTILE],
        metrics,
    )


FACTS = {
    "data": HOSTILE,
    "variants": {HOSTILE: HOSTILE},
    "evaluation": None,
    "model": "minilm",
    "options": {"epochs": HOSTILE},
}


def test_it_says_everything(found: Comparison):
    html = comparison_page(found, FACTS).html()
    for text in (found.recommendation, found.verdicts, "needs scores", "held-out groups", "A note.", "GPU memory, MiB"):
        assert text in html
    assert html.count("<svg") >= 6
    assert "onerror=alert(1)>" not in html


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_in_a_browser(found: Comparison, browser: Chromium, tmp_path: Path, width: int, scheme: str):
    page = comparison_page(found, FACTS).write(tmp_path / "report.html")
    browser.open(page, width=width, scheme=scheme)
    assert browser.problems == []
    assert browser.requests == [page.as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.images.length") == 0
    assert found.recommendation in browser.evaluate("document.body.innerText")
