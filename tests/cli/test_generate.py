from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nearfar.cli.app import run
from word_level import write_causal, write_seq2seq

ARGUMENTS = ["--max-new-tokens", "5"]


@pytest.fixture
def nearfar(workspace: Path, tiny_lm_folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    (workspace / "lm").symlink_to(tiny_lm_folder)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["generate", "lm", *arguments, *ARGUMENTS])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_prompt_goes_on(nearfar: Any) -> None:
    code, out, _ = nearfar("--prompt", "the cat")
    assert code == 0
    assert out.startswith("the cat")
    assert len(out) > len("the cat\n")


def test_json(nearfar: Any) -> None:
    code, out, _ = nearfar("--prompt", "the cat", "--prompt", "a dog", "--set", "top_k=3", "--json")
    found = json.loads(out)
    assert code == 0
    assert [row["prompt"] for row in found["texts"]] == ["the cat", "a dog"]
    assert found["settings"] == {"top_k": 3, "penalty_alpha": 0.6, "low_memory": False}
    assert found["tokens"] == sum(row["tokens"] for row in found["texts"]) == 10


@pytest.mark.parametrize("decoding", ["greedy", "beam", "nucleus", "contrastive_search"])
def test_a_file_of_prompts(nearfar: Any, workspace: Path, decoding: str) -> None:
    arguments = ["--prompts", "sentences.jsonl", "--limit", "5", "--decoding", decoding, "--batch-size", "2"]
    code, out, _ = nearfar(*arguments, "--out", "texts.jsonl", "--seed", "3")
    assert code == 0
    assert "5 texts of" in out
    rows = [json.loads(line) for line in (workspace / "texts.jsonl").read_text("utf-8").splitlines()]
    prompts = [json.loads(line)["text"] for line in (workspace / "sentences.jsonl").read_text().splitlines()[:5]]
    assert [row["prompt"] for row in rows] == prompts
    assert not list(workspace.glob(".texts*")), "nothing is left behind"
    _, printed, _ = nearfar(*arguments, "--json", "--seed", "3")
    assert json.loads(printed)["texts"] == rows


def test_a_run_that_was_stopped_goes_on(nearfar: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nearfar.decoding.texts import Unfinished, Writer

    arguments = ["--prompts", "sentences.jsonl", "--limit", "6", "--decoding", "nucleus", "--batch-size", "2"]
    nearfar(*arguments, "--out", "whole.jsonl")
    add, written = Unfinished.add, []

    def stopped(self: Unfinished, batch: Any) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(batch)
        add(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "add", stopped)
        code, _, err = nearfar(*arguments, "--out", "texts.jsonl")
    assert code == 130
    assert "interrupted" in err
    assert not (workspace / "texts.jsonl").exists()

    continued, made = Writer._continued, []
    monkeypatch.setattr(Writer, "_continued", lambda self, *a: made.append(1) or continued(self, *a))
    code, _, err = nearfar(*arguments, "--out", "texts.jsonl")
    assert code == 0
    assert "2 of 6 texts already exist" in err
    assert len(made) == 2
    assert (workspace / "texts.jsonl").read_bytes() == (workspace / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--prompt"),
        (["--prompt", "a", "--prompts", "sentences.jsonl"], "got both"),
        (["--prompts", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--prompts", "pairs.jsonl"], "text"),
        (["--prompt", ""], "no token"),
        (["--prompt", "a", "--decoding", "greedi"], "did you mean greedy"),
        (["--prompt", "a", "--set", "topk=3"], "did you mean top_k"),
        (["--prompt", "a", "--set", "top_k=many"], "top_k"),
        (["--prompt", "a", "--out", "texts.txt"], "jsonl"),
        (["--prompt", "a", "--decoding", "icd"], "--amateur"),
        (["--prompt", "a", "--decoding", "icd", "--amateur", "./lm"], "is the model itself"),
        (["--prompt", "a", "--decoding", "icd", "--amateur", "nowhere"], "--amateur"),
        (["--prompt", "a", "--decoding", "greedy", "--amateur", "prompt"], "no amateur"),
        (["--prompt", "a", "--decoding", "dola", "--set", "layers=9"], "layers"),
        (["--prompt", "a", "--decoding", "dola", "--set", "layers=some"], "high"),
        (["--prompt", "a", "--chat"], "chat template"),
    ],
)
def test_bad_input_is_one_line(nearfar: Any, workspace: Path, arguments: list[str], said: str) -> None:
    before = sorted(workspace.iterdir())
    code, out, err = nearfar(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert sorted(workspace.iterdir()) == before


@pytest.mark.parametrize("decoding", ["lol", "icd", "dola", "cad"])
def test_decoding_against_hallucinations(nearfar: Any, workspace: Path, decoding: str) -> None:
    arguments = ["--prompts", "sentences.jsonl", "--limit", "3", "--decoding", decoding, "--batch-size", "2"]
    if decoding in ("lol", "icd"):
        arguments += ["--amateur", "prompt"]
    code, out, _ = nearfar(*arguments, "--json")
    assert code == 0
    found = json.loads(out)
    assert len(found["texts"]) == 3
    assert found.get("amateur") == ("prompt" if "--amateur" in arguments else None)
    code, _, _ = nearfar(*arguments, "--out", "texts.jsonl")
    assert code == 0
    rows = [json.loads(line) for line in (workspace / "texts.jsonl").read_text("utf-8").splitlines()]
    assert rows == found["texts"]


def test_what_a_model_writes_cannot_steer_the_terminal(nearfar: Any) -> None:
    _, out, _ = nearfar("--prompt", "the \x1b[31mcat\x9b2J")
    assert out.startswith("the [31mcat2J")


@pytest.fixture
def students(workspace: Path) -> Any:
    """Language models of both kinds, whose training recorded prefixes."""
    from nearfar.kinds.causal import CausalLM
    from nearfar.kinds.seq2seq import Seq2SeqLM

    for kind, write, folder in ((CausalLM, write_causal, "causal"), (Seq2SeqLM, write_seq2seq, "t5")):
        model: Any = kind.load(write(workspace / folder), device="cpu")
        model.prefixes = {"predict": "answer ", "explain": "reason "}
        with torch.no_grad():  # otherwise T5 predicts its start token, whatever it reads
            model.model.get_output_embeddings().weight[:2] = 0.0
        model.write(workspace / folder)
    return workspace


@pytest.mark.parametrize("model", ["causal", "t5"])
@pytest.mark.parametrize("prefix", ["predict", "explain"])
def test_a_recorded_prefix_gives_what_evaluation_reads(
    students: Path, model: str, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from nearfar.kinds.loading import load_kind

    questions = ["the cat sits", "a"]
    given = [part for question in questions for part in ("--prompt", question)]
    code = run(["generate", model, *given, "--prefix", prefix, "--decoding", "greedy", "--json", *ARGUMENTS])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["prefix"] == prefix
    source: Any = load_kind(model, device="cpu")
    targets = source.sample_targets([source.prefixes[prefix] + each for each in questions], max_new_tokens=5)
    assert [row["text"] for row in found["texts"]] == source.target_texts(targets)
    assert [row["prompt"] for row in found["texts"]] == questions
    assert any(row["text"] for row in found["texts"])


@pytest.mark.parametrize("decoding", [None, "greedy", "beam", "nucleus"])
def test_a_sequence_to_sequence_model_answers(
    students: Path, decoding: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [] if decoding is None else ["--decoding", decoding]
    arguments = ["generate", "t5", "--prompts", "sentences.jsonl", "--limit", "5", "--batch-size", "2", *chosen]
    assert run([*arguments, "--out", "texts.jsonl", *ARGUMENTS]) == 0
    rows = [json.loads(line) for line in (students / "texts.jsonl").read_text("utf-8").splitlines()]
    capsys.readouterr()
    assert run([*arguments, "--json", *ARGUMENTS]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["texts"] == rows
    assert found["decoding"] == (decoding or "greedy")
    assert any(row["text"] for row in rows)


def test_an_answer_is_not_printed_as_a_continuation(students: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "t5", "--prompt", "the cat", *ARGUMENTS]) == 0
    assert capsys.readouterr().out.startswith("the cat\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["causal", "--prefix", "explane"], "it has explain, predict"),
        (["lm", "--prefix", "explain"], "recorded none"),
        (["causal", "--prefix", "explain", "--chat"], "got both"),
        (["t5", "--decoding", "contrastive-search"], "use greedy, beam or nucleus"),
        (["t5", "--decoding", "dola"], "use greedy, beam or nucleus"),
        (["t5", "--chat"], "chat template"),
        (["model"], "expected a language model"),
    ],
)
def test_a_model_that_cannot_answer_so_is_one_line(
    students: Path,
    tiny_lm_folder: Path,
    tiny_model_folder: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (students / "lm").symlink_to(tiny_lm_folder)
    (students / "model").symlink_to(tiny_model_folder)
    assert run(["generate", *arguments, "--prompt", "the cat", *ARGUMENTS]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
