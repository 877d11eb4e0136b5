"""Losses for rerankers: contrast, supervised fine-tuning, and every mixture of their weights and directions.

A reranker gives a query and a document the logit of yes, z_y, and the logit of no, z_n. A group is a query with its
positive (column 0) and N negatives. Both losses are `nearfar.contrast`: with contrast the candidates of a query are its
N + 1 documents, with supervised fine-tuning the candidates of a pair are {no, yes}.

    L_CL  = -log( exp z_y(0) / sum_j exp z_y(j) )
    L_SFT = -log s(0) - sum_{i >= 1} log(1 - s(i)),   s = sigmoid(z_y - z_n)

Their gradients with respect to the state h of a pair are a weight times a direction, dL/dh_0 = -W(0) D and
dL/dh_i = W(i) D:

    CL:  W(0) = 1 - p(0), W(i) = p(i), p = softmax of z_y over the group,  D = the row of yes in the head
    SFT: W(0) = 1 - s(0), W(i) = s(i),                                     D = the row of yes minus the row of no

All losses are a sum over the documents of a group and a mean over groups, so that learning rates mean the same.

Source: Dai et al. 2025, Supervised Fine-Tuning or Contrastive Learning? Towards Better Multimodal LLM Reranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from nearfar.losses.distillation import label_loss
from nearfar.models.yes_no import answer_logits, hidden_size

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import CrossEncoder

__all__ = ["Direction", "RerankingLoss", "Weight", "reranking_loss", "reranking_weights"]

Weight = Literal["sft", "cl", "one", "mask"]
Direction = Literal["sft", "cl", "random"]


@torch.no_grad()
def reranking_weights(
    yes: Float[Tensor, "groups n"], no: Float[Tensor, "groups n"], weight: Weight, tau: float = 0.1
) -> Float[Tensor, "groups n"]:
    """The weight of each document in the gradient, in [0, 1]; without gradient.

    Args:
        yes: z_y; column 0 is that of the positive.
        no: z_n.
        weight: `cl` or `sft` as above; `one`: 1 everywhere; `mask`: 1 unless the pair is learned, that is
            s(0) > 1 - tau or s(i) < tau.
        tau: See `mask`.
    """
    if weight == "one":
        return torch.ones_like(yes)
    probability = torch.softmax(yes, 1) if weight == "cl" else torch.sigmoid(yes - no)
    error = torch.cat([1 - probability[:, :1], probability[:, 1:]], 1)
    return (error >= tau).to(yes.dtype) if weight == "mask" else error


def reranking_loss(
    yes: Float[Tensor, "groups n"],
    no: Float[Tensor, "groups n"],
    weight: Weight = "sft",
    direction: Direction = "sft",
    *,
    projected: Float[Tensor, "groups n"] | None = None,
    tau: float = 0.1,
) -> Float[Tensor, ""]:
    """The loss whose gradient has this weight and this direction.

    With the same name for both it is the plain loss, value included. Otherwise it is a surrogate: its gradient is the
    one asked for, and its value means nothing, because the weights are constants of it.

    Args:
        yes: z_y; column 0 is that of the positive.
        no: z_n; zeros for a classifier with one logit, for which both directions are then the same.
        weight: See `reranking_weights`.
        direction: The score that is pushed: `cl`: z_y; `sft`: z_y - z_n; `random`: `projected`.
        projected: The product of the states with a learned vector, for `random`.
        tau: See `reranking_weights`.

    Raises:
        ValueError: Shapes differ, or `projected` does not fit the direction.
    """
    if yes.shape != no.shape or yes.ndim != 2:
        raise ValueError(f"expected two matrices of the same shape, got {tuple(yes.shape)} and {tuple(no.shape)}")
    if (projected is None) == (direction == "random"):
        raise ValueError(f"projected is required for the direction 'random' only, got {direction!r}")
    if weight == direction == "cl":
        return label_loss(yes, torch.zeros(len(yes)), "classes")
    if weight == direction == "sft":
        labels = torch.zeros_like(yes)
        labels[:, 0] = 1
        pairs = torch.stack([no.flatten(), yes.flatten()], 1)
        return yes.shape[1] * label_loss(pairs, labels.flatten(), "classes")
    weights = reranking_weights(yes, no, weight, tau)
    score = {"cl": yes, "sft": yes - no, "random": projected}[direction]
    assert score is not None
    return ((weights * score)[:, 1:].sum(1) - weights[:, 0] * score[:, 0]).mean()


class RerankingLoss(nn.Module):
    """`reranking_loss` of a CrossEncoder, for the trainer of sentence-transformers.

    | columns                                  | label |
    | ---------------------------------------- | ----- |
    | query, positive, negative or negatives   | none  |

    All pairs of a batch are read in order of length. Of a language model, only the rows of yes and no of its head are
    computed.

    Args:
        model: A CrossEncoder with one output, or a causal language model that answers yes or no.
        weight, direction, tau: See `reranking_loss`.

    Raises:
        ValueError: The direction `random` for a classifier: its output is a learned vector already.
    """

    def __init__(
        self, model: CrossEncoder, weight: Weight = "sft", direction: Direction = "sft", tau: float = 0.1
    ) -> None:
        super().__init__()
        self.model, self.tau = model, tau
        self.weight: Weight = weight
        self.direction: Direction = direction
        self.vector: nn.Parameter | None = None
        if direction == "random":
            size = hidden_size(model)
            self.vector = nn.Parameter(torch.randn(size, device=model.device) / size**0.5)

    def forward(
        self, inputs: Sequence[Sequence[str]], labels: object = None, prompt: str | None = None, **_: object
    ) -> Float[Tensor, ""]:
        """The loss of a batch of columns of texts."""
        queries, *documents = inputs
        pairs = [pair for column in documents for pair in zip(queries, column, strict=True)]
        logits = answer_logits(self.model, pairs, vector=self.vector, prompt=prompt)
        yes, no, *projected = (each.reshape(len(documents), len(queries)).T for each in logits.T)
        return reranking_loss(
            yes,
            no,
            self.weight,
            self.direction,
            projected=projected[0] if projected else None,
            tau=self.tau,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {"weight": self.weight, "direction": self.direction, "tau": self.tau}
