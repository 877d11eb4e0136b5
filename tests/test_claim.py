"""What the benchmarks state of a paper's claim: the interval, the verdict, and that an interrupted one goes on."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scipy.stats import ttest_rel

FILE = Path(__file__).parents[1] / "benchmarks" / "claims" / "_claim.py"


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with a folder of its own for results."""
    spec = importlib.util.spec_from_file_location("claim_for_tests", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


@pytest.mark.parametrize(
    ("low", "mean", "high", "verdict"),
    [
        (0.1, 0.2, 0.3, "reproduced"),
        (0.0, 0.1, 0.2, "same direction"),
        (-0.1, 0.1, 0.3, "same direction"),
        (-0.1, 0.0, 0.1, "not reproduced"),
        (-0.2, -0.1, 0.1, "not reproduced"),
        (-0.3, -0.2, -0.1, "not reproduced"),
    ],
)
def test_an_interval_above_zero_reproduces(claims: ModuleType, low: float, mean: float, high: float, verdict: str):
    assert claims.verdict(low, mean, high) == verdict


def test_interval_is_students_over_seeds(claims: ModuleType):
    ours, baseline = [0.5, 0.7, 0.6, 0.9, 0.8], [0.4, 0.5, 0.6, 0.6, 0.7]
    differences = [a - b for a, b in zip(ours, baseline, strict=True)]
    mean, low, high = claims.paired_interval(differences)
    expected = ttest_rel(ours, baseline).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert mean == pytest.approx(0.14)
    wider = ttest_rel(ours, baseline).confidence_interval(0.99)
    assert claims.paired_interval(differences, 0.99)[1:] == pytest.approx((wider.low, wider.high))


class Arms:
    """Figures by arm and seed; an arm may be interrupted."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.fails: tuple[str, int] | None = None
        self.failure: type[BaseException] = KeyboardInterrupt

    def __call__(self, name: str, base: float, slope: float = 0.0) -> Any:
        def arm(seed: int) -> float:
            if (name, seed) == self.fails:
                raise self.failure
            self.asked.append((name, seed))
            return base + slope * seed + 0.01 * (seed % 2)

        return arm


def claim_of(claims: ModuleType, arms: Arms, seeds: int | tuple[int, ...] | None = None, name: str = "") -> Any:
    times = {"ours": arms("ours, time", 1.0), "theirs": arms("theirs, time", 3.0, 0.5)}
    also = claims.Also("time", "ours", "theirs", times, seeds)
    own = {"ours": arms("ours", 0.75), "theirs": arms("theirs", 0.25, 0.125), "control": arms("control", 0.0)}
    return claims.Claim("mine", "it is better", "d", "b", "t", "score", "ours", "theirs", own, also=(also,), name=name)


def run(
    claims: ModuleType, arms: Arms, monkeypatch: pytest.MonkeyPatch, *more: str, seeds: str = "4"
) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["claim", "--seeds", str(seeds), *more])
    claims.run(claim_of(claims, arms))
    found = json.loads((claims.RESULTS / "mine.json").read_text())
    del found["minutes"]  # of this machine
    return found


def test_the_minutes_of_all_arms_are_added_up(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(claims.time, "monotonic", lambda: next(clock))
    arms = Arms()
    arms.fails = ("theirs", 2)
    with pytest.raises(KeyboardInterrupt):
        run(claims, arms, monkeypatch)
    arms.fails = None
    monkeypatch.setattr(sys, "argv", ["claim", "--seeds", "4"])
    claims.run(claim_of(claims, arms))
    # Between the beginning and the end of an arm, the clock is read once more, for `--until`, or not at all.
    assert json.loads((claims.RESULTS / "mine.json").read_text())["minutes"] == 4 * 5


def test_minutes_are_left_out_if_some_were_not_measured(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    claims.kept("mine", "now", lambda: 1.0)
    (claims.RESULTS / ".mine.json").write_text(
        json.dumps({"before": 2.0} | claims._known(claims.RESULTS / ".mine.json"))
    )
    monkeypatch.setattr(sys, "argv", ["claim", "--seeds", "4"])
    claims.run(claim_of(claims, Arms()))
    assert "minutes" not in json.loads((claims.RESULTS / "mine.json").read_text())


def test_a_result_is_ours_minus_theirs_seed_by_seed(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    found = run(claims, Arms(), monkeypatch)
    assert found["compared"] == ["ours", "theirs"]
    assert set(found["figures"]) == {"ours", "theirs", "control"}
    assert found["figures"]["theirs"] == pytest.approx({"0": 0.25, "1": 0.385, "2": 0.5, "3": 0.635})
    # 0.5 less 0.125 a seed.
    assert found["difference"] == pytest.approx(0.5 - 0.125 * 1.5)
    assert found["interval_95"] == pytest.approx(claims.paired_interval([0.5, 0.375, 0.25, 0.125])[1:])
    assert found["verdict"] == claims.verdict(found["interval_95"][0], found["difference"], found["interval_95"][1])
    # A further metric has figures and a difference of its own, and no verdict.
    (also,) = found["also"]
    assert also["figures"]["ours"]["0"] == 1.0
    assert also["difference"] == pytest.approx(1 - 3 - 0.5 * 1.5)
    assert also["interval_95"][0] < also["difference"] < also["interval_95"][1]
    assert "verdict" not in also


def test_an_interrupted_claim_goes_on_where_it_was(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    arms = Arms()
    arms.fails = ("theirs", 2)
    with pytest.raises(KeyboardInterrupt):
        run(claims, arms, monkeypatch)
    assert not (claims.RESULTS / "mine.json").exists()
    done = len(arms.asked)
    assert done == 2 * 5 + 2
    arms.fails = None
    found = run(claims, arms, monkeypatch)
    assert len(arms.asked) == 4 * 5
    assert len(set(arms.asked)) == 4 * 5
    assert found == run(claims, Arms(), monkeypatch)
    assert [path.name for path in claims.RESULTS.iterdir()] == ["mine.json"]


def test_one_seed_has_no_interval(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SystemExit) as caught:
        run(claims, Arms(), monkeypatch, seeds=1)
    assert caught.value.code != 0
    assert not list(claims.RESULTS.iterdir())


def test_processes_share_the_arms_of_a_claim(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    alone = run(claims, Arms(), monkeypatch)
    (claims.RESULTS / "mine.json").unlink()
    arms = Arms()
    assert run(claims, arms, monkeypatch, "--jobs", "3") == alone
    assert arms.asked == []  # the others have computed them


def test_arms_that_fail_do_not_stop_those_of_other_processes(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    arms = Arms()
    arms.fails = ("theirs", 2)
    arms.failure = RuntimeError
    with pytest.raises(RuntimeError):
        run(claims, arms, monkeypatch, "--jobs", "2")
    arms.fails = None
    run(claims, arms, monkeypatch)
    assert set(arms.asked) == {("theirs", 2), ("theirs, time", 2)}


def test_no_arm_begins_when_the_time_is_over(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    arms = Arms()
    with pytest.raises(SystemExit) as caught:
        run(claims, arms, monkeypatch, "--until", "-1")
    assert caught.value.code != 0
    assert arms.asked == []
    assert not (claims.RESULTS / "mine.json").exists()


def test_what_is_kept_is_computed_once(claims: ModuleType):
    def slowly() -> float:
        time.sleep(0.2)
        return time.monotonic()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: claims.kept("mine", "x", slowly), range(4)))
    assert len(set(found)) == 1


def test_one_metric_can_be_computed_first(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    arms = Arms()
    with pytest.raises(SystemExit) as caught:
        run(claims, arms, monkeypatch, "--metric", "time")
    assert caught.value.code != 0
    assert {name for name, _ in arms.asked} == {"ours, time", "theirs, time"}
    run(claims, arms, monkeypatch)
    assert len(arms.asked) == 5 * 4


def test_a_further_metric_may_have_fewer_seeds(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["claim", "--seeds", "4"])
    arms = Arms()
    claims.run(claim_of(claims, arms, seeds=3))
    (also,) = json.loads((claims.RESULTS / "mine.json").read_text())["also"]
    assert also["seeds"] == 3
    assert set(also["figures"]["ours"]) == {"0", "1", "2"}
    assert also["difference"] == pytest.approx(1 - 3 - 0.5)
    assert ("ours, time", 3) not in arms.asked


def test_a_further_metric_may_have_chosen_seeds(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["claim", "--seeds", "4"])
    claims.run(claim_of(claims, Arms(), seeds=(1, 3)))
    (also,) = json.loads((claims.RESULTS / "mine.json").read_text())["also"]
    assert also["seeds"] == 2
    assert {name: list(figures) for name, figures in also["figures"].items()} == {
        "ours": ["1", "3"],
        "theirs": ["1", "3"],
    }


def test_a_recipe_may_have_a_second_claim(claims: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["claim", "--seeds", "2"])
    claims.run(claim_of(claims, Arms(), name="mine_raw"))
    result = json.loads((claims.RESULTS / "mine_raw.json").read_text())
    assert (result["recipe"], result["name"]) == ("mine", "mine_raw")
    assert "claims/mine_raw.py" in result["command"]
    assert not (claims.RESULTS / "mine.json").exists()
