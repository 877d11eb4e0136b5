"""Contrast against prototypes: a frozen bank of vectors, one of which is the positive of a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn

from nearfar import near
from nearfar.contrast import contrast
from nearfar.errors import InputError
from nearfar.losses._own import averaged_over_processes
from nearfar.models.encoding import encode

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["PrototypeLoss", "mean_prototypes", "text_prototypes", "word_prototypes"]


class PrototypeLoss(nn.Module):
    """Each text has one prototype as its positive, and all others as negatives.

        v_i = projection(pooling(model(text_i)))
        loss_i = logsumexp_j( v_i . e_j / tau ) - v_i . e_label(i) / tau

    This is `contrast` with the bank as candidates, dot products and `near.same_label`. The bank has any number of
    prototypes; it is constant, without gradient, and not saved in checkpoints.

    Args:
        model: The model in training.
        bank: The prototypes e; they are not normalized.
        pooling: Pools the tokens of the model; None: use the sentence embedding of the model.
        projection: Applied to the pooled vectors; trained unless frozen, but not part of the model. None: the identity.
        temperature: tau.

    Data: one column of texts, and `label`, the row of the bank that is the text's positive.
    """

    bank: Tensor
    rows: Tensor

    def __init__(
        self,
        model: SentenceTransformer,
        bank: Float[Tensor, "n d"],
        pooling: nn.Module | None = None,
        projection: nn.Module | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.model, self.pooling, self.temperature = model, pooling, temperature
        self.projection = nn.Identity() if projection is None else projection
        averaged_over_processes(self.projection)
        self.register_buffer("bank", bank.detach().clone(), persistent=False)
        self.register_buffer("rows", torch.arange(len(bank)), persistent=False)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        (features,) = sentence_features
        outputs = self.model(features)
        if self.pooling is not None:
            outputs = self.pooling(dict(outputs))
        vectors = self.projection(outputs["sentence_embedding"])
        target = near.same_label(labels, self.rows)
        return contrast(vectors, self.bank, target, temperature=self.temperature, similarity="dot")

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {"prototypes": len(self.bank), "temperature": self.temperature}


def mean_prototypes(
    vectors: Float[np.ndarray, "m d"], labels: Int[np.ndarray, " m"] | Sequence[int]
) -> Float[Tensor, "n d"]:
    """The mean of the vectors of each label 0, 1, ..., n - 1; every label has at least one."""
    counts = np.bincount(np.asarray(labels))
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, np.asarray(labels), vectors)
    return torch.from_numpy(sums / counts[:, None]).float()


def text_prototypes(
    model: SentenceTransformer, pooling: Pooling, texts: Sequence[str], labels: Sequence[int], max_length: int = 0
) -> Float[Tensor, "n d"]:
    """The mean vector of each label's texts, by the present weights of the model.

    Args:
        model: Its backbone embeds the texts, without dropout and gradient.
        pooling: Pools the tokens; the vectors are not normalized.
        texts: The texts of all labels; the labels' names are not used.
        labels: 0, 1, ..., n - 1, one for each text.
        max_length: Number of tokens after which texts are truncated; 0: the model's own limit.
    """
    bare = SentenceTransformer(modules=[model[0], pooling], device=str(model.device)).eval()
    return mean_prototypes(encode(bare, list(texts), max_length=max_length or None, normalize=False), list(labels))


def word_prototypes(
    model: SentenceTransformer, rows: Dataset, entries: Sequence[str]
) -> tuple[Dataset, Float[Tensor, "n d"]]:
    """The model's input embeddings of the entries that are a single token of its vocabulary.

    Args:
        model: A model with input embeddings and a tokenizer.
        rows: Rows with `label`, the index of the entry.
        entries: The text of each entry.

    Returns:
        The rows of these entries, with new labels 0, 1, ...; and the embeddings of the entries.

    Raises:
        InputError: Fewer than two entries are a single token.
    """
    unknown = model.tokenizer.unk_token_id
    tokens = model.tokenizer(list(entries), add_special_tokens=False)["input_ids"]
    token_of = {label: ids[0] for label, ids in enumerate(tokens) if len(ids) == 1 and ids[0] != unknown}
    if len(token_of) < 2:
        raise InputError(
            f"expected at least two entries that are a single token, got {len(token_of)} of {len(entries)}",
            field="entry",
            remedy="add single words, or use targets=definitions, which accepts any entry",
        )
    number = {label: row for row, label in enumerate(token_of)}
    labels = list(rows["label"])
    kept = [row for row, label in enumerate(labels) if label in number]
    chosen = rows.select(kept).remove_columns("label").add_column("label", [number[labels[row]] for row in kept])
    backbone: Any = model[0]
    embeddings = backbone.auto_model.get_input_embeddings().weight.detach()
    return chosen, embeddings[list(token_of.values())]
