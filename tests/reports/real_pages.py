"""Every kind of page that a command writes, each from a small real run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from jobs_here import jobs_here

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "sky", "sea")
SMALL: dict[str, Any] = {"batch_size": 8, "max_length": 32}


def pairs() -> list[dict[str, str]]:
    noun_pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b]
    return [{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in noun_pairs]


def labelled() -> Dataset:
    return Dataset.from_list(
        [{"text": f"the {a} {b} {i}", "label": a} for a in NOUNS[:3] for b in NOUNS for i in (1, 2)]
    )


def training(folder: Path, models: dict[str, Path]) -> Path:
    import nearfar

    rows = pairs()
    held = Dataset.from_list(rows[60:])
    options = {"max_steps": 12, "eval_steps": 4, **SMALL}
    run = nearfar.train(
        "infonce", Dataset.from_list(rows[:60]), model=models["encoder"], evaluation=held, out=folder, **options
    )
    return run.folder / "report.html"


def language(folder: Path, models: dict[str, Path]) -> Path:
    import nearfar

    draw = random.Random(0)
    folder.mkdir()
    (folder / "corpus.txt").write_text("\n\n".join(" ".join(draw.choices(NOUNS, k=30)) + "." for _ in range(40)))
    shape = {
        "vocabulary": 300,
        "hidden_size": 16,
        "layers": 1,
        "heads": 2,
        "rank": 4,
        "sparsity": 0.2,
        "max_length": 16,
    }
    steps = {"max_steps": 4, "batch_size": 4, "dense_steps": 2, "held_out": 0.25}
    return nearfar.train("lost", folder / "corpus.txt", out=folder / "run", **shape, **steps).folder / "report.html"


def temperature(folder: Path, models: dict[str, Path]) -> Path:
    from nearfar.comparison.sweep import temperature_sweep

    variants = {"loss=contrastive": {"loss": "contrastive"}, "loss=hard": {"loss": "hard"}}
    options = {"temperatures": [0.1, 1.0], "model": str(models["encoder"]), "max_steps": 1, **SMALL}
    temperature_sweep("behaviour", labelled(), labelled(), variants=variants, out=folder, **options)
    return folder / "report.html"


def sizes(folder: Path, models: dict[str, Path]) -> Path:
    from nearfar.evaluation.sizes import evaluate_sizes
    from nearfar.evaluation.sizes_page import sizes_page
    from nearfar.models import load

    folder.mkdir()
    rows = [{"sentence1": r["anchor"], "sentence2": r["positive"], "score": i % 5} for i, r in enumerate(pairs()[:30])]
    found = evaluate_sizes(load(models["encoder"]), Dataset.from_list(rows), [1, 2], [8, 16, 32])
    return sizes_page(found, [("model", "tiny")]).write(folder / "sizes.html")


def demo(folder: Path, models: dict[str, Path]) -> Path:
    import nearfar
    from nearfar.demo import run as demo_run
    from nearfar.demo.docstrings import Entry
    from nearfar.demo.questions import Answer, Question
    from nearfar.search.index import Hit

    rows = Dataset.from_list(pairs()[60:])
    options = {"max_steps": 2, **SMALL}
    run = nearfar.train("infonce", rows, model=models["encoder"], evaluation=rows, out=folder / "run", **options)
    assert run.before is not None
    assert run.after is not None
    entries = [Entry("animals", f"animals.f{i}", r["anchor"], r["positive"]) for i, r in enumerate(pairs()[:20])]
    parts: dict[str, list[Entry]] = dict.fromkeys(("train", "validation", "test"), entries)
    hits = [Hit(1, "animals.f1", "animals.f1(cat)\nFinds it.", 0.7), Hit(12, "animals.f2", "animals.f2(dog)", 0.3)]
    questions = Question("a cat", ("animals.f1",)), Question("a dog", ("animals.f2",))
    answers = [Answer(question, hits[:1], best, 60) for question, best in zip(questions, hits, strict=True)]
    found = demo_run.Demo(folder, 60, run, run.before, run.after, run.change, answers, 12.0)
    return demo_run.report(found, parts, nearfar.load(models["encoder"]), 0).write(folder / "report.html")


def compare(folder: Path, models: dict[str, Path]) -> Path:
    import nearfar

    rows = pairs()
    with pytest.MonkeyPatch.context() as patch:
        jobs_here(patch)
        nearfar.compare(
            ["infonce", "simcse", "dse"],
            data=Dataset.from_list(rows[:32]),
            evaluate_on=Dataset.from_list(rows[60:]),
            seeds=2,
            model=models["encoder"],
            out=folder,
            max_steps=2,
            **SMALL,
        )
    return folder / "report.html"


def search(folder: Path, models: dict[str, Path]) -> Path:
    import nearfar

    with pytest.MonkeyPatch.context() as patch:
        jobs_here(patch)
        nearfar.compare(
            "infonce",
            data=Dataset.from_list(pairs()),
            seeds=2,
            model=models["encoder"],
            out=folder,
            search={"learning_rate": [1e-4, 1e-3], "lora_rank": [0, 2]},
            max_steps=2,
            **{key: value for key, value in SMALL.items() if key != "learning_rate"},
        )
    return folder / "report.html"


def inspect(folder: Path, models: dict[str, Path]) -> Path:
    from nearfar.inspection import inspect as measured
    from nearfar.inspection.page import inspection_page

    folder.mkdir()
    draw = np.random.default_rng(0)
    kinds = draw.integers(8, size=200)
    vectors = [draw.normal(size=(8, 16))[kinds] + spread * draw.normal(size=(200, 16)) for spread in (0.4, 1.5)]
    rows = Dataset.from_dict({"text": [f"text {i}" for i in range(200)], "label": [f"label {k}" for k in kinds]})
    found = measured(vectors[0], rows, against=vectors[1], near_duplicate=0.9)
    return inspection_page(found).write(folder / "report.html")


def views(folder: Path, models: dict[str, Path]) -> Path:
    from PIL import Image

    from nearfar.inspection import inspect as measured
    from nearfar.inspection.page import inspection_page
    from nearfar.models.view_encoders import encoder_with_views

    (folder / "images").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(16):
        pixels = draw.integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"a-file-with-a-long-name-{number}.png")
    model, _ = encoder_with_views(None, "image", ("salient", "common"), dims=4, image_size=16)
    return inspection_page(measured(model.eval(), folder / "images")).write(folder / "report.html")


def language_model(folder: Path, models: dict[str, Path]) -> Path:
    from nearfar.inspection.language import drafting, inspect_language
    from nearfar.inspection.language.page import language_page

    run = language(folder, models).parent
    texts = Dataset.from_dict({"text": [" ".join(random.Random(n).choices(NOUNS, k=60)) for n in range(12)]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafting, "PROBE", replace(drafting.PROBE, hidden=8, steps=4, batch_size=16))
        found = inspect_language(run / "model", texts, tokens=500, contexts=60)
    return language_page(found, [("data", "texts")]).write(folder / "report.html")


def flow(folder: Path, models: dict[str, Path]) -> Path:
    from flows import booking_flow
    from nearfar.dialogue import write

    return write(booking_flow(40), folder / "flow.html")


def stream(folder: Path, models: dict[str, Path]) -> Path:
    import nearfar

    tasks = {f"task {n}": [row for row in labelled() if row["label"] in NOUNS[n : n + 2]] for n in (0, 2)}
    data = {name: Dataset.from_list(rows) for name, rows in tasks.items()}
    options = {"epochs": 1, "memory_per_class": 2, **SMALL}
    run = nearfar.train("coconut", data, model=models["encoder"], evaluation=labelled(), out=folder, **options)
    return run.folder / "report.html"


def fusing(folder: Path, models: dict[str, Path]) -> Path:
    from nearfar.evaluation import Interval
    from nearfar.training.fusing_page import fusing_page
    from nearfar.training.fusing_result import Choice, Effect

    folder.mkdir()
    effects = [
        Effect(w, Interval(0.2 * w, 0.1 * w, 0.3 * w), Interval(-0.1 * w**2, -0.2 * w**2, 0.0)) for w in (0.2, 0.4, 1.0)
    ]
    reported = {effect.weight: effect for effect in effects[1:]}
    choice = Choice(0.4, 0.05, tuple(effects), (0.2, 0.4), reported, ("accuracy", "ndcg@10"), ((200, 200), (124, 124)))
    return fusing_page(choice, [("base model", "tiny"), ("seed", "0")]).write(folder / "fused.html")


PAGES: dict[str, Callable[[Path, dict[str, Path]], Path]] = {
    build.__name__: build
    for build in (
        training,
        stream,
        language,
        temperature,
        sizes,
        demo,
        compare,
        fusing,
        search,
        inspect,
        views,
        flow,
        language_model,
    )
}
