"""`nearfar refine questions`: from a corpus to a trained model, killed and run again, and what people do wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from fake_endpoint import completion
from nearfar.cli.app import run
from nearfar.data import write_jsonl

ANIMALS = ("cat", "dog", "fish", "bird", "house", "tree")
PASSAGES = [{"text": f"the {animal} sits on the mat", "doc_id": f"d{row // 2}"} for row, animal in enumerate(ANIMALS)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl(PASSAGES, "corpus.jsonl.gz")
    write_jsonl(PASSAGES, "passages.jsonl")
    return tmp_path


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def asks(body: dict, _: int):
    """A question with the animal of the passage; none for the tree."""
    prompt = body["messages"][0]["content"]
    animal = prompt.splitlines()[-2].split()[2]
    kind = "seek" if "search query" in prompt else "ask"
    return 200, {}, completion("I'm sorry." if animal == "tree" else f'1. "{kind} where my {animal} is today"')


def command(tiny_model_folder, *more: str) -> list[str]:
    how = ["--kinds", "question,search", "--rank", "6", "--encoder", str(tiny_model_folder)]
    return ["refine", "questions", "passages.jsonl", "--out", "pairs.jsonl", *how, *more]


def test_from_a_corpus_to_a_model(folder, server, tiny_model_folder, capsys) -> None:
    server.reply = asks
    there = ["--endpoint", server.url, "--model", "some-model"]
    full = command(tiny_model_folder, "--held-out", "0.3", "--dropped", "gone.jsonl", "--json", *there)
    assert run(full) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(server.requests) == 12
    assert (found["passages"], found["documents"], found["written"]) == (6, 3, 12)
    assert found["dropped"] == {"refusal": 2}
    kept, held_out, gone = (rows(folder / name) for name in ("pairs.jsonl", "pairs.eval.jsonl", "gone.jsonl"))
    assert (len(kept), len(held_out), len(gone)) == (found["kept"], found["held_out"], 2)
    assert len(kept) + len(held_out) == 10
    assert {row["document"] for row in held_out}.isdisjoint(row["document"] for row in kept)
    assert {row["positive"] for row in gone} == {PASSAGES[5]["text"]}
    assert {"ask where my cat is today", "seek where my cat is today"} <= {row["anchor"] for row in [*kept, *held_out]}

    written = (folder / "pairs.jsonl").read_bytes(), (folder / "pairs.eval.jsonl").read_bytes()
    assert run(full) == 0
    assert len(server.requests) == 12, "answers in the log are reused"
    assert ((folder / "pairs.jsonl").read_bytes(), (folder / "pairs.eval.jsonl").read_bytes()) == written

    capsys.readouterr()
    model = ["--model", str(tiny_model_folder), "--set", "max_steps=2", "--set", "batch_size=2"]
    trains = ["train", "infonce", "--data", "pairs.jsonl", "--eval", "pairs.eval.jsonl", "--out", "run", "--json"]
    assert run([*trains, *model]) == 0


def test_the_next_command_trains_with_negatives(folder, server, tiny_model_folder, capsys, monkeypatch) -> None:
    monkeypatch.setattr("nearfar.generation.question_negatives.MARGIN", 0.0)
    server.reply = asks
    there = ["--endpoint", server.url, "--model", "some-model", "--held-out", "0.3", "--negatives", "1"]
    assert run(command(tiny_model_folder, *there)) == 0
    (following,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Next: nearfar ")]
    kept = rows(folder / "pairs.jsonl")
    assert all(row["negative_1"] in {each["text"] for each in PASSAGES} for row in kept)
    assert all("negative_1" not in row for row in rows(folder / "pairs.eval.jsonl"))
    trains = following.removeprefix("Next: nearfar ").split()
    model = ["--model", str(tiny_model_folder), "--set", "max_steps=1", "--set", "batch_size=2", "--out", "run"]
    assert run([*trains, *model]) == 0, capsys.readouterr().err


def test_without_held_out_documents_one_file_is_written(folder, server, tiny_model_folder, capsys) -> None:
    server.reply = asks
    there = ["--endpoint", server.url, "--model", "some-model", "--held-out", "0", "--instruction", "Hum it."]
    assert run([*command(tiny_model_folder)[:3], "--out", "p.jsonl", *there, "--encoder", str(tiny_model_folder)]) == 0
    assert "refusal" in capsys.readouterr().err
    assert all("Hum it." in body["messages"][0]["content"] for body in server.requests)
    assert sorted(path.name for path in folder.glob("p.*")) == ["p.jsonl", "p.jsonl.calls.jsonl"]


def test_killed_and_run_again_asks_only_for_the_rest(folder, server, tiny_model_folder) -> None:
    hang, log = threading.Event(), folder / "pairs.jsonl.calls.jsonl"

    def reply(body, number):
        if number > 5:
            hang.wait(60)
        return asks(body, number)

    server.reply = reply
    full = command(tiny_model_folder, "--endpoint", server.url, "--model", "some-model", "--batch-size", "2")
    process = subprocess.Popen([sys.executable, "-m", "nearfar", *full], stderr=subprocess.PIPE)
    began = time.monotonic()
    while not log.exists() or log.read_bytes().count(b"\n") < 5:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < 240
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    hang.set()
    process.communicate()
    assert not (folder / "pairs.jsonl").exists()

    server.requests.clear()
    server.reply = asks
    assert run(full) == 0
    assert len(server.requests) == 7
    assert len(rows(folder / "pairs.jsonl")) + len(rows(folder / "pairs.eval.jsonl")) == 10


def test_a_local_model_writes(folder, tiny_lm_folder, tiny_model_folder, capsys) -> None:
    model = ["--model", str(tiny_lm_folder), "--batch-size", "4", "--max-tokens", "6", "--passages", "2", "--json"]
    model += ["--held-out", "0"]
    assert run(command(tiny_model_folder, *model)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["asked"], found["written"]) == (2, 4)
    assert len(rows(folder / "pairs.jsonl.calls.jsonl")) == 4


MISTAKES = {
    "no such corpus": ("none.jsonl --out p.jsonl", "none.jsonl"),
    "no texts": ("other.jsonl --out p.jsonl", "text"),
    "out is no jsonl": ("passages.jsonl --out p.csv", "p.csv: --out: "),
    "the same file twice": ("passages.jsonl --out p.jsonl --eval-out p.jsonl", "--eval-out: "),
    "no such kind": ("passages.jsonl --out p.jsonl --kinds riddle", "--kinds: "),
    "all held out": ("passages.jsonl --out p.jsonl --held-out 1", "--held-out: "),
    "one document": ("one.jsonl --out p.jsonl --model {lm}", "--held-out: "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_write_nothing(folder, tiny_lm_folder, tiny_model_folder, capsys, name) -> None:
    arguments, expected = MISTAKES[name]
    write_jsonl([{"title": "a"}], "other.jsonl")
    write_jsonl(PASSAGES[:1], "one.jsonl")
    before = sorted(path.name for path in folder.iterdir())
    given = arguments.format(lm=tiny_lm_folder).split()
    model = [] if "--model" in given else ["--model", "x", "--endpoint", "http://127.0.0.1:9/v1"]
    assert run(["refine", "questions", *given, *model, "--encoder", str(tiny_model_folder)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert expected in err
    assert sorted(path.name for path in folder.iterdir()) == before
