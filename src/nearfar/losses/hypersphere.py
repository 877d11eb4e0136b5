"""How vectors lie on the sphere, as terms that train: spread over it, and paired vectors in one place.

    uniformity(x)            log of the mean of exp(-t |x_i - x_j|^2) over i != j
    cross_uniformity(a, b)   log of the mean of exp(-t |a_i - b_j|^2) over i != j
    alignment(a, b)          mean of |a_i - b_i|^2

Each is to be made small, as a loss is; `nearfar.geometry` gives the first two with the opposite sign. Rows are scaled
to length one first, so that |u - v|^2 = 2 - 2 u.v and the first two are a logsumexp of the kernel's similarities over
the whole matrix at temperature 1 / (2 t): they stream as `contrast` does. Under `group` value and gradients are those
of one process that holds the vectors of all.

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
    """log of the mean of exp(-t |x_i - x_j|^2) over i != j: 0 where all are the same, -2 t where all are orthogonal.

    Args:
        x: At least two vectors.
        t: The kernel's sharpness.
        self_pairs: Sum over all i and j, i = j too, and divide by n instead. That is log(1 + (n - 1) exp(u)), u being
            the value without: the gradient shrinks as the vectors spread.
        engine, group: As for `contrast`.

    Raises:
        ValueError: a single vector; or as `contrast`.
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
    """log of the mean of exp(-t |a_i - b_j|^2) over i != j, down to -4 t where the sides lie opposite each other.

    Alone it parts the sides. Only beside `alignment` or a contrastive loss does it spread one over the other.

    Args:
        a, b: Row i of one belongs to row i of the other; these pairs do not count. At least two of them.
        t: The kernel's sharpness.
        engine, group: As for `contrast`.

    Raises:
        ValueError: sides of different sizes, a single pair; or as `contrast`.
    """
    _check_pairs(a, b)
    total, n = _log_sum(a, b, far_.except_self(), t, engine, group)
    return total - _log_pairs(n)


def alignment(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], group: ProcessGroup | None = None) -> Float[Tensor, ""]:
    """Mean of |a_i - b_i|^2 = 2 - 2 cos(a_i, b_i) over pairs: 0 where they coincide, 4 where they are opposite.

    Raises:
        ValueError: sides of different sizes.
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
    """log of the sum of exp(-t |a_i - b_j|^2) over what `far` leaves in; and the rows of all processes."""
    if not 0 < t < math.inf:
        raise ValueError(f"t must be > 0, got {t}")
    if group is None and len(a) < 2:
        raise ValueError("uniformity is a mean over pairs of vectors, and there is one vector; give two at least")
    # An anchor that is pulled towards nothing has a loss of logZ alone.
    nothing = torch.zeros_like(b)
    rows = contrast(
        a, b, far=far, positives=nothing, temperature=1 / (2 * t), reduction="none", engine=engine, group=group
    )
    own = rows.logsumexp(0)
    if group is None:
        return own - 2 * t, len(a)
    everyone = _everyone([own.detach(), own.new_tensor(float(len(a)))], group)
    total = everyone[:, 0].logsumexp(0)
    # Every process returns the same value; each one's backward pass sends out its own part of the gradient.
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
        raise ValueError(f"row i of a belongs to row i of b, but the shapes are {tuple(a.shape)} and {tuple(b.shape)}")


@dataclass(frozen=True)
class HypersphereWeights:
    """What `HypersphereLoss` adds to the contrastive loss; a term of weight 0 is not computed.

    Args:
        uniformity: Of the mean of both sides' `uniformity`.
        alignment: Of `alignment`.
        cross_uniformity: Of `cross_uniformity`.
        t: The sharpness of both uniformities.
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
    """A contrastive loss over pairs, and what spreads both sides over the sphere and holds pairs together.

        L = contrast + w_u (U(a) + U(b)) / 2 + w_a A(a, b) + w_x XU(a, b)

    a is the first column, b the second; further columns are negatives of the contrastive loss alone. A batch of one
    pair has nothing to spread: there U and XU are left out.

    Args:
        model: The model in training.
        weights: w_u, w_a, w_x. With all of them 0 this is `ContrastLoss`, to the last bit.
        **options: As `ContrastLoss` takes them.
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
            raise ValueError("HypersphereLoss needs two columns, of which row i belongs to row i")
        loss = super().loss_of_vectors(columns, labels, guided, temperature)
        group, size = self._processes()
        terms = self.terms(columns[0], columns[1], group)
        return loss if terms is None else loss + self._over(terms, size)

    def terms(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], group: ProcessGroup | None = None
    ) -> Float[Tensor, ""] | None:
        """What is added; None where nothing is."""
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
        """What the model card says of this loss."""
        return {**super().get_config_dict(), **asdict(self.weights)}
