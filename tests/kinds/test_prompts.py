"""Prompts: what stands before a text in training is what stands before it in measuring and searching."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.kinds.kind import Setting
from nearfar.kinds.loading import of
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Stage
from nearfar.losses import ContrastLoss
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.prompts import column_prompts, parse_prompts, set_prompts
from nearfar.training.run import train

PROMPTS = {"query": "cat: ", "document": "the dog ", "topic": "sea "}


@pytest.fixture
def prompted(tiny_model_folder: Path, tmp_path: Path) -> Path:
    model = load(tiny_model_folder, device="cpu")
    model.prompts = dict(PROMPTS)
    model.save_pretrained(str(tmp_path / "prompted"))
    return tmp_path / "prompted"


def rows(n: int = 16) -> Dataset:
    columns = {name: [f"{name} the cat {i}" for i in range(n)] for name in ("anchor", "positive", "negative_1")}
    return Dataset.from_dict(columns)


def tokens_read(model: SentenceTransformer, texts: list[str], kind: Any) -> list[list[int]]:
    """What the model reads when texts are encoded, for evaluation or a search."""
    seen: list[list[int]] = []
    first: Any = model[0]
    original = first.forward

    def forward(features: Any, **keywords: Any) -> Any:
        seen.extend(
            ids[mask.bool()].tolist()
            for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True)
        )
        return original(features, **keywords)

    first.forward = forward
    encode(model, texts, kind=kind, batch_size=1)
    first.forward = original
    return sorted(seen)


def tokens_trained(model: SentenceTransformer, data: Any, folder: Path, **options: Any) -> dict[str, list[list[int]]]:
    """What the collator of the trainer makes of all rows, by column."""
    trainer = of(model).trainer(
        Stage(data, ContrastLoss(model), "shuffled"), TrainingOptions(batch_size=4, **options), Setting(folder, 0)
    )
    batch = trainer.data_collator(list(data))
    return {
        name: sorted(
            ids[mask.bool()].tolist()
            for ids, mask in zip(batch[f"{name}_input_ids"], batch[f"{name}_attention_mask"], strict=True)
        )
        for name in data.column_names
        if f"{name}_input_ids" in batch
    }


def test_tokens_of_training_are_those_of_evaluation(prompted: Path, tmp_path: Path) -> None:
    model, data = load(prompted, device="cpu"), rows()
    found = tokens_trained(model, data, tmp_path)
    for name, kind in (("anchor", "query"), ("positive", "document"), ("negative_1", "document")):
        assert found[name] == tokens_read(model, list(data[name]), kind)
        assert found[name] != tokens_read(model, list(data[name]), None)
    texts = [f"the cat {i}" for i in range(4)]
    scored = Dataset.from_dict({"sentence1": texts, "sentence2": texts[::-1], "score": [0.5] * 4})
    assert column_prompts(model, scored) == {}
    model.default_prompt_name = "topic"
    found = tokens_trained(model, scored, tmp_path)
    assert found["sentence1"] == tokens_read(model, texts, None)
    assert column_prompts(model, scored) == {"sentence1": "sea ", "sentence2": "sea "}


def test_texts_that_are_their_own_positives_are_neither_queries_nor_documents(prompted: Path) -> None:
    texts = ["the cat", "a dog"]
    same = Dataset.from_dict({"anchor": texts, "positive": texts})
    model = load(prompted, device="cpu")
    assert column_prompts(model, same) == {}
    assert column_prompts(model, Dataset.from_dict({"anchor": texts, "positive": texts[::-1]})) == {
        "anchor": "cat: ",
        "positive": "the dog ",
    }


def test_a_run_trains_with_the_prompts_of_the_model_and_says_so(prompted: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 1, "batch_size": 8, "seed": 1, "evaluation": rows()}
    plain = train("infonce", rows(), model=prompted, out=tmp_path / "none", prompts="none", **options)
    run = train("infonce", rows(), model=prompted, out=tmp_path / "run", **options)
    assert run.metrics["last_loss"] != plain.metrics["last_loss"]
    assert run.metrics["before"] == plain.metrics["before"], "the base model is measured as it is"
    assert run.metrics["prompts"] == {"anchor": "cat: ", "positive": "the dog ", "negative_1": "the dog "}
    recorded = [yaml.safe_load((tmp_path / name / "run.yaml").read_text())["prompts"] for name in ("run", "none")]
    assert recorded == [run.metrics["prompts"], {}]
    assert run.after is not None
    assert run.after.prompts == {"query": "cat: ", "document": "the dog "}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What stood before texts in training" in page
    assert "the dog" in page
    assert "prompts" not in plain.metrics
    assert not any(load(tmp_path / "none" / "model").prompts.values())
    assert load(tmp_path / "run" / "model").prompts == PROMPTS


@pytest.mark.parametrize("given", [{"query": "sea: ", "document": "sky: "}, {"anchor": "sea: ", "document": "sky: "}])
def test_other_prompts_are_trained_with_and_kept(given: Any, tiny_model_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 1, "batch_size": 8, "evaluation": rows(), "prompts": given}
    run = train("infonce", rows(), model=tiny_model_folder, out=tmp_path / "run", **options)
    assert run.metrics["prompts"] == {"anchor": "sea: ", "positive": "sky: ", "negative_1": "sky: "}
    recorded = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert json.loads(recorded["options"]["prompts"]) == given
    assert recorded["prompts"] == run.metrics["prompts"]
    model = load(tmp_path / "run" / "model", device="cpu")
    assert model.prompts == {"query": "sea: ", "document": "sky: "}
    found = tokens_trained(load(tiny_model_folder, device="cpu"), rows(), tmp_path / "x", prompts=json.dumps(given))
    assert found["anchor"] == tokens_read(model, list(rows()["anchor"]), "query")
    assert found["negative_1"] == tokens_read(model, list(rows()["negative_1"]), "document")


def test_prompts_of_texts_alone_and_of_several_datasets(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = load(tiny_model_folder, device="cpu")
    texts = [f"the cat {i}" for i in range(4)]
    labelled = Dataset.from_dict({"text": texts, "label": [0, 1, 0, 1]})
    set_prompts(model, {"text": "sea "}, [labelled])
    assert tokens_trained(model, labelled, tmp_path)["text"] == tokens_read(model, texts, None)
    several = DatasetDict(a=rows(), b=labelled)
    stage = Stage(several, ContrastLoss(model), "shuffled")
    options = TrainingOptions(batch_size=2, prompts='{"query": "q ", "text": "t "}')
    trainer = of(model).trainer(stage, options, Setting(tmp_path, 0))
    assert trainer.prompts == {"a": {"anchor": "q "}, "b": {"text": "t "}}


@pytest.mark.parametrize("value", ["modle", "query: ", "[1]", '{"query": 1}', '{"query": '])
def test_prompts_that_are_none(value: str) -> None:
    with pytest.raises(InputError, match=r"^prompts: .*JSON object"):
        parse_prompts(value)


def test_prompts_that_do_not_fit(tiny_model_folder: Path, tmp_path: Path) -> None:
    def fails(message: str, prompts: Any, data: Dataset = rows(), recipe: str = "infonce", **more: Any) -> None:  # noqa: B008
        with pytest.raises(InputError, match=message):
            train(recipe, data, model=tiny_model_folder, out=tmp_path / "no", prompts=prompts, batch_size=4, **more)

    fails("prompts: 'queri' is no column of the rows; choose from anchor", {"queri": "a"})
    fails("positive, negative_1 have different prompts", {"positive": "a", "negative_1": "b"})
    scored = Dataset.from_dict({"sentence1": ["a"] * 8, "sentence2": list("abcdefgh"), "score": [0.0, 1.0] * 4})
    fails("'query' is no column", {"query": "a"}, scored, "codiemb")
    fails(
        "trains a pair scorer, which reads no prompts", {"query": "a"}, scored, "dse", max_length=32, layers=2, alpha=0
    )
    assert not (tmp_path / "no").exists()
