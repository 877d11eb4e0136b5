"""CoDiEmb: retrieval and graded similarity in one encoder, each with batches and a loss of its own.

Zhang, Song, Chen, Zhang, Yin, Sun 2025, CoDiEmb: A Collaborative yet Distinct Framework for Unified Representation
Learning in Information Retrieval and Semantic Textual Similarity (arXiv 2508.11442).

Claim: one loss for both tasks makes them fight, InfoNCE at the cost of similarity, CoSENT at that of retrieval; with a
loss for each, batches of one data set, and checkpoints fused by how far their parameters moved, one encoder does well
at both.

Pairs (retrieval), slot k of P positives, columns: every query's k-th positive and every query's negatives:

    L_IR = 1/P sum_k -log( exp(cos(q_b, d_bk)/tau) / sum_c exp(cos(q_b, c)/tau) )

Scored pairs, s the cosines of a batch, y their scores between 0 and 1, r the relative ranks of y between 0 and 1:

    L_STS = InfoNCE(middle layer, y >= alike_from) + 2 (1 - corr(s, y)) + 0.5 PRO(s, y)
            + 5/n KL(softmax(r/t) || softmax(s/t))

A step is of one data set, on all processes, and a data set takes as many steps as it fills batches: `batch_size` and
`similarity_batch_size` are what balances the tasks. Candidates of retrieval are shared between processes, pairs with
scores are not. Give each data set with a `--data` of its own; either kind alone works too. Fuse checkpoints afterwards
with `nearfar fuse BASE CHECKPOINT CHECKPOINT ...` (`nearfar train --keep-checkpoints` keeps the last two).

Here: losses, weights and sampler follow the authors' released code, fusion does not: it is not in it, and only the
abstract's idea was at hand (`nearfar.models.fusion`). The division of KL by n is the code's. Rows with equal anchors
are put together, up to `positives` a row, where the authors read rows with several. A query with fewer repeats its own;
missing negatives are not made up. No task instructions are put before the texts, and every token is pooled. The middle
layer's term counts pairs with scores of 1: lower `alike_from` on graded data, where hardly any have it. Scores outside
0 to 1 are stretched to it. Nothing looks for false negatives among pairs beyond equal texts.
Not verifiable: the paper's tables, and what it says beyond the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.errors import InputError, about
from nearfar.kinds.options import Count, NonNegative, Positive, Range, TrainingOptions
from nearfar.kinds.plan import Batches, Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer
    from torch import nn


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of CoDiEmb, those of the authors' scripts for BGE and E5.

    Args:
        batch_size: Rows of pairs in one step of one process.
        similarity_batch_size: The same for scored pairs.
        positives: P, positives of one anchor in a row, where rows share an anchor.
        temperature: tau of retrieval and of the middle layer.
        order_temperature: t of PRO and of the divergence from the ranks.
        middle: Weight of the middle layer's InfoNCE; 0 also spares what it costs.
        pearson: Weight of 1 - Pearson's correlation.
        preference_ranking: Weight of PRO.
        rank_kl: Weight of the divergence.
        rank_kl_reduction: `batchmean` divides it by the number of pairs.
        alike_from: The score, of 0 to 1, from which a pair counts as positive in the middle layer.
        cached: Gradient cache for pairs, for batches that do not fit.
    """

    epochs: float = 4.0
    learning_rate: float = 5e-5
    warmup_ratio: float = 0.03
    similarity_batch_size: Annotated[int, Range(least=2)] = 32
    positives: Count = 2
    temperature: Positive = 0.02
    order_temperature: Positive = 0.05
    middle: NonNegative = 1.0
    pearson: NonNegative = 2.0
    preference_ranking: NonNegative = 0.5
    rank_kl: NonNegative = 5.0
    rank_kl_reduction: Literal["batchmean", "sum"] = "batchmean"
    alike_from: float = 1.0
    cached: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = ("middle", "pearson", "preference_ranking", "rank_kl")
        if not any(getattr(self, name) for name in weights):
            raise InputError("no weight is above 0", field="pearson", remedy=f"raise one of {', '.join(weights)}")


def prepare(model: SentenceTransformer, rows: Dataset | DatasetDict, options: Options) -> Plan:
    """Give every data set its loss, its kind of batches and their size."""
    from datasets import DatasetDict

    sets = {str(name): part for name, part in rows.items()} if isinstance(rows, DatasetDict) else {"rows": rows}
    losses: dict[str, nn.Module] = {}
    batches: dict[str, Batches] = {}
    found, sizes = DatasetDict(), {}
    for name, part in sets.items():
        with about(name, part.column_names):
            if "score" in part.column_names:
                found[name], losses[name] = _similarity(model, part, options)
                batches[name], sizes[name] = "shuffled", options.similarity_batch_size
            else:
                found[name], losses[name] = _retrieval(model, part, options)
                batches[name], sizes[name] = "no_duplicates", options.batch_size
    return Plan(model, Stage(found, losses, batches, batch_sizes=sizes))


def _retrieval(model: SentenceTransformer, rows: Dataset, options: Options) -> tuple[Dataset, nn.Module]:
    from nearfar.data.positives import with_several_positives
    from nearfar.losses.graded import MultiPositiveLoss

    rows, positives = with_several_positives(rows, options.positives)
    loss = MultiPositiveLoss(
        model, positives, temperature=options.temperature, cached=options.cached, gather_across_devices=True
    )
    return rows, loss


def _similarity(model: SentenceTransformer, rows: Dataset, options: Options) -> tuple[Dataset, nn.Module]:
    from nearfar.data.scores import with_unit_scores
    from nearfar.losses.graded import GradedSimilarityLoss, GradedWeights

    weights = GradedWeights(
        middle=options.middle,
        pearson=options.pearson,
        preference_ranking=options.preference_ranking,
        rank_kl=options.rank_kl,
        temperature=options.order_temperature,
        middle_temperature=options.temperature,
        alike_from=options.alike_from,
        reduction=options.rank_kl_reduction,
    )
    return with_unit_scores(rows), GradedSimilarityLoss(model, weights)


RECIPE = Recipe("codiemb", {"rows": ("pairs", "scored pairs")}, Options, prepare, multi_dataset=True)
