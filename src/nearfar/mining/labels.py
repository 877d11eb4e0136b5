"""Pairs of texts that share a label."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float, Int
    from sentence_transformers import SentenceTransformer

__all__ = ["label_pairs", "name_vectors", "numbered", "pair_sets"]


def label_pairs(
    labels: Int[Tensor, " n"] | Sequence[int], seed: int = 0, *, extend: bool = False
) -> Int[Tensor, "pairs 2"]:
    """Neighbours in a random order of each label's rows; the pairs of all labels are shuffled together.

    A label of k rows gives k - 1 pairs, none if it has one row. No row is paired with itself.

    Args:
        labels: One a row.
        seed: Decides all orders.
        extend: Every label that has a pair gives as many as the largest label has rows, in ever new orders of its own:
            labels are drawn evenly, whatever their size.

    Source: Burdisso et al. 2024, Dialog2Flow.
    """
    generator = torch.Generator().manual_seed(seed)
    _, ids, counts = torch.unique(torch.as_tensor(labels), return_inverse=True, return_counts=True)
    if not len(counts):
        return torch.empty(0, 2, dtype=torch.long)
    largest = int(counts.max())
    found = []
    for rows in torch.argsort(ids, stable=True).split(counts.tolist()):
        wanted, size = largest if extend else len(rows) - 1, len(rows) - 1
        while size and wanted > 0:
            order = rows[torch.randperm(len(rows), generator=generator)]
            found.append(torch.stack([order[:-1], order[1:]], 1)[:wanted])
            wanted -= size
    if not found:
        return torch.empty(0, 2, dtype=torch.long)
    pairs = torch.cat(found)
    return pairs[torch.randperm(len(pairs), generator=generator)]


def pair_sets(
    sets: Mapping[str, tuple[Sequence[str], Sequence[int]]], extended: Collection[str] = (), seed: int = 0
) -> dict[str, Dataset]:
    """Several sets of labelled texts as pairs, as many of each set as the smallest one gives.

    Args:
        sets: Texts and their labels by name.
        extended: Names of sets whose labels are drawn evenly, see `label_pairs`.
        seed: Decides all orders.

    Returns:
        Rows `anchor`, `positive`, `label` by name.
    """
    from datasets import Dataset

    pairs = {name: label_pairs(labels, seed, extend=name in extended) for name, (_, labels) in sets.items()}
    size = min(map(len, pairs.values()))
    found = {}
    for name, (texts, labels) in sets.items():
        rows = pairs[name][:size].tolist()
        anchors, positives = ([texts[row[side]] for row in rows] for side in (0, 1))
        columns = {"anchor": anchors, "positive": positives, "label": [labels[anchor] for anchor, _ in rows]}
        found[name] = Dataset.from_dict(columns)
    return found


def numbered(labels: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different labels in alphabetical order, and for each row the place of its label among them."""
    names = sorted(set(labels))
    place = {name: row for row, name in enumerate(names)}
    return names, [place[label] for label in labels]


def name_vectors(names: Sequence[str], encoder: str | SentenceTransformer = "minilm") -> Float[Tensor, "names m"]:
    """The unit vectors of labels' names: how alike two labels are is the cosine of what they are called.

    Args:
        names: One for each label.
        encoder: A text encoder, or its name as `nearfar.models.load` takes it.

    Raises:
        InputError: no name holds a letter, or there is no such encoder.

    Source: Burdisso et al. 2024, Dialog2Flow.
    """
    from nearfar.models import load
    from nearfar.models.encoding import encode

    if not any(letter.isalpha() for name in names for letter in name):
        raise InputError(
            f"the labels ({names[0]!r}, ...) are no names that could be compared" if names else "there is no label",
            field="label",
            remedy="give names, or train with targets=hard",
        )
    return torch.from_numpy(encode(load(encoder) if isinstance(encoder, str) else encoder, list(names)))
