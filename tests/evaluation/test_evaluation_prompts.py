"""The same data with the prompts of a model and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation import evaluate, evaluate_prompts
from nearfar.kinds.encoder import Encoder
from nearfar.kinds.loading import load_kind
from nearfar.models import load

WORDS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card"]
PAIRS = Dataset.from_dict({"anchor": [f"the {w}" for w in WORDS], "positive": [f"a {w} in the sea" for w in WORDS]})
SCORED = Dataset.from_dict(
    {"sentence1": PAIRS["anchor"], "sentence2": PAIRS["positive"], "score": np.linspace(0, 1, len(WORDS)).tolist()}
)
RANKED = Dataset.from_dict(
    {"query": [f"the {w}" for w in WORDS[:4]], "candidates": [WORDS[:3]] * 4, "scores": [[1.0, 0.0, 0.5]] * 4}
)
LABELS = Dataset.from_dict({"text": PAIRS["anchor"], "labels": [[w] for w in WORDS]})
CLASSES = Dataset.from_dict(
    {"text": [f"the {w} {i}" for w in WORDS[:3] for i in range(8)], "label": [w for w in WORDS[:3] for _ in range(8)]}
)


def test_side_by_side(prompted_folder: Path, tiny_model):
    model = load_kind(prompted_folder, device="cpu")
    found = evaluate_prompts(model, PAIRS)
    assert found.with_prompts.metrics == evaluate(model, PAIRS).metrics
    assert found.without.metrics == pytest.approx(evaluate(tiny_model, PAIRS).metrics)
    assert found.with_prompts.prompts == {"query": "the song ", "document": "a bank "}
    assert found.without.prompts == {}
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(found.with_prompts.score - found.without.score)
    written = found.as_dict()
    assert written["without_prompts"]["metrics"] == found.without.metrics
    assert written["prompts_minus_none"]["mean"] == found.difference.mean
    assert written["prompts"]["query"] == "the song "


@pytest.mark.parametrize("named", [True, False])
def test_nothing_to_compare(prompted_folder: Path, tiny_model, named: bool):
    with pytest.raises(InputError, match=r"^--prompts: .*no prompts"):
        evaluate_prompts(tiny_model, PAIRS)
    model = prompted_folder if named else load(prompted_folder, device="cpu")
    with pytest.raises(InputError, match=r"^--prompts: .*'sts'.*query, document"):
        evaluate_prompts(model, SCORED)


@pytest.mark.parametrize(
    ("data", "task"),
    [
        (PAIRS, "retrieval"),
        (PAIRS, "rerank"),
        (RANKED, "ranking"),
        (LABELS, "labels"),
        (SCORED, "sts"),
        (CLASSES, "classify"),
        (CLASSES, "cluster"),
        (CLASSES, "few-shot"),
        (CLASSES, "zero-shot"),
    ],
)
def test_a_result_names_the_prompts_that_its_task_used(
    prompted_folder: Path, tiny_model, monkeypatch: pytest.MonkeyPatch, data: Dataset, task: str
):
    model = load(prompted_folder, device="cpu")
    model.prompts["text"], model.default_prompt_name = "rain ", "text"
    read: set[str] = set()
    preprocess = type(model).preprocess

    def reading(self, inputs, prompt=None, **more):
        if self is model and prompt:
            read.add(prompt)
        return preprocess(self, inputs, prompt=prompt, **more)

    monkeypatch.setattr(type(model), "preprocess", reading)
    found = evaluate(Encoder(model), data, task, first=tiny_model if task == "rerank" else None)
    assert set(found.prompts.values()) == read
    assert read in ({"the song ", "a bank "}, {"rain "})
