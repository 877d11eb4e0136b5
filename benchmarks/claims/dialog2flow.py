"""Dialog2Flow: are soft targets better than hard ones for separating actions, and are action labels better than none?

NEARFAR_DATA=FOLDER python benchmarks/claims/dialog2flow.py [--seeds 5]
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import Counter
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from _claim import Claim, run
from _data import located, table
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, StaticEmbedding
from tokenizers import Tokenizer, models

import nearfar
from nearfar import near
from nearfar.data.actions import clean_text, labelled_utterances
from nearfar.evaluation.tasks.few_shot import few_shot, intra_inter
from nearfar.kinds.plan import Plan
from nearfar.losses import LabelledPairsLoss
from nearfar.models.encoding import encode
from nearfar.recipes import dialog2flow
from nearfar.training.stages import train_plan

STEPS, MIN_COUNT, EACH, DRAWS = 300, 100, 15, 10
TURN = ("text", "acts", "slots")
#: Utterances sampled for a run: one pass over them is slightly longer than the run.
DRAWN = 24_000
LEARNING_RATES, LABEL_TEMPERATURES = (1e-3, 3e-3), (0.1, 0.2, 0.35)
#: A seed that is not reported.
TUNED_ON = 1_000


@cache
def utterances(split: str) -> tuple[list[str], list[str]]:
    """Cleaned turns of SGD with at least two words, and their labels. One turn of the test split has no text."""
    with gzip.open(located("sgd", f"sgd-{split}.jsonl.gz"), "rt", encoding="utf-8") as lines:
        turns = [turn for line in lines for turn in json.loads(line)["turns"] if turn["text"].strip()]
    return labelled_utterances(Dataset.from_dict({key: [turn[key] for turn in turns] for key in TURN}))


@cache
def training_rows() -> list[tuple[str, str]]:
    """Utterances with frequent labels, without those of the authors' evaluation set."""
    held_out = {clean_text(row["text"]) for row in table("d2f_unified_eval", "d2f-unified-eval.tsv.gz")}
    rows = [row for row in zip(*utterances("train"), strict=True) if row[0] not in held_out]
    counts = Counter(label for _, label in rows)
    return [(text, label) for text, label in rows if counts[label] > MIN_COUNT]


@cache
def questions(split: str) -> tuple[list[str], list[str]]:
    """15 different utterances of every label that has at least 15, none of them in the training split."""
    seen, found = set(utterances("train")[0]), {}
    for text, label in sorted(set(zip(*utterances(split), strict=True))):
        if text not in seen:
            found.setdefault(label, []).append(text)
    generator = np.random.default_rng(0)
    chosen = {
        label: generator.choice(texts, EACH, replace=False) for label, texts in found.items() if len(texts) >= EACH
    }
    return [str(text) for texts in chosen.values() for text in texts], [label for label in chosen for _ in range(EACH)]


@cache
def words() -> tuple[Tokenizer, np.ndarray]:
    """The word pieces of MiniLM that occur here, with their embeddings. Texts are tokenized as with all word pieces."""
    model: Any = nearfar.load("minilm")
    whole = model.tokenizer.backend_tokenizer
    texts = {text for split in ("train", "dev", "test") for text in utterances(split)[0]}
    pieces = {piece for encoded in whole.encode_batch(sorted(texts), add_special_tokens=False) for piece in encoded.ids}
    kept = sorted(pieces | {model.tokenizer.unk_token_id})
    names = model.tokenizer.convert_ids_to_tokens(kept)
    vocabulary = {name: row for row, name in enumerate(names)}
    trimmed = Tokenizer(models.WordPiece(vocabulary, unk_token=model.tokenizer.unk_token))
    trimmed.normalizer, trimmed.pre_tokenizer = whole.normalizer, whole.pre_tokenizer
    return trimmed, model[0].auto_model.get_input_embeddings().weight.detach()[kept].numpy()


def bag() -> SentenceTransformer:
    """The mean of MiniLM's token embeddings and a layer that starts as the identity; both are trained."""
    tokenizer, weights = words()
    layer = Dense(384, 384, bias=False, activation_function=torch.nn.Identity())
    torch.nn.init.eye_(layer.linear.weight)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, weights.copy()), layer], device="cpu")


def measured(model: SentenceTransformer, seed: int, split: str, name: str) -> float:
    """Macro F1 with one example per label; other metrics are printed."""
    return figures(encode(model, questions(split)[0], normalize=False), seed, split, name)


def figures(vectors: np.ndarray, seed: int, split: str, name: str) -> float:
    labels = questions(split)[1]
    one, five = (few_shot(vectors, labels, shots, DRAWS, seed).f1 for shots in (1, 5))
    within, between = intra_inter(vectors, labels)
    print(f"1-shot {one:.4f}, 5-shot {five:.4f}, intra - inter {within - between:+.3f}: {name}", flush=True)
    return one


def trained(
    seed: int,
    rate: float,
    targets: Any = "soft",
    label_temperature: float = 0.1,
    head: int = 128,
    one_hot: bool = False,
    shuffled: bool = False,
) -> SentenceTransformer:
    generator, rows = np.random.default_rng(seed), training_rows()
    drawn = [rows[row] for row in generator.permutation(len(rows))[:DRAWN]]
    texts, labels = [text for text, _ in drawn], [label for _, label in drawn]
    if shuffled:
        labels = generator.permutation(labels).tolist()
    options = dialog2flow.Options(
        targets=targets,
        label_temperature=label_temperature,
        head=head,
        head_learning_rate=1.0,
        learning_rate=rate,
        warmup_ratio=0.1,
        max_steps=STEPS,
        save_steps=STEPS,
        max_length=0,
        clean=False,  # done already
    )
    torch.manual_seed(seed)
    model = bag()
    (stage,) = dialog2flow.prepare(model, Dataset.from_dict({"text": texts, "label": labels}), options)
    if one_hot:
        assert isinstance(stage.loss, LabelledPairsLoss)
        stage.loss.near = near.paired()
    with tempfile.TemporaryDirectory() as checkpoints:
        train_plan(Plan(model, stage), options, checkpoints, seed)
    return model


@cache
def chosen(targets: str, head: int) -> dict[str, Any]:
    """The best settings of each arm on the development split."""
    temperatures = LABEL_TEMPERATURES if targets == "soft" else (0.1,)
    grid = [{"rate": rate, "label_temperature": tau} for rate in LEARNING_RATES for tau in temperatures]

    def score(settings: dict[str, Any]) -> float:
        model = trained(TUNED_ON, targets=targets, head=head, **settings)
        return measured(model, TUNED_ON, "dev", f"development part, {targets}, head {head}, {settings}")

    return max(grid, key=score)


def arm(seed: int, targets: str, head: int = 128, **others: Any) -> float:
    settings = chosen(targets, head) | others
    return measured(
        trained(seed, targets=targets, head=head, **settings), seed, "test", f"{targets}, {head}, {settings}"
    )


@cache
def base_model(name: str) -> np.ndarray:
    return encode(bag() if name == "bag" else nearfar.load(name), questions("test")[0], normalize=False)


if __name__ == "__main__":
    run(
        Claim(
            recipe="dialog2flow",
            claim="Soft targets by the similarity of the names of action labels give a better encoder of actions than "
            "hard targets, for which labels are only equal or different.",
            data="SGD: turns of the training split whose labels of acts and slots have more than 100 utterances, "
            f"without the texts of the authors' evaluation set, {DRAWN:,} sampled for each seed; "
            "scored on 15 unseen utterances of each label of the test split, whose services are mostly different",
            backbone="mean of all-MiniLM-L6-v2's token embeddings and a linear layer, both trained",
            budget=f"{STEPS} steps of 64 pairs; learning rate from {LEARNING_RATES} and tau' from "
            f"{LABEL_TEMPERATURES}, chosen on the development split separately for soft and hard, with and without "
            "head",
            metric="macro F1, one example per label",
            ours="soft",
            baseline="hard",
            arms={
                "soft": partial(arm, targets="soft"),
                "hard": partial(arm, targets="hard"),
                "soft, no head": partial(arm, targets="soft", head=0),
                "hard, no head": partial(arm, targets="hard", head=0),
                "soft, tau' 0.35 of the paper": partial(arm, targets="soft", label_temperature=0.35),
                "a separate label for each pair": partial(arm, targets="hard", one_hot=True),
                "hard, labels shuffled": partial(arm, targets="hard", shuffled=True),
                "base model": lambda seed: figures(base_model("bag"), seed, "test", "base model"),
                "all-MiniLM-L6-v2": lambda seed: figures(base_model("minilm"), seed, "test", "minilm"),
            },
            caveat="A bag of words, trained for a few hundred steps on one dataset, whose labels all come from one "
            "vocabulary: the paper trains BERT for days on twenty datasets, which have different names for the same "
            "action, so soft targets can help most there. The base model arms show the value of action labels. The "
            "paper's tau' is for another label encoder and for much longer training. For both arms, the higher "
            "learning rate of the grid was the best.",
        )
    )
