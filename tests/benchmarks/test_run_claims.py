"""All claims from one command: what is done is not run again, and a failure does not stop the others."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

#: Counts its runs beside itself; it fails as long as there is a file `broken`.
SCRIPT = """
import json, pathlib, sys
here = pathlib.Path(__file__)
with here.with_suffix(".runs").open("a") as runs:
    runs.write(" ".join(sys.argv[1:]) + "\\n")
if here.with_name("broken").exists() and here.stem == "second":
    sys.exit(3)
result = {"verdict": "reproduced", "minutes": 90.0}
(here.parents[1] / "results" / f"{here.stem}.json").write_text(json.dumps(result))
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with three claims of its own."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import run

    for name in ("claims", "results"):
        (tmp_path / name).mkdir()
    for name in ("first", "second", "third", "_shared"):
        (tmp_path / "claims" / f"{name}.py").write_text(SCRIPT)
    monkeypatch.setattr(run, "CLAIMS", tmp_path / "claims")
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(run, "STATE", tmp_path / "results" / ".run.json")
    return run


def runs(runner: ModuleType, name: str) -> list[str]:
    file = runner.CLAIMS / f"{name}.runs"
    return file.read_text().splitlines() if file.exists() else []


def test_a_repeated_command_runs_what_is_not_done(runner: ModuleType):
    (runner.CLAIMS / "broken").touch()
    claims = runner.chosen("all")
    assert claims == ["first", "second", "third"]
    assert runner.run(claims, seeds=5, jobs=2) == 1
    assert [len(runs(runner, name)) for name in claims] == [1, 1, 1]
    assert runs(runner, "first") == ["--seeds 5 --jobs 2"]
    (runner.CLAIMS / "broken").unlink()
    assert runner.run(claims, seeds=5, jobs=1) == 0
    assert [len(runs(runner, name)) for name in claims] == [1, 2, 1]
    # All are done: the next command begins again.
    assert runner.run(claims, seeds=5, jobs=1) == 0
    assert [len(runs(runner, name)) for name in claims] == [2, 3, 2]


def test_another_command_does_not_continue_the_interrupted_one(runner: ModuleType):
    (runner.CLAIMS / "broken").touch()
    runner.run(["first", "second"], seeds=5, jobs=1)
    runner.run(["first", "second"], seeds=7, jobs=1)
    assert len(runs(runner, "first")) == 2


def test_the_list_says_how_long_each_claim_takes(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (runner.RESULTS / "first.json").write_text(json.dumps({"verdict": "same direction", "minutes": 12.4}))
    (runner.RESULTS / "second.json").write_text(json.dumps({"verdict": "reproduced"}))
    monkeypatch.setattr("sys.argv", ["run.py", "--list"])
    runner.main()
    first, second, third = capsys.readouterr().out.splitlines()
    assert "12 min" in first
    assert "same direction" in first
    assert "not measured" in second
    assert "no result" in third


def test_an_unknown_claim_is_refused(runner: ModuleType):
    with pytest.raises(SystemExit) as caught:
        runner.chosen("first,fourth")
    assert "fourth" in str(caught.value.code)


def test_the_claims_of_the_project_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import run

    assert {"simcse", "qcrd", "space2"} <= set(run.names())
