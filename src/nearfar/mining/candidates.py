"""For every sentence of a corpus, candidates for its positives and its negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.data.same_text import NumberedTexts
from nearfar.errors import InputError
from nearfar.mining.neighbours import nearest
from nearfar.mining.surface import Surface

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Candidates", "mine"]

# Anchors per batch when vectors of candidates are gathered.
_ROWS = 1024


@dataclass(frozen=True, eq=False)
class Candidates:
    """k candidates for each of n sentences.

    Args:
        rows: Their row numbers in the corpus.
        semantic: Cosines with the sentence; -inf marks an empty slot.
        surface: Surface similarities with it.
    """

    rows: Int[Tensor, "n k"]
    semantic: Float[Tensor, "n k"]
    surface: Float[Tensor, "n k"]

    def __getitem__(self, sentences: Any) -> Candidates:
        """The candidates of some of the sentences."""
        return Candidates(self.rows[sentences], self.semantic[sentences], self.surface[sentences])


def mine(
    texts: Sequence[str],
    vectors: Float[Tensor, "n d"],
    surface: Surface,
    positives: int = 20,
    negatives: int = 180,
    random: int = 20,
    generator: torch.Generator | None = None,
) -> tuple[Candidates, Candidates]:
    """Find candidates for positives and negatives with the vectors of a frozen teacher.

    Positives: the sentence itself, then its nearest sentences. Negatives: the next nearest, then random ones that are
    not among these. Texts that differ only in case and white space are duplicates, of which only the first is a
    candidate. Memory is n times the number of candidates.

    Args:
        texts: The corpus.
        vectors: Of the teacher; they get no gradient.
        surface: Surface similarity of the same texts.
        positives: Number of nearest sentences among the positives, K+; at most half of the others are used.
        negatives: Number of next nearest sentences among the negatives, K-.
        random: Number of random sentences among the negatives.
        generator: Random generator on the CPU.

    Returns:
        Candidates for positives, and for negatives.

    Raises:
        InputError: Fewer than two different texts.
    """
    kept, standing = _distinct(texts)
    n = len(kept)
    if n < 2:
        raise InputError("expected at least two different texts, got one", field="text", remedy="add texts")
    unit = F.normalize(vectors.detach().float(), dim=1)[kept.to(vectors.device)]
    close = min(positives, (n - 1) // 2)
    found, cosines = nearest(unit, max(1, close + negatives))
    itself = torch.arange(n, dtype=torch.int32)[:, None]
    drawn = torch.randint(n, (n, random), generator=generator, dtype=torch.int32)
    # Column by column, because comparing all random sentences with all neighbours at once needs too much memory.
    known = [(torch.cat([itself, found], 1) == column[:, None]).any(1) for column in drawn.T]
    similarity = _cosines(unit, drawn)
    for column, repeated in enumerate(known):
        similarity[repeated, column] = -torch.inf

    def made(rows: Tensor, semantic: Tensor) -> Candidates:
        return Candidates(kept[rows.long()].int(), semantic, _surfaces(surface, kept, rows))[standing]

    near = made(torch.cat([itself, found[:, :close]], 1), torch.cat([torch.ones(n, 1), cosines[:, :close]], 1))
    far = made(torch.cat([found[:, close:], drawn], 1), torch.cat([cosines[:, close:], similarity], 1))
    return near, far


def _distinct(texts: Sequence[str]) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """Row numbers of the n different texts; for each of the m texts, the index of the equal one among the n."""
    numbers = NumberedTexts()
    standing = [numbers.add(text) for text in texts]
    first = {number: row for row, number in reversed(list(enumerate(standing)))}
    return torch.tensor([first[number] for number in range(len(numbers))]), torch.tensor(standing)


def _cosines(unit: Float[Tensor, "n d"], candidates: Int[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    blocks = zip(unit.split(_ROWS), candidates.to(unit.device).split(_ROWS), strict=True)
    return torch.cat([torch.einsum("bd,bkd->bk", anchors, unit[rows]) for anchors, rows in blocks]).cpu()


def _surfaces(surface: Surface, kept: Tensor, candidates: Tensor) -> Float[Tensor, "n k"]:
    blocks = zip(kept.split(_ROWS), candidates.split(_ROWS), strict=True)
    return torch.cat(
        [torch.from_numpy(surface(rows.numpy(), kept[chosen.long()].numpy())).float() for rows, chosen in blocks]
    )
