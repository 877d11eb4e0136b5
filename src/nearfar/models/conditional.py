"""What language models of both kinds share as conditional models: padding, losses of targets, and sampling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from nearfar.models.answers import IGNORED
from nearfar.models.head import picked_logits

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["answer_losses", "mean_losses", "padded", "sampled", "until_end"]


def padded(
    rows: Sequence[Int[Tensor, " t"]], value: int, device: Any, *, left: bool = False
) -> tuple[Int[Tensor, "m t"], Bool[Tensor, "m t"]]:
    """Rows of tokens as one tensor, and where there is a token."""
    side = "left" if left else "right"
    tokens = pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side=side)
    there = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    mask = pad_sequence(there, batch_first=True, padding_value=False, padding_side=side)
    return tokens.to(device), mask.to(device)


def mean_losses(logits: Float[Tensor, "m t v"], labels: Int[Tensor, "m t"]) -> Float[Tensor, " m"]:
    """The mean cross-entropy of each row over its labels, those that are not IGNORED."""
    losses = F.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return losses.sum(1) / (labels != IGNORED).sum(1)


def answer_losses(
    model: Any, labels: Int[Tensor, "m t"], inputs: Mapping[str, Tensor], *, owner: Any = None
) -> Float[Tensor, " m"]:
    """The mean cross-entropy of each row over its labels, those that are not IGNORED; no other logits are computed.

    Args:
        model: A causal language model, or a wrapper of one.
        labels: For each position, its own token if it is to be predicted.
        inputs: Arguments of the model.
        owner: The model inside the wrapper.
    """
    wanted = labels[:, 1:] != IGNORED
    logits = picked_logits(
        model, lambda states: states[:, :-1][wanted][None], owner=owner, use_cache=False, **inputs
    ).squeeze(0)
    losses = F.cross_entropy(logits, labels[:, 1:][wanted], reduction="none")
    return losses.new_zeros(len(labels)).index_add(0, wanted.nonzero()[:, 0], losses) / wanted.sum(1)


def until_end(row: Int[Tensor, " t"], ends: Sequence[int], padding: int) -> Int[Tensor, " t"]:
    """New tokens up to the first end token, including it, without padding after it."""
    found = [place for place, token in enumerate(row.tolist()) if token in ends]
    if found:
        return row[: found[0] + 1]
    kept = len(row)
    while kept and int(row[kept - 1]) == padding:
        kept -= 1
    return row[:kept]


def sampled(
    model: Any,
    batches: Iterator[tuple[Mapping[str, Tensor], int]],
    *,
    temperature: float,
    max_new_tokens: int,
    seed: int,
    ends: Sequence[int],
    padding: int,
) -> list[Int[Tensor, " t"]]:
    """New tokens for each row of the batches, on the CPU.

    Args:
        model: A transformers model that can generate.
        batches: Arguments of `generate`, and the number of positions that are not new in its result.
        temperature: 0 is greedy decoding.
        max_new_tokens: Most new tokens.
        seed: Random seed; the generators are the same afterwards.
        ends: End tokens.
        padding: Token for padding.
    """
    drawn: dict[str, Any] = {"do_sample": False}
    if temperature:
        drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    found: list[Tensor] = []
    with _evaluating(model), torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for arguments, known in batches:
            rows = model.generate(
                **arguments,
                max_new_tokens=max_new_tokens,
                eos_token_id=list(ends) or None,
                pad_token_id=padding,
                **drawn,
            )
            found += [until_end(row[known:], ends, padding) for row in rows.cpu()]
    return found


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
