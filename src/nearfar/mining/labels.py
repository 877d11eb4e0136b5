"""Pairs of texts with the same label."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float, Int
    from sentence_transformers import SentenceTransformer

__all__ = ["label_pairs", "name_vectors", "numbered", "pair_sets", "utterance_pairs"]


def label_pairs(
    labels: Int[Tensor, " n"] | Sequence[int], seed: int = 0, *, extend: bool = False
) -> Int[Tensor, "pairs 2"]:
    """Pairs of consecutive rows in a random order of each label's rows; the pairs of all labels are shuffled.

    A label of k rows gives k - 1 pairs, none if it has one row. No row is paired with itself.

    Args:
        labels: One per row.
        seed: Random seed.
        extend: Every label with at least two rows gives as many pairs as the largest label has rows, from repeated
            shuffles, so that labels are equally frequent.

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
    """Pairs from several sets of labelled texts, the same number from each: that of the smallest set.

    Args:
        sets: Texts and labels by name.
        extended: Names of sets with `extend` of `label_pairs`.
        seed: Random seed.

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


def utterance_pairs(
    rows: Dataset,
    kinds: Sequence[Literal["action", "act", "slot"]] = ("action",),
    *,
    more_than: int = 1,
    sort_slots: bool = False,
    clean: bool = True,
    extended: Collection[str] = (),
    seed: int = 0,
) -> tuple[dict[str, Dataset], dict[str, list[str]]]:
    """Pairs of utterances with the same label: for each kind of label a set, all of the same size.

    Args:
        rows: Dialogues, turns, or texts with labels.
        kinds: Kinds of labels, see `nearfar.data.actions.labelled_utterances`.
        more_than, sort_slots, clean: As there.
        extended, seed: As in `pair_sets`.

    Returns:
        By kind: rows `anchor`, `positive`, `label`; and the names of the labels 0, 1, ...

    Raises:
        InputError: No turn has such labels, or fewer than two labels remain.
    """
    from nearfar.data.actions import labelled_utterances

    sets: dict[str, tuple[list[str], list[int]]] = {}
    names: dict[str, list[str]] = {}
    for kind in kinds:
        texts, labels = labelled_utterances(rows, kind, more_than=more_than, sort_slots=sort_slots, clean=clean)
        names[kind], numbers = numbered(labels)
        sets[kind] = texts, numbers
    return pair_sets(sets, extended, seed), names


def numbered(labels: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different labels, sorted, and for each row the index of its label."""
    names = sorted(set(labels))
    place = {name: row for row, name in enumerate(names)}
    return names, [place[label] for label in labels]


def name_vectors(names: Sequence[str], encoder: str | SentenceTransformer = "minilm") -> Float[Tensor, "names m"]:
    """Unit vectors of the names of labels; the cosine of two is the similarity of the labels.

    Args:
        names: One per label.
        encoder: A text encoder, or its name for `nearfar.models.load`.

    Raises:
        InputError: No name contains a letter, or there is no such encoder.

    Source: Burdisso et al. 2024, Dialog2Flow.
    """
    from nearfar.models import load
    from nearfar.models.encoding import encode

    if not any(letter.isalpha() for name in names for letter in name):
        raise InputError(
            f"expected labels in words, got {names[0]!r}, ..." if names else "expected at least one label, got none",
            field="label",
            remedy="use words as labels, or train with targets=hard",
        )
    return torch.from_numpy(encode(load(encoder) if isinstance(encoder, str) else encoder, list(names)))
