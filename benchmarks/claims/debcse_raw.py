"""DebCSE-style sampling: are pairs sampled by inverse propensity better than only dropout, of a raw encoder?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/debcse_raw.py [--seeds 5]
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import _raw
from _claim import RESULTS, Also, Claim, kept, run
from _data import sts
from _raw import BACKBONES, MAX_LENGTH, RATES, STEPS, TUNED_ON, Backbone, budget, known_as, named
from datasets import Dataset
from debcse import correlation_given, sentences, shared_words
from filelock import FileLock
from sentence_transformers import SentenceTransformer
from transformers import set_seed

import nearfar
from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.kinds.options import from_options
from nearfar.losses import ContrastLoss
from nearfar.mining import Candidates, InversePropensity, debiased_pairs, mine_with
from nearfar.models.dropout import set_dropout
from nearfar.recipes import Plan, Stage, debcse
from nearfar.writing import replace_folder

TEACHER_SEED = 1_000
#: From this cosine of the teacher, a sentence cannot be a negative; the best one at the middle rate is used.
LIMITS = (0.75, 0.9)

OURS, BASELINE, ONLY_MEANING = "inverse propensity", "SimCSE (only dropout)", "only meaning (b = b' = 0)"
UNTRAINED, METRIC = "untrained", "Spearman's correlation"
SAMPLED: dict[str, dict[str, float]] = {OURS: {}, ONLY_MEANING: {"b": 0.0, "b_negative": 0.0}}
TRAINED = (OURS, BASELINE, ONLY_MEANING)


def teacher(backbone: Backbone) -> SentenceTransformer:
    """The backbone trained by SimCSE with a seed of its own; one process trains it for all arms."""
    folder = RESULTS / ".debcse_raw" / f"teacher-{known_as(backbone)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    rows, rate = Dataset.from_dict({"text": sentences()}), rate_of(backbone, BASELINE)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            model, _ = _raw.simcse_on(rows, backbone, TEACHER_SEED, rate)
            replace_folder(folder, lambda part: model.save_pretrained(str(part), create_model_card=False))
    return nearfar.load(folder, max_length=MAX_LENGTH)


@cache
def candidates(backbone: Backbone) -> tuple[Candidates, Candidates]:
    """Candidates, mined once, so that all arms sample from the same lists."""
    how = from_options(InversePropensity, debcse.Options())
    return mine_with(teacher(backbone), sentences(), how, max_length=MAX_LENGTH, seed=TEACHER_SEED)


def drawn(
    seed: int, backbone: Backbone, rate: float, limit: float, **sampler: float
) -> tuple[SentenceTransformer, dict[str, float]]:
    """A model trained on sampled pairs, with the words that these share."""
    settings = debcse.Options(
        **budget(backbone),
        learning_rate=rate,
        max_length=MAX_LENGTH,
        t_fn=limit,
        **sampler,  # type: ignore[arg-type]
    )
    pairs = debiased_pairs(sentences(), candidates(backbone), from_options(InversePropensity, settings), seed=seed)
    set_seed(seed)
    model = _raw.encoder(backbone)
    set_dropout(model, settings.dropout)
    plan = Plan(model, Stage(pairs, ContrastLoss(model, temperature=settings.temperature)))
    found = _raw.fitted(plan, settings, seed)
    shared = {f"shared, {side}": float(shared_words(pairs, "anchor", side).mean()) for side in ("positive", "negative")}
    return model, found | shared


def computed(seed: int, backbone: Backbone, arm: str, rate: float, limit: float) -> dict[str, float]:
    if arm == BASELINE:
        model, found = _raw.simcse_on(Dataset.from_dict({"text": sentences()}), backbone, seed, rate)
    else:
        model, found = drawn(seed, backbone, rate, limit, **SAMPLED[arm])
    return found | measured(model)


def measured(model: SentenceTransformer) -> dict[str, float]:
    """The score on STS-B test, and how much the similarities depend on shared words."""
    found = evaluate(model, sts("test"))
    similarity, score = found.per_item["similarity"], found.per_item["score"]
    return {
        "test": found.metrics["spearman"],
        "reliance": correlation_given(similarity, shared_words(sts("test")), score),
    }


def validated(backbone: Backbone, arm: str, rate: float, limit: float) -> float:
    """The score on the development split; -1 if all other sentences are too near to be negatives."""

    def compute() -> dict[str, float]:
        try:
            return computed(TUNED_ON, backbone, arm, rate, limit)
        except InputError as problem:
            print(f"{name}: {problem}", flush=True)
            return {"validation": -1.0}

    name = f"{known_as(backbone)}, {arm}, rate {rate:g}, limit {limit:g}"
    return kept("debcse_raw", name, compute)["validation"]


def limit_of(backbone: Backbone, arm: str) -> float:
    if arm == BASELINE:
        return LIMITS[0]
    return max(LIMITS, key=lambda limit: validated(backbone, OURS, RATES[1], limit))


def rate_of(backbone: Backbone, arm: str) -> float:
    """That of `OURS` is also that of the arm that samples by meaning."""
    limit, tuned = limit_of(backbone, arm), BASELINE if arm == BASELINE else OURS
    return max(RATES, key=lambda rate: validated(backbone, tuned, rate, limit))


def figure(seed: int, backbone: Backbone, arm: str, name: str) -> float:
    if arm == UNTRAINED:
        return kept("debcse_raw", f"{known_as(backbone)}, {arm}", lambda: measured(_raw.encoder(backbone)))[name]
    rate, limit = rate_of(backbone, arm), limit_of(backbone, arm)
    compute = partial(computed, seed, backbone, arm, rate, limit)
    return kept("debcse_raw", f"{known_as(backbone)}, {arm}, seed {seed}", compute)[name]


def arms(backbone: Backbone, name: str, *names: str) -> dict[str, Any]:
    return {arm: partial(figure, backbone=backbone, arm=arm, name=name) for arm in names or (*TRAINED, UNTRAINED)}


def also(metric: str, backbone: Backbone, name: str, *names: str) -> Also:
    return Also(named(metric, backbone), OURS, BASELINE, arms(backbone, name, *names))


def debiased(metric: str, backbone: Backbone) -> Also:
    """What inverse propensity adds to the same sampler."""
    return Also(named(metric, backbone), OURS, ONLY_MEANING, arms(backbone, "test", OURS, ONLY_MEANING))


if __name__ == "__main__":
    reliance = "reliance on shared words"
    run(
        Claim(
            recipe="debcse",
            name="debcse_raw",
            claim="Pairs sampled by inverse propensity give better sentence embeddings than only dropout.",
            data="SNLI's development and test sentences without labels for training, without those of STS-B; STS-B "
            "test for evaluation",
            backbone=f"{_raw.described()}; the teacher is the same model "
            "trained by SimCSE on the same sentences, with another seed",
            budget=f"{STEPS} steps of 64 anchors, tau 0.05, {MAX_LENGTH} tokens; arms with sampled pairs also encode "
            "one hard negative per anchor. The checkpoint, the limit of the teacher's cosine for negatives of "
            f"{LIMITS}, and, for the baseline and for sampled pairs, the learning rate of {RATES} are the best on "
            "STS-B's development split",
            metric=METRIC,
            ours=OURS,
            baseline=BASELINE,
            arms=arms(BACKBONES[0], "test"),
            also=(
                *(also(METRIC, each, "test") for each in BACKBONES[1:]),
                *(debiased(f"{METRIC}, against meaning alone", each) for each in BACKBONES),
                *(also(reliance, each, "reliance") for each in BACKBONES),
                *(also("step of the best checkpoint", each, "step", *TRAINED) for each in BACKBONES),
            ),
            caveat="The teacher knows nothing that the baseline does not learn; a better teacher would improve the "
            "arms with sampled pairs without any debiasing. All seeds share the teacher. The effect of inverse "
            "propensity itself is the difference to the arm that samples only by meaning, from the same lists. "
            f"{reliance.capitalize()} is Spearman's correlation of similarity and word overlap, given the score.",
        )
    )
