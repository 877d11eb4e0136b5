"""The encoder of utterances by what they do, which `nearfar flow` uses by default: its training and its measurement.

    python benchmarks/action_encoder.py tune [--data FOLDER]
    python benchmarks/action_encoder.py train --out src/nearfar/models/actions
    python benchmarks/action_encoder.py labels --out src/nearfar/models/actions
    python benchmarks/action_encoder.py measure [--model MODEL] [--out FILE]

A bag of word pieces and two layers, trained by the recipe `dialog2flow` on turns of SGD and MultiDoGO with their acts
and slots. The vector of a word piece is a linear function of MiniLM's token embedding, the same for all, plus a
correction of its own, which only pieces in the training texts get: so pieces that do not occur there move too. Both
are added after training, and stored as int8 with a scale for each piece.

`tune` trains without the domains of `VALIDATION` and prints figures on them; the constants below are its choice.
`train` adds these domains. `labels` writes the label vocabulary of a trained model, by which `nearfar flow` names
actions: the mean vector of the utterances of each label. The domains of `TEST` are in none of them: `measure` reports
on them, and on time per text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, StaticEmbedding
from tokenizers import Regex, Tokenizer, models, normalizers
from torch import Tensor, nn

from flow import METRICS, Domain, label
from nearfar.data.actions import act_names, slot_names
from nearfar.data.files import sha256
from nearfar.dialogue.clustering import find_actions
from nearfar.dialogue.slots.texts import Slots
from nearfar.dialogue.vectors import vectors_of
from nearfar.kinds.plan import Plan
from nearfar.models import load
from nearfar.models.action_labels import ActionLabel, ActionLabels
from nearfar.recipes import dialog2flow
from nearfar.training.stages import train_plan
from nearfar.writing import write_text

DATA = Path(os.environ.get("NEARFAR_DATA", "../shared/data"))
#: Domains that `tune` leaves out of the training and reports on. Hyper-parameters were chosen on these alone.
VALIDATION = {"sgd": ("Homes", "Movies", "Weather"), "multidogo": ("software",)}
#: Domains that no training sees. Those of SGD are the ones that its training split does not contain.
TEST = {"sgd": ("Alarm", "Messaging", "Payment", "Trains"), "multidogo": ("airline", "insurance")}
MULTIDOGO = ("airline", "fastfood", "finance", "insurance", "software")
#: Maximum number of dialogues of a domain in an evaluation.
MOST_DIALOGUES = 150
#: The words of MultiDoGO's intents, which it writes without spaces; those of all domains are named as in SGD.
INTENTS = {
    "openinggreeting": "greeting",
    "closinggreeting": "good bye",
    "confirmation": "agreement",
    "rejection": "disagreement",
    "thankyou": "thank you",
    "contentonly": "inform",
    "orderdrinkintent": "order drink",
    "orderpizzaintent": "order pizza",
    "ordersaladintent": "order salad",
    "orderburgerintent": "order burger",
    "orderdessertintent": "order dessert",
    "ordersideintent": "order side dish",
    "orderbreakfastintent": "order breakfast",
    "reportlostcard": "report lost card",
    "updateaddress": "update address",
    "checkbalance": "check balance",
    "transfermoney": "transfer money",
    "disputecharge": "dispute charge",
    "replacecard": "replace card",
    "closeaccount": "close account",
    "getroutingnumber": "get routing number",
    "orderchecks": "order checks",
    "checkoffereligibility": "check offer eligibility",
    "reportbrokensoftware": "report broken software",
    "softwareupdate": "update software",
    "expensereport": "report expense",
    "startorder": "start order",
    "checkserverstatus": "check server status",
    "changeorder": "change order",
    "providereceipt": "provide receipt",
    "getpromotions": "get promotions",
    "stoporder": "stop order",
}


@dataclass(frozen=True)
class Settings:
    """What `tune` compares.

    Args:
        steps: Number of steps.
        batch: Pairs in a step.
        rate: Learning rate.
        each: Maximum number of utterances of a label.
        targets, tau, tau_labels: Options of the recipe.
        hidden: Width of the hidden layer; 0: one linear layer.
        head: Width of the recipe's training head; 0: none.
        numbers: Replace every number by 0.
        bare: Fraction of the texts without punctuation.
    """

    steps: int = 500
    batch: int = 256
    rate: float = 2e-3
    each: int = 300
    targets: Any = "soft"
    tau: float = 0.05
    tau_labels: float = 0.1
    hidden: int = 384
    head: int = 0
    numbers: bool = True
    bare: float = 0.3


CHOSEN = Settings()
#: Of MiniLM; as for the model `dialog2flow` of flow.json.
FINE_TUNING: dict[str, Any] = {
    "learning_rate": 5e-5,
    "max_steps": 150,
    "save_steps": 150,
    "max_length": 32,
    "clean": False,
}
DIMENSIONS = 256
WEIGHTS = "model.safetensors"
ALTERNATIVES = [
    {},
    {"steps": 200},
    {"steps": 200, "head": 128},
]


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The dialogues of a file, without turns that have no text."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for dialogue in map(json.loads, lines):
            yield dialogue | {"turns": [turn for turn in dialogue["turns"] if turn["text"].strip()]}


def named(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn of MultiDoGO with its intents in words."""
    return turn | {"acts": [INTENTS.get(act, act) for act in turn["acts"]]}


def training_dialogues(without: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """The turns of each dialogue of the training splits, without dialogues about one of these domains."""
    out = set(without)
    for dialogue in read(DATA / "sgd" / "sgd-train.jsonl.gz"):
        if not out & set(dialogue["domain"]):
            yield dialogue["turns"]
    for domain in MULTIDOGO:
        if domain not in out:
            for dialogue in read(DATA / "multidogo" / f"{domain}-train.jsonl.gz"):
                yield [named(turn) for turn in dialogue["turns"] if "outofdomain" not in turn["acts"]]


def training_turns(without: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Texts and labels of the training splits, without dialogues about one of these domains."""
    for turns in training_dialogues(without):
        yield from ((turn["text"], label(turn)) for turn in turns)


def action_of(turn: dict[str, Any]) -> ActionLabel:
    """Who does what, by the annotation of a turn; the number of results is not a slot."""
    acts = act_names(turn["acts"]) or [act.lower().replace("_", " ") for act in turn["acts"]]
    slots = set(slot_names(turn["slots"])) - {"count"}
    side = "user" if turn["speaker"] == "USER" else "agent"
    return ActionLabel(side, tuple(sorted(set(acts))), tuple(sorted(slots)))


def vocabulary(model: Any, without: Iterable[str], least: int = 30, most: int = 50) -> ActionLabels:
    """The labels with at least `least` utterances and at most three slots, with the mean of up to `most` of them."""
    by_label: dict[ActionLabel, set[str]] = {}
    for turns in training_dialogues(without):
        for turn in turns:
            by_label.setdefault(action_of(turn), set()).add(turn["text"])
    draw = random.Random(0)
    chosen = {
        name: draw.sample(sorted(texts), min(len(texts), most))
        for name, texts in sorted(by_label.items(), key=str)
        if len(texts) >= least and name.acts and len(name.slots) <= 3
    }
    texts = sorted({text for of in chosen.values() for text in of})
    encoded, which = Slots.of(texts).to_encode()
    vectors = vectors_of(model, encoded)[which].astype(np.float32)
    row = {text: index for index, text in enumerate(texts)}
    means = np.stack([vectors[[row[text] for text in of]].mean(0) for of in chosen.values()])
    return ActionLabels(list(chosen), means / np.linalg.norm(means, axis=1, keepdims=True))


@cache
def training_rows(without: tuple[str, ...], each: int, bare: float, seed: int = 0) -> tuple[list[str], list[str]]:
    """Different utterances with labels of at least ten, at most `each` of a label."""
    by_label: dict[str, list[str]] = {}
    for text, name in sorted({pair for pair in training_turns(without) if pair[1]}):
        by_label.setdefault(name, []).append(text)
    draw = random.Random(seed)
    texts, labels = [], []
    for name, found in by_label.items():
        if len(found) >= 10:
            chosen = found if len(found) <= each else draw.sample(found, each)
            texts += [without_punctuation(text) if draw.random() < bare else text for text in chosen]
            labels += [name] * len(chosen)
    return texts, labels


def without_punctuation(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower())) or text


def held_out(domains: dict[str, tuple[str, ...]], split: str) -> dict[str, Domain]:
    """The dialogues of each domain that are about no other domain; MultiDoGO has the customer's turns only."""
    found: dict[str, list[dict[str, Any]]] = {}
    for dialogue in read(DATA / "sgd" / f"sgd-{split}.jsonl.gz"):
        if len(dialogue["domain"]) == 1 and dialogue["domain"][0] in domains["sgd"]:
            found.setdefault(dialogue["domain"][0], []).append(dialogue)
    for domain in domains["multidogo"]:
        found[domain] = [d for d in read(DATA / "multidogo" / f"{domain}-{split}.jsonl.gz") if d["turns"]]
    return {name: Domain(dialogues[:MOST_DIALOGUES]) for name, dialogues in sorted(found.items())}


@cache
def word_pieces() -> tuple[list[str], Any, Tensor]:
    """The word pieces of MiniLM, its tokenizer, and their embeddings."""
    model: Any = load("minilm", device="cpu")
    tokenizer = model.tokenizer
    place = tokenizer.get_vocab()
    kept = [name for name in sorted(place, key=place.__getitem__) if not name.startswith("[unused")]
    rows = [place[name] for name in kept]
    return kept, tokenizer.backend_tokenizer, model[0].auto_model.get_input_embeddings().weight.detach()[rows].clone()


def tokenizer_of(settings: Settings) -> Tokenizer:
    names, whole, _ = word_pieces()
    trimmed = Tokenizer(models.WordPiece({name: row for row, name in enumerate(names)}, unk_token="[UNK]"))
    steps = [normalizers.Replace(Regex(r"[0-9]+"), "0")] if settings.numbers else []
    trimmed.normalizer = normalizers.Sequence([*steps, whole.normalizer])
    trimmed.pre_tokenizer = whole.pre_tokenizer
    return trimmed


class Pieces(StaticEmbedding):
    """The mean of word pieces whose vectors are a function of MiniLM's, plus corrections."""

    def __init__(self, tokenizer: Tokenizer, features: Tensor, texts: Sequence[str]) -> None:
        seen = sorted(
            {piece for of in tokenizer.encode_batch(list(texts), add_special_tokens=False) for piece in of.ids}
        )
        super().__init__(tokenizer, embedding_weights=torch.zeros(len(seen) + 1, DIMENSIONS))
        row = torch.full((len(features),), len(seen))
        row[seen] = torch.arange(len(seen))
        self.register_buffer("row", row, persistent=False)  # of the correction; the last one stays zero
        self.register_buffer("features", features - features.mean(0), persistent=False)
        self.function = nn.Linear(features.shape[1], DIMENSIONS, bias=False)
        with torch.no_grad():  # principal components
            self.function.weight.copy_(torch.linalg.svd(self.features, full_matrices=False).Vh[:DIMENSIONS] * 3)

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        pieces, place = features["input_ids"].unique(return_inverse=True)
        rows = self.function(self.features[pieces]) + self.embedding.weight[self.row[pieces]]
        features["sentence_embedding"] = nn.functional.embedding_bag(place, rows, features["offsets"], mode="mean")
        return features

    def table(self) -> Tensor:
        with torch.no_grad():
            return self.function(self.features) + self.embedding.weight[self.row]


def untrained(settings: Settings, texts: Sequence[str]) -> SentenceTransformer:
    pieces = Pieces(tokenizer_of(settings), word_pieces()[2], texts)
    identity = nn.Identity()
    if not settings.hidden:
        return SentenceTransformer(
            modules=[pieces, Dense(DIMENSIONS, DIMENSIONS, activation_function=identity)], device="cpu"
        )
    first = Dense(DIMENSIONS, settings.hidden, activation_function=nn.GELU())
    second = Dense(settings.hidden, DIMENSIONS, activation_function=identity)
    return SentenceTransformer(modules=[pieces, first, second], device="cpu")


def trained(settings: Settings, without: tuple[str, ...], seed: int = 0) -> SentenceTransformer:
    texts, labels = training_rows(without, settings.each, settings.bare)
    print(f"{len(texts):,} utterances, {len(set(labels)):,} labels", file=sys.stderr, flush=True)
    options = dialog2flow.Options(
        targets=settings.targets,
        temperature=settings.tau,
        label_temperature=settings.tau_labels,
        head=settings.head,
        head_learning_rate=1.0,
        learning_rate=settings.rate,
        warmup_ratio=0.1,
        batch_size=settings.batch,
        max_steps=settings.steps,
        save_steps=settings.steps,
        max_length=0,
        clean=False,
    )
    torch.manual_seed(seed)
    model = untrained(settings, texts)
    (stage,) = dialog2flow.prepare(model, Dataset.from_dict({"text": texts, "label": labels}), options)
    with tempfile.TemporaryDirectory() as checkpoints:
        train_plan(Plan(model, stage), options, checkpoints, seed)
    return model.eval()


def fine_tuned(without: tuple[str, ...], seed: int = 0) -> SentenceTransformer:
    """MiniLM, trained by the recipe on the utterances that `actions` is trained on."""
    texts, labels = training_rows(without, CHOSEN.each, CHOSEN.bare)
    options = dialog2flow.Options(**FINE_TUNING)
    torch.manual_seed(seed)
    model = load("minilm", device="cpu", max_length=64)
    (stage,) = dialog2flow.prepare(model, Dataset.from_dict({"text": texts, "label": labels}), options)
    with tempfile.TemporaryDirectory() as checkpoints:
        train_plan(Plan(model, stage), options, checkpoints, seed)
    return model.eval()


def figures(domains: dict[str, Domain], encode: Any, kinds: Sequence[str] = ("automatic",)) -> dict[str, Any]:
    """By domain and kind of number of actions: cluster agreement, size and edges against the annotation."""
    found: dict[str, Any] = {}
    for name, of in domains.items():
        vectors = encode(of.log.texts)
        for kind in kinds:
            number = "auto" if kind == "automatic" else of.numbers
            turn = find_actions(of.log, vectors, number).turn.astype(np.int64)
            found.setdefault(name, {})[kind] = of.figures(turn)
    return found


def mean(found: dict[str, Any], kind: str = "automatic") -> dict[str, float]:
    return {key: float(np.mean([of[kind][key] for of in found.values()])) for key in METRICS}


def shown(name: str, of: dict[str, float]) -> str:
    keys = ("actions", "edges", "nmi", "ari", "actions_error", "edges_error", "majority_f1", "one_to_one_f1")
    score = np.mean([of[key] for key in ("nmi", "ari", "one_to_one_f1")])
    return f"{name:44} score {score:.4f}  " + "  ".join(f"{key} {of[key]:.3f}" for key in keys)


def export(model: SentenceTransformer, folder: Path) -> None:
    """Write the model: word pieces as int8 with a scale each, layers in half precision."""
    pieces: Any = model[0]
    table = pieces.table()
    scale = table.abs().amax(1) / 127
    small = (table / scale.clamp(min=1e-12)[:, None]).round().to(torch.int8)
    static = StaticEmbedding(pieces.tokenizer, embedding_weights=small.float() * scale[:, None])
    whole = SentenceTransformer(modules=[static, *list(model)[1:]], device="cpu")
    whole.save(str(folder), create_model_card=False)
    # The form of Model2Vec, which sentence-transformers reads too.
    save_file({"embeddings": small, "weights": scale}, folder / WEIGHTS)
    for file in sorted(folder.glob("*_Dense/model.safetensors")):
        save_file({name: value.half().contiguous() for name, value in load_file(file).items()}, file)
    print(f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()):,} bytes in {folder}")
    for file in sorted(folder.rglob("*.safetensors")):
        print(sha256(file), file.relative_to(folder))


def speed(encoders: dict[str, Any], repeats: int = 3) -> dict[str, Any]:
    """The shortest time per text of several runs on turns of SGD's test split; the encoders take turns."""
    turns = (turn["text"] for dialogue in read(DATA / "sgd" / "sgd-test.jsonl.gz") for turn in dialogue["turns"])
    texts = random.Random(0).sample(sorted(set(turns)), 512)
    times: dict[str, float] = dict.fromkeys(encoders, float("inf"))
    for model in encoders.values():
        vectors_of(model, texts[:64])
    for _ in range(repeats):
        for name, model in encoders.items():
            start = time.perf_counter()
            vectors_of(model, texts)
            times[name] = min(times[name], time.perf_counter() - start)
    per_text = {f"{name}, microseconds per text": round(1e6 * t / len(texts), 1) for name, t in times.items()}
    return {"texts": len(texts), **per_text, "ratio": round(times["minilm"] / times["actions"], 1)}


def measure(model: str, out: Path) -> None:
    """Figures of this encoder, MiniLM, and MiniLM after `dialog2flow` on `TEST`; time per text of the first two."""
    names = {"actions": model, "minilm": "minilm"}
    encoders = {name: load(place, device="cpu", max_length=64) for name, place in names.items()}
    domains = held_out(TEST, "test")
    result: dict[str, Any] = {
        "what": "workflows of the encoder of actions against annotated ones, on domains that its training and the "
        "choice of its settings never saw",
        "metrics": "as in flow.json, with Ward's linkage; domains of MultiDoGO have the customer's turns only",
        "settings": asdict(CHOSEN),
        "dialog2flow": {"what": "MiniLM, trained by dialog2flow on the utterances of actions", **FINE_TUNING},
        "reference": {
            name: {"dialogues": len(of.log), "turns": of.log.turns, "actions": len(of.names)}
            | {"nodes": len(of.reference.nodes), "edges": len(of.reference.counts)}
            for name, of in domains.items()
        },
        "speed": speed(encoders),
        "models": {},
        "command": "python benchmarks/action_encoder.py measure",
        "threads": torch.get_num_threads(),
    }
    encoders["dialog2flow"] = fine_tuned(tuple(name for names in TEST.values() for name in names))
    for name, encoder in encoders.items():
        found = figures(domains, partial(vectors_of, encoder), ("automatic", "true"))
        means = {kind: mean(found, kind) for kind in ("automatic", "true")}
        for kind, of in means.items():
            print(shown(f"{name}, {kind} number", of), flush=True)
        result["models"][name] = rounded({"mean": means, "domains": found})
    print(result["speed"])
    write_text(json.dumps(result, indent=1) + "\n", out)


def rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    return round(found, 4)


def tune() -> None:
    """Figures of the alternatives on the domains of `VALIDATION`."""
    domains = held_out(VALIDATION, "dev")
    left_out = tuple(name for part in (VALIDATION, TEST) for names in part.values() for name in names)
    for changed in ALTERNATIVES:
        model = trained(replace(CHOSEN, **changed), left_out)
        found = figures(domains, partial(vectors_of, model), ("automatic", "true"))
        for kind in ("automatic", "true"):
            print(shown(f"{changed or 'chosen'}, {kind} number", mean(found, kind)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("tune", "train", "labels", "measure"))
    parser.add_argument("--model", default="actions", help="encoder to measure")
    parser.add_argument("--out", type=Path, help="folder of the model, or file of the figures")
    args = parser.parse_args()
    if args.what == "tune":
        tune()
    elif args.what in ("train", "labels"):
        out = args.out or Path(__file__).parents[1] / "src" / "nearfar" / "models" / "actions"
        without = tuple(name for names in TEST.values() for name in names)
        if args.what == "train":
            export(trained(CHOSEN, without), out)
        vocabulary(load(out, device="cpu", max_length=64), without).save(out)
    else:
        measure(args.model, args.out or Path(__file__).parent / "results" / "action_encoder.json")


if __name__ == "__main__":
    main()
