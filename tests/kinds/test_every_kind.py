"""What holds for every kind of model: trained, killed, resumed, saved, loaded, measured, refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import every_kind_worker
import numpy as np
import pytest
from datasets import Dataset
from every_kind_worker import TEXTS
from recipes_for_tests import NAMES
from torch.utils.data import DataLoader

import nearfar
from jobs_here import jobs_here
from joint_processes import forked
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.models import packing


def answers(out: Path, *folders: Path) -> list[dict[str, Any]]:
    """What the models answer, all loaded by one new process."""
    assert forked(every_kind_worker.answers, str(out), [str(folder) for folder in folders]) == 0
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def answered(trained, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """What the models answer, all loaded by one process."""
    out = tmp_path_factory.mktemp("answers") / "all.json"
    return dict(zip(NAMES, answers(out, *(trained(name) / "model" for name in NAMES)), strict=True))


def fingerprint(folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Of all weights, and the metrics but for the clock's."""
    files = sorted((folder / "model").rglob("*.safetensors"))
    metrics = json.loads((folder / "metrics.json").read_text())
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files], {**metrics, "speed": None}


@pytest.mark.parametrize("name", NAMES)
def test_trained_from_the_command_line_and_measured_before_and_after(name, case, trained) -> None:
    metrics = json.loads((trained(name) / "metrics.json").read_text())
    assert metrics["steps"] == 6
    assert metrics["before"]["task"] == metrics["after"]["task"] == case(name).task
    assert metrics["before"]["metrics"] != metrics["after"]["metrics"]
    assert json.loads((trained(name) / "model" / "nearfar.json").read_text()) == {"kind": case(name).kind}
    assert (trained(name) / "report.html").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_process_loads_what_was_saved_heads_and_all(name, case, trained, answered, tmp_path) -> None:
    (found,) = answers(tmp_path / "one.json", trained(name) / "model")
    assert found["kind"] == case(name).kind
    metrics = json.loads((trained(name) / "metrics.json").read_text())["after"]
    model, data = str(trained(name) / "model"), str(case(name).evaluation)
    primary = metrics["primary"]
    # A run measures a language model on blocks of the length that it trains on, and a stream task by task.
    if name not in ("causal LM", "stream", "classifier"):
        result = nearfar.evaluate(model, data)
        assert result.metrics[primary] == pytest.approx(metrics["metrics"][primary], abs=1e-5)
    assert answered[name] == found


def test_the_host_libraries_load_the_folders(trained) -> None:
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    def of(name: str) -> str:
        return str(trained(name) / "model")

    for name in ("encoder", "pair scorer", "stages", "classifier"):
        assert SentenceTransformer(of(name), device="cpu").encode(TEXTS).shape == (3, 32)
    assert SentenceTransformer(of("two towers"), device="cpu").encode(TEXTS, task="text").shape == (3, 32)
    for name in ("reranker", "yes or no"):
        ours = nearfar.load(of(name), device="cpu").predict([TEXTS[:2]])
        np.testing.assert_allclose(CrossEncoder(of(name), device="cpu").predict([TEXTS[:2]]), ours, atol=1e-6)
    assert AutoModelForCausalLM.from_pretrained(of("causal LM")).config.model_type == "llama"
    assert AutoModelForSeq2SeqLM.from_pretrained(of("seq2seq LM")).config.model_type == "t5"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "step"),
    [(name, "checkpoints", 5) for name in NAMES if name not in ("stages", "stream", "classifier")]
    + [("stages", "checkpoints", 1), ("stages", "stage-2", 2), ("stages", "stage-3", 1)]
    + [("stream", "stage-2", 1), ("stream", "stage-3", 1), ("classifier", "stage-2", 2)],
)
def test_killed_and_resumed_ends_with_the_same_bits(name, folder, step, case, trained, tmp_path) -> None:
    arguments = case(name).arguments(tmp_path / "out")
    assert forked(every_kind_worker.killed, folder, step, arguments) == -signal.SIGKILL
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert run([*arguments, "--resume"]) == 0
    assert fingerprint(tmp_path / "out") == fingerprint(trained(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_processes_that_load_batches_change_nothing(name, case, trained, tmp_path, monkeypatch) -> None:
    counts = []
    original = DataLoader.__iter__
    monkeypatch.setattr(DataLoader, "__iter__", lambda self: counts.append(self.num_workers) or original(self))
    assert run([*case(name).arguments(tmp_path / "out"), "--set", "workers=2"]) == 0
    assert 2 in counts
    assert fingerprint(tmp_path / "out") == fingerprint(trained(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_step_divides_its_texts_as_asked_or_says_that_it_does_not(name, case, tmp_path, monkeypatch, capsys) -> None:
    looked = []
    original = packing.chunk_tokens
    monkeypatch.setattr(packing, "chunk_tokens", lambda *given: looked.append(original(*given)) or looked[-1])
    code = run([*case(name).arguments(tmp_path / "out"), "--set", "mini_batch_num_tokens=8"])
    told = capsys.readouterr().err
    if name in ("causal LM", "seq2seq LM", "vision-language LM"):
        assert code == 2
        assert "mini_batch_num_tokens: the recipe trains" in told
        assert not (tmp_path / "out" / "run.yaml").exists()
    else:
        assert code == 0
        # The rerankers' recipe has a loss of sentence-transformers.
        assert (8 in looked) == ("mini_batch_num_tokens has no effect" not in told) == (case(name).kind != "reranker")


@pytest.mark.parametrize("name", NAMES)
def test_what_it_cannot_do_is_refused_in_one_line(name, case, trained, capsys) -> None:
    task, data = case(name).lacks
    model = trained(name) / "model"
    capsys.readouterr()
    code = run(["evaluate", str(model), "--data", str(data), "--task", task])
    told = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert len([line for line in told if line.startswith("nearfar: ")]) == 1
    assert task in told[-1]


@pytest.mark.parametrize("name", ["reranker", "yes or no", "seq2seq LM"])
def test_a_folder_of_another_kind_is_no_text_encoder(name, trained, capsys, files) -> None:
    folder = str(trained(name) / "model")
    capsys.readouterr()
    assert run(["encode", folder, str(files / "texts.jsonl"), "--out", str(files / "v.npy")]) == 2
    assert "expected a text encoder" in capsys.readouterr().err
    assert not (files / "v.npy").exists()


def test_max_steps_holds_for_the_whole_plan(trained, case, tmp_path, capsys) -> None:
    metrics = json.loads((trained("stages") / "metrics.json").read_text())
    assert [(stage["name"], stage["steps"]) for stage in metrics["stages"]] == [(f"part {i}", 2) for i in (1, 2, 3)]
    assert all(stage["metrics"]["ndcg@10"] is not None for stage in metrics["stages"])
    assert metrics["stages"][-1]["metrics"]["ndcg@10"] == metrics["after"]["metrics"]["ndcg@10"]
    few = [each if each != "max_steps=6" else "max_steps=2" for each in case("stages").arguments(tmp_path / "two")]
    capsys.readouterr()
    assert run(few) == 2
    assert "max_steps" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


def test_a_stream_is_measured_task_by_task(trained) -> None:
    metrics = json.loads((trained("stream") / "metrics.json").read_text())
    tasks = ["task 0", "task 1", "task 2"]
    assert [(stage["name"], stage["steps"]) for stage in metrics["stages"]] == [(task, 2) for task in tasks]
    assert all(f"ndcg@10 of {task}" in stage["metrics"] for task in tasks for stage in metrics["stages"])
    assert set(metrics["stream"]) == {"average", "forgetting", "seen", "average_seen", "last_seen"}


def test_a_recipe_of_a_file_is_resumed_with_the_same_code_only(case, trained, files, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained("noise"), out)
    changed = tmp_path / "noise.py"
    changed.write_text((files / "noise.py").read_text().replace("0.8", "0.7"))
    arguments = [str(changed) if each == case("noise").recipe else each for each in case("noise").arguments(out)]
    assert run([*arguments, "--resume"]) == 2
    assert "the recipe file has changed since the run began" in capsys.readouterr().err
    changed.write_text((files / "noise.py").read_text())
    assert run([*arguments, "--resume"]) == 0  # the same code at another place


def test_one_mapping_is_for_all_tasks_of_a_stream_and_for_the_held_out_rows(files, tiny_model_folder, tmp_path) -> None:
    for name in ("first", "second", "held-out"):
        write_jsonl([{"q": f"the {name} {i}", "a": f"so {name} {i}"} for i in range(12)], tmp_path / f"{name}.jsonl")
    data = [part for name in ("first", "second") for part in ("--data", str(tmp_path / f"{name}.jsonl"))]
    base = [
        "train",
        str(files / "stream.py"),
        *data,
        "--eval",
        str(tmp_path / "held-out.jsonl"),
        "--set",
        "max_steps=2",
    ]
    base += ["--set", "batch_size=4", "--model", str(tiny_model_folder)]
    columns = ["--columns", "anchor=q,positive=a"]
    for number, given in enumerate((columns, [*columns, *columns])):
        assert run([*base, *given, "--out", str(tmp_path / f"run-{number}")]) == 0
        metrics = json.loads((tmp_path / f"run-{number}" / "metrics.json").read_text())
        assert [stage["name"] for stage in metrics["stages"]] == ["first", "second"]
        assert metrics["after"]["task"] == "retrieval"


def test_an_exception_of_a_recipe_of_a_file_names_its_line(files, tiny_model_folder, tmp_path, capsys) -> None:
    code = (files / "noise.py").read_text().replace("torch.randn(5,", "torch.rand_n(5,")
    broken = tmp_path / "broken.py"
    broken.write_text(code)
    line = next(number for number, text in enumerate(code.splitlines(), 1) if "rand_n" in text)
    arguments = [
        "--data",
        str(files / "texts.jsonl"),
        "--model",
        str(tiny_model_folder),
        "--out",
        str(tmp_path / "out"),
    ]
    assert run(["train", str(broken), *arguments, "--set", "max_steps=1", "--set", "batch_size=4"]) == 1
    assert f"nearfar: {broken}:{line}: AttributeError: " in capsys.readouterr().err


def test_progress_counts_through_all_stages(case, tmp_path) -> None:
    steps: list[tuple[int, int]] = []
    chosen = case("stages")
    nearfar.train(
        chosen.recipe,
        chosen.data,
        model=chosen.model,
        out=tmp_path / "out",
        progress=lambda step, of, _: steps.append((step, of)),
        batch_size=8,
        max_steps=6,
    )
    assert steps[-1] == (6, 6)
    assert [step for step, _ in steps] == sorted(step for step, _ in steps)
    assert {of for _, of in steps} == {6}


@pytest.mark.slow
@pytest.mark.parametrize(("evaluation", "metric"), [("held-scored", "spearman"), ("ranked", "ndcg@10")])
def test_kinds_are_compared_on_what_they_share(
    evaluation, metric, files, tiny_model_folder, tmp_path, monkeypatch
) -> None:
    jobs_here(monkeypatch)
    found = nearfar.compare(
        ["dse", str(files / "reranker.py"), "simcse"],
        data=files / "scored.jsonl",
        evaluate_on=files / f"{evaluation}.jsonl",
        seeds=1,
        model=tiny_model_folder,
        out=tmp_path / "out",
        settings={"dse.layers": 2, "dse.alpha": 0, "dse.max_length": 32, "batch_size": 8, "max_steps": 3},
    )
    assert not found.failures
    assert {row.name for row in found.ranking} == {"dse", "tiny_reranker", "simcse", "base"}
    assert found.metrics["metric"] == metric
    kinds = {path.parent.parent.name: path for path in (tmp_path / "out").rglob("model/nearfar.json")}
    assert sorted(json.loads(path.read_text())["kind"] for path in kinds.values()) == [
        "encoder",
        "pair scorer",
        "reranker",
    ]
    # Each was measured as what it is, the head of dse included.
    scored = nearfar.evaluate(str(kinds["dse-0"].parent), str(files / f"{evaluation}.jsonl"))
    assert scored.score == pytest.approx(next(row.score.mean for row in found.ranking if row.name == "dse"), abs=1e-6)
    bare = nearfar.models.load(kinds["dse-0"].parent)
    assert nearfar.evaluate(bare, str(files / f"{evaluation}.jsonl")).score != pytest.approx(scored.score, abs=1e-4)


def test_a_language_model_without_yes_and_no_is_no_reranker(files, tiny_lm_folder, tmp_path, capsys) -> None:
    arguments = ["--data", str(files / "scored.jsonl"), "--model", str(tiny_lm_folder), "--out", str(tmp_path / "out")]
    assert run(["train", str(files / "reranker.py"), *arguments]) == 2
    assert re.search("yes|cross-encoder", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_causal_language_model_scores_pairs(yes_no_folder: Path) -> None:
    """It is asked yes or no, whatever the task that needs the scores."""
    rows = [{"query": f"query {n}", "candidates": ["one", "two", "three"], "scores": [1.0, 0.0, 0.0]} for n in range(4)]
    found = nearfar.evaluate(yes_no_folder, Dataset.from_list(rows), "ranking")
    assert found.task == "ranking"
    assert found.n == 4
    with pytest.raises(InputError, match="returns no vectors"):
        nearfar.evaluate(yes_no_folder, Dataset.from_dict({"anchor": ["a"], "positive": ["b"]}), "retrieval")
