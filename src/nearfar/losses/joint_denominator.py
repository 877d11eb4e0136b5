"""InfoNCE with the similarities of queries to queries, and of documents to documents, in the same denominator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar import far, near
from nearfar.losses.contrast import ContrastLoss

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["JointDenominatorLoss"]


class JointDenominatorLoss(ContrastLoss):
    """One softmax for each query i over four blocks of similarities, s = cosine:

        -log( exp(s(q_i, d_i) / tau) / Z_i )
        Z_i = sum_j exp(s(q_i, c_j) / tau)                c: the positives and negatives of all rows
            + sum over other rows of exp(s(q_i, q_j) / tau)             queries
            + sum over other rows of exp(s(d_i, c_j) / tau)             documents, against the positive d_i

    without likely false negatives: whatever is more similar than s(q_i, d_i) + margin, in any block, and texts that are
    equal to the query or its positive.

    All blocks are one call of `nearfar.contrast`, with vectors of two halves: the anchor is [q_i, d_i], and the
    candidates are [c_j, 0], [q_j, 0] and [0, c_j].

    | columns                              | label                                                       |
    | ------------------------------------ | ----------------------------------------------------------- |
    | anchor, positive, negative, ...      | number of the row, then numbers of the texts of each column |

    Args:
        model: The model in training.
        queries, documents: Whether Z has these blocks.
        margin: What a false negative is above the positive; None: no similarity is too high.
        temperature, cached, mini_batch_num_tokens, gather_across_devices: See `ContrastLoss`.

    Source: Zhang et al. 2025, Qwen3 Embedding.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        queries: bool = True,
        documents: bool = True,
        margin: float | None = 0.1,
        temperature: float = 0.05,
        cached: bool = False,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__(
            model,
            temperature=temperature,
            similarity="dot",
            cached=cached,
            mini_batch_num_tokens=mini_batch_num_tokens,
            gather_across_devices=gather_across_devices,
        )
        self.queries, self.documents, self.margin = queries, documents, margin

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """See `ContrastLoss.loss_of_vectors`; columns are anchor, positive, negatives."""
        if labels is None or labels.shape[1] != 1 + len(columns):
            raise ValueError("JointDenominatorLoss requires a 'label' column: the row, and the text of each column")
        dtype = torch.promote_types(columns[0].dtype, torch.float32)
        query, *texts = (F.normalize(x.to(dtype), dim=1) for x in columns)
        documents, width = torch.cat(texts), query.shape[1]
        row, query_text, positive_text = labels[:, 0], labels[:, 1], labels[:, 2]
        document_row, document_text = row.repeat(len(texts)), labels[:, 2:].T.flatten()
        # Of each candidate: its vector, its text, and the row whose anchor it is no candidate of.
        blocks = [(F.pad(documents, (0, width)), document_text, torch.full_like(document_row, -1))]
        if self.queries:
            blocks.append((F.pad(query, (0, width)), query_text, row))
        if self.documents:
            blocks.append((F.pad(documents, (width, 0)), document_text, document_row))
        candidates, text, excluded = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        anchors = torch.cat([query, texts[0]], 1)
        kept = far.except_same_label(row, excluded)
        kept += far.except_same_label(query_text, text) + far.except_same_label(positive_text, text)
        if self.margin is not None:
            # Anchors are sqrt(2) long, so that their cosines are similarities divided by it.
            kept += far.except_likely_positives(anchors, candidates, margin=-self.margin / 2**0.5)
        return self.one_way(anchors, candidates, near.paired(), kept, temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        own = {"queries": self.queries, "documents": self.documents, "margin": self.margin}
        return {**super().get_config_dict(), **own}
