"""Losses on the unit sphere: uniformity spreads vectors over it, alignment joins the two vectors of a pair.

    uniformity(x)            log of the mean of exp(-t |x_i - x_j|^2) over i != j
    cross_uniformity(a, b)   log of the mean of exp(-t |a_i - b_j|^2) over i != j
    alignment(a, b)          mean of |a_i - b_i|^2

All are minimised; `nearfar.geometry` returns the first two with the opposite sign. Rows are normalized first, so
|u - v|^2 = 2 - 2 u.v, and the first two are a logsumexp of the kernel's similarities over the whole matrix at
temperature 1 / (2 t), computed block by block as in `contrast`. With `group`, value and gradients are those of one
process with the vectors of all.

Source: Wang & Isola 2020, Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere; Fahim, Murphy, Fyshe 2024, It's Not a Modality Gap (across two sides).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from nearfar import far as far_
from nearfar.contrast import contrast
from nearfar.engines import Engine, EngineName
from nearfar.engines.cosine import unit_rows
from nearfar.far import Far
from nearfar.losses.contrast import ContrastLoss

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from torch.distributed import ProcessGroup

__all__ = ["HypersphereLoss", "HypersphereWeights", "alignment", "cross_uniformity", "uniformity"]


def uniformity(
    x: Float[Tensor, "n d"],
    t: float = 2.0,
    self_pairs: bool = False,
    engine: EngineName | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Float[Tensor, ""]:
    """log of the mean of exp(-t |x_i - x_j|^2) over i != j: 0 if all are equal, -2 t if all are orthogonal.

    Args:
        x: At least two vectors.
        t: Sharpness.
        self_pairs: Sum over all i and j, including i = j, and divide by n. This is log(1 + (n - 1) exp(u)), where u is
            the value without self-pairs; its gradient decreases as the vectors spread.
        engine, group: See `contrast`.

    Raises:
        ValueError: Only one vector; or see `contrast`.
    """
    total, n = _log_sum(x, x, None if self_pairs else far_.except_self(), t, engine, group)
    return total - (math.log(n) if self_pairs else _log_pairs(n))


def cross_uniformity(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    t: float = 2.0,
    engine: EngineName | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Float[Tensor, ""]:
    """log of the mean of exp(-t |a_i - b_j|^2) over i != j; its minimum is -4 t, for opposite sides.

    Alone it separates the sides. Combined with `alignment` or a contrastive loss, it spreads one over the other.

    Args:
        a, b: At least two pairs (a_i, b_i), which are not in the mean.
        t: Sharpness.
        engine, group: See `contrast`.

    Raises:
        ValueError: Sides of different sizes, or only one pair; or see `contrast`.
    """
    _check_pairs(a, b)
    total, n = _log_sum(a, b, far_.except_self(), t, engine, group)
    return total - _log_pairs(n)


def alignment(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], group: ProcessGroup | None = None) -> Float[Tensor, ""]:
    """Mean of |a_i - b_i|^2 = 2 - 2 cos(a_i, b_i) over pairs: 0 if they are equal, 4 if they are opposite.

    Raises:
        ValueError: Sides of different sizes.
    """
    _check_pairs(a, b)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    total = (2 - 2 * (unit_rows(a.to(dtype)) * unit_rows(b.to(dtype))).sum(1)).sum()
    if group is None:
        return total / len(a)
    everyone = _everyone([total.detach(), total.new_tensor(float(len(a)))], group)
    return (everyone[:, 0].sum() + (total - total.detach())) / everyone[:, 1].sum()


def _log_sum(
    a: Tensor, b: Tensor, far: Far | None, t: float, engine: EngineName | Engine, group: ProcessGroup | None
) -> tuple[Tensor, int]:
    """log of the sum of exp(-t |a_i - b_j|^2) over the candidates that `far` keeps; and the rows of all processes."""
    if not 0 < t < math.inf:
        raise ValueError(f"invalid t: must be > 0, got {t}")
    if group is None and len(a) < 2:
        raise ValueError("uniformity requires at least two vectors, got one")
    # Without positives the loss of an anchor is its logZ.
    nothing = torch.zeros_like(b)
    rows = contrast(
        a, b, far=far, positives=nothing, temperature=1 / (2 * t), reduction="none", engine=engine, group=group
    )
    own = rows.logsumexp(0)
    if group is None:
        return own - 2 * t, len(a)
    everyone = _everyone([own.detach(), own.new_tensor(float(len(a)))], group)
    total = everyone[:, 0].logsumexp(0)
    # The value is the same in every process; the backward pass of each sends its own part of the gradient.
    share = (own.detach() - total).exp()
    return total + share * (own - own.detach()) - 2 * t, round(float(everyone[:, 1].sum()))


def _log_pairs(n: int) -> float:
    return math.log(n) + math.log(n - 1)


def _everyone(mine: Sequence[Tensor], group: ProcessGroup) -> Float[Tensor, "processes numbers"]:
    numbers = torch.stack(list(mine))
    found = [torch.empty_like(numbers) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, numbers, group=group)
    return torch.stack(found)


def _check_pairs(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"expected two matrices of the same shape (n, d), n > 0, got {shapes}")


@dataclass(frozen=True)
class HypersphereWeights:
    """Weights of the terms that `HypersphereLoss` adds to the contrastive loss; terms of weight 0 are not computed.

    Args:
        uniformity: Weight of the mean `uniformity` of both sides.
        alignment: Weight of `alignment`.
        cross_uniformity: Weight of `cross_uniformity`.
        t: Sharpness of both uniformities.
        self_pairs: See `uniformity`.
    """

    uniformity: float = 1.0
    alignment: float = 1.0
    cross_uniformity: float = 0.0
    t: float = 2.0
    self_pairs: bool = False

    #: uniformity, alignment, cross_uniformity of the losses of Fahim et al.
    LOSSES: ClassVar = {"clip": (0.0, 0.0, 0.0), "cua": (1.0, 1.0, 0.0), "cuaxu": (1.0, 1.0, 1.0)}

    @classmethod
    def of(
        cls,
        loss: Literal["clip", "cua", "cuaxu"],
        uniformity: float | None = None,
        alignment: float | None = None,
        cross_uniformity: float | None = None,
        **others: Any,
    ) -> HypersphereWeights:
        """The weights of a loss of the paper: CLIP alone, CUA, or CUAXU; a weight that is not None replaces its own."""
        given = (uniformity, alignment, cross_uniformity)
        u, a, x = (own if weight is None else weight for weight, own in zip(given, cls.LOSSES[loss], strict=True))
        return cls(u, a, x, **others)


class HypersphereLoss(ContrastLoss):
    """A contrastive loss of pairs, with terms that spread both sides over the sphere and join the vectors of a pair.

        L = contrast + w_u (U(a) + U(b)) / 2 + w_a A(a, b) + w_x XU(a, b)

    a is the first column, b the second; further columns are negatives for the contrastive loss only. A batch of one
    pair has no U and XU.

    Args:
        model: The model in training.
        weights: w_u, w_a, w_x. If all are 0, this is exactly `ContrastLoss`.
        **options: See `ContrastLoss`.
    """

    def __init__(self, model: SentenceTransformer, weights: HypersphereWeights | None = None, **options: Any) -> None:
        super().__init__(model, **options)
        self.weights = weights or HypersphereWeights()

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """See `ContrastLoss.loss_of_vectors`; columns are the two sides, then negatives."""
        if len(columns) < 2:
            raise ValueError("HypersphereLoss requires pairs, got one column")
        loss = super().loss_of_vectors(columns, labels, guided, temperature)
        group, size = self._processes()
        terms = self.terms(columns[0], columns[1], group)
        return loss if terms is None else loss + self._over(terms, size)

    def terms(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], group: ProcessGroup | None = None
    ) -> Float[Tensor, ""] | None:
        """The sum of the terms that are added; None if there are none."""
        w, found = self.weights, []
        spread = group is not None or len(a) > 1
        if w.uniformity and spread:
            each = (uniformity(x, w.t, w.self_pairs, self.engine, group) for x in (a, b))
            found.append(w.uniformity * sum(each) / 2)
        if w.alignment:
            found.append(w.alignment * alignment(a, b, group))
        if w.cross_uniformity and spread:
            found.append(w.cross_uniformity * cross_uniformity(a, b, w.t, self.engine, group))
        return torch.stack(found).sum() if found else None

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {**super().get_config_dict(), **asdict(self.weights)}
