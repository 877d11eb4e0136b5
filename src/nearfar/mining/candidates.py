"""For every sentence of a corpus the others that may become its positives and its negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.errors import InputError
from nearfar.mining.neighbours import nearest
from nearfar.mining.surface import Surface

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Candidates", "mine"]

# Anchors whose candidates' vectors are gathered at a time.
_ROWS = 1024


@dataclass(frozen=True, eq=False)
class Candidates:
    """k candidates for each of n sentences.

    Args:
        rows: Their row numbers in the corpus.
        semantic: Cosines with the sentence; -inf marks a place that holds no candidate.
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
    """Candidates for positives and for negatives, by a frozen teacher's vectors.

    Positives: the sentence itself, then its nearest sentences. Negatives: the next nearest, then random ones that are
    not among these. Of texts that differ in case and spaces alone the first stands for all, so that no duplicate is a
    candidate. Memory is n times the number of candidates.

    Args:
        texts: The corpus.
        vectors: The teacher's; no gradient reaches them.
        surface: Made from the same texts.
        positives: Nearest sentences among the positives, K+; at most half of the others.
        negatives: Next nearest sentences among the negatives, K-.
        random: Random sentences among the negatives.
        generator: Of the CPU; decides the random ones.

    Returns:
        Candidates for positives, and for negatives.

    Raises:
        InputError: fewer than two different texts.
    """
    kept, standing = _distinct(texts)
    n = len(kept)
    if n < 2:
        raise InputError("all texts are the same", field="text", remedy="give at least two different sentences")
    unit = F.normalize(vectors.detach().float(), dim=1)[kept.to(vectors.device)]
    close = min(positives, (n - 1) // 2)
    found, cosines = nearest(unit, max(1, close + negatives))
    itself = torch.arange(n, dtype=torch.int32)[:, None]
    drawn = torch.randint(n, (n, random), generator=generator, dtype=torch.int32)
    # One column after another: comparing all random sentences with all neighbours at once would not fit.
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
    """Row numbers of the n different texts, and for each of all m texts which of the n stands for it."""
    numbers: dict[str, int] = {}
    standing = [numbers.setdefault(" ".join(text.lower().split()), len(numbers)) for text in texts]
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
