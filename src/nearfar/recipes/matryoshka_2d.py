"""2D Matryoshka: one encoder that can be truncated to any number of layers and dimensions.

Li, Li, Li, Xie, Li 2024, 2D Matryoshka Sentence Embeddings (arXiv 2402.14776, versions 1 and 3; version 2 is another
method, ESE). Wang et al. 2024, 2D Matryoshka Training for Information Retrieval, reproduce it independently.

Claim: trained at a random depth and width beside the full ones, vectors of any (layers, dimensions) are good. Those of
the middle layers are much better than with Matryoshka training at full depth, with similar quality at full size.

    X_n: vectors after layer n of N;  n ~ U{1..N-1}, d ~ U{8, 16, .. < D}, sampled in each batch
    L = l(X_N) + l(X_n) + KL(softmax X_N || softmax X_n) + l(X_N[:, :d]) + l(X_n[:, :d])

l is AnglE: in-batch negatives, and ranked cosines and angles of pairs with scores or hard negatives. The KL is over the
D numbers of a vector, before a final `Normalize`, with a gradient to both sides, as in the authors' first code.
`nearfar.load(path, layers=3, dims=64)` truncates the trained model, `nearfar evaluate --layers --dims` measures it.

Differences from the paper: one forward pass gives all layers (theirs: two, with different dropout masks); the model's
own pooling replaces [CLS]; scored pairs have no in-batch negatives. `2dmse-depthdiv` divides the terms of X_n by n, as
their later code does; `sizes` trains fixed sizes (Starbucks, Zhuang et al. 2024). One model per size remains better
(Wang et al.). The paper's figures could not be verified; AnglE's weights are from the authors' command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import Count, NonNegative, Positive, TrainingOptions, parse_sizes
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of 2D Matryoshka, the authors' for BERT-base.

    Args:
        variant: `2dmse`, or `2dmse-depthdiv`, which divides the shallow terms by their depth.
        sizes: Fixed sizes (layers x dimensions) to train, such as `2x32,4x64,6x384`; empty: random sizes.
        lambda_teacher, lambda_student: Weights of the terms at full depth, and of the shallow terms.
        kl_weight, kl_temperature: Weight of the KL (0: no KL), and temperature of both its softmaxes.
        detach_teacher: No gradient of the KL to the vectors at full depth.
        least_dims: Minimum width.
        temperature: tau of AnglE's three parts.
        w_ibn, w_cos, w_ang: Weights of in-batch negatives, ranked cosines, ranked angles.
    """

    learning_rate: float = 5e-5
    batch_size: int = 128
    max_length: int = 128
    variant: Literal["2dmse", "2dmse-depthdiv"] = "2dmse"
    sizes: str = ""
    lambda_teacher: NonNegative = 1.0
    lambda_student: NonNegative = 1.0
    kl_weight: NonNegative = 1.0
    kl_temperature: Positive = 1.0
    detach_teacher: bool = False
    least_dims: Count = 8
    temperature: Positive = 0.05
    w_ibn: NonNegative = 20.0
    w_cos: NonNegative = 1.0
    w_ang: NonNegative = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sizes(self.sizes)


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Compute AnglE's loss at several sizes of each batch."""
    from nearfar.losses.angle import angle_objective, check_weights
    from nearfar.losses.elastic import ElasticLoss, fixed, one_layer_one_width
    from nearfar.models.elastic import depth, width

    check_weights(rows.column_names, w_ibn=options.w_ibn, w_cos=options.w_cos, w_ang=options.w_ang)
    size = depth(model), width(model)
    if options.sizes:
        draw = fixed(*size, parse_sizes(options.sizes))
    else:
        terms = options.lambda_teacher, options.lambda_student
        draw = one_layer_one_width(*size, *terms, least=options.least_dims, divided_by_depth=options.variant != "2dmse")
    base = angle_objective(model, options.w_ibn, options.w_cos, options.w_ang, options.temperature)
    loss = ElasticLoss(model, base, draw, options.kl_weight, options.kl_temperature, options.detach_teacher)
    return Plan(model, Stage(rows, loss))


RECIPE = Recipe("matryoshka_2d", {"rows": ("pairs", "scored pairs")}, Options, prepare)
