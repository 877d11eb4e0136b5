"""COSMO: does a contrast of images with texts from the lower half make a frozen language model describe images better?

    python benchmarks/claims/cosmo.py [--seeds 5]

COSMO_PARTS=smollm2 adds SmolLM2-135M as the language model: minutes on a GPU, hours on two cores.

Images are two handwritten digits side by side, each bright or dark, with the captions "bright seven beside dark three".
The vision tower has learned single digits, the language model captions without images; both are frozen. All is made
here, from the digits of scikit-learn.
"""

from __future__ import annotations

import io
import os
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from _claim import RESULTS, Also, Claim, kept, run
from datasets import Dataset
from filelock import FileLock
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

import nearfar
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.vision_language import VisionLanguageLM
from nearfar.models.towers.small import as_module
from nearfar.recipes import cosmo
from nearfar.training.stages import train_plan
from nearfar.writing import replace_folder

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHADES = {"bright": 1.0, "dark": 0.45}
#: Digits for training; the others are for the test.
TRAINED_ON = 1297
#: Images with captions, for training and for the test.
CAPTIONED, TESTED = 4000, 400
PIXELS, NOISE = 16, 0.05
VISION_STEPS, LANGUAGE_STEPS = 300, 300
STEPS, BATCH = 1600, 96
SETTINGS: dict[str, Any] = {
    "max_steps": STEPS,
    "batch_size": BATCH,
    "learning_rate": 2e-3,
    "max_length": 8,
    "latents": 8,
    "resampler_layers": 2,
    "heads": 4,
    "dims": 64,
    "interval": 1,
    "save_steps": STEPS,
}
FLAMINGO, ALONE, OURS, SHARP = "cross-attention in all layers, full width", "split, L_lm alone", "COSMO", "COSMO, sharp"
#: On validation digits: 0.97 (ours) and 0.99 right after 1600 steps, 0.90 and 0.08 after 800.
EARLY = STEPS // 2
ALONE_EARLY, OURS_EARLY = f"{ALONE}, {EARLY} steps", f"{OURS}, {EARLY} steps"
ARMS: dict[str, dict[str, Any]] = {
    FLAMINGO: {"split": 1, "compress": 1, "contrast_weight": 0.0},
    ALONE: {"contrast_weight": 0.0},
    OURS: {},
    SHARP: {"log_scale": float(np.log(1 / 0.07))},
    ALONE_EARLY: {"contrast_weight": 0.0, "max_steps": EARLY, "save_steps": EARLY},
    OURS_EARLY: {"max_steps": EARLY, "save_steps": EARLY},
}


PARTS = frozenset(filter(None, os.environ.get("COSMO_PARTS", "").split(",")))
#: SmolLM2 has 30 layers; those that read images are three apart, as in the paper.
WITH_SMOLLM2: dict[str, Any] = {"max_length": 16, "heads": 8, "interval": 3}
SMOLLM2_ARMS: dict[str, dict[str, Any]] = {FLAMINGO: {**ARMS[FLAMINGO], "interval": 1}, ALONE: ARMS[ALONE], OURS: {}}
SMOLLM2_RATES = (3e-4, 1e-3, 2e-3)
#: A seed that is not reported.
TUNED_ON = 1_000


@cache
def digits() -> tuple[Any, Any]:
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.images))
    return found.images[order] / 16, found.target[order]


def drawn(count: int, part: slice, seed: int) -> tuple[Any, list[tuple[int, str, int, str]]]:
    """Images (count, 16, 16) from 0 to 1, and the digit and shade of each half."""
    rng = np.random.default_rng(seed)
    images, labels = (each[part] for each in digits())
    found, facts = np.zeros((count, PIXELS, PIXELS)), []
    for image in found:
        fact: list[Any] = []
        for half in (slice(0, 8), slice(8, 16)):
            number, shade = rng.integers(len(images)), rng.choice(list(SHADES))
            image[4:12, half] = images[number] * SHADES[shade]
            fact += [int(labels[number]), str(shade)]
        facts.append(tuple(fact))
    return np.clip(found + rng.normal(0, NOISE, found.shape), 0, 1), facts


def half(rng: Any) -> tuple[int, str]:
    """A digit and a shade."""
    return int(rng.integers(10)), str(rng.choice(list(SHADES)))


def caption(fact: tuple[int, str, int, str]) -> str:
    return f"{fact[1]} {NAMES[fact[0]]} beside {fact[3]} {NAMES[fact[2]]}"


def png(image: Any) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).convert("RGB").save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def rows(count: int, part: slice, seed: int) -> Dataset:
    images, facts = drawn(count, part, seed)
    return Dataset.from_list(
        [{"image": png(image), "text": caption(fact)} for image, fact in zip(images, facts, strict=True)]
    )


def vision(seed: int) -> Path:
    """The folder of a vision tower that tells which digit is in which half; shades are new to it."""
    folder = RESULTS / ".cosmo" / f"vision-{seed}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # one process trains it for all arms
        if not folder.is_dir():
            replace_folder(folder, partial(train_vision, seed))
    return folder


def train_vision(seed: int, folder: Path) -> None:
    transformers.set_seed(seed)
    # 4 x 4 places. The mean over them says which digit is on which side, so that each place knows its side. With the 64
    # patches of `small-vit`, a tower did not leave chance in as many steps.
    config = transformers.ResNetConfig(
        embedding_size=32, hidden_sizes=[96], depths=[2], layer_type="basic", hidden_act="relu"
    )
    module = as_module(transformers.ResNetModel(config), ViTImageProcessorPil(size={"height": PIXELS, "width": PIXELS}))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Any = module.auto_model.train().to(device)
    heads = nn.ModuleList(nn.Linear(config.hidden_sizes[-1], 10) for _ in range(2)).to(device)
    optimizer = torch.optim.AdamW([*network.parameters(), *heads.parameters()], 1e-3)
    for step in range(VISION_STEPS):
        images, facts = drawn(64, slice(TRAINED_ON), 10_000 * (seed + 1) + step)
        pixels = torch.from_numpy(images).float()[:, None].expand(-1, 3, -1, -1).to(device)
        states = network(pixel_values=(pixels - 0.5) / 0.5).last_hidden_state.mean((2, 3))
        wanted = torch.tensor([[fact[0], fact[2]] for fact in facts], device=device)
        loss = sum(nn.functional.cross_entropy(head(states), wanted[:, half]) for half, head in enumerate(heads))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.cpu().eval()
    module.save(str(folder))


def language(seed: int) -> CausalLM:
    """A language model that has learned captions, without images."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<pad>", "</s>", *SHADES, "beside", *NAMES]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>")
    transformers.set_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=32,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model: Any = transformers.LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    rng = np.random.default_rng(seed)
    for _ in range(LANGUAGE_STEPS):
        facts = [
            (rng.integers(10), rng.choice(list(SHADES)), rng.integers(10), rng.choice(list(SHADES))) for _ in range(64)
        ]
        # A place for the image first, which is any token here.
        ids = torch.tensor([[0, *tokenizer(caption(fact))["input_ids"], 1] for fact in facts])
        loss = model(input_ids=ids, labels=ids.masked_fill(ids == 0, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return CausalLM(model.eval(), tokenizer)


def measured(model: VisionLanguageLM, test: Dataset) -> dict[str, float]:
    written = model.describe([[{"image": image}] for image in test["image"]], max_new_tokens=12, batch_size=100)
    right = [text.split() == wanted.split() for text, wanted in zip(written, test["text"], strict=True)]
    digit = [text.split()[1::3] == wanted.split()[1::3] for text, wanted in zip(written, test["text"], strict=True)]
    found = nearfar.evaluate(model, test, "retrieval").metrics
    return {
        "right": float(np.mean(right)),
        "digits": float(np.mean(digit)),
        "nll": -float(model.log_probability(test, batch_size=100).mean()),
        "recall": found["recall@1_to_text"],
    }


def trained(seed: int, lm: CausalLM, settings: dict[str, Any] | None, test: Dataset) -> dict[str, float]:
    """The figures of a language model that has learned to read images; without settings, before it has."""
    with tempfile.TemporaryDirectory() as folder:
        options = cosmo.Options(**{**SETTINGS, **(settings or {}), "image_model": str(vision(seed))})
        transformers.set_seed(seed)
        plan = cosmo.prepare(lm, rows(CAPTIONED, slice(TRAINED_ON), seed + 100), options)
        if settings is not None:
            train_plan(plan, options, folder, seed)
        return measured(plan.model, test)


def tested() -> Dataset:
    return rows(TESTED, slice(TRAINED_ON, None), 1)


def computed(seed: int, arm: str | None) -> dict[str, float]:
    return trained(seed, language(seed), None if arm is None else ARMS[arm], tested())


def smollm2(seed: int, arm: str | None) -> dict[str, float]:
    """The same with SmolLM2; its learning rate is chosen without the contrast, on images that are not reported."""

    def on_validation(rate: float) -> float:
        settings = {**WITH_SMOLLM2, **ARMS[ALONE], "learning_rate": rate}
        test = rows(TESTED, slice(TRAINED_ON), 2)
        found = kept(
            "cosmo",
            f"smollm2 validation {rate:g}",
            lambda: trained(TUNED_ON, CausalLM.load("smollm2"), settings, test),
        )
        return -found["nll"]

    settings = None
    if arm is not None:
        settings = {**WITH_SMOLLM2, **SMOLLM2_ARMS[arm], "learning_rate": max(SMOLLM2_RATES, key=on_validation)}
    return trained(seed, CausalLM.load("smollm2"), settings, tested())


def figure(seed: int, arm: str | None, metric: str) -> float:
    return kept("cosmo", f"{arm} {seed}", lambda: computed(seed, arm))[metric]


def smollm2_figure(seed: int, arm: str | None, metric: str) -> float:
    return kept("cosmo", f"smollm2 {arm} {seed}", lambda: smollm2(seed, arm))[metric]


def smollm2_arms(metric: str, *names: str) -> dict[str, Any]:
    named = {name: partial(smollm2_figure, arm=name, metric=metric) for name in names}
    return {**named, "before training": partial(smollm2_figure, arm=None, metric=metric)}


def arms(metric: str, *names: str) -> dict[str, Any]:
    named = {name: partial(figure, arm=name, metric=metric) for name in names or ARMS}
    return {**named, "before training": partial(figure, arm=None, metric=metric)}


def of_smollm2() -> tuple[Also, ...]:
    return (
        Also("part of images with the right caption, SmolLM2", OURS, ALONE, smollm2_arms("right", *SMOLLM2_ARMS)),
        Also("part of images with both digits right, SmolLM2", OURS, FLAMINGO, smollm2_arms("digits", *SMOLLM2_ARMS)),
        Also("recall@1 of captions by vectors, SmolLM2", OURS, "before training", smollm2_arms("recall", OURS)),
    )


if __name__ == "__main__":
    run(
        Claim(
            recipe="cosmo",
            claim="A contrastive loss between images and texts from the lower half of a frozen language model makes "
            "few and narrow cross-attention layers describe images as well as many wide ones, and better than without "
            "it; and it gives vectors by which images find their texts.",
            data=f"two of scikit-learn's digits side by side, bright or dark; {CAPTIONED} images with captions of "
            f"{TRAINED_ON} digits for training, {TESTED} of the {1797 - TRAINED_ON} other digits for the result",
            backbone="a ResNet of 2 blocks that has learned the digits of both halves, and a LLaMA of 4 layers that "
            "has learned captions without images; both frozen",
            budget=f"{STEPS} steps of {BATCH} images; the same settings, but for those named",
            metric="part of test images whose greedy caption is right in all words",
            ours=OURS,
            baseline=ALONE,
            arms=arms("right", FLAMINGO, ALONE, OURS),
            also=(
                Also(
                    f"part of test images with the right caption, {EARLY} steps",
                    OURS_EARLY,
                    ALONE_EARLY,
                    arms("right", OURS_EARLY, ALONE_EARLY),
                    seeds=3,
                ),
                Also(
                    "part of test images with both digits right", OURS, FLAMINGO, arms("digits", FLAMINGO, ALONE, OURS)
                ),
                Also("recall@1 of captions by vectors", OURS, ALONE, arms("recall", OURS, ALONE)),
                Also(
                    "recall@1 of captions by vectors, a sharper contrast",
                    SHARP,
                    OURS,
                    arms("recall", OURS, SHARP),
                    seeds=3,
                ),
                *(of_smollm2() if "smollm2" in PARTS else ()),
            ),
            caveat="The language model and the vision tower are made for the test, and images are simple; the paper "
            "trains on 180 million images and more with language models of 2 to 7 billion parameters. In-context "
            "examples are not part of the test. All arms end near what the vision tower tells (0.93 to 0.98 right), "
            "so that captions could hardly become better; after half of the steps, COSMO has 0.30 to 0.96 right and "
            "the arm without the contrast 0.95 to 0.98. What the contrast adds are the vectors: without it, no caption "
            "is found." + ("" if "smollm2" in PARTS else " SmolLM2-135M, a part of this benchmark, was not run."),
        )
    )
