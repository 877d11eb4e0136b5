"""Negatives for pairs from a corpus: some that an encoder finds similar to the query, and some at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from nearfar.data.same_text import NumberedTexts
from nearfar.errors import InputError
from nearfar.mining.hard_negatives import positives_of
from nearfar.settings import Count, Fraction, Probability, check_ranges

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

__all__ = ["Negatives", "complete_rows", "drawn_negatives", "with_negatives"]

#: Negatives per row if neither the rows nor the user say how many.
USUAL = 4

# Similarities in memory at a time: 64 MB.
_BLOCK = 2**24


@dataclass(frozen=True)
class Negatives:
    """How negatives are chosen.

    Args:
        count: Number per row.
        random: Fraction of these that is drawn from the whole corpus; the others are mined.
        nearest: Mined negatives are drawn from so many of the documents that are most similar to the query.
        margin: A document is probably relevant, and is not mined, if its cosine with the query is above 1 - margin
            times that of the positive. 0: only what is more similar than the positive.
    """

    count: Count = 16
    random: Fraction = 0.5
    nearest: Count = 50
    margin: Probability = 0.05

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def mined(self) -> int:
        """Number of mined negatives per row."""
        return self.count - int(self.count * self.random)


def complete_rows(rows: Dataset, count: int, corpus: str = "", miner: str = "minilm") -> Dataset:
    """Pairs with negatives, by the names of a corpus and an encoder.

    Args:
        rows: See `with_negatives`.
        count: Negatives per row, of more only the first ones; 0: those of the rows, or `USUAL` if they have none.
        corpus: File of documents, see `nearfar.data.corpus`; empty: the documents of the rows.
        miner: Name of an encoder for `nearfar.models.load`, which is loaded only if negatives are missing.

    Raises:
        InputError: The corpus or the encoder cannot be read, or the corpus has too few documents.
    """
    from nearfar.data.corpus import read_corpus
    from nearfar.models import load

    own = _own(rows)
    count = count or len(own) or USUAL
    if len(own) >= count:
        return _first(rows, count)
    documents = list(read_corpus(corpus)[1]) if corpus else None
    return with_negatives(rows, load(miner), Negatives(count), documents)


def with_negatives(
    rows: Dataset,
    encoder: SentenceTransformer,
    how: Negatives,
    corpus: Sequence[str] | None = None,
    *,
    batch_size: int = 64,
    seed: int = 0,
) -> Dataset:
    """Pairs whose rows all have `how.count` negatives: their own, then others from the corpus.

    Args:
        rows: Columns `anchor`, `positive` and any of `negative`, `negative_1`, ...; of more than enough,
            the first are used.
        encoder: The encoder that finds similar documents.
        how: How many, and how they are chosen.
        corpus: The documents; those of the rows when None.
        batch_size: Texts per forward pass.
        seed: Random seed.

    Returns:
        Columns `anchor`, `positive`, `negative_1`, `negative_2`, ...

    Raises:
        InputError: The corpus has too few documents.
    """
    from datasets import Dataset

    own = _own(rows)
    if len(own) >= how.count:
        return _first(rows, how.count)
    queries, positives = list(rows["anchor"]), list(rows["positive"])
    known = [list(texts) for texts in zip(*(rows[name] for name in own), strict=True)] if own else [[] for _ in queries]
    documents = list(corpus) if corpus is not None else [text for texts in known for text in texts]
    missing = Negatives(how.count - len(own), how.random, how.nearest, how.margin)
    found = drawn_negatives(queries, positives, documents, encoder, missing, known, batch_size=batch_size, seed=seed)
    columns = zip(*([*mine, *more] for mine, more in zip(known, found, strict=True)), strict=True)
    names = (f"negative_{number}" for number in range(1, how.count + 1))
    return Dataset.from_dict(
        {"anchor": queries, "positive": positives, **dict(zip(names, map(list, columns), strict=True))}
    )


def _first(rows: Dataset, count: int) -> Dataset:
    """The rows with the first `count` of their own negatives."""
    more = _own(rows)[count:]
    return rows.remove_columns(more) if more else rows


def _own(rows: Dataset) -> list[str]:
    return [name for name in rows.column_names if name == "negative" or name.startswith("negative_")]


def drawn_negatives(
    queries: Sequence[str],
    positives: Sequence[str],
    corpus: Sequence[str],
    encoder: SentenceTransformer,
    how: Negatives,
    known: Sequence[Sequence[str]] | None = None,
    *,
    batch_size: int = 64,
    seed: int = 0,
) -> list[list[str]]:
    """Different negatives for each pair, the mined ones first; where too few can be mined, random ones fill up.

    A document that is a positive of the same query in any pair is never its negative. Documents that differ only in
    case and white space are duplicates.

    Args:
        queries, positives: The pairs.
        corpus: The documents; positives of other queries are documents, too.
        encoder: The encoder whose cosines are the similarity, with its prompts for queries and documents.
        how: How many, and how they are chosen.
        known: Texts of each row that cannot be drawn: its own negatives.
        batch_size: Texts per forward pass.
        seed: Random seed: seed and data alone decide what is drawn.

    Raises:
        InputError: The corpus has too few documents.
    """
    from nearfar.models.encoding import encode

    numbers = NumberedTexts()
    documents: list[str] = []
    for text in (*positives, *corpus):
        if text.strip() and numbers.add(text) == len(documents):
            documents.append(text)
    right = [numbers.add(text) for text in positives]
    refused = _refused(queries, right, known, numbers)
    most = max(map(len, refused))
    if len(documents) < how.count + most:
        raise InputError(
            f"{how.count} negatives per row require at least {how.count + most} different documents, got "
            f"{len(documents)}",
            field="negatives",
            remedy="use fewer negatives, or a larger corpus",
        )
    asked = list(dict.fromkeys(queries))
    place = {text: row for row, text in enumerate(asked)}
    first = torch.from_numpy(encode(encoder, asked, kind="query", batch_size=batch_size)).to(encoder.device)
    second = torch.from_numpy(encode(encoder, documents, kind="document", batch_size=batch_size)).to(encoder.device)
    generator = torch.Generator().manual_seed(seed)
    found: list[list[int]] = []
    step = max(1, _BLOCK // len(documents))
    for start in range(0, len(queries), step):
        rows = range(start, min(start + step, len(queries)))
        vectors = F.normalize(first[[place[queries[row]] for row in rows]], dim=1)
        part = _nearest(vectors, F.normalize(second, dim=1), [right[row] for row in rows], how, most)
        for row, candidates in zip(rows, part, strict=True):
            found.append(_drawn(candidates, refused[row], len(documents), how, generator))
    return [[documents[each] for each in of_row] for of_row in found]


def _refused(
    queries: Sequence[str], right: Sequence[int], known: Sequence[Sequence[str]] | None, numbers: NumberedTexts
) -> list[set[int]]:
    """The documents of each row that are no negatives: all positives of its query, and what it has already."""
    of_query = positives_of(queries, right)
    own = known or [()] * len(queries)
    return [
        {*of_query[query], *(number for text in texts if (number := numbers.find(text)) is not None)}
        for query, texts in zip(queries, own, strict=True)
    ]


def _nearest(
    queries: Float[Tensor, "n d"], documents: Float[Tensor, "m d"], right: Sequence[int], how: Negatives, room: int
) -> list[list[int]]:
    """The most similar documents of each query that are less similar than its positive, `room` more than asked for."""
    similarity = queries @ documents.T
    positive = similarity[torch.arange(len(right)), right]
    # A negative cosine has no part of it that is a limit.
    limit = torch.where(positive > 0, (1 - how.margin) * positive, positive)
    similarity.masked_fill_(similarity > limit[:, None], -torch.inf)
    values, rows = similarity.topk(min(how.nearest + room, similarity.shape[1]), dim=1)
    return [
        [row for row, value in zip(of_query, cosines, strict=True) if value > -torch.inf]
        for of_query, cosines in zip(rows.tolist(), values.tolist(), strict=True)
    ]


def _drawn(
    candidates: Sequence[int], refused: set[int], documents: int, how: Negatives, generator: torch.Generator
) -> list[int]:
    """The mined documents of one row, then the random ones."""
    near = [row for row in candidates if row not in refused][: how.nearest]
    found = [near[each] for each in torch.randperm(len(near), generator=generator)[: how.mined].tolist()]
    taken = {*refused, *found}
    while len(found) < how.count:
        for row in torch.randint(documents, (2 * how.count,), generator=generator).tolist():
            if row not in taken and len(found) < how.count:
                taken.add(row)
                found.append(row)
    return found
