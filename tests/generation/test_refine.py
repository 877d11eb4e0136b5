"""`nearfar refine`: the stages apart, killed, gone on with, and what people do wrong."""

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

KEY = "sk-very-secret-key"
SENTENCES = [f"the cat number {i} sits" for i in range(10)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    write_jsonl([{"text": text} for text in SENTENCES], "sentences.jsonl")
    return tmp_path


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def writes(body: dict, _: int):
    """Entailments repeat the sentence, contradictions deny it; scores are 4.5 and 1.0, one of them unreadable."""
    text = body["messages"][0]["content"]
    last = text.splitlines()[-2]
    if "Score:" in text:
        answer = "4.5" if "indeed" in last else "very low" if "number 3 " in last else "1.0"
    else:
        answer = last.removeprefix("Sentence: ") + (" indeed" if "must be true" in text else " never")
    return 200, {}, completion(answer)


def test_three_stages_from_sentences_to_a_model(folder, server, tiny_model_folder, capsys) -> None:
    server.reply = writes
    there = ["--endpoint", server.url, "--model", "some-model", "--json"]
    assert run(["refine", "generate", "sentences.jsonl", "--out", "triplets.jsonl", *there]) == 0
    assert json.loads(capsys.readouterr().out)["triplets"] == 10
    first = {"anchor": SENTENCES[0], "positive": f"{SENTENCES[0]} indeed", "negative": f"{SENTENCES[0]} never"}
    assert rows(folder / "triplets.jsonl")[0] == first
    assert len(server.requests) == 20

    command = ["refine", "filter", "triplets.jsonl", "--out", "refined.jsonl", "--dropped", "gone.jsonl", *there]
    assert run(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["triplets"], found["scores_parsed"]) == (9, 10, 0.95)
    assert rows(folder / "refined.jsonl")[0] == {**first, "score_positive": 4.5, "score_negative": 1.0}
    (gone,) = rows(folder / "gone.jsonl")
    assert (gone["anchor"], gone["score_negative"], gone["dropped"]) == (SENTENCES[3], None, "an answer is not a score")

    asked = len(server.requests)
    assert run([*command, "--beta", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 0
    assert len(server.requests) == asked, "other limits need no new calls"
    assert run([*command]) == 0

    model = str(tiny_model_folder)
    trains = ["train", "multicsr", "--data", "refined.jsonl", "--model", model, "--out", "run", "--json"]
    assert run([*trains, "--set", "max_steps=2", "--set", "batch_size=4"]) == 0
    assert (folder / "run" / "model" / "model.safetensors").exists()

    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert KEY.encode() not in written


def test_killed_and_run_again_asks_only_for_the_rest(folder, server) -> None:
    hang, log = threading.Event(), folder / "t.jsonl.calls.jsonl"

    def reply(body, number):
        if number > 7:
            hang.wait(20)
        return writes(body, number)

    server.reply = reply
    command = [
        "refine",
        "generate",
        "sentences.jsonl",
        "--out",
        "t.jsonl",
        "--endpoint",
        server.url,
        "--batch-size",
        "2",
    ]
    process = subprocess.Popen([sys.executable, "-m", "nearfar", *command], stderr=subprocess.PIPE)
    began = time.monotonic()
    while not log.exists() or log.read_bytes().count(b"\n") < 7:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < 60
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    hang.set()
    process.communicate()
    assert not (folder / "t.jsonl").exists()

    server.requests.clear()
    server.reply = writes
    assert run(command) == 0
    assert len(server.requests) == 13
    assert [row["anchor"] for row in rows(folder / "t.jsonl")] == SENTENCES


def test_rationales_are_sampled_counted_and_resumed(folder, server, tiny_lm_folder, capsys) -> None:
    """Two of three samples reach 7; the request that fails is the only one that is made again."""
    write_jsonl([{"question": f"What is {n} + 4?", "answer": "7"} for n in (3, 5)], "questions.jsonl")

    def reply(_, number):
        if number == 5:
            return 400, {}, {"error": {"message": "too long"}}
        return 200, {}, completion(f"I add them, line {number}. The answer is {3 if number % 3 == 0 else 7}.")

    server.reply = reply
    command = ["refine", "rationales", "questions.jsonl", "--out", "rationales.jsonl", "--samples", "3"]
    there = ["--endpoint", server.url, "--model", "some-model", "--batch-size", "1", "--tries", "1", "--json"]
    assert run([*command, *there]) != 0
    assert not (folder / "rationales.jsonl").exists()
    asked = len(server.requests)
    capsys.readouterr()
    server.reply = lambda _, number: reply(_, number + 1)
    assert run([*command, *there]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(server.requests) - asked == 6 - (asked - 1), "answers that are there are not asked for again"
    assert (found["questions"], found["rationales"], found["known"]) == (2, 6, 2)
    written = rows(folder / "rationales.jsonl")
    assert [len(row["rationales"]) for row in written] == [3, 3]
    assert written[0]["rationales"][0]["text"].startswith("I add them, line")
    assert {each["answer"] for row in written for each in row["rationales"]} <= {"3", "7"}
    # The schema is that of qcrd's rows.
    model = str(tiny_lm_folder)
    trains = ["train", "qcrd", "--data", "rationales.jsonl", "--model", model, "--set", "held_out=0", "--out", "run"]
    small = [f"--set={value}" for value in ("max_steps=2", "own_negatives=false", "quality=false")]
    assert run([*trains, *small, "--set", "batch_size=2"]) == 0
    capsys.readouterr()
    assert run([*trains[:-1], "again", *small, "--set", "batch_size=3"]) == 2
    assert "expected at least 3 rows" in capsys.readouterr().err


def test_a_local_model_writes_and_scores(folder, tiny_lm_folder, capsys) -> None:
    model = ["--model", str(tiny_lm_folder), "--batch-size", "4", "--json"]
    command = ["refine", "generate", "sentences.jsonl", "--out", "t.jsonl", "--limit", "4", "--max-tokens", "6"]
    assert run([*command, *model, "--omega", "0.3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentences"] == 4
    assert len(rows(folder / "t.jsonl.calls.jsonl")) == 8
    assert len(rows(folder / "t.jsonl")) == found["triplets"]
    assert run([*command, *model]) == 0
    assert len(rows(folder / "t.jsonl.calls.jsonl")) == 16, "without omega the answers are others"
    write_jsonl([{"anchor": "a", "positive": "b", "negative": "c"}], "t.jsonl")
    capsys.readouterr()
    assert run(["refine", "filter", "t.jsonl", "--out", "r.jsonl", *model]) == 0
    assert json.loads(capsys.readouterr().out)["scores_parsed"] == 0.0  # a random model answers no digit


def test_an_encoder_scores(folder, tiny_model_folder, capsys) -> None:
    triplets = [
        {"anchor": "the cat", "positive": "the cat", "negative": "bank loan money"},
        {"anchor": "the dog", "positive": "red sky", "negative": "the dog"},
    ]
    write_jsonl(triplets, "t.jsonl")
    command = ["refine", "filter", "t.jsonl", "--out", "new/r.jsonl", "--encoder", str(tiny_model_folder)]
    assert run([*command, "--beta", "4.999", "--gamma", "0.001", "--alpha", "4.99", "--no-swap"]) == 0
    assert [row["anchor"] for row in rows(folder / "new" / "r.jsonl")] == ["the cat"]
    assert rows(folder / "new" / "r.jsonl")[0]["score_positive"] == pytest.approx(5, abs=1e-4)
    assert not (folder / "new" / "r.jsonl.calls.jsonl").exists()


MISTAKES = {
    "no such sentences": ("generate none.jsonl --out t.jsonl", "none.jsonl"),
    "other columns": ("generate triplets.jsonl --out t.jsonl", "text"),
    "out is no jsonl": ("generate sentences.jsonl --out t.csv", "t.csv: --out: "),
    "contrast of an endpoint": (
        "generate sentences.jsonl --out t.jsonl --endpoint http://127.0.0.1:9/v1 --omega 0.3",
        "--omega: ",
    ),
    "omega below 0": ("generate sentences.jsonl --out t.jsonl --omega -1", "omega: invalid value -1.0"),
    "no address": (
        "generate sentences.jsonl --out t.jsonl --endpoint 127.0.0.1",
        "--endpoint: invalid URL '127.0.0.1'",
    ),
    "no model": ("generate sentences.jsonl --out t.jsonl --model ./none", "the model folder './none' does not exist"),
    "log is another file": (
        "generate sentences.jsonl --out t.jsonl --endpoint http://127.0.0.1:9/v1 --calls sentences.jsonl",
        "sentences.jsonl:1: ",
    ),
    "no negatives": ("filter pairs.jsonl --out r.jsonl", "--columns negative=COLUMN"),
    "which model": (
        "filter triplets.jsonl --out r.jsonl --endpoint http://h/v1",
        "--model NAME",
    ),
    "no limit": ("filter triplets.jsonl --out r.jsonl --alpha nan", "alpha: invalid value nan"),
    "no stage": ("refilter", "no such command"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_write_nothing(folder, monkeypatch, capsys, name) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    arguments, expected = MISTAKES[name]
    write_jsonl([{"anchor": "a", "positive": "b", "negative": "c"}], "triplets.jsonl")
    write_jsonl([{"anchor": "a", "positive": "b"}], "pairs.jsonl")
    before = sorted(path.name for path in folder.iterdir())
    assert run(["refine", *arguments.split()]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert expected in err
    assert sorted(path.name for path in folder.iterdir()) == before
