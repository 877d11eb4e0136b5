"""The recipe: rows with scores, and teachers of both kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.recipes import score_distillation
from nearfar.training.run import train
from plans import first_stage

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree")


def lists(n: int = 12) -> Dataset:
    return Dataset.from_dict(
        {
            "query": [f"the {word}" for word in WORDS[:n]],
            "candidates": [
                [f"{word} on the {other}" for other in WORDS[: 2 + row % 3]] for row, word in enumerate(WORDS)
            ],
            "scores": [[2.0 - place for place in range(2 + row % 3)] for row in range(n)],
        }
    )


def pairs(negatives: int = 2) -> Dataset:
    columns = {"anchor": [f"the {word}" for word in WORDS], "positive": [f"a {word} sits" for word in WORDS]}
    more = {f"negative_{k}": [f"{WORDS[(row + k) % 12]} flies" for row in range(12)] for k in range(1, negatives + 1)}
    return Dataset.from_dict({**columns, **more})


@pytest.fixture
def narrow_teacher(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model with vectors of 5 dimensions instead of 32."""
    torch.manual_seed(1)
    teacher = SentenceTransformer(str(tiny_model_folder), device="cpu")
    teacher.append(Dense(32, 5, activation_function=torch.nn.Identity()))
    teacher.save_pretrained(str(tmp_path / "teacher"), create_model_card=False)
    return tmp_path / "teacher"


@pytest.mark.parametrize("distance", ["kl", "margin_mse"])
def test_training_on_lists_comes_closer_to_their_scores(distance, tiny_model_folder: Path, tmp_path: Path) -> None:
    options = score_distillation.Options(distance=distance, temperature=0.2, candidates=3)
    fixed = {"batch_size": 12, "learning_rate": 1e-3, "temperature": 0.2, "candidates": 3, "distance": distance}

    def distance_of(model: SentenceTransformer) -> float:
        stage = first_stage(score_distillation.prepare)(model, lists(), options)
        columns = [stage.rows[name][:] for name in stage.rows.column_names if name != "label"]
        with torch.no_grad():
            return float(stage.loss([model.preprocess(x) for x in columns], torch.tensor(stage.rows["label"][:])))

    before = distance_of(load(tiny_model_folder, device="cpu"))
    found = train("score_distillation", lists(), model=tiny_model_folder, out=tmp_path / "run", max_steps=20, **fixed)
    assert distance_of(found.model) < before


def test_a_reranker_scores_pairs_with_negatives(
    plain_model_folder: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    teacher = CrossEncoder(str(plain_model_folder), num_labels=1, device="cpu")
    teacher.save_pretrained(str(tmp_path / "teacher"), create_model_card=False)
    model = load(tiny_model_folder, device="cpu")
    stage = first_stage(score_distillation.prepare)(
        model, pairs(), score_distillation.Options(teacher=str(tmp_path / "teacher"))
    )
    row = stage.rows[0]
    texts = [row[f"candidate_{k}"] for k in (1, 2, 3)]
    assert set(texts) == {pairs()[0][name] for name in ("positive", "negative_1", "negative_2")}
    expected = teacher.predict([(row["query"], text) for text in texts], activation_fn=torch.nn.Identity())
    assert row["label"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert row["label"] == sorted(row["label"], reverse=True)


def test_an_encoder_of_another_width_teaches_its_similarities(
    tiny_model_folder: Path, narrow_teacher: Path, tmp_path: Path
) -> None:
    model, teacher = load(tiny_model_folder, device="cpu"), load(narrow_teacher, device="cpu")
    options = score_distillation.Options(teacher=str(narrow_teacher), teacher_temperature=0.1, temperature=0.3)
    stage = first_stage(score_distillation.prepare)(model, pairs(0), options)
    columns = [pairs(0)["anchor"][:], pairs(0)["positive"][:]]
    found = stage.loss([model.preprocess(texts) for texts in columns])
    a, p = (model.encode(texts, convert_to_tensor=True, normalize_embeddings=True) for texts in columns)
    g, h = (teacher.encode(texts, convert_to_tensor=True, normalize_embeddings=True) for texts in columns)
    assert g.shape[1] == 5
    expected = -((g @ h.T / 0.1).softmax(1) * (a @ p.T / 0.3).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_of_sentences_alone_the_targets_are_the_others(tiny_model_folder: Path, narrow_teacher: Path) -> None:
    model, teacher = load(tiny_model_folder, device="cpu"), load(narrow_teacher, device="cpu")
    texts = [f"the {word}" for word in WORDS]
    options = score_distillation.Options(teacher=str(narrow_teacher), temperature=0.3)
    stage = first_stage(score_distillation.prepare)(model, Dataset.from_dict({"text": texts}), options)
    found = stage.loss([model.preprocess(texts)])
    a = model.encode(texts, convert_to_tensor=True, normalize_embeddings=True)
    g = teacher.encode(texts, convert_to_tensor=True, normalize_embeddings=True)
    others = torch.eye(12) * -1e9
    target, scores = (g @ g.T / 0.05 + others).softmax(1), (a @ a.T / 0.3 + others).log_softmax(1)
    torch.testing.assert_close(found, -(target * scores).sum(1).mean(), rtol=1e-4, atol=1e-5)


def test_the_command_trains_and_measures_on_lists(tiny_model_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "lists.jsonl"
    write_jsonl(lists().to_list(), data)
    options = ["--set", "max_steps=2", "--set", "batch_size=4", "--set", "distance=margin_mse"]
    command = [
        "train",
        "score_distillation",
        "--data",
        str(data),
        "--eval",
        str(data),
        "--model",
        str(tiny_model_folder),
    ]
    assert run([*command, *options, "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (lists(), {"teacher": "minilm"}),
        (pairs(), {}),
        (Dataset.from_dict({"text": ["the cat", "a dog"]}), {}),
    ],
)
def test_rows_that_do_not_fit_a_teacher_are_refused(rows, settings, tiny_model: SentenceTransformer) -> None:
    with pytest.raises(InputError):
        score_distillation.prepare(tiny_model, rows, score_distillation.Options(**settings))


@pytest.mark.parametrize("settings", [{"distance": "margin_mse"}, {"candidates": 2}])
def test_options_of_lists_are_refused_where_an_encoder_teaches(settings, tiny_model, narrow_teacher: Path) -> None:
    options = score_distillation.Options(teacher=str(narrow_teacher), **settings)
    with pytest.raises(InputError, match="no effect with an encoder as the teacher") as caught:
        score_distillation.prepare(tiny_model, pairs(), options)
    assert [caught.value.field] == list(settings)
