"""Raw backbones: language models that have never been trained on sentences or pairs, and how claims train them.

`bert` is a small BERT that `benchmarks/small_bert.py` pretrains; its folder is the value of the environment variable
NEARFAR_SMALL_BERT. `smollm2` is the first layers of SmolLM2-135M, which is larger and takes several times as long:
RAW_PARTS=smollm2 adds it. The vector of a text is the mean of its states.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import transformers
from _claim import kept
from _data import sts, wiki_sentences
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar.data.files import sha256
from nearfar.evaluation import evaluate
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Plan
from nearfar.models import load
from nearfar.models.gguf_folders import plain_folder
from nearfar.models.pooling import set_pooling
from nearfar.recipes import simcse
from nearfar.training.folder import RunFolder
from nearfar.training.stages import prepared, train_stages

Backbone = Literal["smollm2", "bert"]
#: Whether a token sees those after it.
Mask = Literal["causal", "open"]
MASKS: tuple[Mask, ...] = ("causal", "open")

#: The first one gives the verdict of a claim.
BACKBONES: tuple[Backbone, ...] = ("bert", "smollm2") if os.environ.get("RAW_PARTS") == "smollm2" else ("bert",)

LAYERS, MAX_LENGTH, BATCH = 4, 32, 64
BERT_FILES = ("config.json", "pretraining.json")
#: A seed that is not reported.
TUNED_ON = 1_000
RATES = (1e-5, 3e-5, 1e-4)
#: For a quick trial of a claim's script: fewer steps, and no figures that mean anything.
STEPS = int(os.environ.get("NEARFAR_TRIAL_STEPS", "400"))
#: The checkpoint that is best on STS-B's development split is the model, as in SimCSE's paper.
BUDGET: dict[str, Any] = {
    "max_steps": STEPS,
    "eval_steps": max(1, STEPS // 8),
    "save_steps": STEPS,
    "checkpoint": "best",
    # A step on a CPU takes less than half of the time.
    "precision": "bfloat16",
}


def budget(backbone: Backbone) -> dict[str, Any]:
    """Options of training that are the same for all arms of a claim."""
    # The wide vocabulary and layers of SmolLM2 are faster in small passes, and the narrow ones of the BERT are not.
    return BUDGET | ({"mini_batch_num_tokens": 256} if backbone == "smollm2" else {})


def described(layers: int = LAYERS, backbones: Sequence[Backbone] = BACKBONES) -> str:
    """Backbones in words; `layers` are those of `smollm2`."""
    config, facts = (json.loads((bert_folder() / name).read_text("utf-8")) for name in BERT_FILES)
    bert = (
        f"a BERT of {config['num_hidden_layers']} layers, {config['hidden_size']} wide, pretrained on wiki_sentences "
        f"by masked language modelling ({facts['steps']:,} steps of {facts['batch']} sentences; loss on held-out "
        f"sentences {facts['loss']['before']:.2f} before, {facts['loss']['after']:.2f} after)"
    )
    names: dict[Backbone, str] = {"bert": bert, "smollm2": f"the first {layers} layers of SmolLM2-135M"}
    return f"{'; also '.join(names[backbone] for backbone in backbones)}; mean of the states"


@cache
def known_as(backbone: Backbone) -> str:
    """The name of a backbone in files of figures: another small BERT has other figures."""
    return backbone if backbone != "bert" else f"bert {sha256(bert_folder() / 'model.safetensors')[:8]}"


def depth(backbone: Backbone, layers: int = LAYERS) -> int:
    """The number of its layers; `layers` are those of `smollm2`."""
    if backbone == "smollm2":
        return layers
    return json.loads((bert_folder() / BERT_FILES[0]).read_text("utf-8"))["num_hidden_layers"]


def named(metric: str, backbone: Backbone) -> str:
    """A metric's name; that of the first backbone needs no addition."""
    return metric if backbone == BACKBONES[0] else f"{metric}, SmolLM2"


def encoder(backbone: Backbone, layers: int = LAYERS, mask: Mask | None = None) -> SentenceTransformer:
    """A backbone as an encoder of texts of at most `MAX_LENGTH` tokens.

    Args:
        backbone: Its name.
        layers: Number of layers of `smollm2`; `bert` has all of its layers.
        mask: Of `smollm2`; by default the one that validation chooses.
    """
    if backbone == "bert":
        return small_bert()
    model = load(plain_folder("smollm2"), layers=layers, max_length=MAX_LENGTH)
    set_pooling(model, "mean")
    if (mask or chosen_mask()) == "open":
        transformer: Any = model[0]
        transformer.auto_model.config.is_causal = False
        for layer in transformer.auto_model.layers:
            layer.self_attn.is_causal = False
    return model


def bert_folder() -> Path:
    folder = Path(os.environ.get("NEARFAR_SMALL_BERT", ""))
    if not all((folder / name).is_file() for name in BERT_FILES):
        sys.exit("make a small BERT by benchmarks/small_bert.py, and set NEARFAR_SMALL_BERT to its folder")
    return folder


def small_bert() -> SentenceTransformer:
    model = load(bert_folder(), max_length=MAX_LENGTH)
    transformer: Any = model[0]
    transformer.auto_model.pooler = None  # not pretrained
    return model


def chosen_mask() -> Mask:
    """The attention of `smollm2` with which SimCSE is better on STS-B's development split."""

    def score(mask: Mask) -> float:
        def compute() -> float:
            return simcse_on(wiki_sentences(), "smollm2", TUNED_ON, rate=RATES[1], mask=mask)[1]["validation"]

        return kept("raw", f"SimCSE, {mask}", compute)

    return max(MASKS, key=score)


def simcse_on(
    sentences: Dataset,
    backbone: Backbone,
    seed: int,
    rate: float,
    dropout: float = 0.1,
    mask: Mask | None = None,
) -> tuple[SentenceTransformer, dict[str, float]]:
    """A backbone trained by SimCSE on a sample of sentences, and what `fitted` returns."""
    options = simcse.Options(
        **budget(backbone), batch_size=BATCH, learning_rate=rate, dropout=dropout, max_length=MAX_LENGTH
    )
    transformers.set_seed(seed)
    model = encoder(backbone, mask=mask)
    rows = sentences.shuffle(seed=seed)
    plan = simcse.prepare(model, rows.select(range(min(len(rows), STEPS * BATCH))), options)
    return model, fitted(plan, options, seed)


def fitted(plan: Plan, options: TrainingOptions, seed: int, validation: Dataset | None = None) -> dict[str, float]:
    """Train a plan's model in place; step and score of the checkpoint that is best on validation pairs.

    These are by default the development split of STS-B.
    """
    rows = sts("dev") if validation is None else validation
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        done = train_stages(
            prepared(plan, options),
            RunFolder(Path(folder)),
            seed,
            validate=lambda: evaluate(plan.model, rows),
            metric="spearman",
        )
    return {"step": done.followed[-1]["step"], "validation": done.followed[-1]["value"]}


def untrained(backbone: Backbone, recipe: str) -> float:
    """Spearman's correlation of a backbone on STS-B test before any training."""
    return kept(recipe, f"{known_as(backbone)}, untrained", lambda: tested(encoder(backbone)))


def tested(model: SentenceTransformer) -> float:
    """Spearman's correlation on STS-B test."""
    return evaluate(model, sts("test")).metrics["spearman"]
