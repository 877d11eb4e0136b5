from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.kinds._trainer import MarkComplete
from nearfar.kinds.pair_scorer import PairScorer
from nearfar.models.pairs.teacher_logits import cache_folder
from nearfar.recipes.dse import Options, prepare
from nearfar.training import train
from plans import first_stage

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree", "bank", "money")
SETTINGS = {
    "batch_size": 4,
    "max_steps": 6,
    "save_steps": 2,
    "max_length": 16,
    "learning_rate": 1e-3,
    "layers": 2,
    "hidden": 16,
    "teacher_epochs": 1,
    "teacher_learning_rate": 1e-3,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NEARFAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def rows(classes: int = 0) -> Dataset:
    # One text in every row, as where a query meets its candidates.
    return Dataset.from_dict(
        {
            "sentence1": ["the query"] * 20,
            "sentence2": [f"the {WORDS[i % 14]} {'runs ' * (i % 3)}" for i in range(20)],
            "score": [i % classes if classes else (i % 14) / 3 for i in range(20)],
        }
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {**load_file(run / "model/model.safetensors"), **load_file(run / "model/pair_head/model.safetensors")}


def test_trains_and_writes_a_model_that_others_load(tiny_model_folder, tmp_path) -> None:
    run = train("dse", rows(), model=tiny_model_folder, out=tmp_path / "run", **SETTINGS)
    assert SentenceTransformer(str(run.folder / "model")).encode(["a dog"]).shape == (1, 32)
    scorer = PairScorer.load(run.folder / "model", device="cpu")
    assert scorer.head.config.width == 64
    scores = scorer.score_against(["the query"], scorer.encode(["the cat", "the dog runs"]))
    assert scores.shape == (1, 2, 1)
    assert bool(torch.isfinite(scores).all())
    logged = [entry for entry in run.log if "teacher" in entry]
    assert logged
    for entry in logged:
        assert entry["label"] + entry["teacher"] == pytest.approx(entry["loss"], rel=1e-3)


def test_an_interrupted_run_ends_the_same_with_and_without_the_kept_logits(
    tiny_model_folder, tmp_path, cache, monkeypatch
) -> None:
    def go(name: str, resume: bool = False) -> Path:
        out = tmp_path / name
        train("dse", rows(), model=tiny_model_folder, out=out, seed=3, resume=resume, **SETTINGS)
        return out

    whole = weights(go("whole"))
    (logits,) = cache_folder().iterdir()

    class KilledError(Exception):
        pass

    def die(self, args, state, control, **_) -> None:
        if state.global_step == 5:
            raise KilledError

    for name in ("cached", "computed again"):
        with monkeypatch.context() as patch:
            patch.setattr(MarkComplete, "on_step_end", die)
            with pytest.raises(KilledError):
                go(name)
        if name == "computed again":
            logits.unlink()
        resumed = weights(go(name, resume=True))
        assert resumed.keys() == whole.keys()
        for key, value in whole.items():
            assert torch.equal(resumed[key], value), key
    start = load_file(tiny_model_folder / "model.safetensors")
    assert any(not torch.equal(whole[key], value) for key, value in start.items())


@pytest.mark.parametrize(("kind", "classes", "outputs"), [("binary", 2, 1), ("classes", 3, 3)])
@pytest.mark.parametrize("distance", ["logits", "softened"])
def test_each_row_keeps_its_own_logits(tiny_model_folder, kind, classes, outputs, distance) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    options = Options(**SETTINGS, kind=kind, distance=distance, features="dot")
    torch.manual_seed(0)
    plan = first_stage(prepare)(model, rows(classes), options)
    labels = torch.tensor(plan.rows["label"])
    assert labels.shape == (20, 1 + outputs)
    assert labels[:, 0].tolist() == rows(classes)["score"]
    features = [model.preprocess(list(plan.rows[name])) for name in ("sentence1", "sentence2")]
    terms = plan.loss(features, labels)
    assert set(terms) == {"label", "teacher"}
    sum(terms.values()).backward()
    assert all(bool(p.grad.any()) for p in plan.loss.head.parameters())


def test_without_a_teacher_none_is_fitted(tiny_model_folder) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    plan = first_stage(prepare)(model, rows(), Options(**{**SETTINGS, "alpha": 0}))
    assert torch.tensor(plan.rows["label"]).shape == (20, 1)
    assert not cache_folder().exists()


def test_a_teacher_by_name(tiny_model_folder, tiny_model, tmp_path) -> None:
    from nearfar.models.pairs.teacher import Fit, fit_teacher, logits_of

    pairs = list(zip(rows()["sentence1"], rows()["sentence2"], strict=True))
    teacher = fit_teacher(tiny_model, pairs, rows()["score"], "regression", 1, Fit(1, 1e-3, 4, 32))
    teacher.save_pretrained(str(tmp_path / "teacher"))
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    plan = first_stage(prepare)(model, rows(), Options(**SETTINGS, teacher=str(tmp_path / "teacher")))
    found = torch.tensor(plan.rows["label"])[:, 1:]
    torch.testing.assert_close(found, logits_of(teacher, pairs, "regression", 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 1.5}, "alpha: invalid value 1.5"),
        ({"dropout": 1.0}, "dropout: invalid value 1.0"),
        ({"hidden": 0}, "hidden: invalid value 0"),
        ({"distance": "softened"}, "distance: a score has no softmax"),
        ({"layers": 3}, "layers: invalid number of layers 3"),
        ({"kind": "binary"}, "got 4.33333"),
        ({"kind": "classes"}, "got 0, 0.333333"),
        ({"teacher": "/nowhere"}, "the model folder '/nowhere' does not exist"),
    ],
)
def test_mistakes_are_one_line(tiny_model_folder, tmp_path, settings, message) -> None:
    with pytest.raises(InputError) as error:
        train("dse", rows(), model=tiny_model_folder, out=tmp_path / "run", **{**SETTINGS, **settings})
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_scores_that_are_all_equal(tiny_model_folder, tmp_path) -> None:
    same = rows().remove_columns("score").add_column("score", [1.0] * 20)
    with pytest.raises(InputError, match=r"score: .* 1 in every row"):
        train("dse", same, model=tiny_model_folder, out=tmp_path / "run", **SETTINGS)
