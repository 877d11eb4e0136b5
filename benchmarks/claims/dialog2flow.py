"""Dialog2Flow: are soft targets better than hard ones for actions, when two datasets have different words for them?

    NEARFAR_DATA=FOLDER python benchmarks/claims/dialog2flow.py [--seeds 5]

    NEARFAR_DATA=FOLDER python benchmarks/claims/dialog2flow.py steps

prints scores on the validation domains after more and more steps: with how many the arms stop improving.
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
#: Steps of the runs that show when the arms stop improving, and steps between their scores.
LONG, SHOWN = 400, 50

SOFT, HARD = "soft, own words", "hard, own words"
SOFT_COMMON, HARD_COMMON = "soft, common words", "hard, common words"
SHUFFLED, BASE, WHOLE, TFIDF = "hard, labels shuffled", "base model", "all-MiniLM-L6-v2, all layers", "tf-idf"
TRAINED: dict[str, tuple[Targets, Words]] = {
    SOFT: ("soft", "own"),
    HARD: ("hard", "own"),
    SOFT_COMMON: ("soft", "common"),
    HARD_COMMON: ("hard", "common"),
    SHUFFLED: ("hard", "own"),
}
ALL = (*TRAINED, BASE, WHOLE, TFIDF)
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
    tau_labels: float = 0.1,
    shuffled: bool = False,
    steps: int = STEPS,
    shown: int = 0,
) -> Any:
    """An encoder.

    Args:
        seed, words, targets, rate, tau, tau_labels, shuffled: As in the claim.
        steps: Number of steps.
        shown: Number of steps after which the validation score is printed, each time; 0: never.
    """
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
        eval_steps=shown,
        max_length=2 * MOST_WORDS,
        precision="bfloat16",
        clean=False,  # done already
    )
    transformers.set_seed(seed)
    model = base_model()
    with tempfile.TemporaryDirectory() as folder:
        plan = prepared(dialog2flow.prepare(model, rows_of(seed, words, shuffled), options), options)
        measure = partial(measured, model, seed, f"{targets}, {words} words") if shown else None
        train_stages(plan, RunFolder(Path(folder)), seed, measure=measure)
    return model


def measured(model: Any, seed: int, name: str) -> Result:
    """The validation score of a model in training, which is printed."""
    found = few_shot_figures(partial(encode, model), seed, "dev")
    print(name, found, flush=True)
    return Result("few-shot", "f1, 1", found, n=len(questions("dev")[0]))


def chosen(words: Words, targets: Targets) -> dict[str, float]:
    """The learning rate of an arm with the best validation score, then its temperature: that of its targets if soft."""

    def score(settings: dict[str, float]) -> float:
        def compute() -> dict[str, float]:
            model = trained(TUNED_ON, words, targets, **settings)
            return few_shot_figures(partial(encode, model), TUNED_ON, "dev")

        named = ", ".join(f"{name} {value}" for name, value in settings.items())
        return kept("dialog2flow", f"validation, {targets}, {words} words, {named}", compute)["f1, 1"]

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
        targets, words = TRAINED[arm]
        settings = chosen(words, targets)
        encoder = partial(encode, trained(seed, words, targets, **settings, shuffled=arm == SHUFFLED))
        return few_shot_figures(encoder, seed, "test") | workflow_figures(encoder)
    encoder = tfidf() if arm == TFIDF else partial(encode, base_model() if arm == BASE else load("minilm"))
    workflows = kept("dialog2flow", f"{arm}, workflows", partial(workflow_figures, encoder))
    return few_shot_figures(encoder, seed, "test") | workflows


def figure(seed: int, arm: str, metric: str) -> float:
    """One metric of an arm; all of them are computed by the same run, once."""
    return kept("dialog2flow", f"{arm}, seed {seed}", partial(computed, seed, arm))[metric]


def arms(metric: str, *names: str) -> dict[str, Any]:
    return {name: partial(figure, arm=name, metric=metric) for name in names}


def show_steps() -> None:
    """Print the validation scores of both kinds of targets in one long run each."""
    for targets in ("soft", "hard"):
        trained(TUNED_ON, "own", targets, LEARNING_RATES[1], TAU[0], TAU_LABELS[0], steps=LONG, shown=SHOWN)


if __name__ == "__main__":
    if sys.argv[1:] == ["steps"]:
        sys.exit(show_steps())
    run(
        Claim(
            recipe="dialog2flow",
            claim="Soft targets by the similarity of the names of action labels give a better encoder of actions than "
            "hard targets, for which labels are only equal or different.",
            data=f"{SGD:,} turns of SGD and {MULTIDOGO:,} of two domains of MultiDoGO, drawn for each seed, with "
            f"labels of acts and slots that have more than {MIN_COUNT} utterances; own words: as each dataset names "
            "them (negate, rejection); common words: synonyms of acts are one label. Scored on domains that are not "
            f"in training, four of SGD and two of MultiDoGO: {EACH} unseen utterances of each label, all domains "
            "together; and the workflow of each domain against the annotated one",
            backbone=f"the first {LAYERS} layers of all-MiniLM-L6-v2, bfloat16, without training its word embeddings",
            budget=f"{STEPS} steps of {BATCH} pairs of texts of at most {MOST_WORDS} words; learning rate from "
            f"{LEARNING_RATES}, then tau' of soft targets from {TAU_LABELS} and tau of hard ones from {TAU}, chosen on "
            "other held-out domains, separately for soft and hard and for both vocabularies. CURVE",
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
            ),
            caveat="The paper trains all of BERT for days on twenty datasets; here are two, of which one has "
            "annotations of users only, and 2 layers that were trained to compare sentences. Many utterances of the "
            "workflows, such as thanks, occur in training, for all arms alike. Learning rates were chosen with tau "
            f"{TAU[0]} and tau' {TAU_LABELS[0]}. The shuffled labels have the settings of hard targets.",
        )
    )
