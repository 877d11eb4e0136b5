"""The process of one job: what it trains and measures, what it adds to what was done before, how it ends."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from nearfar.comparison import worker
from nearfar.comparison.jobs import Job
from nearfar.comparison.worker import Clock
from nearfar.data import Retrieval, write_jsonl
from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.kinds.loading import load_kind

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that clocks read, which a test sets."""
    found = [0.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: found[0])
    return found


def test_pace_is_of_the_steps_after_the_first(tmp_path: Path, now: list[float], capsys):
    clock = Clock(tmp_path / "seconds")
    assert clock.pace is None
    # The first step is seen after 10 s, then three in 6 s; a second stage begins again at 1 after 50 s more.
    for step, seconds in ((1, 10.0), (2, 12.0), (4, 16.0), (1, 66.0), (2, 68.0)):
        now[0] = seconds
        clock(step, 4, 0.5)
    assert clock.pace == pytest.approx((2 + 4 + 2) / (1 + 2 + 1))
    assert json.loads(capsys.readouterr().out.splitlines()[2]) == {"step": 4, "of": 4, "loss": 0.5}


def test_one_step_has_no_pace(tmp_path: Path):
    clock = Clock(tmp_path / "seconds")
    clock(1, 1, None)
    assert clock.pace is None


def test_seconds_of_an_interrupted_process_count(tmp_path: Path, now: list[float]):
    now[0] = 100.0
    clock = Clock(tmp_path / "seconds")
    now[0] = 103.0
    clock(1, 4, None)
    now[0] = 200.0  # killed meanwhile
    clock = Clock(tmp_path / "seconds")
    now[0] = 207.0
    assert clock.seconds == pytest.approx(3.0 + 7.0)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (InputError("is wrong", field="--eval"), 2, "--eval"),
        (RuntimeError("went wrong\nsecond line"), 1, "RuntimeError: went wrong"),
    ],
)
def test_exit_codes(error: Exception | None, code: int, said: str, tmp_path: Path, monkeypatch, capsys):
    def do(_: Job) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(worker, "do", do)
    monkeypatch.setattr(worker, "_leave_with_parent", lambda *_: None)
    job = Job("x", None, "m", "", "", None, "", "", 0, {})
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    assert worker.main(str(tmp_path / "job.json")) == code
    lines = capsys.readouterr().err.splitlines()
    assert said in (lines[-1] if lines else "")


@pytest.fixture
def job(tmp_path: Path, tiny_model_folder: Path) -> Job:
    rows = [{"anchor": f"the {a} and a {b}", "positive": f"a {a} in the {b}"} for a in NOUNS for b in NOUNS]
    write_jsonl(rows[:40], tmp_path / "train.jsonl")
    write_jsonl(rows[40:], tmp_path / "held.jsonl")
    settings = {"max_steps": 3, "batch_size": 8, "save_steps": 1, "learning_rate": 1e-3}
    paths = [str(tmp_path / name) for name in ("run", "results/x.json")]
    files = (str(tmp_path / "train.jsonl"), str(tmp_path / "held.jsonl"))
    return Job("x", "infonce", str(tiny_model_folder), *files, None, *paths, 1, settings)


def test_a_job_is_trained_measured_and_not_trained_again(job: Job, monkeypatch: pytest.MonkeyPatch):
    worker.do(job)
    found = json.loads(Path(job.result).read_text("utf-8"))
    assert (found["name"], found["recipe"], found["seed"], found["n"]) == ("x", "infonce", 1, 24)
    assert len(found["per_item"]["ndcg@10"]) == 24
    assert list(found["per_item"]) == ["ndcg@10"]
    assert found["cost"]["steps"] == 3
    assert not found["cost"]["resumed"]
    # Of a process with torch: more than a hundred MiB, and less than a TiB.
    assert 2**27 < found["cost"]["memory"] < 2**40
    result = evaluate(str(Path(job.run) / "model"), job.evaluation)
    assert found["metrics"] == pytest.approx(result.metrics)
    # Checkpoints are several times the size of the model, and of no use any more.
    assert not (Path(job.run) / "checkpoints").exists()
    Path(job.result).unlink()
    from nearfar.training import run as training

    def again(_: Any) -> Any:
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "run", again)
    worker.do(job)
    assert json.loads(Path(job.result).read_text("utf-8"))["cost"] == found["cost"]


def test_a_run_that_was_begun_is_resumed(job: Job, monkeypatch: pytest.MonkeyPatch):
    from nearfar.kinds import _trainer

    def stop(_: Any, __: Any, state: Any, *___: Any, **____: Any) -> None:
        if state.global_step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_trainer.MarkComplete, "on_step_end", stop)
        with pytest.raises(KeyboardInterrupt):
            worker.do(job)
    assert not Path(job.result).exists()
    worker.do(job)
    cost = json.loads(Path(job.result).read_text("utf-8"))["cost"]
    assert cost["resumed"]
    assert cost["steps"] == 3


def test_the_base_model_is_measured_as_it_is(job: Job, tiny_model: Any):
    worker.do(replace(job, recipe=None, settings={}))
    found = json.loads(Path(job.result).read_text("utf-8"))
    assert "cost" not in found
    assert found["metrics"] == pytest.approx(evaluate(tiny_model, job.evaluation).metrics)


def test_a_classifier_learns_on_the_rows_that_it_is_given(job: Job, tiny_model: Any, tmp_path: Path):
    rows = Dataset.from_dict({"text": [f"the {a} on {i}" for i in range(6) for a in NOUNS], "label": list(NOUNS) * 6})
    for name, part in (("learn", rows.select(range(32))), ("asked", rows.select(range(32, 48)))):
        part.to_parquet(str(tmp_path / f"{name}.parquet"))
    learn, asked = (str(tmp_path / f"{name}.parquet") for name in ("learn", "asked"))
    worker.do(replace(job, recipe=None, evaluation=asked, learn=learn))
    found = json.loads(Path(job.result).read_text("utf-8"))
    assert (found["task"], found["n"]) == ("classify", 16)  # none of them is split off


def test_correlations_keep_what_they_are_computed_from(job: Job, tmp_path: Path):
    scored = [{"sentence1": f"the {a}", "sentence2": f"a {b}", "score": len(a + b)} for a in NOUNS for b in NOUNS]
    write_jsonl(scored, tmp_path / "sts.jsonl")
    worker.do(replace(job, recipe=None, evaluation=str(tmp_path / "sts.jsonl")))
    found = json.loads(Path(job.result).read_text("utf-8"))
    assert set(found["per_item"]) == {"similarity", "score"}
    assert found["per_item"]["score"] == [row["score"] for row in scored]


def test_what_has_no_value_an_item_cannot_be_compared(job: Job, monkeypatch: pytest.MonkeyPatch):
    import nearfar.evaluation
    from nearfar.evaluation.result import Result

    found = Result("cluster", "v_measure", {"v_measure": 0.5}, 9)
    monkeypatch.setattr(nearfar.evaluation, "evaluate", lambda *_, **__: found)
    with pytest.raises(InputError) as caught:
        worker.do(replace(job, recipe=None))
    assert caught.value.field == "--eval"
    assert not Path(job.result).exists()


def test_the_time_to_encode_a_text(tiny_model_folder: Path):
    model = load_kind(tiny_model_folder)
    pairs = Dataset.from_dict({"anchor": ["the cat", "a dog"], "positive": ["a cat", "the dog"]})
    found = worker.ms_per_text(model, pairs)
    assert found is not None
    assert found > 0
    queries = Retrieval({"d": "the cat"}, {"q": "a cat"}, {"q": {"d": 1}})
    assert worker.ms_per_text(model, queries) is not None
    assert worker.ms_per_text(model, Dataset.from_dict({"image": ["a.png"], "text": ["a cat"]})) is None


def test_the_general_set_is_measured_if_asked(job: Job, tiny_model: Any):
    base = replace(job, recipe=None, settings={})
    worker.do(base)
    assert "general" not in json.loads(Path(job.result).read_text("utf-8"))
    worker.do(replace(base, keep=job.training))
    found = json.loads(Path(job.result).read_text("utf-8"))["general"]
    assert found["metrics"] == pytest.approx(evaluate(tiny_model, job.training).metrics)
    assert len(found["per_item"]["ndcg@10"]) == found["n"] == 40
