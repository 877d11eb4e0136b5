"""Contrastive analysis: a common code for what background and target share, a salient one for the rest of targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nearfar.losses.attributes import attribute_loss
from nearfar.losses.hypersphere import alignment, uniformity
from nearfar.losses.kernel_density import joint_density, spread
from nearfar.models.packing import embed
from nearfar.models.views import one_view

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from sentence_transformers import SentenceTransformer

    Features = dict[str, Any]

__all__ = ["SeparationLoss", "SeparationWeights", "common_terms", "informationless", "salient_terms"]

#: Width of the hidden layer of the heads that make codes of vectors.
HIDDEN = 128


@dataclass(frozen=True)
class SeparationWeights:
    """Weights of the terms; a term of weight 0 is not computed. The common terms have weight 1.

    Args:
        salient: beta_S, of alignment and uniformity of the salient codes.
        informationless: beta_0, of the distance of the background's salient codes from 0.
        joint: lambda, of the joint density of both codes (k-JEM).
        temperature: tau, the squared width of all kernels.
    """

    salient: float = 1000.0
    informationless: float = 1000.0
    joint: float = 10.0
    temperature: float = 0.5


class SeparationLoss(nn.Module):
    """SepCLR for a model with the views `common` and `salient`.

        L = A(c1, c2) + U(c1) + U(c2)
            + beta_S ( A(s1, s2 | target) + U(u1) + U(u2) ) + beta_0 |s | background|^2 + lambda J(c, u)

    c: unit vectors of two augmented views of each row, from the view `common` and a head; s: vectors from the view
    `salient` and a head, not normalised; u: s of targets, and 0 for the background. Both heads are trained here and are
    no part of the model. With `discrete`, the salient terms are `attribute_loss` on the row itself, and U counts half.

    The dataset has one column of inputs, and labels: 1 for a target, 0 for the background; with `discrete`, a list of
    this and the attributes. With several processes, each batch is contrasted on its own.

    Args:
        model: The model in training, with a `Router` of views.
        weights: Weights of the terms.
        augment: From the features of a batch to those of one of its random views.
        discrete: For each attribute, whether only equal values are similar; None: no attributes.

    Source: Louiset, Duchesnay, Grigis, Gori 2024, Separating common from salient patterns with Contrastive
    Representation Learning.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        weights: SeparationWeights,
        augment: Callable[[Features], Features],
        discrete: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.weights, self.augment = model, weights, augment
        self.discrete = None if discrete is None else tuple(discrete)
        common, salient = (int(one_view(model, name).get_embedding_dimension() or 0) for name in ("common", "salient"))
        self.common_head = _head(common, common).to(model.device)
        self.salient_head = _head(salient, salient if discrete is None else len(discrete)).to(model.device)

    def forward(self, sentence_features: Iterable[Features], labels: Tensor) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        (features,) = sentence_features
        if self.discrete is None:
            (c1, s1), (c2, s2) = (self._codes(self.augment(features)) for _ in range(2))
            return self.loss_of_codes((c1, c2), (s1, s2), labels == 1)
        (c1, s), (c2, _) = self._codes(features), self._codes(self.augment(features))
        return self.loss_with_attributes(c1, c2, s, labels[:, 0] == 1, labels[:, 1:])

    def loss_of_codes(
        self,
        c: tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]],
        s: tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]],
        target: Bool[Tensor, " n"],
    ) -> Float[Tensor, ""]:
        """The loss from the codes of two views of each row, and which rows are targets."""
        w = self.weights
        loss = common_terms(c[0], c[1], w.temperature)
        if w.salient:
            loss = loss + w.salient * salient_terms(s[0], s[1], target, w.temperature)
        if w.informationless:
            loss = loss + w.informationless * sum(informationless(each, target, w.temperature) for each in s) / 2
        if w.joint:
            joint = [
                joint_density(*pair, w.temperature) for pair in zip(c, (masked(x, target) for x in s), strict=True)
            ]
            loss = loss + w.joint * sum(joint) / 2
        return loss

    def loss_with_attributes(
        self,
        c1: Float[Tensor, "n d"],
        c2: Float[Tensor, "n d"],
        s: Float[Tensor, "n k"],
        target: Bool[Tensor, " n"],
        attributes: Float[Tensor, "n k"],
    ) -> Float[Tensor, ""]:
        """The loss from the codes of a row and of one view, and the attributes of targets; `informationless` is unused.

        The distance of the background from 0 is part of the salient term.
        """
        assert self.discrete is not None
        w = self.weights
        loss = common_terms(c1, c2, w.temperature, weight=0.5)
        if w.salient:
            loss = loss + w.salient * attribute_loss(s, target, attributes, self.discrete, w.temperature)
        return loss + w.joint * joint_density(c1, masked(s, target), w.temperature) if w.joint else loss

    def _codes(self, features: Features) -> tuple[Tensor, Tensor]:
        c, s = (embed(self.model, [{**features, "task": view}])[0].float() for view in ("common", "salient"))
        return F.normalize(self.common_head(c), dim=1), self.salient_head(s)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return asdict(self.weights)


def common_terms(
    c1: Float[Tensor, "n d"], c2: Float[Tensor, "n d"], temperature: float = 0.5, weight: float = 1.0
) -> Float[Tensor, ""]:
    """Alignment of two views, and `weight` times the uniformity of each, which requires two rows."""
    t = 1 / (2 * temperature)
    loss = t * alignment(c1, c2)
    return loss + weight * (uniformity(c1, t) + uniformity(c2, t)) if len(c1) > 1 else loss


def salient_terms(
    s1: Float[Tensor, "n k"], s2: Float[Tensor, "n k"], target: Bool[Tensor, " n"], temperature: float = 0.5
) -> Float[Tensor, ""]:
    """Squared distance between the views of each target, and the spread of all rows with the background at 0.

    So targets move apart from each other and from 0; pairs in the background count as equal, whatever their codes.
    """
    pairs = ((s1 - s2) ** 2).sum(1)[target]
    loss = pairs.sum() / max(1, len(pairs)) / (2 * temperature)
    if len(s1) < 2:
        return loss
    return loss + spread(masked(s1, target), temperature) + spread(masked(s2, target), temperature)


def informationless(s: Float[Tensor, "n k"], target: Bool[Tensor, " n"], temperature: float = 0.5) -> Float[Tensor, ""]:
    """The mean squared distance of the background's salient codes from 0, over 2 tau; 0 without background."""
    background = (s**2).sum(1)[~target]
    return background.sum() / max(1, len(background)) / (2 * temperature)


def masked(s: Float[Tensor, "n k"], target: Bool[Tensor, " n"]) -> Float[Tensor, "n k"]:
    """The salient codes of targets; 0, a constant without gradient, for the background."""
    return torch.where(target[:, None], s, torch.zeros_like(s))


def _head(width: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out))
