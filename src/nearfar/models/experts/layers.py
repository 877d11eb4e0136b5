"""A dense encoder's feed-forward blocks, copied into one expert a domain. The domain chooses; there is no gate."""

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

#: Which layers get experts; `"none"` leaves the encoder dense, with domain tokens alone.
Layers = Literal["all", "middle", "none"]

#: What transformers calls a whole feed-forward block.
_WHOLE = ("mlp", "ffn", "feed_forward", "DenseReluDense")


def feed_forwards(model: nn.Module, layers: Layers = "all") -> list[str]:
    """The names of the modules that make up the feed-forward blocks of a transformer.

    A block is one module (ModernBERT, DistilBERT, ..), or two: BERT's `intermediate` and `output.dense`, whose layer
    norm and dropout are no part of it. With `"middle"` only those of layer L // 2.

    Raises:
        InputError: none is found.
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
            f"no feed-forward blocks are found in a {type(model).__name__}",
            field="--model",
            remedy="take an encoder such as BERT, RoBERTa, MPNet, DistilBERT or ModernBERT, or set layers=none",
        )
    chosen = {"all": blocks, "middle": [blocks[len(blocks) // 2]], "none": []}[layers]
    return [name for block in chosen for name in block]


class Choice:
    """Which expert each row of the batch in flight goes through. All expert layers of a model look at one."""

    def __init__(self) -> None:
        self.experts: list[int] = []
        self.rows: list[Tensor] = []
        self.back = torch.empty(0, dtype=torch.long)

    def set(self, experts: Int[Tensor, " batch"]) -> None:
        """Expert `experts[b]` for row b."""
        self.experts = experts.unique().tolist()
        self.rows = [(experts == expert).nonzero()[:, 0] for expert in self.experts]
        self.back = torch.cat(self.rows).argsort()


class ExpertLayer(nn.Module):
    """Copies of one module, each for the rows of its own domain: y_b = expert_{e_b}(h_b).

    Args:
        block: The dense module; it becomes the first expert.
        number: N, how many experts there are. Expert N, which has no weights of its own, is their mean.
        choice: Where the encoder says which row goes where.
    """

    def __init__(self, block: nn.Module, number: int, choice: Choice) -> None:
        super().__init__()
        self.experts = nn.ModuleList([block, *(copy.deepcopy(block) for _ in range(number - 1))])
        self.choice = choice

    def forward(self, hidden: Float[Tensor, "batch tokens d"]) -> Float[Tensor, "batch tokens k"]:
        """Every row through its expert; an expert without rows costs nothing and gets no gradient."""
        choice = self.choice
        if len(hidden) != len(choice.back):
            raise ValueError(f"a batch of {len(choice.back)} texts came with {len(hidden)} rows of hidden states")
        if len(choice.experts) == 1:
            return self._through(choice.experts[0], hidden)
        parts = [self._through(expert, hidden[rows]) for expert, rows in zip(choice.experts, choice.rows, strict=True)]
        return torch.cat(parts)[choice.back]

    def block(self, expert: int) -> nn.Module:
        """One expert; for expert N a new module, with the mean of the weights of all."""
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
    """Word embeddings with one more token a domain: id V + k is that of domain k, id V + N the mean of all.

    Args:
        words: The encoder's own, (V, d).
        start: Row of `words` that the new tokens are copies of: that of [CLS].
        number: N, how many domains there are.
    """

    def __init__(self, words: nn.Embedding, start: int, number: int) -> None:
        super().__init__()
        self.words = words
        self.tokens = nn.Parameter(words.weight.detach()[start].repeat(number, 1))

    @property
    def weight(self) -> Float[Tensor, "V d"]:
        """The rows of the encoder's own words, where transformers looks for them."""
        return self.words.weight

    def token(self, domain: int) -> Float[Tensor, " d"]:
        """The embedding of one domain's token; of all domains' mean for domain N."""
        return self._table()[domain]

    def forward(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens d"]:
        """Embed ids, those of domains included."""
        added = ids >= self.words.num_embeddings
        words = self.words(ids.masked_fill(added, 0))
        domains = self._table()[(ids - self.words.num_embeddings).clamp(min=0)]
        return torch.where(added[..., None], domains, words)

    def _table(self) -> Tensor:
        return torch.cat([self.tokens, self.tokens.mean(0, keepdim=True)])


def check_domains(domains: Sequence[str]) -> None:
    """Raise an InputError where domains have no name, or two have the same."""
    if not domains or len(set(domains)) < len(domains) or not all(isinstance(d, str) and d for d in domains):
        raise InputError(f"{list(domains)!r} are no names of domains", field="domain", remedy="name each one once")
