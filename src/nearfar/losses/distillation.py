"""Learning a pair's logits: from labels, from a teacher's logits, or from both at once.

What is a softmax here is `nearfar.contrast` with pairs as anchors and classes as candidates: the similarity of pair i
to class c is its logit, so the candidates are the unit vectors. A squared error between logits is no contrast (it has
no denominator); it is the limit of one, see `softened`.
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
from nearfar.models.pairs.top_layers import TopLayers

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.models.packing import Features
    from nearfar.models.pairs.head import Kind, PairHead

__all__ = ["DistilledPairs", "label_loss", "logit_mse", "softened"]


def label_loss(logits: Float[Tensor, "n c"], targets: Float[Tensor, " n"], kind: Kind) -> Float[Tensor, ""]:
    """Squared error (`regression`), cross-entropy of no and yes (`binary`) or of the classes (`classes`).

    Args:
        logits: One column, or one a class.
        targets: Scores; probabilities of yes; or numbers of classes.
        kind: Which of the three.
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
    if logits.shape != teacher.shape:  # would broadcast to n x n in silence
        raise ValueError(f"logits have shape {tuple(logits.shape)}, the teacher's {tuple(teacher.shape)}")
    return (logits.float() - teacher.to(logits.device).float()).square().sum(1).mean()


def softened(
    logits: Float[Tensor, "n c"], teacher: Float[Tensor, "n c"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """T^2 KL( softmax(teacher / T) || softmax(logits / T) ), mean over pairs; one column c stands for {0, c}.

    As T grows it tends to a squared error of the logits, each pair's mean taken out, over 2 C: what it forgets, and
    `logit_mse` does not, is an offset that all of a pair's logits share.
    """
    if logits.shape != teacher.shape:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, the teacher's {tuple(teacher.shape)}")
    # In double precision: T^2 magnifies the rounding of a difference that shrinks as 1 / T^2.
    target = torch.softmax(_columns(teacher).to(logits.device).double() / temperature, 1)
    cross_entropy = _over_classes(_columns(logits).double(), near.weights(target), temperature)
    return temperature**2 * (cross_entropy - torch.special.entr(target).sum(1).mean())


def _columns(logits: Float[Tensor, "n c"]) -> Float[Tensor, "n columns"]:
    """One logit is that of yes against no, whose own is 0."""
    return F.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


def _over_classes(logits: Float[Tensor, "n c"], nearness: near.Near, temperature: float = 1.0) -> Float[Tensor, ""]:
    unit = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
    return contrast(logits, unit, nearness, temperature=temperature, similarity="dot", engine="dense")


class DistilledPairs(nn.Module):
    """(1 - alpha) * loss on the labels + alpha * distance to a teacher's logits, of an encoder with a pair head.

    | columns             | label                                                    |
    | ------------------- | -------------------------------------------------------- |
    | a text, another one | [target, teacher's logits ...]; the target alone if alpha is 0 |

    Args:
        model: The encoder in training: both texts go through it, each by itself.
        head: The pair head, trained with it.
        alpha: The teacher's part, 0 to 1.
        distance: `"logits"`, their squared distance; or `"softened"`, see `softened`.
        temperature: That of `softened`.
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
            raise ValueError(f"alpha must be 0 to 1, got {alpha}")
        if distance == "softened" and head.config.kind == "regression":
            raise ValueError("a score has no softmax: take distance='logits' for regression")
        self.model, self.head = model, head
        self.alpha, self.distance, self.temperature = alpha, distance, temperature

    def forward(self, sentence_features: Iterable[Features], labels: Float[Tensor, "n columns"]) -> dict[str, Tensor]:
        """Both terms by name, weighted: their sum is the loss, and each has a curve of its own in the log."""
        reader = TopLayers(self.model, self.head.config.layers)
        first, second = embed(reader, list(sentence_features))
        return self.terms(self.head(first, second), labels)

    def terms(self, logits: Float[Tensor, "n outputs"], labels: Float[Tensor, "n columns"]) -> dict[str, Tensor]:
        """From the student's logits to the two terms; the one whose weight is 0 is left out."""
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
        """What the model card says of this loss."""
        return {"alpha": self.alpha, "distance": self.distance, "temperature": self.temperature}
