"""More weight for hard negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nearfar.blocks import Far, FarSum, Shard, Targets


def harder(beta: float) -> Far:
    """Negatives count exp(beta * s_ij) times, s_ij their similarity to the anchor; positives (P_ij > 0) once.

    beta > 0 gives hard negatives more weight, in addition to the temperature; no gradient flows through the weight.

    Source: Robinson et al. 2021, Contrastive Learning with Hard Negative Samples, without their normalising mean.
    """
    return _Harder(float(beta))


def hardest(alpha: float) -> Far:
    """Only the fraction `alpha` of the negatives that is most similar to the anchor takes part in its denominator.

    Of n negatives max(1, round(alpha * n)) stay, and all that tie with the last of these. Positives (P_ij > 0) always
    stay and are not counted; nor is what another builder in the sum removes. No gradient flows through the choice.

    Args:
        alpha: In (0, 1]; 1 keeps every negative.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss (explicit hard negative sampling).
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"invalid alpha of far.hardest(): must be in (0, 1], got {alpha}")
    return _Hardest(float(alpha))


@dataclass(frozen=True)
class _Harder(Far):
    beta: float

    symmetric = True
    order = 0

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        return self

    def following(self, terms: tuple[Far, ...]) -> tuple[Far, ...]:
        # x is S / temperature only once: several terms become one, with the sum of their betas.
        beta = self.beta + sum(term.beta for term in terms if isinstance(term, _Harder))
        others = tuple(term for term in terms if not isinstance(term, _Harder))
        return (*others, _Harder(beta)) if beta else others

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        negative = torch.ones_like(x, dtype=torch.bool)
        targets.clear_positives(negative)
        x.addcmul_(x, negative.to(x.dtype), value=self.beta * temperature)

    def transposed(self) -> Far:
        return self

    def corner(self, start: int) -> Far:
        return self

    def sharded(self, shard: Shard) -> Far:
        return self


@dataclass(frozen=True)
class _Hardest(Far):
    alpha: float
    others: Far | None = None  # the rest of the sum: it chooses among what they leave, by x as it was before them

    mirrors = False
    order = 2

    @property
    def only_masks(self) -> bool:  # type: ignore[override]
        return self.others is None or self.others.only_masks

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        return replace(self, others=None if self.others is None else self.others.bind(n, m, like))

    def following(self, terms: tuple[Far, ...]) -> tuple[Far, ...]:
        if terms and isinstance(terms[-1], _Hardest):
            return (replace(terms[-1], alpha=min(self.alpha, terms[-1].alpha)),)
        return (replace(self, others=FarSum(terms) if terms else None),)

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        s = x.clone()
        if self.others is not None:
            self.others.add_to(x, rows, targets, temperature)
        negative = x > -torch.inf
        targets.clear_positives(negative)
        s.masked_fill_(~negative, -torch.inf)
        kept = (self.alpha * negative.sum(1)).round_().long().clamp_(min=1)
        threshold = s.topk(int(kept.max()), dim=1).values.gather(1, kept[:, None] - 1)
        x.masked_fill_(negative & (s < threshold), -torch.inf)

    def inputs(self) -> tuple[Tensor, ...]:
        return () if self.others is None else self.others.inputs()

    def with_inputs(self, inputs: Sequence[Tensor]) -> Far:
        return self if self.others is None else replace(self, others=self.others.with_inputs(inputs))

    def backward(self, g: Tensor, scale: Tensor, rows: slice, out: Sequence[Tensor | None]) -> None:
        if self.others is not None:
            self.others.backward(g, scale, rows, out)

    def transposed(self) -> Far:
        return self

    def sharded(self, shard: Shard) -> Far:
        return self
