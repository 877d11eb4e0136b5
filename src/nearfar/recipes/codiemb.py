"""CoDiEmb: retrieval and graded similarity in one encoder, each with its own batches and loss.

Zhang, Song, Chen, Zhang, Yin, Sun 2025, CoDiEmb: A Collaborative yet Distinct Framework for Unified Representation
Learning in Information Retrieval and Semantic Textual Similarity (arXiv 2508.11442).

Claim: with one loss the two tasks conflict: InfoNCE costs similarity, CoSENT costs retrieval. With a loss for each,
batches of one dataset, and checkpoints fused by how far their parameters moved, one encoder does both well.

Pairs (retrieval), slot k of P positives; columns c: every query's k-th positive and every query's negatives:

    L_IR = 1/P sum_k -log( exp(cos(q_b, d_bk)/tau) / sum_c exp(cos(q_b, c)/tau) )

Scored pairs; s: cosines of a batch, y: their scores from 0 to 1, r: relative ranks of y from 0 to 1:

    L_STS = InfoNCE(middle layer, y >= alike_from) + 2 (1 - corr(s, y)) + 0.5 PRO(s, y)
            + 5/n KL(softmax(r/t) || softmax(s/t))

A step is of one dataset in all processes, and a dataset gets as many steps as it fills batches: `batch_size` and
`similarity_batch_size` balance the tasks. Only retrieval shares candidates between processes. Pass each dataset with
its own `--data`; pairs or scored pairs alone work too. `nearfar fuse BASE CHECKPOINT CHECKPOINT ...` fuses checkpoints,
which `--keep-checkpoints` keeps.

Differences from the paper: losses, weights (the division of KL by n too) and sampler follow the authors' released code.
Fusion is not in that code and follows the abstract (`nearfar.models.fusion`). Rows with equal anchors are joined, up to
`positives` per row, where the authors read rows with several; a query with fewer repeats its own, and missing negatives
stay missing. There are no task instructions, and all tokens are pooled. The term of the middle layer uses pairs with a
score of 1: lower `alike_from` for graded data, where few have it. Scores outside 0 to 1 are scaled. Only equal texts
are recognised as false negatives. Not verifiable: the paper's tables, and all that it says beyond the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.errors import InputError, about
from nearfar.kinds.options import ContrastOptions, Count, NonNegative, Positive, Range, from_options
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of CoDiEmb, those of the authors' scripts for BGE and E5.

    Args:
        batch_size: Rows of pairs in one step of one process.
        similarity_batch_size: The same for scored pairs.
        positives: P, number of positives per row, where rows share an anchor.
        temperature: tau of retrieval and of the middle layer.
        order_temperature: t of PRO and of the KL.
        middle: Weight of the middle layer's InfoNCE; 0 also saves its cost.
        pearson: Weight of 1 - Pearson's correlation.
        preference_ranking: Weight of PRO.
        rank_kl: Weight of the KL.
        rank_kl_reduction: `batchmean` divides the KL by the number of pairs.
        alike_from: Minimum score, from 0 to 1, of a positive pair in the middle layer.
        cached: Gradient cache for pairs, for batches that do not fit into memory.
    """

    epochs: float = 4.0
    learning_rate: float = 5e-5
    warmup_ratio: float = 0.03
    similarity_batch_size: Annotated[int, Range(least=2)] = 32
    positives: Count = 2
    temperature: float = 0.02
    order_temperature: Positive = 0.05
    middle: NonNegative = 1.0
    pearson: NonNegative = 2.0
    preference_ranking: NonNegative = 0.5
    rank_kl: NonNegative = 5.0
    rank_kl_reduction: Literal["batchmean", "sum"] = "batchmean"
    alike_from: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = ("middle", "pearson", "preference_ranking", "rank_kl")
        if not any(getattr(self, name) for name in weights):
            raise InputError("no weight is above 0", field="pearson", remedy=f"raise one of {', '.join(weights)}")


def prepare(model: SentenceTransformer, rows: Dataset | DatasetDict, options: Options) -> Plan:
    """Give every dataset its loss, and the kind and size of its batches."""
    from datasets import DatasetDict

    from nearfar.data.positives import with_several_positives
    from nearfar.data.scores import with_unit_scores
    from nearfar.losses.graded import GradedSimilarityLoss, GradedWeights, MultiPositiveLoss

    temperatures = {"temperature": options.order_temperature, "middle_temperature": options.temperature}
    weights = from_options(GradedWeights, options, **temperatures, reduction=options.rank_kl_reduction)
    found, losses, batches, sizes = DatasetDict(), {}, {}, {}
    for name, part in (rows if isinstance(rows, DatasetDict) else {"rows": rows}).items():
        with about(str(name), part.column_names):
            if "score" in part.column_names:
                found[name], losses[name] = with_unit_scores(part), GradedSimilarityLoss(model, weights)
                batches[name], sizes[name] = "shuffled", options.similarity_batch_size
            else:
                found[name], positives = with_several_positives(part, options.positives)
                losses[name] = MultiPositiveLoss(model, positives, **options.contrast)
                batches[name], sizes[name] = "no_duplicates", options.batch_size
    return Plan(model, Stage(found, losses, batches, batch_sizes=sizes))


RECIPE = Recipe("codiemb", {"rows": ("pairs", "scored pairs")}, Options, prepare, multi_dataset=True)
