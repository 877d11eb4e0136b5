"""The recipe's losses and towers, and what a run leaves of the gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar import contrast, geometry
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.losses import HypersphereLoss
from nearfar.losses.hypersphere import alignment, cross_uniformity, uniformity
from nearfar.models.towers.texts import SIDES, has_text_towers
from nearfar.recipes import contrastive_gap
from plans import first_stage

WORDS = ("green grass", "blue sky", "warm sun", "cold snow", "loud band", "quiet music", "bank loan", "lost card")
PAIRS = [{"anchor": f"the {words} {i}", "positive": f"{words} over {i}"} for words in WORDS for i in range(3)]
TEXTS = [{"text": row["anchor"]} for row in PAIRS]
SMALL = {"batch_size": 8, "max_steps": 2, "learning_rate": 1e-2}


def sides(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a, b


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "clip"}, (0, 0, 0)),
        ({"loss": "cua"}, (1, 1, 0)),
        ({"loss": "cuaxu"}, (1, 1, 1)),
        ({"loss": "clip", "alignment": "0.3"}, (0, 0.3, 0)),
        ({"loss": "cuaxu", "uniformity": "0", "cross_uniformity": "0.5"}, (0, 1, 0.5)),
    ],
)
def test_the_three_losses(settings: dict[str, str], expected: tuple[float, ...], tiny_model_folder: Path) -> None:
    model = nearfar.load(tiny_model_folder, device="cpu")
    plan = first_stage(contrastive_gap.prepare)(
        model, Dataset.from_list(PAIRS), with_settings(contrastive_gap.Options(), {**settings, "temperature": "0.1"})
    )
    assert isinstance(plan.loss, HypersphereLoss)
    a, b = sides()
    u, al, xu = expected
    wanted = contrast(a, b, temperature=0.1, symmetric=True) + u * (uniformity(a) + uniformity(b)) / 2
    wanted = wanted + al * alignment(a, b) + xu * cross_uniformity(a, b)
    found = plan.loss.loss_of_vectors([a, b], None, None, plan.loss.temperature)
    assert float(found) == pytest.approx(float(wanted), abs=1e-12)


def test_the_form_of_the_text(tiny_model_folder: Path) -> None:
    model, a = nearfar.load(tiny_model_folder, device="cpu"), sides()[0]
    found = {}
    for form in ("distinct", "text"):
        options = contrastive_gap.Options(form=form, alignment=0.0)  # type: ignore[arg-type]
        plan = first_stage(contrastive_gap.prepare)(model, Dataset.from_list(PAIRS), options)
        assert isinstance(plan.loss, HypersphereLoss)
        terms = plan.loss.terms(a, a)
        assert terms is not None
        found[form] = float(terms.exp())
    assert found["text"] == pytest.approx(1 + 8 * found["distinct"], rel=1e-12)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gap")
    write_jsonl(PAIRS, folder / "pairs.jsonl")
    write_jsonl(TEXTS, folder / "texts.jsonl")
    return folder


def test_a_run_says_what_became_of_the_gap(files: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = nearfar.train(
        "contrastive_gap",
        files / "pairs.jsonl",
        evaluation=files / "pairs.jsonl",
        model=tiny_model_folder,
        out=out,
        **{**SMALL, "max_steps": 20},
    )
    measured = json.loads((out / "metrics.json").read_text())["measured"]
    assert measured == run.metrics["measured"]
    before, after = measured["before"]["gap"], measured["after"]["gap"]
    assert before["rows"] == after["rows"] == "held-out"
    model = SentenceTransformer(str(out / "model"), device="cpu")
    a, b = (model.encode([row[side] for row in PAIRS]) for side in ("anchor", "positive"))
    assert after["centroid_distance"] == pytest.approx(geometry.centroid_distance(a, b), abs=1e-4)
    assert after["pairs"] == len(PAIRS)
    assert after["centroid_distance"] < before["centroid_distance"]
    assert min(after["uniformity_a"], after["uniformity_b"]) > max(before["uniformity_a"], before["uniformity_b"])


def test_without_held_out_pairs_the_training_rows_are_looked_at(
    files: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    few = Dataset.from_list(PAIRS[:4])
    for data, expected in ((files / "pairs.jsonl", "training"), (few, None)):
        run = nearfar.train("contrastive_gap", data, model=tiny_model_folder, out=tmp_path / str(expected), **SMALL)
        assert run.metrics["measured"]["after"].get("gap", {}).get("rows") == expected


def test_two_towers_of_texts(files: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = nearfar.train(
        "contrastive_gap",
        files / "texts.jsonl",
        model=tiny_model_folder,
        out=out,
        towers="two",
        dims=16,
        aligned=True,
        **SMALL,
    )
    before, after = (run.metrics["measured"][when]["gap"] for when in ("before", "after"))
    # Fresh projections differ; the rotation brings the sides together before training.
    assert before["centroid_distance"] < 0.2
    assert after != before
    model = SentenceTransformer(str(out / "model"), device="cpu")
    texts = [row["text"] for row in TEXTS]
    query, document = model.encode_query(texts), model.encode_document(texts)
    assert query.shape == (24, 16)
    assert geometry.centroid_distance(query, document) == pytest.approx(after["centroid_distance"], abs=1e-4)
    turn: Any = model[0].sub_modules[SIDES[1]][-1]
    w = turn.linear.weight.detach()
    torch.testing.assert_close(w @ w.T, torch.eye(16), atol=1e-5, rtol=0)


def test_towers_share_nothing_and_the_rotation_stays(tiny_model_folder: Path) -> None:
    model = nearfar.load(tiny_model_folder, device="cpu")
    options = contrastive_gap.Options(towers="two", dims=16, aligned=True)
    plan = first_stage(contrastive_gap.prepare)(model, Dataset.from_list(TEXTS), options)
    assert plan.rows.column_names == ["anchor", "positive"]
    assert has_text_towers(model)
    routes: Any = model[0].sub_modules
    shared = {id(p) for p in routes["query"].parameters()} & {id(p) for p in routes["document"].parameters()}
    assert not shared
    assert [p.requires_grad for p in routes["document"][-1].parameters()] == [False]
    assert not routes["query"][-1].linear.weight.equal(routes["document"][-2].linear.weight)


def test_a_second_model_of_its_own(tiny_model_folder: Path) -> None:
    model = nearfar.load(tiny_model_folder, device="cpu")
    options = contrastive_gap.Options(towers="two", second_model=str(tiny_model_folder))
    first_stage(contrastive_gap.prepare)(model, Dataset.from_list(PAIRS), options)
    texts = ["the cat sits", "a dog runs"]
    torch.testing.assert_close(model.encode_query(texts), model.encode_document(texts))


def write_image(path: Path, colour: tuple[int, int, int]) -> str:
    from PIL import Image

    Image.new("RGB", (16, 16), colour).save(path)
    return path.name


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one colour each; two of them have the same text."""
    folder = tmp_path_factory.mktemp("images")
    colours = [(red, green, 60) for red in (0, 80, 160, 240) for green in (0, 120, 240)]
    rows = [
        {
            "image": write_image(folder / f"{n}.png", colour),
            "text": f"a picture of {WORDS[min(n, 7)]} {min(n, 10)}",
            "label": "x",
        }
        for n, colour in enumerate(colours)
    ]
    write_jsonl(rows, folder / "rows.jsonl")
    return folder


def test_images_and_texts(image_folder: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = {**SMALL, "batch_size": 4, "image_size": 16, "image_model": "small-vit", "loss": "cuaxu", "dims": 8}
    run = nearfar.train("contrastive_gap", image_folder / "rows.jsonl", model=tiny_model_folder, out=out, **options)
    before, after = (run.metrics["measured"][when]["gap"] for when in ("before", "after"))
    assert after["pairs"] == 12
    assert after != before
    model = SentenceTransformer(str(out / "model"), device="cpu")
    texts = model.encode([run_text(image_folder, n) for n in range(12)], task="text")
    images = model.encode([str(image_folder / f"{n}.png") for n in range(12)], task="image")
    assert images.shape == (12, 8)
    assert geometry.centroid_distance(images, texts) == pytest.approx(after["centroid_distance"], abs=1e-4)
    again = nearfar.train(
        "contrastive_gap", image_folder / "rows.jsonl", model=out / "model", out=tmp_path / "again", **SMALL
    )
    assert again.metrics["measured"]["before"]["gap"] == pytest.approx(after, abs=1e-4)


def test_audio_and_texts(tiny_model_folder: Path, tmp_path: Path) -> None:
    import math
    import struct
    import wave

    pytest.importorskip("soundfile")
    rows = []
    for number in range(8):
        samples = [int(9_000 * math.sin(number * 0.05 * t)) for t in range(4_000)]
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(struct.pack("<4000h", *samples))
        rows.append({"audio": f"{number}.wav", "text": f"the {WORDS[number]}"})
    write_jsonl(rows, tmp_path / "rows.jsonl")
    options = {**SMALL, "max_steps": 4, "learning_rate": 1e-4, "seconds": 1, "dims": 8}
    run = nearfar.train(
        "contrastive_gap",
        tmp_path / "rows.jsonl",
        evaluation=tmp_path / "rows.jsonl",
        model=tiny_model_folder,
        out=tmp_path / "run",
        **options,
    )
    assert run.after is not None
    assert run.after.primary == "recall@1"
    before, after = (run.metrics["measured"][when]["gap"] for when in ("before", "after"))
    assert after["pairs"] == 8
    assert after["alignment"] < before["alignment"]


def run_text(folder: Path, n: int) -> str:
    return json.loads((folder / "rows.jsonl").read_text().splitlines()[n])["text"]


def test_a_text_is_no_negative_of_itself(image_folder: Path, tiny_model_folder: Path) -> None:
    from nearfar.kinds._sampling import Epochs, parts_of

    model = nearfar.load(tiny_model_folder, device="cpu")
    rows = nearfar.data.load(image_folder / "rows.jsonl")
    options = contrastive_gap.Options(image_size=16, image_model="small-vit", batch_size=12)
    plan = first_stage(contrastive_gap.prepare)(model, rows, options)
    assert plan.learning_rates == {r"sub_modules\.image\.": 50}
    assert first_stage(contrastive_gap.prepare)(model, rows, options).learning_rates is None, "it has the tower already"
    (first, *_) = Epochs(parts_of(plan, options), seed=0).batches(0)
    texts = rows["text"]
    assert len(set(texts)) == len(first) == 11


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (TEXTS, {}, "towers: expected pairs, got single texts"),
        (PAIRS, {"aligned": "true"}, "aligned: requires a second tower"),
        (PAIRS, {"second_model": "minilm"}, "second_model: expected towers=two, got one shared tower"),
        (PAIRS, {"t": "0"}, "t: invalid value 0.0"),
        (PAIRS, {"untrained_rate": "-1"}, "untrained_rate: invalid value -1.0"),
        (PAIRS, {"dims": "-1"}, "dims: invalid value -1"),
        (PAIRS, {"loss": "cu"}, "loss: invalid value 'cu'; did you mean cua. choose from clip, cua, cuaxu"),
    ],
)
def test_what_does_not_fit(
    rows: list[dict[str, str]], settings: dict[str, str], message: str, tiny_model_folder: Path
) -> None:
    with pytest.raises(InputError, match=message):
        first_stage(contrastive_gap.prepare)(
            nearfar.load(tiny_model_folder, device="cpu"),
            Dataset.from_list(rows),
            with_settings(contrastive_gap.Options(), settings),
        )
