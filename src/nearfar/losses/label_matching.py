"""Texts matched with the texts of their labels, against labels of other texts.

Source: Rethmeier, Augenstein 2020, CLESS: Contrastive Label-Embedding Self-Supervision (arXiv 2010.01061).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from nearfar.losses.nce import binary_nce
from nearfar.models.packing import embed
from nearfar.models.pairs.top_layers import reader
from nearfar.models.towers.texts import has_text_towers

if TYPE_CHECKING:
    from jaxtyping import Int
    from sentence_transformers import SentenceTransformer

    from nearfar.models.packing import Features
    from nearfar.models.pairs.head import PairHead

__all__ = ["LabelMatchingLoss"]


class LabelMatchingLoss(nn.Module):
    """Binary NCE over some labels of each text, and labels drawn from those of the batch.

    A drawn label that the text has itself does not count. Labels are drawn as often as texts have them, so that scores
    do not contain their frequency: see `nearfar.models.label_counts.LabelCounts`.

    Args:
        model: The encoder in training.
        head: The pair head, trained with it.
        labels: The label texts of each row; a label that is listed twice counts once.
        positives: Maximum number of labels of a text in one batch; of more, these are drawn at random.
        negatives: Number of labels that are drawn for each text.

    Data: one column of texts, and `label`, the number of the row.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        head: PairHead,
        labels: Sequence[Sequence[str]],
        positives: int = 5,
        negatives: int = 60,
    ) -> None:
        super().__init__()
        self.model, self.head = model, head
        names = sorted({label for row in labels for label in row})
        place = {name: number for number, name in enumerate(names)}
        numbers = [[place[label] for label in dict.fromkeys(row)] for row in labels]
        self.names, self.rows = names, [torch.tensor(row, dtype=torch.long) for row in numbers]
        self.positives, self.negatives = positives, negatives

    def forward(self, sentence_features: Iterable[Features], labels: Int[Tensor, " n"]) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        read = reader(self.model, self.head.config.layers)
        (texts,) = embed(read, list(sentence_features))
        chosen, positive, counted = self.drawn([self.rows[row] for row in labels.tolist()])
        used, places = chosen.unique(return_inverse=True)
        vectors = self._label_vectors(read, [self.names[number] for number in used.tolist()])
        places = places.to(texts.device)
        n, c = places.shape
        logits = self.head(texts.repeat_interleave(c, 0), vectors[places.flatten()])[:, 0].view(n, c)
        return binary_nce(logits.float(), positive.to(texts.device), counted.to(texts.device))

    def drawn(self, own: Sequence[Int[Tensor, " k"]]) -> tuple[Tensor, Tensor, Tensor]:
        """The labels of each text in this batch (n, positives + negatives), which are its own, and which count.

        Args:
            own: All labels of each text.
        """
        kept = [row[torch.randperm(len(row))[: self.positives]] for row in own]
        pool = torch.cat(kept)
        negatives = pool[torch.randint(len(pool), (len(own), self.negatives))]
        accidental = torch.stack([torch.isin(drawn, row) for drawn, row in zip(negatives, own, strict=True)])
        width = max(map(len, kept))
        first = torch.zeros(len(own), width, dtype=torch.long)
        there = torch.zeros(len(own), width, dtype=torch.bool)
        for number, row in enumerate(kept):
            first[number, : len(row)], there[number, : len(row)] = row, True
        positive = torch.cat([there, torch.zeros_like(accidental)], 1)
        return torch.cat([first, negatives], 1), positive, torch.cat([there, ~accidental], 1)

    def _label_vectors(self, read: nn.Module, names: list[str]) -> Tensor:
        own: Any = getattr(self.model, "module", self.model)
        how = {"task": "document"} if has_text_towers(own) else {}
        features = own.preprocess(names, **how)
        return embed(read, [batch_to_device(features, own.device)])[0]

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {"positives": self.positives, "negatives": self.negatives, "labels": len(self.names)}
