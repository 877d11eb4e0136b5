"""DefSent+: stages that start from the first weights, banks by the encoder of the stage before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.kinds.plan import Plan, Stage
from nearfar.losses.prototypes import PrototypeLoss
from nearfar.models import fingerprint, load
from nearfar.recipes.defsent_plus import Options, prepare
from nearfar.training.run import train
from nearfar.training.stages import train_plan
from plans import first_stage

NOUNS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "song", "weather report", "loan from the bank"]
ROWS = {
    "entry": [noun for noun in NOUNS for _ in range(3)],
    "definition": [f"{a} {noun[::-1]} {b}" for noun in NOUNS for a, b in (("the", "sits"), ("a", "runs"), ("", "red"))],
}
QUICK = {"batch_size": 8, "max_steps": 3, "learning_rate": 1e-3, "save_steps": 99}


@pytest.fixture
def rows() -> Dataset:
    return Dataset.from_dict(ROWS)


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return load(tiny_model_folder, device="cpu")


def pooler_of(model: SentenceTransformer) -> Any:
    return model[0].auto_model.pooler  # type: ignore[union-attr]


def bank_of(stage: Stage) -> torch.Tensor:
    assert isinstance(stage.loss, PrototypeLoss)
    return stage.loss.bank


def test_every_stage_starts_from_the_first_weights_with_a_bank_by_the_last_encoder(model, rows, tmp_path) -> None:
    options, start = Options(stages=3, **QUICK), fingerprint(model)
    plan = prepare(model, rows, options)
    assert plan.count == 3
    banks, trained, expected = [], [], None
    for number, stage in enumerate(plan, 1):
        bank = bank_of(stage)
        if expected is not None:
            torch.testing.assert_close(bank, torch.stack([expected[k] for k in sorted(expected)]), atol=1e-5, rtol=0)
        assert fingerprint(model) == start, f"stage {number} does not start from the base model"
        assert torch.equal(stage.loss.projection.get_submodule("0").weight, pooler_of(model).dense.weight)
        held = bank.clone()
        train_plan(Plan(model, stage), options, tmp_path / str(number), 0)
        assert torch.equal(bank_of(stage), held)
        trained.append({name: weights.clone() for name, weights in model.state_dict().items()})
        expected = {k: model.encode(v, convert_to_tensor=True).mean(0) for k, v in definitions().items()}
        banks.append(bank)
    assert len(banks) == 3
    assert not torch.allclose(banks[0], banks[1], atol=1e-3)
    assert not torch.allclose(banks[1], banks[2], atol=1e-5)
    assert any(not torch.equal(trained[0][name], trained[1][name]) for name in trained[0])


def test_going_on_from_the_last_weights_would_be_another_model(model, rows, tmp_path) -> None:
    options = Options(stages=2, **QUICK)
    stages = iter(prepare(model, rows, options))
    train_plan(Plan(model, next(stages)), options, tmp_path / "1", 0)
    went_on = {name: weights.clone() for name, weights in model.state_dict().items()}
    second = next(stages)
    train_plan(Plan(model, second), options, tmp_path / "2", 0)
    separate = torch.from_numpy(model.encode(["the cat sits"]))
    model.load_state_dict(went_on)
    train_plan(Plan(model, second), options, tmp_path / "3", 0)
    assert not torch.allclose(torch.from_numpy(model.encode(["the cat sits"])), separate, atol=1e-4)


def definitions() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry, definition in zip(ROWS["entry"], ROWS["definition"], strict=True):
        found.setdefault(entry, []).append(definition)
    return found


def test_a_rate_of_nothing_returns_the_model_as_it_came(model, rows, tmp_path) -> None:
    texts = ["the cat sits", "money in the bank"]
    before = model.encode(texts)
    run = train("defsent_plus", rows, model=model, out=tmp_path / "run", batch_size=8, max_steps=2, learning_rate=1e-30)
    np.testing.assert_allclose(run.model.encode(texts), before, rtol=0, atol=1e-6)


def test_run_folder_holds_a_model_of_the_last_stage_that_loads_anywhere(model, rows, tmp_path) -> None:
    file = tmp_path / "dictionary.jsonl"
    rows.to_json(file)
    before = model.encode(["the cat sits"])
    run = train("defsent_plus", file, model=model, out=tmp_path / "run", pooling="cls", entry_pooling="mean", **QUICK)
    loaded = SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")
    assert [type(module).__name__ for module in loaded] == ["Transformer", "Pooling"]
    assert loaded[1].pooling_mode == "cls"
    np.testing.assert_allclose(loaded.encode(["the cat sits"]), run.model.encode(["the cat sits"]), atol=1e-6)
    assert not np.allclose(loaded.encode(["the cat sits"]), before, atol=1e-3)


@pytest.mark.parametrize("lost", ["stage-2/checkpoint-4", "stage-2"])
def test_resumed_in_the_second_stage_ends_the_same(tiny_model_folder, rows, tmp_path, lost) -> None:
    settings = {**QUICK, "max_steps": 8, "save_steps": 2, "out": tmp_path / "run"}
    whole = fingerprint(train("defsent_plus", rows, model=tiny_model_folder, **settings).model)
    (tmp_path / "run" / "metrics.json").unlink()
    shutil.rmtree(tmp_path / "run" / "model")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / lost)
    again = train("defsent_plus", rows, model=tiny_model_folder, resume=True, **settings)
    assert fingerprint(again.model) == whole
    assert again.metrics["steps"] == 8


def test_names_of_entries_are_never_read(model, rows, monkeypatch) -> None:
    secret = rows.map(lambda row: {"entry": f"no such {row['entry']} \u2603"})
    read: list[str] = []
    tokenizer = type(model.tokenizer)
    original = tokenizer.__call__
    monkeypatch.setattr(
        tokenizer, "__call__", lambda self, text, *a, **k: read.extend(text) or original(self, text, *a, **k)
    )
    plan = first_stage(prepare)(model, secret, Options())
    assert len(bank_of(plan)) == len(NOUNS)
    assert set(ROWS["definition"]) == set(map(str, read))
    assert plan.rows.column_names == ["definition", "label"]


def test_same_definition_of_two_entries_stays_two_examples(model) -> None:
    rows = Dataset.from_dict({"entry": ["cat", "dog", "cat"], "definition": ["a pet", "a pet", "it sits"]})
    plan = first_stage(prepare)(model, rows, Options())
    assert plan.rows.to_dict() == {"definition": ["a pet", "a pet", "it sits"], "label": [0, 1, 0]}


@pytest.mark.parametrize("method", ["ica", "pca"])
@pytest.mark.filterwarnings("ignore:FastICA did not converge")
def test_the_last_bank_alone_is_whitened(model, method) -> None:
    words = [f"{a} {b}" for a in NOUNS for b in ("the", "red", "blue", "green", "cold", "warm", "loud", "sky", "sea")]
    many = Dataset.from_dict({"entry": words, "definition": words})
    plan = prepare(model, many, Options(stages=2, isotropy=method, scale=10))
    first, last = (bank_of(stage).double() for stage in plan)
    assert first.mean(0).abs().max() > 0.1
    covariance = last.T @ last / len(last)
    spread = (covariance.diag() > 1).double()  # the normalisation of the last layer takes a dimension away
    assert 24 < spread.sum() < 32
    torch.testing.assert_close(covariance, torch.diag(100 * spread), atol=1e-3, rtol=0)


def test_too_few_entries_to_whiten(model, rows) -> None:
    with pytest.raises(InputError, match=r"^isotropy: 11 .* 32 "):
        first_stage(prepare)(model, rows, Options(stages=3, isotropy="pca"))


def test_words_as_targets_are_defsent_in_one_stage(model, rows) -> None:
    assert prepare(model, rows, Options(targets="words")).count == 1
    plan = first_stage(prepare)(model, rows, Options(targets="words"))
    table = model[0].auto_model.get_input_embeddings().weight
    ids = model.tokenizer.convert_tokens_to_ids(sorted(noun for noun in NOUNS if " " not in noun))
    assert torch.equal(bank_of(plan), table[ids])
    assert len(plan.rows) == 27


def test_one_entry_is_refused(model) -> None:
    rows = Dataset.from_dict({"entry": ["cat", "cat"], "definition": ["a pet", "it sits"]})
    with pytest.raises(InputError, match=r"entry: .*'cat'"):
        first_stage(prepare)(model, rows, Options())


@pytest.mark.parametrize(
    "options", [{"stages": 0}, {"scale": 0.0}, {"scale": float("nan")}, {"isotropy": "pca", "targets": "words"}]
)
def test_options_out_of_range(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Options(**options)
