"""A model, rows, held-out rows and a recipe for each kind, and trained runs of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from recipes_for_tests import NOISE, RERANKER, SEQ2SEQ, STAGED, STREAM

from nearfar.data import write_jsonl
from word_level import WORDS, write_seq2seq


@dataclass(frozen=True)
class Case:
    """How a kind is trained from the command line.

    Args:
        kind: As `nearfar.json` has it.
        recipe: A name or a path.
        data, evaluation: Files.
        model: What training starts from; None: the recipe makes one.
        options: Of the recipe.
        task: What it is measured by.
        lacks: A task that it cannot be measured by, and the rows for it.
    """

    kind: str
    recipe: str
    data: Path
    evaluation: Path
    model: Path | None
    options: tuple[str, ...]
    task: str
    lacks: tuple[str, Path]

    def arguments(self, out: Path) -> list[str]:
        model = [] if self.model is None else ["--model", str(self.model)]
        settings = [part for option in self.options for part in ("--set", option)]
        common = ["--data", str(self.data), "--eval", str(self.evaluation), "--out", str(out), "--seed", "3"]
        return ["train", self.recipe, *common, *model, *settings]


STEPS = ("batch_size=8", "max_steps=6", "save_steps=2", "learning_rate=1e-3")


@pytest.fixture(scope="session")
def seq2seq_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seq2seq(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of every schema that the kinds need, and the recipes."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("kinds")

    def text(i: int, k: int) -> str:
        return f"the {WORDS[(i + k) % 14]} {'and so ' * (i % 3)}{WORDS[(i * (k + 2)) % 14]} {i}"

    for name, rows in (("", range(48)), ("held-", range(60, 80))):
        write_jsonl([{"anchor": text(i, 0), "positive": text(i, 1)} for i in rows], folder / f"{name}pairs.jsonl")
        tasks = [{"task": f"task {3 * i // 80}", "anchor": text(i, 0), "positive": text(i, 1)} for i in range(80)]
        write_jsonl([row for i, row in enumerate(tasks) if (i % 4 == 0) == bool(name)], folder / f"{name}tasks.jsonl")
        intents = [{"task": f"task {i // 40}", "text": text(i, 0), "label": f"{i // 20}"} for i in range(80)]
        write_jsonl(
            [row for i, row in enumerate(intents) if (i % 4 == 0) == bool(name)], folder / f"{name}intents.jsonl"
        )
        scored = [{"sentence1": text(i, 0), "sentence2": text(i, 1), "score": (i % 5) / 4} for i in rows]
        write_jsonl(scored, folder / f"{name}scored.jsonl")
        write_jsonl([{"text": " ".join(text(i, k) for k in range(9))} for i in rows], folder / f"{name}texts.jsonl")
        (folder / "images").mkdir(exist_ok=True)
        for i in rows:
            Image.new("RGB", (8, 8), (i * 3, i % 7 * 30, 90)).save(folder / f"images/{i}.png")
        write_jsonl([{"image": f"images/{i}.png", "text": text(i, 0)} for i in rows], folder / f"{name}images.jsonl")
    ranked = [
        {"query": text(i, 0), "candidates": [text(i + k, 1) for k in range(4)], "scores": [1, 0, 0, 0]}
        for i in range(60, 80)
    ]
    write_jsonl(ranked, folder / "ranked.jsonl")
    for name, code in (
        ("reranker", RERANKER),
        ("seq2seq", SEQ2SEQ),
        ("stages", STAGED),
        ("noise", NOISE),
        ("stream", STREAM),
    ):
        (folder / f"{name}.py").write_text(code)
    return folder


@pytest.fixture(scope="session")
def case(files: Path, tiny_model_folder, tiny_lm_folder, seq2seq_folder, yes_no_folder) -> Callable[[str], Case]:
    def rows(name: str) -> tuple[Path, Path]:
        return files / f"{name}.jsonl", files / f"held-{name}.jsonl"

    pairs, texts = files / "held-pairs.jsonl", files / "held-texts.jsonl"
    language = ("batch_size=4", "max_length=16")
    cases = {
        "encoder": ("encoder", "infonce", *rows("pairs"), tiny_model_folder, (), "retrieval", ("perplexity", texts)),
        "two towers": (
            "two towers", "contrastive_gap", *rows("images"), tiny_model_folder, ("image_size=16",), "retrieval",
            ("perplexity", texts),
        ),
        "pair scorer": (
            "pair scorer", "dse", *rows("scored"), tiny_model_folder, ("layers=2", "alpha=0", "max_length=32"), "sts",
            ("retrieval", pairs),
        ),
        "reranker": (
            "reranker", str(files / "reranker.py"), *rows("scored"), tiny_model_folder, (), "sts", ("retrieval", pairs),
        ),
        "yes or no": (
            "reranker", str(files / "reranker.py"), *rows("scored"), yes_no_folder, (), "sts", ("retrieval", pairs),
        ),
        "causal LM": (
            "causal LM", "contrastive_search", *rows("texts"), tiny_lm_folder, language, "perplexity",
            ("retrieval", pairs),
        ),
        "seq2seq LM": (
            "seq2seq LM", str(files / "seq2seq.py"), *rows("pairs"), seq2seq_folder, language, "perplexity",
            ("sts", files / "held-scored.jsonl"),
        ),
        "vision-language LM": (
            "vision-language LM", "cosmo", *rows("images"), tiny_lm_folder,
            ("image_size=16", "max_length=16", "latents=2", "resampler_layers=1", "heads=2", "dims=8"), "retrieval",
            ("sts", files / "held-scored.jsonl"),
        ),
        "stages": (
            "encoder", str(files / "stages.py"), *rows("pairs"), tiny_model_folder, (), "retrieval",
            ("perplexity", texts),
        ),
        "noise": (
            "encoder", str(files / "noise.py"), files / "texts.jsonl", pairs, tiny_model_folder, (), "retrieval",
            ("perplexity", texts),
        ),
        "stream": (
            "encoder", str(files / "stream.py"), *rows("tasks"), tiny_model_folder, (), "retrieval",
            ("perplexity", texts),
        ),
        "classifier": (
            "classifier", "coconut", *rows("intents"), tiny_model_folder, ("memory_per_class=3",), "classify",
            ("retrieval", pairs),
        ),
    }  # fmt: skip

    def find(name: str) -> Case:
        kind, recipe, data, evaluation, model, options, task, lacks = cases[name]
        merged = dict(option.split("=") for option in (*STEPS, *options))
        return Case(kind, recipe, data, evaluation, model, tuple(f"{k}={v}" for k, v in merged.items()), task, lacks)

    return find


@pytest.fixture(scope="session")
def trained(case, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run's folder of a kind, trained once."""
    from nearfar.cli.app import run

    done: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in done:
            out = tmp_path_factory.mktemp("run") / "out"
            assert run(case(name).arguments(out)) == 0
            done[name] = out
        return done[name]

    return folder
