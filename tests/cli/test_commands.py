"""The commands at work: what they print, what they write."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from sentence_transformers import SentenceTransformer

import nearfar as package
from nearfar.models import fingerprint, load
from nearfar.training.run import train

from .conftest import NOUN_PAIRS, Nearfar, jsonl

HEAVY = "torch transformers sentence_transformers datasets numpy scipy sklearn pandas pyarrow usearch jinja2"
COMMANDS = [
    *("recipes", "train", "compare", "evaluate", "inspect", "encode", "predict", "search"),
    *("generate", "distill", "fuse", "export", "push", "verify", "flow", "sweep", "demo", "refine"),
]
STEPS = "--set max_steps=2 --set batch_size=8 --set save_steps=1"


@pytest.mark.parametrize("command", ["--help", "--version", "recipes", "recipes infonce --json", "train --help"])
def test_what_needs_no_model_imports_nothing_heavy(command: str):
    program = f"""
import sys
from nearfar.cli.app import run
code = run({command.split()!r})
loaded = {{name.partition(".")[0] for name in sys.modules}} & set({HEAVY.split()!r})
sys.exit(f"loaded {{loaded}}" if loaded else code)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip()


def test_help_names_every_command_and_version_is_the_package_s(nearfar: Nearfar):
    shown = nearfar("--help")
    assert (shown.code, shown.err) == (0, "")
    for command in COMMANDS:
        assert f"│ {command} " in shown.out
    assert nearfar() == shown
    assert nearfar("--version") == (0, f"nearfar {package.__version__}\n", "")


def test_train_on_pairs_with_evaluation(workspace: Path, nearfar: Nearfar, tiny_model_folder: Path):
    command = f"train infonce --model tiny --data pairs.jsonl --eval heldout.jsonl --out runs/a --seed 3 {STEPS} --json"
    ended = nearfar(*shlex.split(command))
    assert ended.code == 0, ended
    found, run = ended.json, workspace / "runs" / "a"
    assert {path.name for path in run.iterdir()} == {
        "model",
        "run.yaml",
        "metrics.json",
        "report.html",
        "SHA256SUMS",
        "checkpoints",
    }
    metrics = json.loads((run / "metrics.json").read_text())
    assert found == {"folder": "runs/a", "model": "runs/a/model", **metrics}
    assert metrics["steps"] == 2
    assert metrics["before"]["task"] == metrics["after"]["task"] == "retrieval"
    difference = metrics["difference"]
    scores = [metrics[when]["metrics"][difference["metric"]] for when in ("before", "after")]
    assert difference["value"] == pytest.approx(scores[1] - scores[0])
    assert difference["low"] <= difference["value"] <= difference["high"]
    # The model is the trained one, and any user of sentence-transformers can load it.
    trained, untrained = SentenceTransformer(str(run / "model"), device="cpu"), load(tiny_model_folder, device="cpu")
    assert trained.encode("the cat").shape == (32,)
    assert fingerprint(trained) != fingerprint(untrained)
    page = (run / "report.html").read_text()
    assert "nDCG@10" in page
    assert str(workspace / "pairs.jsonl") in page


def test_run_yaml_holds_everything_to_run_it_again(workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch):
    (workspace / "x.csv").write_text("q,a\n" + "".join(f"the {a} on a {b},a {a}\n" for a, b in NOUN_PAIRS))
    command = "train infonce --model tiny --data x.csv --columns anchor=q,positive=a --eval x.csv --out run --seed 7 "
    command += f"{STEPS} --set temperature=0.1 --set symmetric=true"
    assert nearfar(*shlex.split(command)).code == 0
    asked = yaml.safe_load((workspace / "run" / "run.yaml").read_text())
    assert asked["options"]["temperature"] == 0.1
    assert asked["options"]["symmetric"] is True
    assert set(asked["versions"]) >= {"python", "nearfar", "torch", "transformers", "sentence-transformers", "datasets"}
    assert asked["data"]["rows"] == len(NOUN_PAIRS)
    assert asked["seed"] == 7
    monkeypatch.chdir(workspace.parent)  # the paths in it hold anywhere
    again = train(
        asked["recipe"],
        asked["data"]["source"],
        model=asked["model"]["name"],
        evaluation=asked["evaluation"],
        columns=asked["columns"],
        evaluation_columns=asked["evaluation_columns"],
        seed=asked["seed"],
        out=workspace / "again",
        **asked["options"],
    )
    assert fingerprint(again.model) == fingerprint(load(workspace / "run" / "model"))
    assert (workspace / "run" / "metrics.json").read_text() == (workspace / "again" / "metrics.json").read_text()


def test_evaluation_rows_may_have_other_columns(workspace: Path, nearfar: Nearfar):
    (workspace / "x.csv").write_text("q,a\n" + "".join(f"the {a} on a {b},a {a}\n" for a, b in NOUN_PAIRS))
    command = "train infonce --model tiny --data x.csv --columns anchor=q,positive=a --eval sts.jsonl --out run "
    command += f"--eval-columns sentence1=sentence1 --json {STEPS}"
    ended = nearfar(*shlex.split(command))
    assert ended.code == 0, ended
    assert ended.json["before"]["task"] == "sts"
    inherited = nearfar(*shlex.split(command.replace("--eval-columns sentence1=sentence1", "").replace("run", "run2")))
    assert inherited.json["before"] == ended.json["before"]
    refused = nearfar(*shlex.split("train infonce --data x.csv --eval-columns anchor=q"))
    assert refused.err == "nearfar: --eval-columns: names columns of rows that are not given; give --eval\n"


def test_measuring_on_training_rows_is_said(workspace: Path, nearfar: Nearfar):
    command = f"train infonce --model tiny --data pairs.jsonl --eval pairs.jsonl --out run {STEPS}"
    rows = len((workspace / "pairs.jsonl").read_text().splitlines())
    ended = nearfar(*shlex.split(command))
    assert f"{rows} of these items are also training rows" in ended.err
    assert json.loads((workspace / "run" / "metrics.json").read_text())["held_out_seen_in_training"] == rows
    assert f"{rows} of these items are also training rows" in (workspace / "run" / "report.html").read_text()


def test_train_on_labels_without_evaluation(workspace: Path, nearfar: Nearfar):
    ended = nearfar(*shlex.split(f"train infonce --model tiny --data labelled.jsonl --out run {STEPS}"))
    assert ended.code == 0, ended
    assert ended.out == "model   run/model\nreport  run/report.html\n"
    assert "No --eval was given, so nothing was measured.\n" in ended.err
    metrics = json.loads((workspace / "run" / "metrics.json").read_text())
    assert set(metrics) == {"recipe", "steps", "last_loss", "drawn"}
    assert "no evaluation data was given" in (workspace / "run" / "report.html").read_text()


def test_train_on_sentences_with_scored_pairs(workspace: Path, nearfar: Nearfar):
    ended = nearfar(
        *shlex.split(
            f"train simcse --model tiny --data sentences.jsonl --eval sts.jsonl --out run {STEPS} "
            "--set learning_rate=0.01"
        )
    )
    assert ended.code == 0, ended
    verdict, general, model, report = ended.out.splitlines()
    assert "Spearman's correlation" in verdict
    assert "general set" in general
    assert (model, report) == ("model   run/model", "report  run/report.html")
    assert "train simcse: 2 of 2" in ended.err


def test_train_goes_to_runs_by_default_and_follows_the_evaluation(workspace: Path, nearfar: Nearfar):
    command = f"train infonce --model tiny --data pairs.jsonl --eval beir {STEPS} --set eval_steps=1 --json"
    ended = nearfar(*shlex.split(command))
    assert ended.json["folder"] == "runs/infonce"
    assert "Held-out metric during training" in (workspace / "runs" / "infonce" / "report.html").read_text()


def test_a_finished_run_gone_on_with_stays_what_it_was(workspace: Path, nearfar: Nearfar):
    command = f"train infonce --model tiny --data pairs.jsonl --eval heldout.jsonl --out run {STEPS} --json"
    first = nearfar(*shlex.split(command)).json
    model = fingerprint(load(workspace / "run" / "model"))
    assert nearfar(*shlex.split(command), "--resume").json == first
    assert fingerprint(load(workspace / "run" / "model")) == model


def test_notes_on_the_data_are_shown_once(workspace: Path, nearfar: Nearfar):
    rows = [{"anchor": f"the {a}", "positive": f"a {b}", "hard_negative": "a loan"} for a, b in NOUN_PAIRS]
    (workspace / "x.jsonl").write_text(jsonl(rows))
    ended = nearfar(*shlex.split(f"train infonce --model tiny --data x.jsonl --out run {STEPS}"))
    note = "x.jsonl: the column 'hard_negative' is not used; use it with --columns negative=hard_negative"
    shown = [line for line in ended.err.splitlines() if line.startswith("nearfar: ")]
    assert shown == [f"nearfar: {note}"]
    # Before the first step: there is still time to stop.
    assert ended.err.index(note) < ended.err.index("train infonce: 1 of 2")


@pytest.mark.parametrize(
    ("command", "task", "metric"),
    [
        ("--data sts.jsonl", "sts", "spearman"),
        ("--data beir", "retrieval", "ndcg@10"),
        ("--data heldout.jsonl", "retrieval", "ndcg@10"),
        ("--data labelled.jsonl", "classify", "accuracy_logistic"),
        ("--data labelled.jsonl --train labelled.jsonl", "classify", "accuracy_logistic"),
        ("--data labelled.jsonl --task cluster --seed 5", "cluster", "v_measure"),
    ],
)
def test_evaluate(command: str, task: str, metric: str, workspace: Path, nearfar: Nearfar):
    ended = nearfar("evaluate", "tiny", *shlex.split(command), "--json")
    assert ended.code == 0, ended
    found = ended.json
    assert (found["model"], found["task"], found["primary"]) == ("tiny", task, metric)
    assert all(-1 <= value <= 1 for value in found["metrics"].values())
    shown = nearfar("evaluate", "tiny", *shlex.split(command))
    assert shown.code == 0
    for name, value in found["metrics"].items():
        assert name in shown.out
        assert f"{value:.4f}" in shown.out
    assert f"{task} on {found['n']} items" in shown.out
    for note in found["notes"]:
        assert note in shown.err


def test_evaluate_with_mapped_columns_and_a_smaller_batch(workspace: Path, nearfar: Nearfar):
    rows = [json.loads(line) for line in (workspace / "sts.jsonl").read_text().splitlines()]
    lines = [f"{row['sentence1']}\t{row['sentence2']}\t{row['score']}\n" for row in rows]
    (workspace / "x.tsv").write_text("left\tright\tgold\n" + "".join(lines))
    mapped = "--columns sentence1=left,sentence2=right,score=gold --batch-size 3 --json"
    found = nearfar("evaluate", "tiny", "--data", "x.tsv", *shlex.split(mapped)).json
    assert found["metrics"] == pytest.approx(
        nearfar("evaluate", "tiny", "--data", "sts.jsonl", "--json").json["metrics"]
    )


def test_search_builds_once_and_again_when_the_corpus_changes(workspace: Path, nearfar: Nearfar):
    first = nearfar("search", "tiny", "sentences.jsonl", "the cat and a dog", "-k", "3", "--json")
    found = first.json
    assert (found["query"], found["index"]) == ("the cat and a dog", "sentences.jsonl.index")
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    assert found["hits"][0]["text"] == "the cat and a dog"
    assert "index of 56 documents in sentences.jsonl.index (new)\n" in first.err
    built = (workspace / "sentences.jsonl.index" / "index.yaml").stat().st_mtime_ns

    second = nearfar("search", "tiny", "sentences.jsonl", "the cat and a dog", "-k", "3")
    assert (second.code, second.err) == (0, "")
    assert [line.split()[:3] for line in second.out.splitlines()] == [
        [str(hit["rank"]), f"{hit['score']:.3f}", hit["id"]] for hit in found["hits"]
    ]
    assert (workspace / "sentences.jsonl.index" / "index.yaml").stat().st_mtime_ns == built

    with open(workspace / "sentences.jsonl", "a") as file:
        file.write(jsonl([{"text": "a song"}]))
    third = nearfar("search", "tiny", "sentences.jsonl", "a song", "-k", "1", "--json")
    assert "index of 57 documents in sentences.jsonl.index (the corpus has changed)" in third.err
    assert third.json["hits"][0]["text"] == "a song"


def test_search_over_other_columns_builds_again(workspace: Path, nearfar: Nearfar):
    (workspace / "x.csv").write_text("q,a\n" + "".join(f"the {a} on a {b},a {a}\n" for a, b in NOUN_PAIRS))
    nearfar("search", "tiny", "x.csv", "a cat", "--columns", "text=q", "--json")
    other = nearfar("search", "tiny", "x.csv", "a cat", "--columns", "text=a", "-k", "1", "--json")
    assert "(built with other columns)" in other.err
    assert other.json["hits"][0]["text"].startswith("a ")
    assert nearfar("search", "tiny", "x.csv", "a cat", "--columns", "text=a").err == ""


def test_search_in_a_corpus_with_ids(workspace: Path, nearfar: Nearfar):
    command = "search tiny beir/corpus.jsonl fish --index elsewhere/index --json -k 100"
    found = nearfar(*shlex.split(command)).json
    assert len(found["hits"]) == 8
    assert {hit["id"]: hit["text"] for hit in found["hits"]}["fish"] == "the fish"
    assert sorted(path.name for path in (workspace / "beir").iterdir()) == ["corpus.jsonl", "qrels", "queries.jsonl"]


@pytest.mark.parametrize("debug", ["", "1"])
def test_warnings_of_libraries_are_notes_and_those_of_python_stay_away_unless_asked_for(debug: str):
    program = """
import logging, sys, warnings
from nearfar.cli.app import app, main
def command():
    logging.getLogger("sentence_transformers.sampler").warning("from a logger")
    warnings.warn("from a warning")
sys.argv = ["nearfar", "shout"]
app.command("shout")(command)
main()
"""
    environment = {**os.environ, "NEARFAR_DEBUG": debug}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended
    assert ("from a warning" in ended.stderr) == bool(debug)
    if debug:
        assert "from a logger" in ended.stderr
    else:
        assert ended.stderr == "nearfar: sentence-transformers: from a logger\n"


@pytest.mark.slow
def test_ctrl_c_is_one_line_and_resume_finishes(workspace: Path, nearfar: Nearfar, plain_model_folder: Path):
    """In a process of its own, on a model and texts about which the libraries have much to warn."""
    long = " ".join(["the cat sits on the mat"] * 20)
    rows = [{"anchor": f"the {a} {b}", "positive": f"a {a} {long}"} for a, b in NOUN_PAIRS]
    (workspace / "x.jsonl").write_text(jsonl(rows))
    command = f"train infonce --model {plain_model_folder} --data x.jsonl --out run --set batch_size=4"
    settings = shlex.split("--set epochs=500 --set save_steps=2")
    program = [sys.executable, "-c", "from nearfar.cli import main; main()", *shlex.split(command), *settings]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    # Tests that run in the background of a shell ignore Ctrl-C, and so would the process that they start.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(program, text=True, preexec_fn=heed, **pipes) as process:
        deadline = time.monotonic() + 120
        while not list((workspace / "run" / "checkpoints").glob("*/complete")):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"no checkpoint was written: {process.communicate()}")
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    lines = err.strip().splitlines()
    assert lines[-1] == "nearfar: interrupted; what was finished is kept; train and compare go on by --resume"
    # Nothing but our note and progress stands before it: what the libraries say here matters to nobody.
    assert lines[0].startswith("nearfar: 1 of 56 rows are left out of each epoch")
    assert all(line.startswith("train infonce: ") for line in lines[1:-1]), err
    assert not (workspace / "run" / "metrics.json").exists()
    whole = (workspace / "run" / "checkpoints").glob("*/complete")
    saved = max(int(mark.parent.name.partition("-")[2]) for mark in whole)

    configuration = workspace / "run" / "run.yaml"
    asked = yaml.safe_load(configuration.read_text())
    asked["options"]["epochs"] = (saved + 4) / (len(rows) // 4)  # so that the test need not wait for the whole run
    configuration.write_text(yaml.safe_dump(asked))
    settings[1] = f"epochs={asked['options']['epochs']}"
    ended = nearfar(*shlex.split(command), *settings, "--resume", "--json")
    assert ended.code == 0, ended
    assert ended.json["steps"] == saved + 4
    # It did go on: no step of before is taken again.
    taken = re.findall(r"^train infonce: (\d+) of", ended.err, re.MULTILINE)
    assert min(map(int, taken)) > saved
