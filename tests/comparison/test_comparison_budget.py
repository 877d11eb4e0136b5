"""How many steps each recipe takes, so that none is given more than another."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nearfar.comparison.budget import TRIAL_STEPS, Trial, by_minutes, by_rows, checkpoints, settings_for, trial_of
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.recipes import get


def test_equal_rows():
    options = {
        "infonce": with_settings(get("infonce").options(), {"batch_size": 64}),
        "moe": with_settings(get("moe_embed").options(), {"batch_size": 16, "gradient_accumulation": 2}),
        "staged": with_settings(get("defsent_plus").options(), {"batch_size": 32, "stages": 2}),
    }
    steps = {name: by_rows(own, 1280, 640) for name, own in options.items()}
    assert steps == {"infonce": 20, "moe": 40, "staged": 40}
    assert by_rows(get("codiemb").options(), 640, 640, scored=True) == 20
    # A batch has no more rows than there are.
    assert by_rows(options["infonce"], 120, 40) == 3
    # Of other rows as many are seen, whether there are more or fewer of them.
    assert by_rows(options["infonce"], 640, 64) == by_rows(options["infonce"], 640, 6400) == 10


def test_equal_minutes():
    trials = {"fast": Trial(0.5, 10.0, 5.0, 1.0), "slow": Trial(2.0, 10.0, 5.0, 1.0), "two": Trial(0.5, 10.0, 5.0, 2.0)}
    # 10 minutes are 600 s, less 45 s of trials and 2 x 15 s around the runs: 525 s for 6 trainings, 10 s of each fixed.
    share = (600 - 45 - 30) / 6
    steps = {"fast": int((share - 10) / 0.5), "slow": int((share - 10) / 2.0), "two": int((share - 10) / 0.5)}
    assert by_minutes(10, trials, 2, 45.0) == (steps, 2)
    # 45 s, and for each seed 15 s around the runs and three trainings of 12 s: 96 s for one, 147 s for two.
    assert by_minutes(2.5, trials, 2, 45.0)[1] == 2
    few, seeds = by_minutes(2, trials, 2, 45.0)
    assert seeds == 1
    assert few["slow"] == int(((120 - 45 - 15) / 3 - 10) / 2)
    assert by_minutes(2, trials, 9, 45.0) == (few, 1)
    with pytest.raises(InputError, match=r"^--budget: .* 45 s,.* 15 s ") as error:
        by_minutes(1.5, trials, 2, 45.0)
    assert error.value.field == "--budget"
    assert "must be at least 1.6 minutes for one step of each recipe with one seed" in str(error.value)
    assert "use at least 1.6 minutes (2.5 for 2 seeds)" in str(error.value)


def test_settings_for_all_and_for_one():
    classes = {name: get(name).options for name in ("infonce", "simcse", "codiemb")}
    found = settings_for(list(classes), classes, {"infonce.temperature": "0.2", "temperature": "0.1", "positives": "3"})
    assert found["infonce"] == {"temperature": "0.2"}
    assert found["codiemb"] == {"temperature": "0.1", "positives": "3"}
    with pytest.raises(InputError, match="temperature"):
        settings_for(list(classes), classes, {"simcse.temperature": "-1"})


@pytest.mark.parametrize(
    ("epochs", "rows", "size", "steps"),
    [(1.0, 64, 64, 1), (1.0, 100, 64, 2), (1.0, 90, 64, 1), (0.01, 100, 64, 1), (2.5, 640, 64, 25)],
)
def test_rows_are_rounded_to_whole_steps_and_one_at_least(epochs: float, rows: int, size: int, steps: int):
    own = with_settings(get("infonce").options(), {"batch_size": size})
    assert by_rows(own, epochs * rows, rows) == steps


def test_time_that_is_just_enough_is_enough():
    # 60 s less 10 s spent and 2 x 5 s around the runs: 20 s for each of two trainings, 12 s of them fixed.
    trials = {"one": Trial(pace=8.0, fixed=12.0, around=5.0, stages=1.0)}
    assert by_minutes(1, trials, 2, 10.0) == ({"one": 1}, 2)
    assert by_minutes(1, {"one": Trial(2.0, 12.0, 5.0, 1.0)}, 2, 10.0) == ({"one": 4}, 2)
    # Half a second less suffices for one seed, which then has nearly twice the time.
    assert by_minutes(1, trials, 2, 10.5) == ({"one": 4}, 1)


def test_each_stage_takes_a_step_at_least():
    # 25 s a training: 5 s fixed and 20 s of steps, where the plan's three stages need 3 x 5 s.
    staged = {"one": Trial(pace=5.0, fixed=5.0, around=0.0, stages=3.0)}
    assert by_minutes(0.5, staged, 1, 5.0) == ({"one": 4}, 1)
    assert by_minutes(0.5, staged, 1, 10.0) == ({"one": 3}, 1)
    with pytest.raises(InputError):
        by_minutes(0.5, staged, 1, 11.0)
    # A plan that made fewer steps than a trial asks of a stage still makes one.
    assert by_minutes(0.5, {"one": Trial(30.0, 0.0, 0.0, 0.5)}, 1, 14.0) == ({"one": 1}, 1)


def test_the_minutes_that_an_error_names_are_enough():
    trials = {"a": Trial(0.7, 3.3, 2.9, 1.0), "b": Trial(11.0, 1.0, 7.7, 2.0)}
    with pytest.raises(InputError) as caught:
        by_minutes(0.1, trials, 3, 1.23)
    # Both what was given and what would do are said.
    given, least, *_ = (float(number) for number in re.findall(r"\d+\.?\d*", caught.value.problem))
    assert given == 0.1
    assert set(by_minutes(least, trials, 3, 1.23)[0]) == {"a", "b"}
    with pytest.raises(InputError):
        by_minutes(least - 0.2, trials, 3, 1.23)


def cost(**changes: Any) -> dict[str, Any]:
    return {"steps": 2 * TRIAL_STEPS, "seconds": 20.0, "seconds_a_step": 2.0, **changes}


def test_what_a_trial_tells():
    # 8 steps of 2 s in 20 s leave 4 s beside the steps; the process took 7 s more. Two stages made 4 steps each.
    assert trial_of(cost(), 27.0) == Trial(2.0, 4.0, 7.0, 2.0)
    # Too short to time a step: no slower than the whole.
    assert trial_of(cost(seconds_a_step=None), 27.0) == Trial(2.5, 0.0, 7.0, 2.0)
    # Clocks that disagree give no negative time.
    assert trial_of(cost(seconds_a_step=3.0), 19.0) == Trial(3.0, 0.0, 0.0, 2.0)


@pytest.mark.parametrize(("steps", "between"), [(1, 1), (4, 1), (5, 1), (6, 2), (100, 20), (101, 21)])
def test_a_run_writes_five_checkpoints_at_most(steps: int, between: int):
    assert checkpoints(steps) == between
    assert steps / between <= 5


def test_settings_of_a_recipe_that_takes_no_part():
    classes = {name: get(name).options for name in ("infonce", "simcse")}
    with pytest.raises(InputError) as caught:
        settings_for(list(classes), classes, {"dse.alpha": 1})
    assert caught.value.field == "settings"
    with pytest.raises(InputError, match="temprature"):
        settings_for(list(classes), classes, {"temprature": 1})
