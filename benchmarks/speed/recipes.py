"""Time of a training step of each recipe, compared with plain InfoNCE and with its own forward passes.

    python benchmarks/speed/recipes.py [--rounds 5] [--out FILE]

All recipes have the same model (MiniLM), batch size and length, except a small LLaMA for recipes of language models;
the texts are docstrings of the standard library. A step is the loss and its backward pass, without the optimiser, which
is the same for all. The forward passes of a step are recorded and repeated, followed by the backward pass of their sum:
this is the minimum for any implementation of the recipe, and a step may take 1.5 times as long.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import interleaved, summary, surroundings, write
from datasets import Dataset, DatasetDict
from PIL import Image
from sentence_transformers.base.modules.transformer import Transformer

from nearfar import recipes
from nearfar.demo.docstrings import harvest
from nearfar.kinds.kind import Setting
from nearfar.kinds.loading import load_kind
from nearfar.kinds.options import with_settings
from nearfar.models import load
from nearfar.models.new_language import new_llama, new_tokenizer
from nearfar.training.stages import prepared

BATCH, LENGTH, STEPS = 32, 32, 3
VOCABULARY = 2000
LIMIT = 1.5
RESULT = Path(__file__).resolve().parents[1] / "results" / "speed-recipes.json"

ENTRIES = harvest()[:600]
SUMMARIES, TEXTS = [entry.summary for entry in ENTRIES], [entry.text for entry in ENTRIES]
#: Not useful for training, but of the right shape: only the time matters here.
SCORES = [index % 6 / 5 for index in range(len(ENTRIES))]
DOMAINS = [f"domain {index % 4}" for index in range(len(ENTRIES))]

PAIRS = Dataset.from_dict({"anchor": SUMMARIES, "positive": TEXTS})
SENTENCES = Dataset.from_dict({"text": SUMMARIES})
LABELLED = Dataset.from_dict({"text": SUMMARIES, "label": DOMAINS})
DICTIONARY = Dataset.from_dict({"entry": [entry.name for entry in ENTRIES], "definition": SUMMARIES})
SCORED = Dataset.from_dict({"sentence1": SUMMARIES, "sentence2": TEXTS, "score": SCORES})
LISTS = Dataset.from_dict(
    {
        "query": SUMMARIES,
        "candidates": [[text, other] for text, other in zip(TEXTS, TEXTS[1:] + TEXTS[:1], strict=True)],
        "scores": [[1.0, 0.0]] * len(TEXTS),
    }
)


def images() -> Dataset:
    """Random images with captions."""
    rng, files = np.random.default_rng(0), []
    for _ in SUMMARIES:
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(stream, "PNG")
        files.append({"bytes": stream.getvalue(), "path": None})
    return Dataset.from_dict({"image": files, "text": SUMMARIES})


class Forward:
    """One pass through a transformer, which can be repeated."""

    def __init__(self, module: Transformer, features: dict[str, Any], kwargs: dict[str, Any]) -> None:
        self.module, self.features, self.kwargs = module, dict(features), kwargs
        self.trained = torch.is_grad_enabled()

    def again(self) -> torch.Tensor:
        """The sum of its outputs."""
        with torch.set_grad_enabled(self.trained):
            return self.module.forward(dict(self.features), **self.kwargs)["token_embeddings"].float().sum()


@contextlib.contextmanager
def recorded() -> Iterator[list[Forward]]:
    """Collects all passes through transformers."""
    calls: list[Forward] = []
    original = Transformer.forward

    def forward(self: Transformer, features: dict[str, Any], **kwargs: Any) -> Any:
        calls.append(Forward(self, features, kwargs))
        return original(self, features, **kwargs)

    Transformer.forward = forward
    try:
        yield calls
    finally:
        Transformer.forward = original


class Step:
    """Training steps of one recipe, repeated with the same few batches."""

    def __init__(self, name: str, rows: Dataset | DatasetDict, **settings: Any) -> None:
        torch.manual_seed(0)
        recipe = recipes.get(name)
        settings = {"batch_size": BATCH, "max_length": LENGTH, "max_steps": STEPS, **settings}
        options = with_settings(recipe.options(), settings)
        model = load("minilm", max_length=LENGTH)
        ready = prepared(recipe.prepare(model, rows, options), options)
        self.folder = tempfile.TemporaryDirectory()
        self.trainer: Any = ready.model.trainer(ready.first, options, Setting(Path(self.folder.name), 0))
        batches = iter(self.trainer.get_train_dataloader())
        self.batches = [self.trainer._prepare_inputs(next(batches)) for _ in range(STEPS)]
        self.trainer.model.train()
        self.forwards: list[list[Any]] = []
        for batch in self.batches:
            with recorded() as calls:
                self._loss(batch)
            self.forwards.append(calls)

    def _loss(self, batch: dict[str, Any]) -> torch.Tensor:
        return self.trainer.compute_loss(self.trainer.model, dict(batch))

    def run(self) -> None:
        """All steps."""
        for batch in self.batches:
            self._loss(batch).backward()
            self.trainer.model.zero_grad()

    def run_forwards(self) -> None:
        """Only their forward passes, and one backward pass per step."""
        for calls in self.forwards:
            sums = [call.again() for call in calls]
            torch.stack([s for s in sums if s.requires_grad]).sum().backward()
            self.trainer.model.zero_grad()


class PassOfLanguageModel:
    """One pass through a language model, which can be repeated."""

    def __init__(self, model: Any, arguments: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.model, self.arguments, self.kwargs = model, arguments, kwargs

    def again(self) -> torch.Tensor:
        """The sum of its logits."""
        return self.model(*self.arguments, **self.kwargs).logits.float().sum()


class LanguageStep(Step):
    """Training steps of a recipe for language models: a small LLaMA instead of MiniLM."""

    def __init__(self, name: str, model: str | None = None, **settings: Any) -> None:
        torch.manual_seed(0)
        recipe = recipes.get(name)
        settings = {"batch_size": BATCH, "max_length": LENGTH, "max_steps": STEPS, **settings}
        options: Any = with_settings(recipe.options(), settings)
        start = model if recipe.makes_model or model is None else load_kind(model)
        ready = prepared(recipe.prepare(start, SENTENCES, options), options)
        plan: Any = ready.model
        self.folder = tempfile.TemporaryDirectory()
        self.trainer = ready.model.trainer(ready.first, options, Setting(Path(self.folder.name), 0))
        batches = iter(self.trainer.get_train_dataloader())
        self.batches = [self.trainer._prepare_inputs(next(batches)) for _ in range(STEPS)]
        plan.model.train()
        self.forwards = []
        for batch in self.batches:
            calls: list[Any] = []
            hook = plan.model.register_forward_pre_hook(
                lambda module, args, kwargs, calls=calls: calls.append(PassOfLanguageModel(module, args, kwargs)),
                with_kwargs=True,
            )
            self._loss(batch)
            hook.remove()
            self.forwards.append(calls)


def small_llama(folder: str) -> str:
    """A folder with a language model as in `lost` with full weights."""
    tokenizer = new_tokenizer(SENTENCES, VOCABULARY)
    new_llama(len(tokenizer), hidden_size=256, layers=4, heads=4, positions=LENGTH).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def all_steps() -> dict[str, Step]:
    """The steps of each recipe, on suitable rows."""
    with tempfile.TemporaryDirectory() as folder:
        contrastive_search = LanguageStep("contrastive_search", small_llama(folder))
    return {
        "infonce": Step("infonce", PAIRS),
        "simcse": Step("simcse", SENTENCES),
        "behaviour": Step("behaviour", SENTENCES),
        "coconut": Step("coconut", DatasetDict({"first": LABELLED})),
        "codiemb": Step("codiemb", DatasetDict({"pairs": PAIRS, "scored": SCORED})),
        "contrastive_gap": Step("contrastive_gap", PAIRS),
        "contrastive_search": contrastive_search,
        "cwcl": Step("cwcl", images()),
        "debcse": Step("debcse", SENTENCES),
        "defsent_plus": Step("defsent_plus", DICTIONARY),
        "dialog2flow": Step("dialog2flow", LABELLED),
        "space2": Step("space2", LABELLED),
        "score_distillation": Step("score_distillation", LISTS),
        "dse": Step("dse", SCORED, teacher_epochs=0.1),
        "lost": LanguageStep("lost", vocabulary=VOCABULARY),
        "markov": LanguageStep("markov", vocabulary=VOCABULARY),
        "matryoshka_2d": Step("matryoshka_2d", PAIRS),
        "moe_embed": Step("moe_embed", PAIRS.add_column("domain", DOMAINS)),
        "multicsr": Step("multicsr", PAIRS.add_column("negative", TEXTS[1:] + TEXTS[:1])),
        "qwen3_embedding": Step("qwen3_embedding", PAIRS),
        "sepclr": Step("sepclr", DatasetDict({"background": SENTENCES, "target": Dataset.from_dict({"text": TEXTS})})),
        "vlp_baselines": Step("vlp_baselines", images(), workers=0),
    }


def main() -> None:
    """Time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()

    steps = all_steps()
    contestants: dict[str, Callable[[], Any]] = {}
    for name, step in steps.items():
        contestants |= {name: step.run, f"{name}: forwards": step.run_forwards}
    seconds = interleaved(contestants, arguments.rounds)

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(x / y for x, y in zip(seconds[one], seconds[other], strict=True)), 3)

    found = {
        name: {
            "seconds_a_step": round(statistics.median(seconds[name]) / STEPS, 4),
            "over_infonce": ratio(name, "infonce"),
            "over_its_forwards": ratio(name, f"{name}: forwards"),
            "transformer_calls_a_step": round(statistics.mean(map(len, step.forwards)), 2),
        }
        for name, step in steps.items()
    }
    for name, figures in found.items():
        kept = "met" if figures["over_its_forwards"] <= LIMIT else "MISSED"
        print(
            f"{name:16} {figures['seconds_a_step']:7.3f} s  {figures['over_infonce']:5.2f} x infonce  "
            f"{figures['over_its_forwards']:5.2f} x its forwards  {kept}"
        )
    result = {
        "what": "a training step (loss and backward pass) compared with plain InfoNCE and with its own forward passes",
        "model": "all-MiniLM-L6-v2",
        "batch_size": BATCH,
        "tokens": LENGTH,
        "recipes": found,
        "limit_over_its_forwards": LIMIT,
        "seconds": {name: summary(all_) for name, all_ in seconds.items()},
        **surroundings("nearfar", "torch", "transformers", "sentence-transformers"),
    }
    write(arguments.out, result)


if __name__ == "__main__":
    main()
