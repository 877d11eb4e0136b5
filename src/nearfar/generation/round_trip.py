"""Whether questions find their passages again: the rank of each passage for its question in the whole corpus.

Source: Dai et al. 2023, Promptagator (arXiv 2209.11755), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from nearfar.models.encoding import encode
from nearfar.models.encoding_windows import encode_windows

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Int
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from nearfar.generation.question_negatives import Nearest

__all__ = ["ranks"]

# Similarities in memory at a time: 64 MB.
_BLOCK = 2**24


def ranks(
    questions: Sequence[str],
    own: Sequence[int],
    corpus: Dataset,
    numbers: Int[Tensor, " n"],
    encoder: SentenceTransformer,
    *,
    batch_size: int = 64,
    nearest: Nearest | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[int]:
    """The rank of each question's own passage by cosine, from 1, among the different passages of a corpus.

    The corpus is encoded once, in windows: of its vectors only one window is in memory.

    Args:
        questions: At least one question.
        own: For each, the row of its passage in the corpus.
        corpus: Column `text`.
        numbers: A number for each passage, the same for equal texts, which count once; from 0, in order of appearance.
        encoder: The encoder, with its prompts for queries and documents.
        batch_size: Texts per forward pass.
        nearest: Collects the nearest passages of each question.
        progress: Called with (passages so far, number of passages).
    """
    device = encoder.device
    rows = torch.tensor(own)
    places, place = rows.unique(return_inverse=True)
    asked = torch.from_numpy(encode(encoder, list(questions), kind="query", batch_size=batch_size)).to(device)
    passages = encode(encoder, corpus[places.tolist()]["text"], kind="document", batch_size=batch_size)
    least = (asked * torch.from_numpy(passages).to(device)[place.to(device)]).sum(dim=1, keepdim=True)
    own_number = numbers[rows].to(device)
    higher = torch.zeros(len(questions), dtype=torch.int64, device=device)
    start, seen = 0, -1
    for texts, block in encode_windows(encoder, corpus, batch_size=batch_size, kind="document", progress=progress):
        here = numbers[start : start + len(texts)]
        # The first of equal passages: its number is above all earlier ones.
        earlier = torch.cat([torch.tensor([seen]), here[:-1]]).cummax(dim=0).values
        first = here > earlier
        vectors, others = torch.from_numpy(block).to(device)[first.to(device)], here[first].to(device)
        for begin in range(0, len(questions), step := max(1, _BLOCK // len(texts))):
            part = slice(begin, begin + step)
            similarities = asked[part] @ vectors.T
            above = (similarities > least[part]) & (own_number[part, None] != others)
            higher[part] += above.sum(dim=1)
            if nearest is not None and len(others):
                nearest.add(part, similarities, least[part], int(others[0]))
        seen = max(seen, int(here.max()))
        start += len(texts)
    return (1 + higher).tolist()
