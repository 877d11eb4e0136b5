"""2D Matryoshka: one encoder that may be cut to any depth and any width.

Li, Li, Li, Xie, Li 2024, 2D Matryoshka Sentence Embeddings (arXiv 2402.14776, versions 1 and 3; version 2 is another
method, ESE). Wang et al. 2024, 2D Matryoshka Training for Information Retrieval, reproduce it independently.

Claim: trained at a random depth and width beside the full ones, vectors of any (layers, dimensions) are good, those of
the middle layers far better than Matryoshka training at full depth gives, at about the same quality at full size.

    X_n: vectors after layer n of N;  n ~ U{1..N-1}, d ~ U{8, 16, .. < D}, drawn anew in each batch
    L = l(X_N) + l(X_n) + KL(softmax X_N || softmax X_n) + l(X_N[:, :d]) + l(X_n[:, :d])

l is AnglE: in-batch negatives, and ranked cosines and angles of pairs that are scored or have hard negatives. The KL is
taken at full width over the D numbers of a vector, and its gradient reaches both sides, as in the authors' first
code; it feels the length of vectors, so a closing `Normalize` of the model comes after it. One forward pass gives all
layers. `nearfar.load(path, layers=3, dims=64)` cuts the trained model; `nearfar evaluate --layers --dims` measures it.

Here: the authors' first code takes two passes, so that X_N and X_n see different dropout masks, and trains the [CLS]
vector; here the model's own pooling is kept. In-batch negatives are not used for scored pairs. `2dmse-depthdiv` divides
the terms of X_n by n, as their later code does, and `sizes=2x32,4x64,6x384` trains fixed sizes instead of random ones
(Starbucks, Zhuang et al. 2024), with the same KL. A model for each size, trained separately, stays better (Wang et
al.). The paper's own figures could not be verified; weights of AnglE's parts are those of the authors' published
command, which also accumulates 16 batches a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, NonNegative, Positive, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of 2D Matryoshka, the authors' for BERT-base.

    Args:
        variant: `2dmse`, or `2dmse-depthdiv`, which divides the shallow terms by their depth.
        sizes: Fixed sizes to train at each step, such as `2x32,4x64,6x384`; random ones when empty.
        lambda_teacher: Weight of the terms at full depth.
        lambda_student: Weight of the shallow terms.
        kl_weight: Weight of the divergence; 0 leaves it out.
        kl_temperature: T, of both softmaxes of the divergence.
        detach_teacher: No gradient of the divergence to the deepest vectors.
        least_dims: The narrowest width that is drawn.
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
        parsed_sizes(self.sizes)


def parsed_sizes(text: str) -> list[tuple[int, int]]:
    """`"2x32,4x64"` as `[(2, 32), (4, 64)]`.

    Raises:
        InputError: It is not of that form.
    """
    try:
        return [(int(n), int(d)) for n, d in (part.split("x") for part in text.split(",") if part.strip())]
    except ValueError:
        raise InputError(f"{text!r} is no list of sizes", field="sizes", remedy="write e.g. 2x32,4x64") from None


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Wrap AnglE's loss in the sizes of a batch."""
    from nearfar.losses.angle import angle_objective
    from nearfar.losses.elastic import ElasticLoss, fixed, one_layer_one_width
    from nearfar.models.elastic import depth, width

    scored, judged = "score" in rows.column_names, any(name.startswith("negative") for name in rows.column_names)
    used = [*(() if scored else ("w_ibn",)), *(("w_cos", "w_ang") if scored or judged else ())]
    if not any(getattr(options, name) for name in used):
        raise InputError("all terms that these rows allow have weight 0", field=used[0], remedy="give it a weight")
    base = angle_objective(model, options.w_ibn, options.w_cos, options.w_ang, options.temperature)
    if options.sizes:
        draw = fixed(depth(model), width(model), parsed_sizes(options.sizes))
    else:
        draw = one_layer_one_width(
            depth(model),
            width(model),
            options.lambda_teacher,
            options.lambda_student,
            least=options.least_dims,
            divided_by_depth=options.variant == "2dmse-depthdiv",
        )
    loss = ElasticLoss(model, base, draw, options.kl_weight, options.kl_temperature, options.detach_teacher)
    return Plan(model, Stage(rows, loss))


RECIPE = Recipe("matryoshka_2d", {"rows": ("pairs", "scored pairs")}, Options, prepare)
