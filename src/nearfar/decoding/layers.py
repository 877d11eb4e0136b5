"""Isotropy of the token states of a language model, layer by layer.

    isotropy = 1 - (sum over texts, i, j != i of cos(h_i, h_j)) / (sum over texts of n (n - 1))

0 if all states of a text have the same direction, 1 if they are orthogonal on average. Contrastive search compares
candidates by their states, so it requires some isotropy. This is the measure of Su & Collier (arXiv 2210.14140), over
pairs within a text; `nearfar.geometry.isotropy` is a different measure, of any set of vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


class LayerIsotropy(NamedTuple):
    """The isotropy of one layer.

    Args:
        layer: 0 for the embeddings, n for the output of block n; the last one includes the final norm.
        isotropy: Over all tokens.
        without_first: Without position 0, whose state is an outlier in models that use it as an attention sink.
    """

    layer: int
    isotropy: float
    without_first: float


@torch.no_grad()
def isotropy(
    model: Any, tokenizer: Any, texts: Sequence[str], *, max_length: int = 256, batch_size: int = 8
) -> list[LayerIsotropy]:
    """The isotropy of each layer of a causal language model on texts.

    Args:
        model: The model.
        tokenizer: The tokenizer of the model; special tokens are added.
        texts: A few dozen texts of a hundred tokens give two digits.
        max_length: Maximum sequence length (longer texts are truncated).
        batch_size: Texts per forward pass.

    Raises:
        InputError: No text has three tokens.
    """
    rows = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
    rows = sorted((row for row in rows if len(row) > 2), key=len)
    if not rows:
        raise InputError("no text has three tokens", field="texts", remedy="use longer texts")
    sums: Tensor | float = 0.0
    for start in range(0, len(rows), batch_size):
        tokens = [torch.tensor(row) for row in rows[start : start + batch_size]]
        ids = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True).to(model.device)
        real = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in tokens], batch_first=True)
        real = real.to(model.device)
        output = model(input_ids=ids, attention_mask=real, use_cache=False, output_hidden_states=True)
        rest = real.bool() & (torch.arange(real.shape[1], device=real.device) > 0)
        found = [
            torch.stack([cosines_and_pairs(states, of) for of in (real.bool(), rest)])
            for states in output.hidden_states
        ]
        sums = sums + torch.stack(found).cpu()
    assert isinstance(sums, Tensor)
    return [
        LayerIsotropy(layer, *(1 - cosines / pairs for cosines, pairs in of_layer))
        for layer, of_layer in enumerate(sums.tolist())
    ]


def cosines_and_pairs(states: Float[Tensor, "b t d"], real: Bool[Tensor, "b t"]) -> Float[Tensor, 2]:
    """The sum of cosines over pairs i != j of tokens within a text, over all texts, and the number of pairs."""
    unit = F.normalize(states.double(), dim=-1).masked_fill(~real[..., None], 0.0)
    # All products of a text's states, minus those of a state with itself; a zero state contributes nothing.
    cosines = unit.sum(1).square().sum() - unit.square().sum()
    count = real.sum(1).double()
    return torch.stack([cosines, (count * (count - 1)).sum()])
