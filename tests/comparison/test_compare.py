"""`nearfar.compare` from rows to the page, with jobs in this process; see test_compare_processes.py for real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

import nearfar
from jobs_here import jobs_here
from nearfar.comparison.jobs import Job
from nearfar.comparison.request import chosen_recipes
from nearfar.data import Retrieval, write_jsonl
from nearfar.errors import InputError
from nearfar.recipes import infonce

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "sky", "sea")
SMALL = {"batch_size": 8, "learning_rate": 1e-3}


def pairs(start: int, stop: int) -> list[dict[str, str]]:
    noun_pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b][start:stop]
    return [{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in noun_pairs]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jsonl(pairs(0, 32), tmp_path / "train.jsonl")
    write_jsonl(pairs(40, 60), tmp_path / "held.jsonl")
    write_jsonl(pairs(30, 50), tmp_path / "leaky.jsonl")
    return tmp_path


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Those that were run, in this process."""
    return jobs_here(monkeypatch)


def test_from_rows_to_the_page(files: Path, jobs: list[Job], tiny_model_folder: Path):
    said: list[str] = []
    steps: list[tuple[int, int]] = []
    found = nearfar.compare(
        ["infonce", "simcse", "dse"],
        data="train.jsonl",
        evaluate_on="held.jsonl",
        seeds=2,
        model=tiny_model_folder,
        out="out",
        say=said.append,
        progress=lambda done, of, _: steps.append((done, of)),
        **SMALL,
    )
    # All recipes with a seed before any with the next.
    assert [job.name for job in jobs] == ["base", "infonce-0", "simcse-0", "infonce-1", "simcse-1"]
    assert [job.settings["max_steps"] for job in jobs[1:]] == [4] * 4
    assert sorted(row.name for row in found.ranking) == ["base", "infonce", "simcse"]
    assert found.baseline == "infonce"
    assert {fit.recipe: fit.reason for fit in found.fits}["dse"] == "needs scores (sentence1, sentence2, score)"
    assert steps[-1] == (16, 16)
    assert len(said) == 5
    scores = {row.name: row for row in found.ranking}
    for job in jobs:
        result = json.loads(Path(job.result).read_text("utf-8"))
        assert result["metrics"]["ndcg@10"] == scores[job.recipe or "base"].by_seed[job.seed]
        assert len(result["per_item"]["ndcg@10"]) == result["n"] == 20
    infonce = scores["infonce"]
    assert infonce.cost.steps == 4
    assert infonce.cost.seconds > 0
    assert infonce.cost.memory is not None
    assert infonce.score.mean == pytest.approx(sum(infonce.by_seed) / 2)
    # What it recommends can be used.
    assert nearfar.load(found.model).encode(["the cat"]).shape == (1, 32)
    assert json.loads((files / "out/metrics.json").read_text("utf-8")) == found.metrics
    page = (files / "out/report.html").read_text("utf-8")
    assert found.recommendation in page
    assert "needs scores" in page
    assert not list(files.glob("out/runs/*/checkpoints"))
    # Texts one by one for the recipe that wants them, pairs for the other.
    assert {Path(job.training).name for job in jobs if job.recipe == "simcse"} == {"texts.parquet"}
    assert any("single texts" in note and "simcse" in note for note in found.notes)

    again = nearfar.compare(
        ["infonce", "simcse", "dse"],
        data="train.jsonl",
        evaluate_on="held.jsonl",
        seeds=2,
        model=tiny_model_folder,
        out="out",
        resume=True,
        **SMALL,
    )
    assert len(jobs) == 5
    assert again.metrics == found.metrics


@pytest.mark.slow
def test_resume_adds_and_refuses(files: Path, jobs: list[Job], tiny_model_folder: Path):
    asked: dict[str, Any] = {"evaluate_on": "held.jsonl", "model": tiny_model_folder, "out": "out", **SMALL}
    with pytest.raises(InputError, match=r"^out: --resume: "):
        nearfar.compare(["infonce"], data="train.jsonl", resume=True, **asked)
    nearfar.compare(["infonce"], data="train.jsonl", seeds=1, **asked)
    with pytest.raises(InputError, match=r"^out: --out: "):
        nearfar.compare(["infonce"], data="train.jsonl", seeds=1, **asked)
    with pytest.raises(InputError, match=r"compare\.yaml: options\.batch_size: .*'8'.*'4'"):
        nearfar.compare(["infonce"], data="train.jsonl", seeds=1, resume=True, **{**asked, "batch_size": 4})
    write_jsonl(pairs(0, 31), files / "train.jsonl")
    with pytest.raises(InputError, match="sha256"):
        nearfar.compare(["infonce"], data="train.jsonl", seeds=1, resume=True, **asked)
    assert len(jobs) == 2
    write_jsonl(pairs(0, 32), files / "train.jsonl")
    # Folders of version 0.1.0 have another name for the base model, which is not evaluated again.
    (files / "out/results/base.json").rename(files / "out/results/untrained.json")
    more = nearfar.compare(["infonce", "behaviour"], data="train.jsonl", seeds=2, resume=True, **asked)
    assert [job.name for job in jobs[2:]] == ["behaviour-0", "infonce-1", "behaviour-1"]
    assert yaml.safe_load((files / "out/compare.yaml").read_text("utf-8"))["seeds"] == 2
    assert len(more.ranking) == 3


def test_arguments_of_the_trainer_reach_every_run(files: Path, jobs: list[Job], tiny_model_folder: Path):
    (files / "trainer.yaml").write_text("logging_steps: 1\n")
    given: dict[str, Any] = {"data": "train.jsonl", "evaluate_on": "held.jsonl", "seeds": 1, "model": tiny_model_folder}
    given |= {"out": "out", "max_steps": 2, "keep": "none", **SMALL}
    for wrong, field in (({"seed": 1}, "seed"), ({"max_steps": 3}, "max_steps"), ({"logging_step": 1}, "logging_step")):
        with pytest.raises(InputError) as caught:
            nearfar.compare("infonce", trainer_args=wrong, **given)
        assert caught.value.field == field
        assert not (files / "out" / "compare.yaml").exists()
    nearfar.compare("infonce", trainer_args="trainer.yaml", **given)
    run = yaml.safe_load((files / "out" / "runs" / "infonce-0" / "run.yaml").read_text())
    assert run["trainer_args"] == {"logging_steps": 1}
    with pytest.raises(InputError) as caught:
        nearfar.compare("infonce", resume=True, trainer_args={"logging_steps": 2}, **given)
    assert caught.value.field == "trainer_args"
    with pytest.raises(InputError):
        nearfar.compare("infonce", resume=True, **given)
    nearfar.compare("infonce", resume=True, trainer_args={"logging_steps": 1}, **given)
    assert [job.name for job in jobs] == ["base", "infonce-0"]


def test_a_failure_loses_nothing_else(files: Path, jobs: list[Job], tiny_model_folder: Path):
    # The tiny model reads 64 tokens, and matryoshka_2d asks for 128.
    found = nearfar.compare(
        ["matryoshka_2d", "infonce"],
        data="train.jsonl",
        evaluate_on="held.jsonl",
        seeds=2,
        baseline="matryoshka_2d",
        model=tiny_model_folder,
        out="out",
        **SMALL,
    )
    assert [job.name for job in jobs] == ["base", "matryoshka_2d-0", "infonce-0", "infonce-1"]
    assert [(each.recipe, each.seed) for each in found.failures] == [("matryoshka_2d", 0)]
    assert "invalid value 128" in found.failures[0].reason
    assert "invalid value 128" in (files / "out/report.html").read_text("utf-8")
    assert found.baseline == "infonce"
    assert any("matryoshka_2d failed" in note for note in found.notes)
    with pytest.raises(RuntimeError, match=r"matryoshka_2d: max_length.*none/logs"):
        nearfar.compare(
            ["matryoshka_2d"], data="train.jsonl", evaluate_on="held.jsonl", model=tiny_model_folder, out="none"
        )


def test_without_evaluation_data_groups_are_held_out(files: Path, jobs: list[Job], tiny_model_folder: Path):
    rows = Dataset.from_list([{**row, "anchor": f"{row['anchor']} {i % 2}"} for i in range(2) for row in pairs(0, 30)])
    found = nearfar.compare(["infonce"], data=rows, seeds=1, model=tiny_model_folder, out="out", max_steps=2, **SMALL)
    training, held_out = (
        {text for row in nearfar_rows(files / "out/data" / name) for text in row}
        for name in ("training.parquet", "evaluation.parquet")
    )
    assert held_out
    assert not training & held_out
    assert found.metrics["split"]["groups"] == 30
    assert found.metrics["rows"]["training"] == 48
    assert any("One seed" in note for note in found.notes)
    assert found.ranking[0].cost.steps in (0, 2)


def test_variants_are_ranked_beside_the_other_rows(files: Path, jobs: list[Job], tiny_model_folder: Path):
    scored = [{"sentence1": row["anchor"], "sentence2": row["positive"], "score": 1.0} for row in pairs(0, 20)]
    write_jsonl([{**row, "negative": f"no {i}"} for i, row in enumerate(pairs(0, 20))], files / "mined.jsonl")
    write_jsonl(scored, files / "scored.jsonl")
    asked: dict[str, Any] = {
        "data": "train.jsonl",
        "evaluate_on": "held.jsonl",
        "variants": {"mined": "mined.jsonl"},
        "seeds": 1,
        "model": tiny_model_folder,
        "out": "out",
        **SMALL,
    }
    found = nearfar.compare(["infonce", "simcse"], **asked)
    names = ["infonce", "simcse", "infonce+mined", "simcse+mined"]
    assert [job.name for job in jobs] == ["base", *(f"{name}-0" for name in names)]
    assert {job.recipe: Path(job.training).name for job in jobs if job.name.endswith("+mined-0")} == {
        "infonce": "training-mined.parquet",
        "simcse": "texts-mined.parquet",
    }
    # As many rows are seen of each, and all are evaluated on the same rows.
    assert {json.loads(Path(job.result).read_text())["cost"]["rows"] for job in jobs[1:]} == {32}
    assert len({job.evaluation for job in jobs}) == 1
    assert {row.name for row in found.ranking} == {"base", *names}
    assert found.baseline == "infonce"
    assert found.metrics["rows"]["training"] == 32
    assert found.metrics["variants"]["mined"]["training"] == 20
    assert set(found.metrics["general"]["changes"]) == set(names)
    written = yaml.safe_load((files / "out/compare.yaml").read_text("utf-8"))["variants"]
    assert written["mined"]["source"] == str(files / "mined.jsonl")
    page = (files / "out/report.html").read_text("utf-8")
    assert "infonce+mined" in page
    assert "mined.jsonl" in page

    # Another variant may be added; a recipe that cannot read it is named.
    more = {**asked, "variants": {"mined": "mined.jsonl", "scored": "scored.jsonl"}, "resume": True}
    again = nearfar.compare(["infonce", "simcse", "cwcl"], **more)
    assert [job.name for job in jobs[5:]] == ["simcse+scored-0"]
    assert [each["recipe"] for each in again.metrics["not_compared"]] == ["cwcl", "infonce+scored"]
    assert "infonce+scored" in (files / "out/report.html").read_text("utf-8")
    rows = {row.name: row.by_seed for row in found.ranking}
    assert rows == {row.name: row.by_seed for row in again.ranking if row.name in rows}
    write_jsonl(pairs(0, 20), files / "mined.jsonl")
    with pytest.raises(InputError, match=r"compare\.yaml: .*mined"):
        nearfar.compare(["infonce", "simcse"], **{**asked, "resume": True})


def nearfar_rows(file: Path) -> list[tuple[str, ...]]:
    from nearfar.data import load

    rows = load(file)
    return list(zip(*(rows[name] for name in rows.column_names), strict=True))


def test_scores_labels_and_retrieval(files: Path, jobs: list[Job], tiny_model_folder: Path):
    asked: dict[str, Any] = {"seeds": 1, "model": tiny_model_folder, "max_steps": 2, **SMALL}
    scored = Dataset.from_list(
        [{"sentence1": f"the {a}", "sentence2": f"a {b}", "score": float(len(a + b))} for a in NOUNS for b in NOUNS]
    )
    found = nearfar.compare(["simcse"], data="train.jsonl", evaluate_on=scored, out="sts", **asked)
    assert (found.metrics["task"], found.metric) == ("sts", "Spearman's correlation")
    labelled = Dataset.from_list([{"text": f"the {a} and a {b}", "label": a} for a in NOUNS[:4] for b in NOUNS])
    found = nearfar.compare(["infonce"], data=labelled, out="labels", **asked)
    assert found.metrics["task"] == "classify"
    # Scored on every row held out, by a classifier that learnt on those trained on.
    assert found.metrics["rows"]["evaluation"] == 40 - found.metrics["rows"]["training"]
    corpus = {str(i): row["positive"] for i, row in enumerate(pairs(40, 60))}
    queries = {f"q{i}": row["anchor"] for i, row in enumerate(pairs(40, 60))}
    retrieval = Retrieval(corpus, queries, {f"q{i}": {str(i): 1} for i in range(20)})
    found = nearfar.compare(["infonce"], data="train.jsonl", evaluate_on=retrieval, out="beir", **asked)
    assert (found.metrics["task"], found.metrics["rows"]["evaluation"]) == ("retrieval", 20)


def test_rerankers_are_ranked_beside_encoders_with_the_time_of_a_query(
    files: Path, jobs: list[Job], tiny_model_folder: Path
):
    lists = [
        {"query": row["anchor"], "candidates": [row["positive"], "a tree"], "scores": [1, 0]} for row in pairs(60, 80)
    ]
    write_jsonl(lists, files / "lists.jsonl")
    asked: dict[str, Any] = {"data": "train.jsonl", "model": tiny_model_folder, "seeds": 1, "max_steps": 2, **SMALL}
    settings = {"rerank_sft_cl.negatives": 2, "rerank_sft_cl.miner": str(tiny_model_folder)}
    for name in ("held", "lists"):
        found = nearfar.compare(
            ["infonce", "rerank_sft_cl"], evaluate_on=f"{name}.jsonl", out=name, settings=settings, **asked
        )
        cost = {row.name: row.cost.ms_per_query for row in found.ranking}
        assert set(cost) == {"base", "infonce", "rerank_sft_cl"}
        assert all(ms is not None and ms > 0 for ms in cost.values())
        assert "Time per query" in (files / name / "report.html").read_text("utf-8")


def test_leaks_are_refused(files: Path, jobs: list[Job], tiny_model_folder: Path):
    for evaluation, words in (
        ("train.jsonl", "all evaluation rows are training rows"),
        ("leaky.jsonl", "2 of 20 evaluation rows are training rows too (row 1 = training row 31, 2 = training row 32)"),
    ):
        with pytest.raises(InputError) as error:
            nearfar.compare(["infonce"], data="train.jsonl", evaluate_on=evaluation, model=tiny_model_folder, out="out")
        assert words in str(error.value)
        assert evaluation in str(error.value)
    assert not jobs
    assert not (files / "out").exists()
    found = nearfar.compare(
        ["infonce"],
        data="train.jsonl",
        evaluate_on="leaky.jsonl",
        drop_leaks=True,
        model=tiny_model_folder,
        out="out",
        seeds=1,
        max_steps=1,
    )
    assert (found.metrics["rows"]["training"], found.metrics["leaks"]["dropped_training_rows"]) == (30, 2)


def test_pictures_are_found_from_anywhere(files: Path):
    from PIL import Image

    from nearfar.comparison.prepared import prepare, training_in, write_rows
    from nearfar.comparison.request import Request
    from nearfar.data import load

    (files / "images").mkdir()
    for i in range(40):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(files / f"images/{i}.png")
    write_jsonl([{"image": f"{i}.png", "text": f"image {i}"} for i in range(40)], files / "images/rows.jsonl")
    prepared = prepare(Request([], "images/rows.jsonl"))
    write_rows(prepared, files / "elsewhere")
    there = load(training_in(files / "elsewhere"))
    assert len(there) == len(prepared.training) == 30
    assert Path(there[0]["image"]).parent == files / "images"
    assert prepared.task == "retrieval"


def test_a_base_model_that_cannot_read_images_is_not_compared(files: Path, jobs: list[Job], tiny_model_folder: Path):
    from PIL import Image

    for i in range(30):
        Image.new("RGB", (32, 32), (8 * i, 255 - 8 * i, 40)).save(files / f"{i}.png")
    write_jsonl([{"image": f"{i}.png", "text": f"image {i}"} for i in range(30)], files / "images.jsonl")
    asked: dict[str, Any] = {"data": "images.jsonl", "model": tiny_model_folder, "seeds": 1, "max_steps": 1, **SMALL}
    found = nearfar.compare(["contrastive_gap", "cwcl"], out="out", **asked)
    assert [job.name for job in jobs] == ["contrastive_gap-0", "cwcl-0"]
    assert sorted(row.name for row in found.ranking) == ["contrastive_gap", "cwcl"]
    assert found.baseline == "contrastive_gap"
    assert all(row.base is None for row in found.ranking)
    (absent,) = found.metrics["not_compared"]
    assert absent["recipe"] == "base"
    assert "images" in absent["reason"]
    with pytest.raises(InputError) as caught:
        nearfar.compare(["cwcl"], out="other", baseline="base", **asked)
    assert caught.value.field == "--baseline"
    # A model with a tower for images is compared as usual.
    towers = str(files / "out/runs/cwcl-0/model")
    more = nearfar.compare(["contrastive_gap"], out="more", **{**asked, "model": towers})
    assert sorted(row.name for row in more.ranking) == ["base", "contrastive_gap"]
    assert more.metrics["not_compared"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipes": ["infonse"]}, "did you mean infonce?"),
        ({"recipes": ["dse", "cwcl"]}, "no recipe is compatible with these rows: dse needs scores"),
        ({"seeds": 0}, "--seeds"),
        ({"budget": -1.0}, "--budget"),
        ({"budget": 5.0, "epochs": 2}, "cannot be combined with a budget"),
        ({"baseline": "dse"}, "'dse' is not part of the comparison"),
        ({"temprature": 1}, "did you mean temperature?"),
        ({"settings": {"dse.alpha": 1}}, "'dse' is not part of the comparison"),
        ({"held_out": 2.0, "evaluate_on": None}, "--held-out"),
        ({"evaluate_on": "none.jsonl"}, "none.jsonl"),
    ],
)
def test_wrong_input(files: Path, jobs: list[Job], tiny_model_folder: Path, change: dict[str, Any], words: str):
    asked: dict[str, Any] = {
        "recipes": ["infonce"],
        "evaluate_on": "held.jsonl",
        "model": tiny_model_folder,
        "out": "out",
    }
    with pytest.raises(InputError) as error:
        nearfar.compare(data="train.jsonl", **{**asked, **change})
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not jobs
    assert not (files / "out").exists()


def test_rows_that_cannot_be_scored(files: Path, jobs: list[Job], tiny_model_folder: Path):
    same = Dataset.from_list([{"sentence1": f"a {i}", "sentence2": "b", "score": 1.0} for i in range(20)])
    with pytest.raises(InputError, match=r"^--eval: .*\bscore: "):
        nearfar.compare(["infonce"], data="train.jsonl", evaluate_on=same, model=tiny_model_folder, out="out")
    assert not (files / "out").exists()


def test_sentences_alone_hold_nothing_to_measure_by(files: Path, jobs: list[Job]):
    write_jsonl([{"text": f"text {i}"} for i in range(50)], files / "texts.jsonl")
    with pytest.raises(InputError, match=r"^texts\.jsonl: .*--eval FILE"):
        nearfar.compare(data="texts.jsonl", out="out")


def test_equal_budgets_count_the_rows_that_are_drawn(files: Path, jobs: list[Job], tiny_model_folder: Path):
    same = [{**row, "positive": "the cat" if i % 2 else row["positive"]} for i, row in enumerate(pairs(0, 32))]
    write_jsonl(same, files / "train.jsonl")
    found = nearfar.compare(
        ["infonce", "simcse"],
        data="train.jsonl",
        evaluate_on="held.jsonl",
        seeds=1,
        model=tiny_model_folder,
        out="out",
        **SMALL,
    )
    cost = {job.recipe: json.loads(Path(job.result).read_text())["cost"] for job in jobs if job.recipe}
    # Pairs: 8 and 8 rows with one "the cat" each, then 2 in a batch: 18 an epoch; each text by itself: full batches.
    assert cost["simcse"]["steps"] == 4
    assert cost["infonce"]["steps"] > 4
    assert abs(cost["infonce"]["rows"] - cost["simcse"]["rows"]) <= 4
    assert any(note.startswith("infonce: ") and "16 rows have the text 'the cat'" in note for note in found.notes)


@pytest.mark.slow
def test_minutes_are_shared(files: Path, jobs: list[Job], tiny_model_folder: Path):
    asked: dict[str, Any] = {"data": "train.jsonl", "evaluate_on": "held.jsonl", "seeds": 1, "out": "out"}
    with pytest.raises(InputError, match="invalid budget"):
        nearfar.compare(["infonce"], budget=0.001, model=tiny_model_folder, **asked)
    assert [job.name for job in jobs] == ["base", "trial-infonce"]
    assert not (files / "out").exists()
    found = nearfar.compare(["infonce"], budget=0.3, model=tiny_model_folder, **asked, **SMALL)
    settled = json.loads((files / "out/budget.json").read_text("utf-8"))
    trial = settled["trials"]["infonce"]
    steps = settled["steps"]["infonce"]
    assert 0 < trial["fixed"] + steps * trial["pace"] < 18
    assert {row.name: row.cost.steps for row in found.ranking}["infonce"] == steps
    assert not list(files.glob("out/trials/*"))


def test_the_name_of_the_base_model_is_reserved(tmp_path: Path):
    source = Path(infonce.__file__).read_text("utf-8").replace('"infonce"', '"base"')
    (tmp_path / "base.py").write_text(source)
    with pytest.raises(InputError, match=r"base\.py: RECIPE: .*'base'"):
        chosen_recipes(str(tmp_path / "base.py"))
