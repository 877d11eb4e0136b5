"""Terms without negatives between the two sides of pairs: prediction, decorrelation, swapped assignments.

    SiamLIP   2 - 2 cos(p(v_a), stopgrad v_b), both ways; p: a predictor
    BYOLIP    the same with v_b of a running average of the model
    BarLIP    sum_d (C_dd - 1)^2 + lambda sum_{d != e} C_de^2,  C = v_i^T v_t / B
    SwALIP    the contrastive loss of strong views, towards assignments found by Sinkhorn on other strong views

v is a projector of each side, on the vectors of the towers. All are means over pairs of views, see `matching_views`;
SwALIP has the strong views alone.

Source: Fini et al. 2023, Improved baselines for vision-language pre-training; Chen, He 2021 (SimSiam), Grill et al.
2020 (BYOL), Zbontar et al. 2021 (Barlow Twins), Caron et al. 2020 (SwAV).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar import near
from nearfar.contrast import contrast
from nearfar.losses.views import Sides, TowerVectors, ViewedBatch, matching_views
from nearfar.models.towers.heads import TwoHeads

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = [
    "Averaged",
    "Decorrelation",
    "Prediction",
    "SwappedAssignments",
    "cross_correlation_loss",
    "prediction_loss",
    "sinkhorn",
    "swapped_loss",
    "term_of",
]


def prediction_loss(predicted: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Mean of 2 - 2 cos(p, v): 0 where they are equal, 4 where they are opposite. No gradient reaches the target."""
    return (2 - 2 * F.cosine_similarity(predicted.float(), target.detach().float(), dim=1)).mean()


def cross_correlation_loss(
    a: Float[Tensor, "b d"], b: Float[Tensor, "b d"], off_diagonal: float = 5e-3
) -> Float[Tensor, ""]:
    """Squared distance of the cross-correlation C = a^T b / B from the identity.

    The columns are expected to have mean 0 and variance 1, as a batch norm makes them. C takes d^2 numbers.

    Args:
        a, b: Vectors of both sides.
        off_diagonal: Weight of the entries beside the diagonal.
    """
    c = a.float().T @ b.float() / len(a)
    on = (c.diagonal() - 1).square().sum()
    return on + off_diagonal * (c.square().sum() - c.diagonal().square().sum())


@torch.no_grad()
def sinkhorn(similarities: Float[Tensor, "b k"], epsilon: float = 0.05, iterations: int = 3) -> Float[Tensor, "b k"]:
    """Assignments of rows to columns: each row sums to 1, and with many iterations each column to b / k.

    Args:
        similarities: Of each sample with each prototype.
        epsilon: Temperature; lower is sharper.
        iterations: Number of times that columns and rows are scaled.
    """
    # Logarithms do not overflow.
    q = similarities.float() / epsilon
    for _ in range(iterations):
        q = q - q.logsumexp(0, keepdim=True)
        q = q - q.logsumexp(1, keepdim=True)
    return q.exp()


def swapped_loss(strong: Sides, temperature: float | Tensor) -> Float[Tensor, ""]:
    """Contrastive losses of strong views k, l towards the assignments of the next views, k + 1 and l + 1 (cyclically).

    The prototypes of an image are the texts of the batch, and those of a text the images.

    Args:
        strong: K matrices h_i^k and K matrices h_t^l, K at least 2.
        temperature: tau of the contrastive losses.
    """
    images, texts = strong
    units = [[F.normalize(each.detach().float(), dim=1) for each in side] for side in (images, texts)]
    found = []
    for k, image in enumerate(images):
        for m, text in enumerate(texts):
            cosines = units[0][(k + 1) % len(images)] @ units[1][(m + 1) % len(texts)].T
            for a, b, of_other_views in ((image, text, cosines), (text, image, cosines.T)):
                found.append(contrast(a, b, near.weights(sinkhorn(of_other_views)), temperature=temperature))
    return torch.stack(found).mean()


def term_of(
    extra: Literal["none", "siam", "byol", "barlow", "swav"],
    model: SentenceTransformer,
    heads: TwoHeads,
    dims: int = 0,
    text_dropout: float = 0.0,
) -> nn.Module | None:
    """The term of a name for a model with `TwoHeads`; hidden layers are as wide as those of the heads.

    Args:
        extra: Its name; `none`: no term.
        model: The model in training.
        heads: Its heads.
        dims: Number of dimensions of v; 0: 1024 for `barlow`, otherwise 128.
        text_dropout: See `TowerVectors`.
    """
    widths = [width for name, width in heads.widths.items() if name != "text"] + [heads.widths["text"]]
    if extra in ("siam", "byol"):
        averaged = Averaged(model, text_dropout) if extra == "byol" else None
        return Prediction(widths, heads.hidden, dims or 128, averaged)
    if extra == "barlow":
        return Decorrelation(widths, heads.hidden, dims or 1024)
    return SwappedAssignments() if extra == "swav" else None


class Prediction(nn.Module):
    """SiamLIP's term; with `averaged` BYOLIP's.

    Args:
        widths: Number of dimensions of the vectors of both towers.
        hidden: Width of the hidden layers.
        dims: Number of dimensions of v.
        averaged: The running average of the model, whose vectors are the targets.
    """

    def __init__(
        self, widths: Sequence[int], hidden: int = 1024, dims: int = 128, averaged: Averaged | None = None
    ) -> None:
        super().__init__()
        self.projectors = nn.ModuleList(_projector(width, hidden, dims) for width in widths)
        self.predictors = nn.ModuleList(nn.Sequential(*_hidden(dims, hidden), nn.Linear(hidden, dims)) for _ in widths)
        self.averaged = averaged
        if averaged is not None:
            averaged.add(self.projectors)

    def forward(self, batch: ViewedBatch) -> Float[Tensor, ""]:
        """The term of a batch."""
        projected = _each(self.projectors, batch.towers)
        predicted = _each(self.predictors, projected)
        if self.averaged is None:
            targets = projected
        else:
            self.averaged.follow(self.projectors)
            targets = self.averaged(batch.columns)
        found = []
        for k, m in matching_views(len(batch.towers[0]) - 1):
            found.append(prediction_loss(predicted[0][k], targets[1][m]))
            found.append(prediction_loss(predicted[1][m], targets[0][k]))
        return torch.stack(found).mean()


class Averaged(nn.Module):
    """The exponential moving average of a model and its projectors, in training mode, without gradients.

    Only parameters are averaged; the statistics of batch norms are its own.

    Args:
        model: The model in training; it is copied.
        encode: Encodes with the copy, once it is given.
        momentum: Share of the average that is kept at each batch, 0 to 1.
    """

    def __init__(self, model: SentenceTransformer, text_dropout: float = 0.0, momentum: float = 0.99) -> None:
        super().__init__()
        self.source, self.momentum = (model,), momentum
        self.towers = copy.deepcopy(model).train().requires_grad_(False)
        self.encode = TowerVectors(self.towers, text_dropout)
        self.projectors = nn.ModuleList()

    def add(self, projectors: nn.ModuleList) -> None:
        """Average these projectors, too."""
        self.projectors = copy.deepcopy(projectors).requires_grad_(False)

    @torch.no_grad()
    def follow(self, projectors: nn.ModuleList) -> None:
        """One step of the average towards the model and its projectors."""
        for mine, theirs in ((self.towers, self.source[0]), (self.projectors, projectors)):
            for average, weight in zip(mine.parameters(), theirs.parameters(), strict=True):
                average.lerp_(weight.to(average), 1 - self.momentum)

    @torch.no_grad()
    def forward(self, columns: Sides) -> Sides:
        """v of each view of both sides."""
        found = _each(self.projectors, self.encode(self.towers, columns))
        return found[0], found[1]


class Decorrelation(nn.Module):
    """BarLIP's term.

    Args:
        widths: Number of dimensions of the vectors of both towers.
        hidden: Width of the hidden layers.
        dims: Number of dimensions of v.
        weight: Factor of the term.
    """

    def __init__(self, widths: Sequence[int], hidden: int = 1024, dims: int = 1024, weight: float = 0.025) -> None:
        super().__init__()
        self.weight = weight
        self.projectors = nn.ModuleList(
            nn.Sequential(
                *_hidden(width, hidden), *_hidden(hidden, hidden), nn.Linear(hidden, dims), nn.BatchNorm1d(dims)
            )
            for width in widths
        )

    def forward(self, batch: ViewedBatch) -> Float[Tensor, ""]:
        """The term of a batch."""
        images, texts = _each(self.projectors, batch.towers)
        pairs = matching_views(len(images) - 1)
        return self.weight * torch.stack([cross_correlation_loss(images[k], texts[m]) for k, m in pairs]).mean()


class SwappedAssignments(nn.Module):
    """SwALIP's term.

    Args:
        weight: Factor of the term.
    """

    def __init__(self, weight: float = 0.2) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, batch: ViewedBatch) -> Float[Tensor, ""]:
        """The term of a batch."""
        return self.weight * swapped_loss(batch.strong, batch.temperature)


def _hidden(width: int, hidden: int, bias: bool = True) -> tuple[nn.Module, ...]:
    return nn.Linear(width, hidden, bias=bias), nn.BatchNorm1d(hidden), nn.ReLU()


def _projector(width: int, hidden: int, dims: int) -> nn.Sequential:
    last = nn.Linear(hidden, dims, bias=False), nn.BatchNorm1d(dims, affine=False)
    return nn.Sequential(*_hidden(width, hidden, bias=False), *last)


def _each(modules: nn.ModuleList, sides: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """A module of each side, applied to each view."""
    return [[module(x) for x in side] for module, side in zip(modules, sides, strict=True)]
