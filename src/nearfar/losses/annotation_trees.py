"""The contrast of texts whose annotation trees overlap.

Source: He et al. 2022, SPACE-2: Tree-Structured Semi-Supervised Contrastive Pre-training (COLING).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar import far, near
from nearfar.data.trees import VIEWS, Tree, element_numbers
from nearfar.losses._own import averaged_over_processes
from nearfar.losses.contrast import ContrastLoss

if TYPE_CHECKING:
    from jaxtyping import Int

    from nearfar.losses.masked import MaskedLanguageLoss
    from nearfar.near import Near

__all__ = ["TreeLoss"]

Targets = Literal["views", "combined", "equal"]


class TreeLoss(ContrastLoss):
    """Each text twice, with different dropout: 2n vectors z, which are anchors, and candidates of all others.

        P_ij = w_ij / sum_l w_il,    w_ij = 1 for the two vectors of a text, else
        views:    one head z^v and one loss for each view v, w^v_ij = |A_iv & A_jv| / |A_iv | A_jv|; the mean of the ten
        combined: one head, w_ij = the mean of these over the views in which one of both trees has elements
        equal:    one head, w_ij = 1 if the trees are equal, else 0 (SupCon)

    A_iv are the elements of tree i in view v, see `nearfar.data.trees`. A text without annotation is near to itself
    alone (NT-Xent).

    Args:
        model: The model in training.
        trees: The tree of each row.
        targets: What w is.
        width: Width of each head, a linear layer and tanh; 0: no head, with one loss only. Heads are no part of the
            model; the names of their parameters contain `training_head`.
        masked: Loss of masked language modelling, computed on the first column.
        masked_weight: Its weight.
        **settings: See `ContrastLoss`; without `near`, `far`, `symmetric` and `cached`.

    Data: columns `anchor` and `positive`, both the same text, and `label`, the number of the row.

    Raises:
        ValueError: `cached` is set (the heads would be trained twice per batch), or ten losses have no heads.
    """

    sets: Tensor
    tree: Tensor

    def __init__(
        self,
        model: SentenceTransformer,
        trees: Sequence[Tree],
        targets: Targets = "views",
        width: int = 0,
        masked: MaskedLanguageLoss | None = None,
        masked_weight: float = 0.1,
        **settings: Any,
    ) -> None:
        if settings.get("cached"):
            raise ValueError("invalid cached: must be False, because the heads would be trained twice per batch")
        if targets == "views" and not width:
            raise ValueError("invalid width: must be at least 1, because each view has a head of its own")
        super().__init__(model, **settings)
        # The first tree is the empty one.
        places = {tree: number for number, tree in enumerate(dict.fromkeys([frozenset(), *trees]))}
        self.register_buffer("sets", element_numbers(list(places)), persistent=False)
        self.register_buffer("tree", torch.tensor([places[tree] for tree in trees]), persistent=False)
        self.targets, self.masked, self.masked_weight = targets, masked, masked_weight
        self.heads = len(VIEWS) if targets == "views" else 1
        self.training_head: nn.Module | None = None
        if width:
            linear = nn.Linear(model.get_embedding_dimension() or 0, self.heads * width)
            self.training_head = averaged_over_processes(nn.Sequential(linear, nn.Tanh()))

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        columns = list(sentence_features)
        loss = super().forward(columns, labels)
        return loss if self.masked is None else loss + self.masked_weight * self.masked(self.model, columns[0])

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """See `ContrastLoss.loss_of_vectors`; the columns are the two vectors of each text."""
        if labels is None or len(columns) != 2:
            raise ValueError("TreeLoss requires the columns anchor and positive, and the 'label' column of row numbers")
        vectors = torch.cat(list(columns))
        if self.training_head is not None:
            vectors = self.training_head(vectors)
        losses = [
            self.one_way(head, head, self.near_of(labels.repeat(2), view), far.except_self(), temperature)
            for view, head in enumerate(vectors.chunk(self.heads, dim=1))
        ]
        return torch.stack(losses).mean()

    def near_of(self, rows: Int[Tensor, " n"], view: int = 0) -> Near:
        """P of these rows among each other, in one view where each has its own."""
        trees = self.tree[rows]
        if self.targets == "equal":
            # A row without annotation equals only itself.
            return near.same_label(torch.where(trees > 0, trees, -1 - rows))
        sets = self.sets[trees]
        return near.by_overlap(sets[:, view : view + 1] if self.targets == "views" else sets, items_a=rows)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        masked = {} if self.masked is None else {"masked_weight": self.masked_weight}
        return super().get_config_dict() | {"targets": self.targets} | masked
