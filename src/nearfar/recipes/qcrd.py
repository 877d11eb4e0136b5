"""QCRD: a small language model learns from right and wrong rationales of a large one, and from its own wrong ones.

Wang, Li, Xu, Cai, Song, Qi, Zhou, Huang, Wang, Xiao 2025, QCRD: Quality-guided Contrastive Rationale Distillation for
Large Language Models (EMNLP 2025; arXiv 2405.13014).

Claim: a student that learns answers and rationales side by side (Distilling Step-by-Step, DSS) gets better with several
rationales instead of one, with wrong rationales to avoid, and with weights by the quality of each.

    L = a1 l(f(x), y) + a2 L_QCL + a3 L_D,   l: mean cross-entropy per token
    L_QCL = mean_i [ s_i+ min_j l(f(x_i), r_ij+) - beta (1 - s_i-) max_j min(l(f(x_i), r_ij-) - delta, 0) ]

Rationales whose answer is that of most rationales of a question are positives, the others negatives. Each iteration,
the student of `lag` iterations before samples another negative. A discriminator D, first trained alone, gives the
qualities s. Near is the token of an answer or of the chosen rationale, all others are far; a negative has the opposite
sign. `beta=0, quality=false, own_negatives=false` are positives only; with `rationales=1, positive_by=all` it is DSS.

Differences from the paper: no code was published, and the method is known from a review of it. Uncertain, and each an
option: `neg_reduce` (the least likely negative counts), `iteration_steps` (an iteration is an epoch), `weight_map` and
`token_mean`. The discriminator begins as a copy of what reads in the student (theirs: T5-base's encoder). A sample that
equals a positive is no negative. `normalise_weights` is not in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import Count, Fraction, LanguageOptions, NonNegative, Positive, Whole, from_options
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.seq2seq import Seq2SeqLM

PREDICT, EXPLAIN = "predict: ", "explain: "


@dataclass(frozen=True)
class Options(LanguageOptions):
    """Hyper-parameters of QCRD.

    Args:
        answer_weight, rationale_weight, discriminator_weight: a1, a2, a3.
        discriminator_decay: a3 is multiplied by it after every iteration.
        beta, delta: Weight of negatives, and the loss above which one has no effect.
        neg_reduce, weight_map, normalise_weights, token_mean: See `nearfar.losses.rationales.Weighing`.
        rationales: Rationales of each question, chosen at random; 0: all.
        positive_by: Rationales are positive by the `majority` of their answers, by the `gold` answer, or `all` are.
        own_negatives: The student's own earlier rationales are negatives too.
        lag: Iterations between a student and the use of its rationales.
        sampling_temperature, max_rationale: Temperature and longest length in tokens of its rationales.
        iteration_steps: Batches in an iteration; 0: an epoch.
        quality: Weights by the discriminator; false: all weights are 1.
        discriminator_epochs: Passes that train it before the student; the paper: at most 500 steps.
        discriminator_every: Iterations from one of its updates to the next.
        corruption: Fraction of words changed in a good rationale, to make a bad one for the discriminator.
    """

    epochs: float = 20.0
    batch_size: int = 64
    learning_rate: float = 5e-5
    warmup_ratio: float = 0.0
    schedule: Literal["cosine", "linear"] = "linear"
    beta2: float = 0.999
    max_length: int = 256
    answer_weight: NonNegative = 0.5
    rationale_weight: NonNegative = 0.5
    discriminator_weight: NonNegative = 0.5
    discriminator_decay: Fraction = 0.9
    beta: NonNegative = 0.2
    delta: Positive = 3.0
    neg_reduce: Literal["max", "min", "mean"] = "max"
    weight_map: Literal["linear", "hard", "none"] = "linear"
    normalise_weights: bool = False
    token_mean: bool = True
    rationales: Whole = 0
    positive_by: Literal["majority", "gold", "all"] = "majority"
    own_negatives: bool = True
    lag: Count = 5
    sampling_temperature: Positive = 1.5
    max_rationale: Count = 64
    iteration_steps: Whole = 0
    quality: bool = True
    discriminator_epochs: NonNegative = 5.0
    discriminator_every: Count = 1
    corruption: Fraction = 0.3


def prepare(model: Seq2SeqLM, rows: Dataset, options: Options) -> Plan:
    """The discriminator alone first, if there is one; then the student."""
    import torch

    from nearfar.kinds._processes import batches_of_epoch
    from nearfar.losses.own_samples import OwnSamples
    from nearfar.losses.rationales import DiscriminatorLoss, RationaleLoss, Weighing
    from nearfar.mining.rationales import corrupted, sorted_rationales
    from nearfar.models.discriminator import Discriminator

    model.prefixes = {"predict": PREDICT, "explain": EXPLAIN}
    seed = int(torch.randint(2**31, ()))
    rows = sorted_rationales(rows, options.positive_by, at_most=options.rationales, seed=seed)
    own = None
    if options.own_negatives and options.beta:
        sources = [EXPLAIN + question for question in rows["question"]]
        drawn = {"temperature": options.sampling_temperature, "max_new_tokens": options.max_rationale}
        # Without gradients, more fit at once.
        own = OwnSamples(sources, lag=options.lag, seed=seed, batch_size=4 * options.batch_size, **drawn)
    discriminator = Discriminator.like(model) if options.quality else None
    loss = RationaleLoss(
        model,
        (PREDICT, EXPLAIN),
        from_options(Weighing, options),
        steps=options.iteration_steps or max(1, batches_of_epoch(len(rows), options.batch_size)),
        weights=(options.answer_weight, options.rationale_weight, options.discriminator_weight),
        decay=options.discriminator_decay,
        discriminator=discriminator,
        update_every=options.discriminator_every,
        own=own,
    )
    student = Stage(rows, loss, name="student", batches="shuffled")
    if discriminator is None or not options.discriminator_epochs:
        return Plan(model, student)
    judge = DiscriminatorLoss(discriminator, model, EXPLAIN, partial(corrupted, rate=options.corruption))
    d = Stage(rows, judge, name="discriminator", batches="shuffled", settings={"epochs": options.discriminator_epochs})
    return Plan(model, [d, student], shares=(options.discriminator_epochs, options.epochs))


RECIPE = Recipe("qcrd", {"rows": ("rationales",)}, Options, prepare, trains=("seq2seq LM", "causal LM"), model=None)
