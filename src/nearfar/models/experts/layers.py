"""Copies of a dense encoder's feed-forward blocks as one expert per domain, selected by domain, without a gate."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Choice", "DomainTokens", "ExpertLayer", "Layers", "feed_forwards"]

#: Which layers get experts; `"none"` keeps the encoder dense, with only domain tokens.
Layers = Literal["all", "middle", "none"]

#: Names of a whole feed-forward block in transformers.
_WHOLE = ("mlp", "ffn", "feed_forward", "DenseReluDense")


def feed_forwards(model: nn.Module, layers: Layers = "all") -> list[str]:
    """The names of the modules of a transformer's feed-forward blocks.

    A block is one module (ModernBERT, DistilBERT, ...), or two: `intermediate` and `output.dense` in BERT, without its
    layer norm and dropout. With `"middle"`, only those of layer L // 2.

    Raises:
        InputError: No block is found.
    """
    blocks: list[list[str]] = []
    for name, module in model.named_modules():
        children = dict(module.named_children())
        if "intermediate" in children and isinstance(getattr(children.get("output"), "dense", None), nn.Linear):
            blocks.append([f"{name}.intermediate", f"{name}.output.dense"])
        blocks += [
            [f"{name}.{child}"] for child in _WHOLE if child in children and not isinstance(children[child], nn.Linear)
        ]
    if not blocks:
        raise InputError(
            f"no feed-forward blocks found in {type(model).__name__}",
            field="--model",
            remedy="use an encoder such as BERT, RoBERTa, MPNet, DistilBERT or ModernBERT, or set layers=none",
        )
    chosen = {"all": blocks, "middle": [blocks[len(blocks) // 2]], "none": []}[layers]
    return [name for block in chosen for name in block]


class Choice:
    """The expert of each row of the current batch, shared by all expert layers of a model."""

    def __init__(self) -> None:
        self.experts: list[int] = []
        self.rows: list[Tensor] = []
        self.back = torch.empty(0, dtype=torch.long)

    def set(self, experts: Int[Tensor, " batch"]) -> None:
        """Use expert `experts[b]` for row b."""
        self.experts = experts.unique().tolist()
        self.rows = [(experts == expert).nonzero()[:, 0] for expert in self.experts]
        self.back = torch.cat(self.rows).argsort()


class ExpertLayer(nn.Module):
    """Copies of one module, one for the rows of each domain: y_b = expert_{e_b}(h_b).

    Args:
        block: The dense module; it becomes the first expert.
        number: Number of experts N. Expert N, which has no weights of its own, is their mean.
        choice: The expert of each row, set by the encoder.
    """

    def __init__(self, block: nn.Module, number: int, choice: Choice) -> None:
        super().__init__()
        self.experts = nn.ModuleList([block, *(copy.deepcopy(block) for _ in range(number - 1))])
        self.choice = choice

    def forward(self, hidden: Float[Tensor, "batch tokens d"]) -> Float[Tensor, "batch tokens k"]:
        """Apply its expert to every row; an expert without rows costs nothing and gets no gradient."""
        choice = self.choice
        if len(hidden) != len(choice.back):
            raise ValueError(f"expected {len(choice.back)} rows of hidden states, one per text, got {len(hidden)}")
        if len(choice.experts) == 1:
            return self._through(choice.experts[0], hidden)
        parts = [self._through(expert, hidden[rows]) for expert, rows in zip(choice.experts, choice.rows, strict=True)]
        return torch.cat(parts)[choice.back]

    def block(self, expert: int) -> nn.Module:
        """One expert; expert N is a new module with the mean of the weights of all."""
        if expert < len(self.experts):
            return self.experts[expert]
        mean = copy.deepcopy(self.experts[0])
        mean.load_state_dict({name: weight.detach() for name, weight in self._mean().items()}, strict=False)
        return mean

    def _through(self, expert: int, hidden: Tensor) -> Tensor:
        if expert < len(self.experts):
            return self.experts[expert](hidden)
        return functional_call(self.experts[0], self._mean(), (hidden,))

    def _mean(self) -> dict[str, Tensor]:
        names = [name for name, _ in self.experts[0].named_parameters()]
        return {name: torch.stack([e.get_parameter(name) for e in self.experts]).mean(0) for name in names}


class DomainTokens(nn.Module):
    """Word embeddings with one more token per domain: id V + k is that of domain k, id V + N the mean of all.

    Args:
        words: The encoder's word embeddings, (V, d).
        start: Row of `words` that is copied for the new tokens: that of [CLS].
        number: Number of domains N.
    """

    def __init__(self, words: nn.Embedding, start: int, number: int) -> None:
        super().__init__()
        self.words = words
        self.tokens = nn.Parameter(words.weight.detach()[start].repeat(number, 1))

    @property
    def weight(self) -> Float[Tensor, "V d"]:
        """The word embeddings of the encoder, under the name that transformers uses."""
        return self.words.weight

    def token(self, domain: int) -> Float[Tensor, " d"]:
        """The embedding of one domain's token; for domain N the mean of all."""
        return self._table()[domain]

    def forward(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens d"]:
        """Embed ids, including those of domains."""
        added = ids >= self.words.num_embeddings
        words = self.words(ids.masked_fill(added, 0))
        domains = self._table()[(ids - self.words.num_embeddings).clamp(min=0)]
        return torch.where(added[..., None], domains, words)

    def _table(self) -> Tensor:
        return torch.cat([self.tokens, self.tokens.mean(0, keepdim=True)])


def check_domains(domains: Sequence[str]) -> None:
    """Raise an InputError if a domain has no name, or two have the same."""
    if not domains or len(set(domains)) < len(domains) or not all(isinstance(d, str) and d for d in domains):
        problem = f"invalid names of domains {list(domains)!r}: must be non-empty and different"
        raise InputError(problem, field="domain", remedy="give each domain its own name")
