"""What is shown of the evidence is what the result files say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from nearfar import recipes
from nearfar.recipes._evidence import verdict

ROOT = Path(__file__).parents[1]


def test_page_and_verdicts_are_those_of_the_result_files() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "collect.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run python benchmarks/collect.py"


def test_each_verdict_belongs_to_a_recipe_and_to_its_figures() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        result = json.loads(path.read_text("utf-8"))
        if "verdict" not in result:
            continue
        assert result["recipe"] in recipes.names()
        ours, baseline = (result["figures"][arm] for arm in result["compared"])
        assert len(ours) >= 5
        differences = [ours[seed] - baseline[seed] for seed in ours]
        assert abs(sum(differences) / len(differences) - result["difference"]) < 1e-9
        # A recipe may have several claims.
        said = f"{result['verdict']}: {' minus '.join(result['compared'])} "
        assert any(part.startswith(said) for part in (verdict(result["recipe"]) or "").split("; "))


def test_every_speed_benchmark_has_its_section() -> None:
    page = (ROOT / "docs" / "speed.md").read_text("utf-8")
    found = list((ROOT / "benchmarks" / "results").glob("speed-*.json"))
    assert len(found) >= 6
    for path in found:
        assert page.count(f"All figures: `benchmarks/results/{path.name}`") == 1
