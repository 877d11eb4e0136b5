from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nearfar.cli.app import run

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
