"""What must hold of CWCL, with worked numbers; then the recipe from the command line on files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from datasets import Dataset
from PIL import Image
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar import contrast, near
from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.kinds.plan import Plan
from nearfar.losses import ReferenceLoss
from nearfar.models import load
from nearfar.models.towers import medium_of, router_of, two_towers
from nearfar.models.towers.reading import encode_tower
from nearfar.recipes import cwcl
from nearfar.training.stages import train_plan
from plans import first_stage

TAU = 0.07
LABELS = torch.tensor([0, 0, 1, 1, 1, 2])


def unit_vectors() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    p, q = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    return F.normalize(p, dim=1), F.normalize(q, dim=1)


def weighted(p: Tensor, q: Tensor, w: Tensor, tau: float = TAU) -> float:
    """The weighted direction by the paper's own formula, in loops."""
    total = 0.0
    for i in range(len(p)):
        scores = [float(p[i] @ q[j]) / tau for j in range(len(q))]
        logz = math.log(sum(math.exp(score) for score in scores))
        total -= sum(float(w[i, j]) * (scores[j] - logz) for j in range(len(q))) / float(w[i].sum())
    return total / len(p)


def loss_of(p: Tensor, q: Tensor, **options) -> ReferenceLoss:
    return ReferenceLoss(SentenceTransformer(modules=[torch.nn.Identity()]), p, **options)


def test_identity_weights_are_the_two_directions_of_clip():
    p, q = unit_vectors()
    one = contrast(p, q, near.paired(), temperature=TAU)
    assert one.item() == pytest.approx(9.923401715672762, abs=1e-12)
    scores = p @ q.T / TAU
    rows = torch.arange(6)
    both = F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, rows)
    plain = loss_of(p, q, weigh=None, temperature=TAU, learn_temperature=False)
    assert plain.loss_of_rows(q, rows).item() == pytest.approx(both.item(), abs=1e-12)


def test_binary_weights_are_supcon_across_modalities():
    p, q = unit_vectors()
    w = (LABELS[:, None] == LABELS).double()
    assert weighted(p, q, w) == pytest.approx(6.975739797910045, abs=1e-12)
    for same in (near.same_label(LABELS, LABELS), near.weights(w / w.sum(1, keepdim=True))):
        assert contrast(p, q, same, temperature=TAU).item() == pytest.approx(6.975739797910045, abs=1e-12)


@pytest.mark.parametrize("weigh", ["half", "relu", near.power(4)])
def test_the_loss_is_the_papers_formula(weigh):
    p, q = unit_vectors()
    cosines = p @ p.T
    maps = {"half": (1 + cosines) / 2, "relu": cosines.clamp(min=0)}
    w = maps[weigh] if isinstance(weigh, str) else cosines.clamp(min=0) ** 4
    plain = F.cross_entropy(q @ p.T / TAU, torch.arange(6)).item()
    loss = loss_of(p, q, weigh=weigh, temperature=TAU, learn_temperature=False)
    assert loss.loss_of_rows(q, torch.arange(6)).item() == pytest.approx(weighted(p, q, w) + plain, rel=1e-12)


def test_scaled_weights_change_nothing():
    p, q = unit_vectors()
    thrice = near.by_similarity(p, p, lambda cosine: 3 * (1 + cosine) / 2)
    plain, scaled = (contrast(p, q, each, temperature=TAU) for each in (near.by_similarity(p, p), thrice))
    assert scaled.item() == pytest.approx(plain.item(), abs=1e-12)


def test_gradient_is_softmax_minus_target():
    p, q = unit_vectors()
    scores = (p @ q.T).requires_grad_()
    w = (1 + p @ p.T) / 2
    target = w / w.sum(1, keepdim=True)
    # Similarities themselves as dot products of rows with the unit basis.
    loss = contrast(scores, torch.eye(6).double(), near.by_similarity(p, p), temperature=TAU, similarity="dot")
    loss.backward()
    assert scores.grad is not None
    expected = ((scores / TAU).softmax(1) - target) / (6 * TAU)
    torch.testing.assert_close(scores.grad, expected, atol=1e-14, rtol=0)
    torch.testing.assert_close(scores.grad.sum(1), torch.zeros(6).double(), atol=1e-13, rtol=0)


def test_the_weighted_direction_is_bounded_by_the_entropy_of_its_targets():
    q, p = unit_vectors()
    w = (1 + p @ p.T) / 2
    target = w / w.sum(1, keepdim=True)
    entropy = -(target * target.log()).sum(1).mean().item()
    assert entropy == pytest.approx(1.657758968933084, abs=1e-12)
    assert contrast(p, q, near.by_similarity(p, p), temperature=TAU).item() > entropy
    best = TAU * target.log()
    attained = contrast(best, torch.eye(6).double(), near.by_similarity(p, p), temperature=TAU, similarity="dot")
    assert attained.item() == pytest.approx(entropy, abs=1e-12)


def test_equal_similarities_cost_log_n():
    p, _ = unit_vectors()
    same = torch.ones(6, 5, dtype=torch.float64)
    assert contrast(p, same, near.by_similarity(p, p), temperature=TAU).item() == pytest.approx(1.791759469, abs=1e-9)


def test_no_gradient_reaches_the_frozen_side():
    p, q = (x.requires_grad_() for x in unit_vectors())
    loss_of(p, q, temperature=TAU).loss_of_rows(q, torch.arange(6)).backward()
    assert p.grad is None
    assert q.grad is not None
    w = p @ p.T
    contrast(p.detach(), q, near.by_similarity(w, w), temperature=TAU).backward()
    assert p.grad is None


def test_worked_example():
    p, q = torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64), torch.eye(2).double()
    one = contrast(p, q, near.by_similarity(p, p), temperature=0.5)
    assert one.item() == pytest.approx(0.7109950504, abs=1e-10)
    both = loss_of(p, q, temperature=0.5, learn_temperature=False).loss_of_rows(q, torch.arange(2))
    assert both.item() == pytest.approx(1.2240103028, abs=1e-10)


def test_the_opposite_direction_is_normalised_anew():
    p, q = unit_vectors()
    w = (1 + p @ p.T) / 2
    target = w / w.sum(1, keepdim=True)
    assert not torch.allclose(target.T.sum(1), torch.ones(6).double())
    both = contrast(p, q, near.by_similarity(p, p), temperature=TAU, symmetric=True)
    expected = (weighted(p, q, w) + weighted(q, p, w)) / 2  # W is symmetric
    assert both.item() == pytest.approx(expected, abs=1e-12)


def test_half_is_nearly_flat_on_unrelated_items():
    p = torch.eye(256).double()
    pull = near.by_similarity(p, p).bind(256, 256, p).at(slice(0, 256)).to_dense()
    torch.testing.assert_close(pull.diagonal(), torch.full((256,), 1 / (1 + 255 / 2)).double())
    sharp = near.by_similarity(p, p, near.power(4)).bind(256, 256, p).at(slice(0, 256)).to_dense()
    torch.testing.assert_close(sharp, p)


def test_temperatures_learn_apart_and_stay_up():
    p, q = unit_vectors()
    loss = loss_of(p.float(), q, weighted_temperature=0.5)
    assert {name for name, _ in loss.named_parameters()} == {"log_temperature", "log_weighted"}
    loss.loss_of_rows(q.float(), torch.arange(6)).backward()
    assert all(weight.grad is not None and weight.grad != 0 for weight in loss.parameters())
    with torch.no_grad():
        for weight in loss.parameters():
            weight.fill_(-100)
    assert math.isfinite(loss.loss_of_rows(q.float(), torch.arange(6)).item())
    assert float(torch.as_tensor(loss.temperature).detach()) == pytest.approx(0.01)
    assert {name for name, _ in loss_of(p, q).named_parameters()} == {"log_temperature"}


# ---- the recipe


def paint(folder: Path, each: int = 6) -> Path:
    """Pictures of two colours, with a table of captions; a label is the colour."""
    rng, lines, gold = np.random.default_rng(0), ["image,text"], ["image,label"]
    for colour, channel in (("red", 0), ("blue", 2)):
        for number in range(each):
            pixels = rng.integers(0, 60, (20, 24, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(folder / f"{colour}-{number}.png")
            lines.append(f"{colour}-{number}.png,the {colour} sea {number}")
            gold.append(f"{colour}-{number}.png,{colour}")
    (folder / "captions.csv").write_text("\n".join(lines))
    (folder / "labels.csv").write_text("\n".join(gold))
    return folder / "captions.csv"


def nearfar(*arguments: str | Path) -> int:
    return run([str(argument) for argument in arguments])


SMALL = ("--set", "image_size=16", "--set", "seconds=1", "--set", "batch_size=6", "--set", "learning_rate=0.003")


def test_command_line_trains_on_captions_and_resumes(tmp_path: Path, tiny_model_folder: Path, capsys) -> None:
    data, out = paint(tmp_path), tmp_path / "run"
    arguments = ("train", "cwcl", "--data", data, "--eval", tmp_path / "labels.csv", "--model", tiny_model_folder)
    steps = ("--set", "max_steps=16", "--set", "save_steps=8", *SMALL, "--json")
    assert nearfar(*arguments, "--out", out, *steps, "--keep-checkpoints") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["task"] == "zero-shot"
    assert found["after"]["metrics"]["accuracy"] == 1.0
    assert found["after"]["interval_95"] == [1.0, 1.0]
    assert found["held_out_seen_in_training"] == 12
    model = SentenceTransformer(str(out / "model"), device="cpu")
    before = load(tiny_model_folder, device="cpu").encode(["a red fish"], normalize_embeddings=True)
    np.testing.assert_allclose(model.encode(["a red fish"], task="text"), before, atol=1e-6)

    if torch.cuda.is_available():
        return  # where the gradients of convolutions differ from run to run
    # From the middle: the same end.
    import shutil

    half = tmp_path / "half"
    shutil.copytree(out, half)
    shutil.rmtree(half / "checkpoints" / "checkpoint-16")
    shutil.rmtree(half / "model")
    assert nearfar(*arguments, "--out", half, "--resume", *steps) == 0
    again = SentenceTransformer(str(half / "model"), device="cpu")
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weights, atol=1e-5, rtol=1e-4)


def test_pre_trained_pictures_teach_texts(tmp_path: Path, tiny_model_folder: Path) -> None:
    """The paper's own way round: the tower of pictures is frozen."""
    from nearfar.data import load as load_rows

    rows = load_rows(paint(tmp_path))
    eye = two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu", dims=32)
    eye.save_pretrained(str(tmp_path / "eye"))
    model = load(tiny_model_folder, device="cpu")
    options = cwcl.Options(image_model=str(tmp_path / "eye"), max_steps=2, batch_size=6, save_steps=2)
    plan = first_stage(cwcl.prepare)(model, rows, options)
    assert plan.rows.column_names == ["text", "label"]
    assert list(plan.learning_rates) == [r"sub_modules\.text\.0\."]
    images = encode_tower(model, rows, "image")
    np.testing.assert_allclose(images, encode_tower(eye, rows, "image"), atol=1e-6)
    texts = encode_tower(model, rows, "text")
    train_plan(Plan(model, plan), options, tmp_path / "checkpoints", 0)
    np.testing.assert_array_equal(images, encode_tower(model, rows, "image"))
    assert np.abs(encode_tower(model, rows, "text") - texts).max() > 1e-4


def test_recordings_learn_from_frozen_texts(tmp_path: Path, tiny_model_folder: Path) -> None:
    tone = np.sin(np.arange(4000)[:, None] * np.array([[0.05, 0.4]]) * np.pi)
    rows = []
    for number in range(12):
        low = number % 2
        file = tmp_path / f"{number}.{'wav' if number % 3 else 'flac'}"
        soundfile.write(file, tone[:, low] * (0.2 + 0.05 * number), 8000)
        rows.append({"audio": str(file), "text": ("quiet", "loud")[low], "label": ("quiet", "loud")[low]})
    data = Dataset.from_list(rows)
    model = load(tiny_model_folder, device="cpu")
    options = cwcl.Options(seconds=1, max_steps=20, batch_size=6, save_steps=20, learning_rate=3e-3)
    torch.manual_seed(0)
    plan = first_stage(cwcl.prepare)(model, data, options)
    assert medium_of(model) == "audio"
    assert not any(weights.requires_grad for weights in router_of(model).sub_modules["text"].parameters())
    train_plan(Plan(model, plan), options, tmp_path / "checkpoints", 0)
    from nearfar.evaluation import evaluate

    assert evaluate(model, data).metrics["accuracy"] == 1.0


def test_untrained_tower_cannot_be_the_reference(tiny_model_folder: Path, tmp_path: Path) -> None:
    rows = Dataset.from_dict({"image": ["a.png"], "text": ["a"]})
    with pytest.raises(InputError, match="begins untrained") as caught:
        first_stage(cwcl.prepare)(load(tiny_model_folder), rows, cwcl.Options(frozen="image"))
    assert caught.value.field == "frozen"
    with pytest.raises(InputError, match="the model has no 'audio' tower"):
        first_stage(cwcl.prepare)(load(tiny_model_folder), rows, cwcl.Options(frozen="audio"))
    for wrong in ({"power": 0}, {"weighted_temperature": -1}, {"pretrained_rate": 0}, {"weigh": "full"}):
        assert nearfar("train", "cwcl", "--data", "x.csv", *(f"--set={k}={v}" for k, v in wrong.items())) == 2


def test_broken_file_is_named_or_skipped(tmp_path: Path, tiny_model_folder: Path, capsys) -> None:
    data = paint(tmp_path, 3)
    whole = (tmp_path / "red-1.png").read_bytes()
    (tmp_path / "red-1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "blue-0.png").unlink()
    arguments = ("train", "cwcl", "--data", data, "--model", tiny_model_folder, "--out", tmp_path / "run")
    steps = ("--set", "max_steps=1", *SMALL[:4], "--set", "batch_size=2")
    assert nearfar(*arguments, *steps) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "blue-0.png: image: no such file" in said
    assert not (tmp_path / "run").exists()
    assert nearfar(*arguments, *steps, "--skip-broken") == 0
    said = capsys.readouterr().err
    assert "skipped 2 of 6 images" in said
    assert "red-1.png" in said
    # Cut short behind a sound head: met when it is decoded, and named then.
    (tmp_path / "blue-0.png").write_bytes((tmp_path / "blue-1.png").read_bytes())
    assert nearfar(*arguments[:-1], tmp_path / "other", *steps[:-1], "batch_size=6") == 2
    assert "red-1.png: is a corrupted image" in capsys.readouterr().err
