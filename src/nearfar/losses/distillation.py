"""Losses for the logits of pairs: from labels, from a teacher's logits, or from both.

Each softmax here is `nearfar.contrast` with pairs as anchors and classes as candidates: the similarity of pair i to
class c is its logit, so the candidates are the standard basis. A squared error of logits is not a contrast, because it
has no denominator; it is the limit of one, see `softened`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nearfar import near
from nearfar.contrast import contrast
from nearfar.models.packing import embed
from nearfar.models.pairs.top_layers import reader

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.models.packing import Features
    from nearfar.models.pairs.head import Kind, PairHead

__all__ = ["DistilledPairs", "label_loss", "logit_mse", "softened"]


def label_loss(logits: Float[Tensor, "n c"], targets: Float[Tensor, " n"], kind: Kind) -> Float[Tensor, ""]:
    """Squared error (`regression`), binary cross-entropy (`binary`) or cross-entropy of classes (`classes`).

    Args:
        logits: One column, or one per class.
        targets: Scores; probabilities of yes; or indices of classes.
        kind: One of the three.
    """
    if kind == "regression":
        return F.mse_loss(logits.float(), targets.to(logits.device).float()[:, None])
    columns = _columns(logits)
    if kind == "classes":
        classes = torch.arange(columns.shape[1], device=columns.device)
        return _over_classes(columns, near.same_label(targets.to(columns.device).long(), classes))
    return _over_classes(columns, near.weights(torch.stack([1 - targets, targets], 1)))


def logit_mse(logits: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Mean over pairs of the squared distance between the student's logits and the teacher's, summed over classes."""
    _check_shapes(logits, teacher)
    return (logits.float() - teacher.to(logits.device).float()).square().sum(1).mean()


def softened(
    logits: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """T^2 KL( softmax(teacher / T) || softmax(logits / T) ), mean over pairs; one column c means logits (0, c).

    For large T it approaches the squared error of the logits minus each pair's mean, divided by 2 C. Unlike
    `logit_mse`, it ignores a common offset of all logits of a pair.
    """
    _check_shapes(logits, teacher)
    # In double precision: T^2 magnifies the rounding of a difference that shrinks as 1 / T^2.
    target = torch.softmax(_columns(teacher).to(logits.device).double() / temperature, 1)
    cross_entropy = _over_classes(_columns(logits).double(), near.weights(target), temperature)
    return temperature**2 * (cross_entropy - torch.special.entr(target).sum(1).mean())


def _columns(logits: Float[Tensor, "n c"]) -> Float[Tensor, "n columns"]:
    """A single logit is that of yes; the logit of no is 0."""
    return F.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


def _check_shapes(logits: Tensor, teacher: Tensor) -> None:
    """Other shapes could broadcast to n x n without an error."""
    if logits.shape != teacher.shape:
        raise ValueError(f"expected logits of the teacher's shape {tuple(teacher.shape)}, got {tuple(logits.shape)}")


def _over_classes(logits: Float[Tensor, "n c"], nearness: near.Near, temperature: float = 1.0) -> Float[Tensor, ""]:
    unit = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
    return contrast(logits, unit, nearness, temperature=temperature, similarity="dot", engine="dense")


class DistilledPairs(nn.Module):
    """(1 - alpha) * loss on the labels + alpha * distance to a teacher's logits, for an encoder with a pair head.

    | columns          | label                                                         |
    | ---------------- | ------------------------------------------------------------- |
    | text, other text | [target, teacher's logits ...]; only the target if alpha is 0 |

    Args:
        model: The encoder in training, which reads the two texts separately.
        head: The pair head, trained with the encoder.
        alpha: Weight of the teacher's term, 0 to 1.
        distance: `"logits"`: squared distance of the logits; `"softened"`: see `softened`.
        temperature: T of `softened`.

    Raises:
        ValueError: alpha out of range, or `softened` for a regression.
    """

    def __init__(
        self,
        model: nn.Module,
        head: PairHead,
        alpha: float = 0.5,
        distance: Literal["logits", "softened"] = "logits",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError(f"invalid alpha: must be 0 to 1, got {alpha}")
        if distance == "softened" and head.config.kind == "regression":
            raise ValueError("invalid distance: must be 'logits' for regression, because a score has no softmax")
        self.model, self.head = model, head
        self.alpha, self.distance, self.temperature = alpha, distance, temperature

    def forward(self, sentence_features: Iterable[Features], labels: Float[Tensor, "n columns"]) -> dict[str, Tensor]:
        """The two weighted terms by name; their sum is the loss, and the log has a curve of each."""
        first, second = embed(reader(self.model, self.head.config.layers), list(sentence_features))
        return self.terms(self.head(first, second), labels)

    def terms(self, logits: Float[Tensor, "n outputs"], labels: Float[Tensor, "n columns"]) -> dict[str, Tensor]:
        """The two terms from the student's logits, without one whose weight is 0."""
        terms = {}
        if self.alpha < 1:
            terms["label"] = (1 - self.alpha) * label_loss(logits, labels[:, 0], self.head.config.kind)
        if self.alpha > 0:
            teacher = labels[:, 1:]
            far = logit_mse(logits, teacher) if self.distance == "logits" else self._softened(logits, teacher)
            terms["teacher"] = self.alpha * far
        return terms

    def _softened(self, logits: Tensor, teacher: Tensor) -> Tensor:
        return softened(logits, teacher, self.temperature).to(logits.dtype)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {"alpha": self.alpha, "distance": self.distance, "temperature": self.temperature}
