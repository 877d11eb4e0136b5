"""Dialog2Flow: are soft targets better than hard ones for actions, when two datasets have different words for them?

    NEARFAR_DATA=FOLDER python benchmarks/claims/dialog2flow.py [--seeds 5]

The validation scores of all runs during training are kept: they show when an arm stops improving.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import transformers
from _claim import Also, Claim, kept, run
from datasets import Dataset
from sklearn.feature_extraction.text import TfidfVectorizer

sys.path.append(str(Path(__file__).parents[1]))  # behind this folder

from action_encoder import DATA, INTENTS, TEST, VALIDATION, held_out, read
from flow import label
from nearfar.data.actions import clean_text
from nearfar.dialogue.clustering import find_actions
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.few_shot import few_shot
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.recipes import dialog2flow
from nearfar.training.folder import RunFolder
from nearfar.training.stages import prepared, train_stages

Words = Literal["own", "common"]
Targets = Literal["soft", "hard"]
Encoder = Callable[[Sequence[str]], np.ndarray]

LAYERS, STEPS, BATCH = 2, 300, 64
#: Longer texts are not trained on, which would take most of the time.
MOST_WORDS = 12
#: Turns that are sampled for each seed.
SGD, MULTIDOGO = 16_000, 8_000
TRAINED_ON = ("fastfood", "finance")
MIN_COUNT, EACH, DRAWS = 100, 15, 10
LEARNING_RATES, TAU, TAU_LABELS = (1e-4, 3e-4, 1e-3), (0.05, 0.1), (0.1, 0.2, 0.35)
HEAD_RATE = 10.0
#: A seed that is not reported.
TUNED_ON = 1_000
#: Steps between validation scores, and after how many of them they are reported.
SCORED_EVERY, REPORTED = 50, (STEPS // 2, STEPS * 5 // 6, STEPS)

SOFT, HARD = "soft, own words", "hard, own words"
SOFT_COMMON, HARD_COMMON = "soft, common words", "hard, common words"
SHUFFLED, BASE, WHOLE, TFIDF = "hard, labels shuffled", "base model", "all-MiniLM-L6-v2, all layers", "tf-idf"
SOFT_LONG, HARD_LONG = "soft, own words, twice the steps", "hard, own words, twice the steps"
TRAINED: dict[str, tuple[Targets, Words, int]] = {
    SOFT: ("soft", "own", STEPS),
    HARD: ("hard", "own", STEPS),
    SOFT_COMMON: ("soft", "common", STEPS),
    HARD_COMMON: ("hard", "common", STEPS),
    SHUFFLED: ("hard", "own", STEPS),
    SOFT_LONG: ("soft", "own", 2 * STEPS),
    HARD_LONG: ("hard", "own", 2 * STEPS),
}
ALL = (SOFT, HARD, SOFT_COMMON, HARD_COMMON, SHUFFLED, BASE, WHOLE, TFIDF)
LONG = (SOFT_LONG, HARD_LONG, SOFT, HARD)
COMMON = (SOFT_COMMON, HARD_COMMON)
METRICS = {
    "f1, 5": "macro F1, five examples per label",
    "nmi": "NMI of automatic actions",
    "ari": "ARI of automatic actions",
    "actions_error": "relative error of the number of actions, lower is better",
    "edges_error": "relative error of the number of edges, lower is better",
    "one_to_one_f1": "F1 of edges, actions matched one to one",
}

#: How MultiDoGO's own names are spelled in words; those of `INTENTS` that are not here are its own words too.
SPELLED = {
    "openinggreeting": "opening greeting",
    "closinggreeting": "closing greeting",
    "confirmation": "confirmation",
    "rejection": "rejection",
    "contentonly": "content only",
    "phonenumber": "phone number",
    "transferamount": "transfer amount",
    "lastuseddate": "last used date",
    "lastusedtime": "last used time",
}


class Row(NamedTuple):
    """A turn for training, with its action in the words of its dataset and in those of both."""

    text: str
    own: str
    common: str


def own_label(turn: dict[str, Any]) -> str:
    """Acts and slots of a turn as its dataset names them."""
    names = INTENTS | SPELLED
    acts, slots = (
        [names.get(name, name.lower().replace("_", " ")) for name in dict.fromkeys(turn[key])]
        for key in ("acts", "slots")
    )
    return " ".join(filter(None, (", ".join(acts), ", ".join(sorted(slots)))))


def common_label(turn: dict[str, Any]) -> str:
    """Acts and slots of a turn in one vocabulary: synonyms of acts are one."""
    slots = [SPELLED.get(slot, slot) for slot in turn["slots"]]
    return label({"acts": [INTENTS.get(act, act) for act in turn["acts"]], "slots": slots})


@cache
def training_rows() -> tuple[list[Row], list[Row]]:
    """Turns of SGD and of MultiDoGO with frequent actions, without the domains of `VALIDATION` and `TEST`."""
    out = {*VALIDATION["sgd"], *TEST["sgd"]}
    found: list[list[Row]] = []
    for files in (["sgd/sgd-train"], [f"multidogo/{domain}-train" for domain in TRAINED_ON]):
        dialogues = [dialogue for file in files for dialogue in read(DATA / f"{file}.jsonl.gz")]
        turns = [turn for each in dialogues if not out & {*each["domain"]} for turn in each["turns"]]
        rows = [
            Row(clean_text(turn["text"]), own_label(turn), common_label(turn))
            for turn in turns
            if "outofdomain" not in turn["acts"]
        ]
        rows = [row for row in rows if 1 < len(row.text.split()) <= MOST_WORDS and row.own and row.common]
        counts = Counter(row.own for row in rows)
        found.append([row for row in rows if counts[row.own] > MIN_COUNT])
    return found[0], found[1]


@cache
def questions(split: Literal["dev", "test"]) -> tuple[list[str], list[str]]:
    """15 different utterances of each action in all held-out domains together, none of them in training."""
    seen = {row.text for rows in training_rows() for row in rows}
    files = {"dev": VALIDATION, "test": TEST}[split]
    found: dict[str, set[str]] = {}
    for dialogue in read(DATA / f"sgd/sgd-{split}.jsonl.gz"):
        if len(dialogue["domain"]) == 1 and dialogue["domain"][0] in files["sgd"]:
            add_questions(found, dialogue, seen)
    for domain in files["multidogo"]:
        for dialogue in read(DATA / f"multidogo/{domain}-{split}.jsonl.gz"):
            add_questions(found, dialogue, seen)
    generator = np.random.default_rng(0)
    chosen = {
        name: generator.choice(sorted(texts), EACH, replace=False).tolist()
        for name, texts in sorted(found.items())
        if len(texts) >= EACH
    }
    return [text for texts in chosen.values() for text in texts], [name for name in chosen for _ in range(EACH)]


def add_questions(found: dict[str, set[str]], dialogue: dict[str, Any], seen: set[str]) -> None:
    for turn in dialogue["turns"]:
        text = clean_text(turn["text"])
        if text not in seen and len(text.split()) > 1 and "outofdomain" not in turn["acts"]:
            found.setdefault(common_label(turn), set()).add(text)


def few_shot_figures(encoder: Encoder, seed: int, split: Literal["dev", "test"]) -> dict[str, float]:
    """Macro F1 with one and with five examples of each action."""
    texts, labels = questions(split)
    vectors = encoder(texts)
    return {f"f1, {shots}": few_shot(vectors, labels, shots, DRAWS, seed).f1 for shots in (1, 5)}


def workflow_figures(encoder: Encoder) -> dict[str, float]:
    """Means over the held-out domains of the metrics of `benchmarks/flow.py`, with the automatic number of actions."""
    found = []
    for of in held_out(TEST, "test").values():
        vectors = encoder([clean_text(text) or text for text in of.log.texts])
        found.append(of.figures(find_actions(of.log, vectors, "auto").turn.astype(np.int64)))
    return {name: float(np.mean([figures[name] for figures in found])) for name in found[0]}


def rows_of(seed: int, words: Words, shuffled: bool) -> Dataset:
    generator, texts, labels = np.random.default_rng(seed), [], []
    for rows, count in zip(training_rows(), (SGD, MULTIDOGO), strict=True):
        chosen = [rows[row] for row in generator.permutation(len(rows))[:count]]
        texts += [row.text for row in chosen]
        labels += [getattr(row, words) for row in chosen]
    if shuffled:
        labels = generator.permutation(labels).tolist()
    return Dataset.from_dict({"text": texts, "label": labels})


def base_model() -> Any:
    """The first layers of MiniLM; the embeddings of word pieces stay as they are."""
    model: Any = load("minilm", layers=LAYERS)
    model[0].auto_model.embeddings.requires_grad_(False)
    return model


def trained(
    seed: int,
    words: Words,
    targets: Targets,
    rate: float,
    tau: float,
    tau_labels: float,
    shuffled: bool = False,
    steps: int = STEPS,
) -> tuple[Any, dict[str, float]]:
    """An encoder, and its macro F1 with one example of each action on the validation domains during training."""
    options = dialog2flow.Options(
        targets=targets,
        temperature=tau,
        label_temperature=tau_labels,
        head_learning_rate=HEAD_RATE,
        learning_rate=rate,
        warmup_ratio=0.1,
        batch_size=BATCH,
        max_steps=steps,
        save_steps=steps,
        eval_steps=SCORED_EVERY,
        max_length=2 * MOST_WORDS,
        precision="bfloat16",
        clean=False,  # done already
    )
    transformers.set_seed(seed)
    model, curve = base_model(), {}

    def measure() -> Result:
        score = few_shot_figures(partial(encode, model), TUNED_ON, "dev")["f1, 1"]
        name = validation(SCORED_EVERY * (len(curve) + 1), steps)
        print(f"{targets}, {words} words, rate {rate}, seed {seed}: {name} {score:.4f}", flush=True)
        curve[name] = score
        return Result("few-shot", "f1", {"f1": score}, n=len(questions("dev")[0]))

    with tempfile.TemporaryDirectory() as folder:
        plan = prepared(dialog2flow.prepare(model, rows_of(seed, words, shuffled), options), options)
        train_stages(plan, RunFolder(Path(folder)), seed, measure=measure)
    return model, curve


def validation(step: int, steps: int = STEPS) -> str:
    return f"validation, {step} of {steps}"


def chosen(words: Words, targets: Targets) -> dict[str, float]:
    """The learning rate of an arm with the best validation score, then its temperature: that of its targets if soft."""

    def score(settings: dict[str, float]) -> float:
        def compute() -> dict[str, float]:
            return trained(TUNED_ON, words, targets, **settings)[1]

        named = ", ".join(f"{name} {value}" for name, value in settings.items())
        return kept("dialog2flow", f"{targets}, {words} words, {named}", compute)[validation(STEPS)]

    first = {"tau": TAU[0], "tau_labels": TAU_LABELS[0]}
    best = max(({"rate": rate, **first} for rate in LEARNING_RATES), key=score)
    name, values = ("tau_labels", TAU_LABELS) if targets == "soft" else ("tau", TAU)
    return max((best | {name: value} for value in values), key=score)


@cache
def tfidf() -> Encoder:
    fitted = TfidfVectorizer(token_pattern=r"\S+", max_features=4_000, sublinear_tf=True, dtype=np.float32)
    fitted.fit([row.text for rows in training_rows() for row in rows])
    return lambda texts: fitted.transform(texts).toarray()


def computed(seed: int, arm: str) -> dict[str, float]:
    if arm in TRAINED:
        targets, words, steps = TRAINED[arm]
        settings: dict[str, Any] = chosen(words, targets)
        model, curve = trained(seed, words, targets, **settings, shuffled=arm == SHUFFLED, steps=steps)
        encoder = partial(encode, model)
        return few_shot_figures(encoder, seed, "test") | workflow_figures(encoder) | curve
    encoder = tfidf() if arm == TFIDF else partial(encode, base_model() if arm == BASE else load("minilm"))
    workflows = kept("dialog2flow", f"{arm}, workflows", partial(workflow_figures, encoder))
    return few_shot_figures(encoder, seed, "test") | workflows


def figure(seed: int, arm: str, metric: str) -> float:
    """One metric of an arm; all of them are computed by the same run, once."""
    return kept("dialog2flow", f"{arm}, seed {seed}", partial(computed, seed, arm))[metric]


def arms(metric: str, *names: str) -> dict[str, Any]:
    return {name: partial(figure, arm=name, metric=metric) for name in names}


if __name__ == "__main__":
    run(
        Claim(
            recipe="dialog2flow",
            claim="Soft targets by the similarity of the names of action labels give a better encoder of actions than "
            "hard targets, for which labels are only equal or different.",
            data=f"{SGD:,} turns of SGD and {MULTIDOGO:,} of two domains of MultiDoGO, drawn for each seed, with "
            f"labels of acts and slots that have more than {MIN_COUNT} utterances; own words: as each dataset names "
            "them (negate, rejection); common words: synonyms of acts are one label. Scored on domains that are not "
            "in training, Alarm, Payment and Trains of SGD, airline and insurance of MultiDoGO: "
            f"{EACH} unseen utterances of each label in common words, all domains together; and the workflow of each "
            "domain against the annotated one, mean over domains",
            backbone=f"the first {LAYERS} layers of all-MiniLM-L6-v2, bfloat16, without training its word embeddings",
            budget=f"{STEPS} steps of {BATCH} pairs of texts of at most {MOST_WORDS} words; learning rate from "
            f"{LEARNING_RATES}, then tau' of soft targets from {TAU_LABELS} and tau of hard ones from {TAU}, chosen on "
            "other held-out domains, separately for soft and hard and for both vocabularies",
            metric="macro F1, one example per label",
            ours=SOFT,
            baseline=HARD,
            arms=arms("f1, 1", *ALL),
            also=(
                Also("macro F1, one example per label, common words", SOFT_COMMON, HARD_COMMON, arms("f1, 1", *COMMON)),
                *(Also(words, SOFT, HARD, arms(metric, *ALL)) for metric, words in METRICS.items()),
                *(
                    Also(f"{words}, common words", SOFT_COMMON, HARD_COMMON, arms(metric, *COMMON))
                    for metric, words in METRICS.items()
                ),
                *(
                    Also(
                        f"macro F1 of the validation domains, one example per label, after {step} of {STEPS} steps",
                        *(SOFT, HARD),
                        arms(validation(step), SOFT, HARD, SOFT_COMMON, HARD_COMMON),
                    )
                    for step in REPORTED
                ),
                Also("macro F1, one example per label, after more steps", *LONG[:2], arms("f1, 1", *LONG), seeds=2),
            ),
            caveat="The paper trains all of BERT for days on twenty datasets; here are two, of which one has "
            "annotations of users only, and 2 layers that were trained to compare sentences. Many utterances of the "
            "workflows, such as thanks, occur in training, for all arms alike. Learning rates were chosen with tau "
            f"{TAU[0]} and tau' {TAU_LABELS[0]}, most of them on an H200; the highest rate was the best for all arms. "
            "They end nearly where they stop improving: the last 50 steps add 0.005 on the validation domains, twice "
            "the steps 0.006 (soft) and 0.017 (hard) on the test domains, with two seeds. The shuffled labels have the "
            "settings of hard targets.",
        )
    )
