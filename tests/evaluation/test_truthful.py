"""Multiple choice between true and false answers: worked examples, and against plain passes of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from nearfar.cli.app import run as command
from nearfar.data import load
from nearfar.decoding.choices import Chooser
from nearfar.decoding.layer_contrast import LayerContrast
from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.evaluation.tasks import Decoding, task_of
from nearfar.evaluation.tasks.truthful import completion_scores, multiple_choice, question_scores
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.encoder import Encoder
from nearfar.models.chat import Prompt

QUESTIONS = [
    {
        "question": "What do seeds do?",
        "best_answer": "They pass through",
        "correct_answers": ["Nothing happens", "They pass through"],
        "incorrect_answers": ["They grow", "You die."],
    },
    {
        "question": "Who was he?",
        "best_answer": "Unknown",
        "correct_answers": ["A man"],
        "incorrect_answers": ["A king", "A star", "A dog"],
    },
    {
        "question": "Is it so?",
        "best_answer": "No",
        "correct_answers": ["No"],
        "incorrect_answers": ["Yes"],
    },
]
TEXTS = [
    {"prefix": "The cat sits on the ", "completion": "mat.", "contradictions": ["moon.", "sun."]},
    {"prefix": "It rained.\n", "completion": "We got wet.", "contradictions": ["We stayed dry.", "It was sunny."]},
    {"prefix": "Two and two", "completion": "are four.", "contradictions": ["are five.", "are six."]},
]


@pytest.fixture(scope="module")
def model(tiny_lm_folder: Path) -> CausalLM:
    return CausalLM.load(tiny_lm_folder, device="cpu")


@pytest.mark.parametrize(
    ("true", "best", "false", "expected"),
    [
        ((-4, -6, -9), 0, (-5, -7), (1, 0.732220, 1 / 3)),
        ((-4, -6, -9), 0, (-3, -7), (0, 0.292080, 0)),
        ((2, -1), 1, (1.5, -2), (0, 0.626876, 0.5)),
    ],
)
def test_worked_examples(true: Any, best: int, false: Any, expected: Any) -> None:
    for offset in (0, -4000, 4000):
        found = multiple_choice(np.array(true, float) + offset, np.array(false, float) + offset, true[best] + offset)
        assert tuple(found.values()) == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def plain_score(model: CausalLM, prompt: str, answer: str) -> tuple[float, int]:
    before, both = (model.tokenizer(text)["input_ids"] for text in (prompt, prompt + answer))
    logs = model.model(torch.tensor([both])).logits[0].log_softmax(-1)
    each = logs[torch.arange(len(before) - 1, len(both) - 1), torch.tensor(both[len(before) :])]
    return float(each.sum()), len(each)


def test_questions_are_scored_by_sums_of_log_probabilities(model: CausalLM) -> None:
    row = QUESTIONS[1]
    prompt = "Q: Who was he?\nA:"
    true, best = plain_score(model, prompt, " A man.")[0], plain_score(model, prompt, " Unknown.")[0]
    false = [plain_score(model, prompt, f" {text}.")[0] for text in row["incorrect_answers"]]
    chooser = Chooser(model.model, model.tokenizer, [LayerContrast()])
    (found,) = question_scores(chooser, model.tokenizer, row)
    assert found == pytest.approx(multiple_choice(np.array([true]), np.array(false), best), abs=1e-4)


@pytest.mark.parametrize("row", TEXTS)
def test_completions_are_scored_after_their_prefix(model: CausalLM, row: Any) -> None:
    between = "" if row["prefix"][-1].isspace() else " "
    scored = [plain_score(model, row["prefix"], between + text) for text in (row["completion"], *row["contradictions"])]
    (found,) = completion_scores(Chooser(model.model, model.tokenizer, [LayerContrast()]), model.tokenizer, row)
    sums, means = [score for score, _ in scored], [score / n for score, n in scored]
    assert found == {"accuracy": sums[0] >= max(sums[1:]), "accuracy_per_token": means[0] >= max(means[1:])}


def test_a_constant_changes_sums_unless_they_are_normalized(model: CausalLM) -> None:
    """Scores are not normalized after a contrast, so that the length of an answer matters."""
    contrasts = [LayerContrast(), LayerContrast(layers=(1,), early_exit_weight=1)]
    chooser = Chooser(model.model, model.tokenizer, contrasts)
    prompt, answers = Prompt("Q: Who?\nA:"), ["A man", "A very old man"]
    sums, lengths = chooser(prompt, answers)
    normalized, _ = chooser(prompt, answers, normalize=True)
    assert lengths == [len(" A man"), len(" A very old man")]
    assert normalized[0] == pytest.approx(sums[0], abs=1e-4)
    assert abs(normalized[1] - sums[1]).min() > 1e-3


@pytest.mark.parametrize("rows", [QUESTIONS, TEXTS])
def test_a_decoding_is_compared_with_the_model_alone(model: CausalLM, rows: Any) -> None:
    data = Dataset.from_list(rows)
    assert task_of(data, model).name == "truthful"
    plain = evaluate(model, data)
    assert plain.metrics["chance"] == pytest.approx(1 / 3 if rows is TEXTS else (1 / 3 + 1 / 4 + 1 / 2) / 3)
    found = evaluate(model, data, decoding=Decoding("icd", {"amateur_weight": 2}, "prompt"))
    for name, values in plain.per_item.items():
        assert found.metrics[f"greedy_{name}"] == pytest.approx(plain.metrics[name])
        change = found.per_item[name] - values
        assert found.metrics[f"change_{name}"] == pytest.approx(change.mean())
        low, high = found.metrics[f"change_{name}_low"], found.metrics[f"change_{name}_high"]
        assert low <= found.metrics[f"change_{name}"] <= high


def test_the_longest_answer_is_a_baseline(model: CausalLM) -> None:
    row = {"question": "Is it so?", "best_answer": "No.", "correct_answers": ["No.", "It certainly is not."]}
    rows = [{**row, "incorrect_answers": ["Yes."]}, {**row, "incorrect_answers": ["Yes, it is without doubt."]}]
    assert evaluate(model, Dataset.from_list(rows)).metrics["longest"] == 0
    rows = [
        {**row, "best_answer": "It certainly is not.", "incorrect_answers": wrong["incorrect_answers"]}
        for wrong in rows
    ]
    assert evaluate(model, Dataset.from_list(rows)).metrics["longest"] == 0.5
    text = {"prefix": "A man", "completion": " runs far away.", "contradictions": [" runs.", " sits."]}
    assert evaluate(model, Dataset.from_list([text])).metrics["longest"] == 1


def test_without_weights_a_decoding_changes_nothing(model: CausalLM) -> None:
    for rows in (QUESTIONS, TEXTS):
        nothing = Decoding("cad", {"weight": 0, "alpha": 0})
        found = evaluate(model, Dataset.from_list(rows), decoding=nothing)
        assert all(value == 0 for name, value in found.metrics.items() if name.startswith("change_"))


def test_other_decodings_and_models_are_refused(model: CausalLM, tiny_model_folder: Path) -> None:
    data = Dataset.from_list(QUESTIONS)
    with pytest.raises(InputError, match="--decoding"):
        evaluate(model, data, decoding=Decoding("greedy"))
    with pytest.raises(InputError, match="decoding"):
        evaluate(model, Dataset.from_dict({"text": ["a b c"]}), decoding=Decoding("dola"))
    with pytest.raises(InputError, match="next token"):
        evaluate(Encoder.load(tiny_model_folder), data, "truthful")


def test_on_the_command_line(tiny_lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, rows in enumerate((QUESTIONS, TEXTS)):
        file = tmp_path / f"{number}.jsonl"
        file.write_text("".join(json.dumps({"id": 1, **row}) + "\n" for row in rows), "utf-8")
        arguments = ["evaluate", str(tiny_lm_folder), "--task", "truthful", "--data", str(file), "--json"]
        assert command(arguments) == 0
        plain = json.loads(capsys.readouterr().out)
        assert command([*arguments, "--decoding", "lol", "--amateur", "prompt", "--set", "layers=1"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["metrics"][f"greedy_{plain['primary']}"] == plain["metrics"][plain["primary"]]
        for wrong in (["--decoding", "lol"], ["--amateur", "prompt"], ["--set", "alpha=1"], ["--decoding", "greedy"]):
            assert command([*arguments, *wrong]) == 2
            capsys.readouterr()


def test_rows_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({**QUESTIONS[0], "incorrect_answers": "a; b"}) + "\n", "utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl.*incorrect_answers"):
        load(file)
    file.write_text(json.dumps({**TEXTS[0], "contradictions": []}) + "\n", "utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl.*contradictions"):
        load(file)
