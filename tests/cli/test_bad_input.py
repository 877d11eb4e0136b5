"""Each mistake that people make on the command line, the one line that they get for it, and that nothing is written."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from .conftest import Ended, Nearfar, jsonl, write_tables

PAIR = '{"anchor": "the cat", "positive": "a cat"}\n'
Setup = Callable[[Path], None]


def lines(*rows: dict[str, Any]) -> str:
    return jsonl(rows)


def replaced(name: str, content: str | bytes) -> Setup:
    """Write `content` into a file of the workspace, and the folders above it."""

    def write(workspace: Path) -> None:
        file = workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def empty_folder(name: str) -> Setup:
    return lambda workspace: (workspace / name).mkdir()


def pickled(workspace: Path) -> None:
    weights = workspace / "tiny" / "model.safetensors"
    torch.save(load_file(weights), workspace / "tiny" / "pytorch_model.bin")
    weights.unlink()


def with_nan(workspace: Path) -> None:
    file = workspace / "tiny" / "model.safetensors"
    weights = load_file(file)
    weights["encoder.layer.1.output.dense.bias"][3] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})


def cut_short(workspace: Path) -> None:
    file = workspace / "tiny" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:4000])


def nothing(workspace: Path) -> None:
    """The workspace is right as it is."""


TRAIN = "train infonce --model tiny --out run"
# what is wrong: how the workspace is set up, the command, what its line must hold
CASES: dict[str, tuple[Setup, str, list[str]]] = {
    # files and rows
    "no such file": (
        nothing,
        f"{TRAIN} --data pears.jsonl",
        ["pears.jsonl: no such file or folder", "did you mean pairs.jsonl?"],
    ),
    "no such evaluation file": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --eval held-out.jsonl",
        ["held-out.jsonl: no such file", "did you mean heldout.jsonl?"],
    ),
    "no file named": (nothing, f"{TRAIN} --data ''", ["data: ", "give a file"]),
    "folder without rows": (
        empty_folder("rows"),
        f"{TRAIN} --data rows",
        ["rows: contains no file", "name the folder"],
    ),
    "address for a file": (
        nothing,
        f"{TRAIN} --data https://example.org/x.jsonl",
        ["https://example.org/x.jsonl: is a URL", "download it"],
    ),
    "unknown hub data": (
        nothing,
        f"{TRAIN} --data nearfar-tests/no-such-rows",
        ["'nearfar-tests/no-such-rows' is neither an existing file nor", "check the spelling"],
    ),
    "a corpus without judgements for rows": (
        replaced("texts/corpus.jsonl", '{"_id": "d", "text": "a"}\n'),
        f"{TRAIN} --data texts",
        ["texts: contains no qrels/SPLIT.tsv", "query-id, corpus-id and score"],
    ),
    "a reversed mapping": (
        replaced("x.csv", "Question,positive\na,b\nc,d\n"),
        f"{TRAIN} --data x.csv --columns Question=anchor",
        ["Question=anchor is reversed", "write anchor=Question"],
    ),
    "another name of an option": (nothing, f"{TRAIN} --data pairs.jsonl --set lr=1", ["--set: ", "learning_rate?"]),
    "another name of a precision": (nothing, f"{TRAIN} --data pairs.jsonl --set precision=bf16", ["mean bfloat16?"]),
    "another name of a recipe": (nothing, "train mnrl --data pairs.jsonl --out run", ["mean infonce?"]),
    "wrong columns": (
        replaced("x.csv", "question,answer\na,b\n"),
        f"{TRAIN} --data x.csv",
        ["x.csv: ", "--columns anchor=question,positive=answer"],
    ),
    "mapping without =": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --columns anchor",
        ["columns: expected name=column, got 'anchor'", "for example"],
    ),
    "mapping to no column": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --columns anchor=anchr",
        ["pairs.jsonl: columns: no column 'anchr'", "did you mean 'anchor'?"],
    ),
    "mapping of no column of ours": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --columns ancor=anchor",
        ["columns: 'ancor' is not a column", "did you mean 'anchor'?"],
    ),
    "mapped twice": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --columns anchor=positive,positive=positive",
        ["columns: 'positive' is listed twice", "map each column to one name"],
    ),
    "empty file": (replaced("x.jsonl", ""), f"{TRAIN} --data x.jsonl", ["x.jsonl: is empty", "one JSON object"]),
    "header alone": (
        replaced("x.tsv", "anchor\tpositive\n"),
        f"{TRAIN} --data x.tsv",
        ["x.tsv: ", "add rows"],
    ),
    "bad line deep in a big file": (
        replaced("x.jsonl", PAIR * 30_000 + '{"anchor": "the cat", "positive": \n' + PAIR),
        f"{TRAIN} --data x.jsonl",
        ["x.jsonl:30001: invalid JSON", "write one JSON object per line"],
    ),
    "text missing deep in the evaluation file": (
        replaced("x.jsonl", PAIR * 9_000 + '{"anchor": "the cat", "positive": " "}\n'),
        f"{TRAIN} --data pairs.jsonl --eval x.jsonl",
        ["x.jsonl:9001: positive: ", "remove the row"],
    ),
    "wrong encoding": (
        replaced("x.csv", "anchor,positive\na,b\ncafé,b\n".encode("latin-1")),
        f"{TRAIN} --data x.csv",
        ["x.csv:3: byte 4", "is not UTF-8", "iconv"],
    ),
    "score that is no number": (
        replaced("x.csv", "sentence1,sentence2,score\na,b,0.5\na,b,high\n"),
        "evaluate tiny --data x.csv",
        ["x.csv:3: score: ", "write it like 0.8"],
    ),
    "empty text": (
        replaced("x.jsonl", PAIR + '{"anchor": "", "positive": "a"}\n'),
        f"{TRAIN} --data x.jsonl",
        ["x.jsonl:2: anchor: is empty", "remove the row"],
    ),
    "one row": (
        replaced("x.jsonl", PAIR),
        f"{TRAIN} --data x.jsonl",
        ["x.jsonl: expected at least 2 rows, got 1", "use more rows"],
    ),
    "the same row many times": (
        replaced("x.jsonl", PAIR * 40),
        f"{TRAIN} --data x.jsonl --set batch_size=8",
        ["x.jsonl: no batch of 8 rows can be drawn", "too few rows differ", "smaller batch_size"],
    ),
    "id twice in a corpus": (
        replaced("beir/corpus.jsonl", lines({"_id": "cat", "text": "a"}, {"_id": "cat", "text": "b"})),
        "evaluate tiny --data beir",
        ["corpus.jsonl:2: _id: ", "its own id"],
    ),
    "qrels of another corpus": (
        replaced("beir/qrels/test.tsv", "qcat\tox\t1\nqcat\tcow\t1\n"),
        "evaluate tiny --data beir",
        ["test.tsv: no line names a known query and document", "is not in corpus.jsonl", "belong to these"],
    ),
    "evaluation folder without qrels": (
        lambda workspace: shutil.rmtree(workspace / "beir" / "qrels"),
        f"{TRAIN} --data pairs.jsonl --eval beir",
        ["beir: contains no qrels/SPLIT.tsv", "qrels/test.tsv"],
    ),
    # recipes and options
    "unknown recipe": (
        nothing,
        "train infoncee --model tiny --data pairs.jsonl",
        ["RECIPE: there is no recipe 'infoncee'", "did you mean infonce?"],
    ),
    "unknown recipe to show": (
        nothing,
        "recipes quantum",
        ["RECIPE: there is no recipe 'quantum'", "choose from behaviour, "],
    ),
    "unknown setting": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set temprature=1",
        ["--set: unknown option 'temprature'", "did you mean temperature?"],
    ),
    "setting without =": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set epochs",
        ["--set: expected KEY=VALUE, got 'epochs'", "--set epochs=3"],
    ),
    "setting twice": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set epochs=1 --set epochs=2",
        ["--set: duplicate option 'epochs'", "set it once"],
    ),
    "text for a number": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set epochs=many",
        ["epochs: expected a number, got 'many'", "use e.g. epochs="],
    ),
    "fraction for a whole number": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set batch_size=8.5",
        ["batch_size: expected a whole number, got '8.5'", "batch_size=8"],
    ),
    "a loss that labelled texts do not have": (
        nothing,
        f"{TRAIN} --data labelled.jsonl --set symmetric=true",
        ["symmetric: expected pairs, got labelled texts", "remove symmetric"],
    ),
    "columns of a corpus that has its own": (
        nothing,
        "search tiny beir/corpus.jsonl fish --columns text=title",
        ["beir/corpus.jsonl: --columns: ", "remove --columns"],
    ),
    "text for yes or no": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set symmetric=maybe",
        ["symmetric: expected true or false, got 'maybe'", "use e.g. symmetric=true"],
    ),
    "unknown precision": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set precision=int4",
        ["precision: invalid value 'int4'", "choose from float32, bfloat16"],
    ),
    "batch_size 0": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set batch_size=0",
        ["batch_size: invalid value 0", "must be at least 2"],
    ),
    "negative learning_rate": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set learning_rate=-1",
        ["learning_rate: invalid value -1.0", "must be above 0"],
    ),
    "temperature 0": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set temperature=0",
        ["temperature: invalid value 0.0", "must be above 0"],
    ),
    "temperature NaN": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set temperature=nan",
        ["temperature: invalid value nan"],
    ),
    "epochs NaN": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set epochs=nan",
        ["epochs: invalid value nan", "must be above 0"],
    ),
    "epochs without end": (nothing, f"{TRAIN} --data pairs.jsonl --set epochs=inf", ["epochs: invalid value inf"]),
    "warmup_ratio 2": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set warmup_ratio=2",
        ["warmup_ratio: invalid value 2.0", "must be 0 to 1"],
    ),
    "weight_decay without end": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set weight_decay=inf",
        ["weight_decay: invalid value inf"],
    ),
    "max_length beyond the model's": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set max_length=65",
        ["max_length: invalid value 65", "at most 64"],
    ),
    "max_length beyond the model's, encoding": (
        nothing,
        "encode tiny sentences.jsonl --out v.npy --max-length 65",
        ["--max-length: invalid value 65", "at most 64"],
    ),
    "dropout 1": (
        nothing,
        "train simcse --model tiny --out run --data sentences.jsonl --set dropout=1",
        ["dropout: invalid value 1.0", "must be 0 to below 1"],
    ),
    "eval_steps without anything to evaluate on": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --set eval_steps=1",
        ["eval_steps: requires evaluation data", "pass --eval"],
    ),
    "recipe that does not fit the rows": (
        nothing,
        "train simcse --model tiny --out run --data pairs.jsonl",
        ["pairs.jsonl: expected sentences (text) for simcse, got pairs", "choose another recipe"],
    ),
    "odd batch_size for labels": (
        nothing,
        f"{TRAIN} --data labelled.jsonl --set batch_size=7",
        ["batch_size: invalid value 7: must allow pairs", "even number, 4 or more"],
    ),
    "batch_size 2 for labels": (
        nothing,
        f"{TRAIN} --data labelled.jsonl --set batch_size=2",
        ["batch_size: invalid value 2: must allow pairs", "even number, 4 or more"],
    ),
    "labels with one text each": (
        replaced("x.jsonl", lines(*({"text": f"the cat {n}", "label": n} for n in range(8)))),
        f"{TRAIN} --data x.jsonl --set batch_size=4",
        ["x.jsonl: label: ", "at least two labels"],
    ),
    "a label of its own for nearly all": (
        replaced("x.jsonl", lines(*({"text": f"the cat {n}", "label": max(n // 2, n - 3)} for n in range(12)))),
        f"{TRAIN} --data x.jsonl --set batch_size=8",
        ["x.jsonl: no batch of 8 rows can be drawn", "too few texts of more than one label"],
    ),
    "evaluation rows that nothing measures": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --eval sentences.jsonl",
        ["sentences.jsonl: the columns text fit no task", "use sentence1, sentence2, score"],
    ),
    "evaluation labels that cannot be split": (
        replaced("x.jsonl", lines({"text": "a", "label": 0}, {"text": "the", "label": 1}, {"text": "on", "label": 1})),
        f"{TRAIN} --data pairs.jsonl --eval x.jsonl",
        ["x.jsonl: label: expected at least 2 different texts with the label '0'", "add texts"],
    ),
    # models
    "model folder that is none": (
        nothing,
        "evaluate beir --data sts.jsonl",
        ["beir: is not a model", "save_pretrained"],
    ),
    "model that is a file": (
        nothing,
        "evaluate tiny/config.json --data sts.jsonl",
        ["config.json: expected the folder of a model, got a file", "pass tiny"],
    ),
    "no such model folder": (
        nothing,
        "encode ./big sentences.jsonl --out v.npy",
        ["the model folder './big' does not exist", "check the path"],
    ),
    "pickled weights": (
        pickled,
        f"{TRAIN} --data pairs.jsonl",
        ["pytorch_model.bin: the weights are pickled", "safe_serialization=True"],
    ),
    "NaN in the weights": (
        with_nan,
        "search tiny sentences.jsonl cat",
        ["tiny: the weights", "contain NaN or infinity", "use an earlier checkpoint"],
    ),
    "weights cut short": (
        cut_short,
        "encode tiny sentences.jsonl --out v.npy",
        ["model.safetensors: the weights are corrupted", "copy or download"],
    ),
    "unknown alias": (
        nothing,
        "evaluate minilmm --data sts.jsonl",
        ["'minilmm' is not a folder, an alias", "pass a folder, a Hub ID such as", "minilm"],
    ),
    "unknown hub id": (
        nothing,
        "train infonce --data pairs.jsonl --out run --model nearfar-tests/no-such",
        ["'nearfar-tests/no-such' is not a folder, an alias", "pass a folder"],
    ),
    # where to write
    "--out is a file": (
        nothing,
        "train infonce --model tiny --data pairs.jsonl --out sts.jsonl",
        ["sts.jsonl: --out: already exists", "; choose a"],
    ),
    "--out under a file": (
        nothing,
        "train infonce --model tiny --data pairs.jsonl --out sts.jsonl/run",
        ["sts.jsonl: --out: expected a folder, got a file"],
    ),
    "--out holds something else": (
        nothing,
        "train infonce --model tiny --data pairs.jsonl --out beir",
        ["beir: --out: already exists and is not the folder of a run", "choose a new folder"],
    ),
    "--resume of nothing": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --resume",
        ["run: --resume: contains no run to resume", "remove --resume"],
    ),
    "--resume of a damaged run": (
        replaced("run/run.yaml", "recipe: [infonce"),
        f"{TRAIN} --data pairs.jsonl --resume",
        ["run.yaml: is corrupted", "choose another folder"],
    ),
    "--resume of what is no run": (
        replaced("run/run.yaml", "infonce"),
        f"{TRAIN} --data pairs.jsonl --resume",
        ["run.yaml: is corrupted", "choose another folder"],
    ),
    "--out that cannot be written": (
        nothing,
        "train infonce --model tiny --data pairs.jsonl --out /proc/run",
        ["/proc: --out: cannot be written", "choose a writable folder"],
    ),
    "vectors that cannot be written": (
        nothing,
        "encode tiny sentences.jsonl --out /proc/v.npy",
        ["/proc: --out: cannot be written", "choose a writable folder"],
    ),
    "index that cannot be written": (
        nothing,
        "search tiny sentences.jsonl cat --index /proc/index",
        ["/proc/index: --index: cannot be written", "choose a writable folder"],
    ),
    "demo into a folder of others": (
        nothing,
        "demo --model tiny --out beir",
        ["beir: --out: already exists", "choose a new folder"],
    ),
    "demo resumed in a folder of others": (
        nothing,
        "demo --model tiny --out beir --resume",
        ["beir: --out: contains 'corpus.jsonl'", "choose a new folder"],
    ),
    "demo with an unknown setting": (
        nothing,
        "demo --model tiny --out demo --set epoch=1",
        ["--set: unknown option 'epoch'", "did you mean epochs?"],
    ),
    "demo of a package that is not there": (
        nothing,
        "demo --model tiny --out demo --package no-such-package-here",
        ["--package: the package 'no-such-package-here' is not installed", "pip install"],
    ),
    # encode, search, evaluate
    "unknown suffix": (
        nothing,
        "encode tiny sentences.jsonl --out v.txt",
        ["v.txt: unknown suffix '.txt'", "use .npy or .parquet"],
    ),
    "vectors into a folder": (
        empty_folder("v.npy"),
        "encode tiny sentences.jsonl --out v.npy",
        ["v.npy: expected a file name, got a folder", "pass the name of a file"],
    ),
    "rows without text to encode": (
        nothing,
        "encode tiny pairs.jsonl --out v.npy",
        ["pairs.jsonl: the schema 'sentences' requires 'text'", "--columns text="],
    ),
    "empty query": (nothing, "search tiny sentences.jsonl ' '", ["query: is empty", "write a few words"]),
    "k = 0": (nothing, "search tiny sentences.jsonl cat -k 0", ["'-k'", "see nearfar search --help"]),
    "empty text in a corpus": (
        replaced("x.jsonl", lines({"text": "the cat"}, {"text": ""})),
        "search tiny x.jsonl cat",
        ["x.jsonl:2: text: is empty", "remove the row"],
    ),
    "no such corpus": (
        nothing,
        "search tiny sentence.jsonl cat",
        ["sentence.jsonl: no such file", "did you mean sentences.jsonl?"],
    ),
    "corpus that is a folder": (
        nothing,
        "search tiny beir cat",
        ["beir: is a BEIR-format dataset, not a corpus", "corpus.jsonl"],
    ),
    "index that is something else": (
        nothing,
        "search tiny sentences.jsonl cat --index beir",
        ["beir: already contains other files", "choose an empty or new folder"],
    ),
    "index that is a file": (
        nothing,
        "search tiny sentences.jsonl cat --index sts.jsonl",
        ["sts.jsonl: expected a folder, got a file", "choose another name"],
    ),
    "nothing to evaluate on": (nothing, "evaluate tiny", ["--data: nothing to measure on", "give --data FILE"]),
    "task without data": (
        nothing,
        "evaluate tiny --mteb STSBenchmark --task sts",
        ["--task: requires rows", "give --data FILE"],
    ),
    "unknown task": (
        nothing,
        "evaluate tiny --data sts.jsonl --task sentiment",
        ["task: unknown task 'sentiment'", "choose from sts"],
    ),
    "task that does not fit": (
        nothing,
        "evaluate tiny --data sts.jsonl --task classify",
        ["sts.jsonl: the task 'classify' requires the column 'text'", "map the columns with --columns"],
    ),
    "training rows for a task that does not learn": (
        nothing,
        "evaluate tiny --data sts.jsonl --train labelled.jsonl",
        ["train: the task 'sts' does not accept this option"],
    ),
    "one class to tell": (
        replaced("x.jsonl", lines(*({"text": f"the cat {n}", "label": "cat"} for n in range(8)))),
        "evaluate tiny --data x.jsonl",
        ["x.jsonl: label: expected at least 2 labels, got 1"],
    ),
    "one class to cluster": (
        replaced("x.jsonl", lines(*({"text": f"the cat {n}", "label": "cat"} for n in range(8)))),
        "evaluate tiny --data x.jsonl --task cluster",
        ["x.jsonl: label: expected at least 2 labels, got 1"],
    ),
    "two rows for a correlation": (
        replaced("x.csv", "sentence1,sentence2,score\na,b,0\na,the,1\n"),
        "evaluate tiny --data x.csv",
        ["x.csv: expected at least 3 pairs for a correlation, got 2", "add rows"],
    ),
    "scores that are all equal": (
        replaced("x.csv", "sentence1,sentence2,score\n" + "a,the,1\n" * 4),
        "evaluate tiny --data x.csv",
        ["x.csv: score: expected different scores to rank, got only 1"],
    ),
    # arguments
    "no arguments": (nothing, "train", ["missing argument", "see nearfar train --help"]),
    "no data": (nothing, "train infonce", ["missing option '--data'", "see nearfar train --help"]),
    "no value": (nothing, "train infonce --data", ["'--data' requires an argument"]),
    "one argument too many": (nothing, "recipes infonce simcse", ["extra argument", "see nearfar recipes --help"]),
    "unknown command": (nothing, "trian infonce", ["no such command 'trian'", "did you mean 'train'?"]),
    "unknown option": (nothing, "recipes --bogus", ["no such option", "--bogus", "see nearfar recipes --help"]),
    "negative seed": (nothing, f"{TRAIN} --data pairs.jsonl --seed=-1", ["'--seed'", "see nearfar train --help"]),
    "seed beyond 32 bits": (
        nothing,
        f"{TRAIN} --data pairs.jsonl --seed 4294967296",
        ["'--seed'", "4294967295", "see nearfar train --help"],
    ),
    "batch size 0": (nothing, "evaluate tiny --data sts.jsonl --batch-size 0", ["'--batch-size'", "--help"]),
}


def listing(folder: Path) -> dict[str, tuple[int, int] | None]:
    """Size and time of every file, None for a folder."""
    found: dict[str, tuple[int, int] | None] = {}
    for path in sorted(folder.rglob("*")):
        state = path.stat()
        found[str(path.relative_to(folder))] = None if path.is_dir() else (state.st_size, state.st_mtime_ns)
    return found


def assert_refused(ended: Ended, pieces: list[str]) -> str:
    """Exit code 2, one line on stderr that holds the pieces in their order, nothing on stdout; returns the line."""
    assert ended.code == 2, ended
    assert ended.err.startswith("nearfar: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1, ended.err
    rest = ended.err
    for piece in pieces:
        assert piece in rest, ended.err
        rest = rest.partition(piece)[2]
    assert ended.out == ""
    return ended.err.removeprefix("nearfar: ").removesuffix("\n")


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_line_and_leaves_no_trace(case: str, workspace: Path, nearfar: Nearfar):
    setup, command, pieces = CASES[case]
    setup(workspace)
    before = listing(workspace)
    line = assert_refused(nearfar(*shlex.split(command)), pieces)
    ended = nearfar(*shlex.split(command), "--json")
    if case != "no value":  # there `--json` is the value that was missing
        assert ended.code == 2
        assert ended.json == {"error": line, "exit_code": 2}
    assert listing(workspace) == before


def test_mteb_that_is_not_installed(workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mteb", None)
    before = listing(workspace)
    # Before the rows are looked at: measuring on them may take long.
    ended = nearfar("evaluate", "tiny", "--mteb", "STSBenchmark", "--data", "nowhere.jsonl")
    assert_refused(ended, ["benchmarks require the package mteb", 'pip install "nearfar[mteb]"'])
    assert listing(workspace) == before


def test_notes_on_the_data_do_not_join_the_line_of_a_mistake(workspace: Path, nearfar: Nearfar):
    rows = [{"anchor": f"the cat {n}", "positive": "a cat", "hard_negative": "a dog"} for n in range(8)]
    (workspace / "x.jsonl").write_text(jsonl(rows))
    ended = nearfar("train", "infonce", "--model", "tiny", "--data", "x.jsonl", "--set", "max_length=65")
    assert_refused(ended, ["max_length: invalid value 65"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A folder with tables, and a run in `run`."""
    from nearfar.training.run import train

    folder = tmp_path_factory.mktemp("finished")
    write_tables(folder)
    train("infonce", folder / "pairs.jsonl", model=tiny_model_folder, out=folder / "run", seed=1, max_steps=1)
    return folder


@pytest.mark.parametrize(
    ("recipe", "changed", "pieces"),
    [
        ("infonce", "", ["run: --out: already contains a run", "add --resume to continue it, or choose another"]),
        (
            "infonce",
            "--resume --set batch_size=8",
            ["run.yaml: options.batch_size: expected 64, as in the run to resume, got 8"],
        ),
        (
            "infonce",
            "--resume --set temperature=1",
            ["run.yaml: options.temperature: expected 0.05, as in the run to resume, got"],
        ),
        (
            "infonce",
            "--resume --seed 2",
            ["run.yaml: seed: expected 1, as in the run to resume, got 2", "choose another"],
        ),
        ("infonce", "--resume --data heldout.jsonl", ["run.yaml: data.source: ", "pairs.jsonl", "heldout.jsonl"]),
        ("infonce", "--resume --eval sts.jsonl", ["run.yaml: evaluation: expected None, as in the run", "sts.jsonl"]),
        ("infonce", "--resume --columns anchor=anchor", ["run.yaml: columns: expected None, as in the run"]),
        ("infonce", "--resume --model PLAIN", ["run.yaml: model.name: expected", "/transformers"]),
        (
            "simcse",
            "--resume --data sentences.jsonl",
            ["run.yaml: recipe: expected 'infonce', as in the run to resume, got"],
        ),
    ],
)
def test_a_run_is_gone_on_with_as_it_was(
    recipe: str,
    changed: str,
    pieces: list[str],
    finished: Path,
    tiny_model_folder: Path,
    plain_model_folder: Path,
    nearfar: Nearfar,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(finished)
    command = f"train {recipe} --out run --model {tiny_model_folder} --seed 1 --set max_steps=1 "
    command += "" if "--data" in changed else "--data pairs.jsonl "
    before = listing(finished)
    # Of an option given twice the last counts, but for --data.
    ended = nearfar(*shlex.split(command + changed.replace("PLAIN", str(plain_model_folder))))
    assert_refused(ended, pieces)
    assert listing(finished) == before


def test_a_run_whose_rows_changed_is_not_gone_on_with(
    finished: Path, tiny_model_folder: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(finished)
    rows = (finished / "pairs.jsonl").read_text()
    (finished / "pairs.jsonl").write_text(rows.replace("bank", "loan"))
    command = f"train infonce --out run --data pairs.jsonl --model {tiny_model_folder} --seed 1 --set max_steps=1"
    try:
        ended = nearfar(*shlex.split(command), "--resume")
    finally:
        (finished / "pairs.jsonl").write_text(rows)
    assert_refused(ended, ["run.yaml: data.sha256: expected", "choose another folder"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many KiB, which takes the rights of root."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no right to mount a small disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("command", [f"{TRAIN}/new --data pairs.jsonl", "encode tiny sentences.jsonl --out run/v.npy"])
def test_a_full_disk_is_noticed_before_the_work(
    command: str, workspace: Path, nearfar: Nearfar, small_disk: Callable[[int], Path]
):
    disk = small_disk(64)
    (disk / "fill").write_bytes(b"\0" * (32 << 10))
    (workspace / "run").symlink_to(disk)
    ended = nearfar(*shlex.split(command))
    assert_refused(ended, ["run: --out: cannot be written: No space left on device", "free some space"])
    assert os.listdir(disk) == ["fill"]


@pytest.mark.parametrize("name", ["v.npy", "v.parquet"])
def test_a_disk_that_fills_up_while_vectors_are_written(
    name: str, workspace: Path, nearfar: Nearfar, small_disk: Callable[[int], Path]
):
    disk = small_disk(128)
    (workspace / "x.jsonl").write_text(jsonl({"text": f"the cat {n}"} for n in range(1_100)))
    ended = nearfar("encode", "tiny", "x.jsonl", "--out", str(disk / name))
    assert ended.code == 2, ended
    assert ended.err.splitlines()[-1].startswith("nearfar: ")
    assert "no space left on the disk; free some space" in ended.err.splitlines()[-1]
    assert os.listdir(disk) == []


def test_a_disk_that_fills_up_in_training(workspace: Path, nearfar: Nearfar, small_disk: Callable[[int], Path]):
    disk = small_disk(600)
    command = "train infonce --model tiny --data pairs.jsonl --set batch_size=8 --set save_steps=1 --set max_steps=4"
    ended = nearfar(*shlex.split(command), "--out", str(disk / "run"))
    assert ended.code == 2, ended
    assert "no space left on" in ended.err.splitlines()[-1].lower()
    assert "free some space" in ended.err.splitlines()[-1]
    assert not (disk / "run" / "metrics.json").exists()
    # More space, and it goes on.
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    assert nearfar(*shlex.split(command), "--out", str(disk / "run"), "--resume").code == 0


def test_a_disk_that_fills_up_while_an_index_is_written(
    workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nearfar.search.build.write_metadata", full)
    before = listing(workspace)
    ended = nearfar("search", "tiny", "sentences.jsonl", "cat")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("nearfar: no space left on the disk; free some space")
    assert ended.out == ""
    assert listing(workspace) == before


def test_what_is_not_the_users_fault_is_exit_code_1(workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the gears\nare stuck")

    monkeypatch.setattr("nearfar.recipes.get", broken)
    ended = nearfar("recipes", "infonce", "--json")
    assert ended.code == 1
    assert ended.err == "nearfar: RuntimeError: the gears; set NEARFAR_DEBUG=1 for the traceback\n"
    assert ended.json["exit_code"] == 1


def command_line(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from nearfar.cli import main; main()", *arguments]
    return subprocess.run(program, text=True, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    ("command", "pieces"),
    [
        ("train infoncee --data pairs.jsonl --json", ["RECIPE: there is no recipe 'infoncee'", "did you mean"]),
        ("train infonce --data pairs.jsonl --set batch_size=1 --json", ["batch_size: invalid value 1"]),
        ("search tiny --json", ["missing argument", "see nearfar search --help"]),
        ("encode tiny nowhere.jsonl --out v.txt --colums x --json", ["no such option", "--colums"]),
    ],
)
def test_the_program_itself(command: str, pieces: list[str], workspace: Path):
    before = listing(workspace)
    ended = command_line(*shlex.split(command), stdout=subprocess.PIPE)
    line = assert_refused(Ended(ended.returncode, "", ended.stderr), pieces)
    assert json.loads(ended.stdout) == {"error": line, "exit_code": 2}
    assert listing(workspace) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_into_a_full_disk():
    with open("/dev/full", "w") as full:
        ended = command_line("recipes", stdout=full)
    assert ended.returncode == 2
    assert ended.stderr == "nearfar: the output cannot be written: No space left on device\n" or (
        "nearfar: no space left on the disk" in ended.stderr and ended.stderr.count("\n") == 1
    )


def test_output_into_a_pipe_that_nobody_reads():
    read, write = os.pipe()
    os.close(read)
    try:
        ended = command_line("recipes", stdout=write)
    finally:
        os.close(write)
    assert ended.stderr == ""
