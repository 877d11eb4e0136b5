"""A search over configurations, with jobs in this process; test_compare_processes.py has real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nearfar
from jobs_here import jobs_here
from nearfar.comparison.jobs import Job
from nearfar.data import write_jsonl
from nearfar.errors import InputError

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "sky", "sea")
SMALL = {"batch_size": 8, "max_steps": 4}
RATES = [1e-4, 1e-3, 3e-3, 1e-2]


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    noun_pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b]
    write_jsonl(
        [{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in noun_pairs], "r.jsonl"
    )
    return "r.jsonl"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Those that were run, in this process."""
    return jobs_here(monkeypatch)


def compare(rows: str, model: Any, **more: Any) -> nearfar.comparison.Comparison:
    return nearfar.compare("infonce", **{"data": rows, "model": model, "out": "out", "seeds": 2, **SMALL, **more})


def figures(found: nearfar.comparison.Comparison) -> list[tuple[Any, ...]]:
    return [(row.name, row.by_seed, tuple(row.score), row.baseline and row.baseline.p) for row in found.ranking]


def test_half_of_the_configurations_go_on(rows: str, jobs: list[Job], tiny_model_folder: Path):
    found = compare(rows, tiny_model_folder, search={"learning_rate": RATES})
    said = found.metrics
    first, last = said["rungs"]
    names = [f"infonce+learning_rate={rate}" for rate in RATES]
    assert list(first["scores"]) == names
    assert (first["seeds"], last["seeds"]) == (1, 2)
    assert set(first["steps"].values()) == {2}
    assert set(last["steps"].values()) == {4}
    # The better half in the first rung is in the last one.
    worst = sorted(first["scores"].values())[:2]
    assert len(last["scores"]) == 2
    assert all(first["scores"][name] >= max(worst) for name in last["scores"])
    assert said["winner"] == max(last["scores"], key=lambda name: last["scores"][name])
    assert {row.name for row in found.ranking} == {*last["scores"], "base"}
    # The evaluation rows are read by the finalists and the base model, once.
    read = [job.name for job in jobs if "choosing" not in job.evaluation]
    assert sorted(read) == sorted(["base", *(f"{name}-{seed}" for name in last["scores"] for seed in (0, 1))])
    assert all(job.recipe is None for job in jobs if "choosing" not in job.evaluation)
    assert json.loads(Path("out/metrics.json").read_text())["winner"] == said["winner"]
    assert said["winner"] in Path("out/report.html").read_text()


def test_parts_do_not_overlap(rows: str, jobs: list[Job], tiny_model_folder: Path):
    compare(rows, tiny_model_folder, search={"learning_rate": RATES[:2]}, seeds=1)
    from datasets import load_dataset

    def texts(file: str) -> set[str]:
        read: Any = load_dataset("parquet", data_files=file, split="train")
        return {*read["anchor"], *read["positive"]}

    test, validation = texts("out/data/evaluation.parquet"), texts("out/choosing/evaluation.parquet")
    training = texts("out/data/training.parquet")
    assert training == texts("out/choosing/training.parquet")
    assert not test & validation
    assert not (test | validation) & training


def test_the_same_figures_again_and_from_a_part(rows: str, jobs: list[Job], tiny_model_folder: Path):
    asked = {"search": {"learning_rate": RATES}, "seeds": 1}
    whole = compare(rows, tiny_model_folder, **asked)
    again = compare(rows, tiny_model_folder, **asked, out="again")
    assert figures(whole) == figures(again)
    # As if killed in the last rung.
    count = len(jobs)
    lost = next(Path("again/rungs/2/results").iterdir())
    lost.unlink()
    Path("again/metrics.json").unlink()
    drafts = [Path("again", part, ".x.json.999999.part") for part in ("data", "logs", "rungs/1", "rungs/2/results")]
    for draft in drafts:
        draft.parent.mkdir(exist_ok=True)
        draft.touch()
    resumed = compare(rows, tiny_model_folder, **asked, out="again", resume=True)
    assert [job.name for job in jobs[count:]] == [lost.stem]
    assert figures(resumed) == figures(whole)
    assert not any(draft.exists() for draft in drafts)


def test_several_base_models(rows: str, jobs: list[Job], tiny_model_folder: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.symlink_to(tiny_model_folder)
    found = compare(rows, [tiny_model_folder, "other"], seeds=1, validate_on=None)
    short = tiny_model_folder.name
    assert {row.name for row in found.ranking} == {
        f"infonce+{short}",
        "infonce+other",
        f"base {short}",
        "base other",
    }
    assert found.baseline.startswith("base ")


def test_minutes_are_shared_by_the_rungs(rows: str, jobs: list[Job], tiny_model_folder: Path):
    asked: dict[str, Any] = {"search": {"learning_rate": RATES}, "seeds": 1, "max_steps": None, "budget": 0.5}
    del asked["max_steps"]
    found = nearfar.compare("infonce", data=rows, model=tiny_model_folder, out="out", batch_size=8, **asked)
    assert found.metrics["budget"]["minutes"] == 0.5
    first, last = found.metrics["rungs"]
    # Half of the configurations have twice the time each.
    assert min(last["steps"].values()) > max(first["steps"].values())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"search": {"nothing": [1]}}, "nothing"),
        ({"search": {"learning_rate": []}}, "--search"),
        ({"search": {"max_steps": [1, 2]}}, "--search"),
        ({"search": {"batch_size": [8, 16]}}, "--search"),
        ({"search": {"learning_rate": [1e-3, -1]}}, "learning_rate"),
        ({"search": {"learning_rate": [1e-3]}, "baseline": "base"}, "--baseline"),
        ({"validate_on": "r.jsonl"}, "--validation"),
        ({"search": {"learning_rate": [1e-3]}, "validate_on": "r.jsonl"}, "--validation"),
        ({"model": []}, "--model"),
    ],
)
def test_invalid(rows: str, jobs: list[Job], tiny_model_folder: Path, more: dict[str, Any], field: str):
    with pytest.raises(InputError, match=field):
        compare(rows, **{"model": tiny_model_folder, **more})
    assert not jobs
    assert not Path("out/compare.yaml").exists()


def test_a_variant_and_prompts(rows: str, jobs: list[Job], tiny_model_folder: Path):
    given = [json.loads(line) for line in Path(rows).read_text().splitlines()]
    write_jsonl([{**row, "negative": f"no {i}"} for i, row in enumerate(given)], "mined.jsonl")
    asked: dict[str, Any] = {"search": {"lora_rank": [0, 2]}, "variants": {"mined": "mined.jsonl"}, "seeds": 1}
    asked["prompts"] = '{"query": "query: "}'
    found = compare(rows, tiny_model_folder, **asked)
    names = [f"infonce{variant}+lora_rank={rank}" for variant in ("", "+mined") for rank in (0, 2)]
    assert {name: each.get("variant") for name, each in found.metrics["configurations"].items()} == {
        name: "mined" if "mined" in name else None for name in names
    }
    trained = {job.name: Path(job.training).name for job in jobs if "rungs/1" in job.result}
    assert trained == {f"{name}-0": f"training{'-mined' * ('mined' in name)}.parquet" for name in names}
    assert set(found.metrics["prompts"]) == {row.name for row in found.ranking}
    rows_of = found.metrics["variants"]["mined"]
    assert rows_of["training"] == found.metrics["rows"]["training"]
    assert rows_of["leaks"]["some_text_seen"]["rows"] == 0
    assert "mined" in Path("out/report.html").read_text()
    count = len(jobs)
    compare(rows, tiny_model_folder, **asked, resume=True)
    assert len(jobs) == count
