"""Information surplus: what a state knows about later tokens, beyond the next one.

    I(H_t; W_{t:t+K-1}) = I(H_t; W_t) + sum_{j=1}^{K-1} I(H_t; W_{t+j} | W_{t:t+j-1})

Each term is estimated by two probes of the same architecture for W_{t+j}: one sees the tokens between, the other the
state as well. The difference of their cross-entropies on held-out sequences is a lower bound of the term where the
first probe is nearly optimal (conditional usable information). An over-fitted probe gives a negative number, which is
reported as it is. Source: Zhang 2025 (arXiv 2507.19247) for the quantity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

#: Share of the training sequences on which the number of steps is chosen.
_CHOOSING = 0.2
#: Steps between two looks at them.
_LOOK = 10


@dataclass(frozen=True, eq=False)
class Surplus:
    """Two probes on held-out sequences.

    Args:
        tokens_only: Cross-entropy of the probe that sees the tokens between, in nats.
        with_state: Cross-entropy of the probe that sees the state as well.
        laws: What each of the two predicts for the held-out rows, (m, c), in this order.
        held_out: Their row numbers.
    """

    tokens_only: float
    with_state: float
    laws: tuple[Float[Tensor, "m c"], Float[Tensor, "m c"]]
    held_out: Int[Tensor, " m"]

    @property
    def estimate(self) -> float:
        """The surplus in nats; below 0 where the probe with the state fits worse."""
        return self.tokens_only - self.with_state


def later_tokens(
    states: Float[Tensor, "b t d"], tokens: Int[Tensor, "b t"], offset: int
) -> tuple[Float[Tensor, "n d"], Int[Tensor, "n offset"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """States with the tokens between and the token `offset` after the next one, of sequences of one length.

    Args:
        states: states[:, i] predicts tokens[:, i + 1], which is W_t.
        tokens: The sequences.
        offset: j, at least 1.

    Returns:
        States, W_t .. W_{t+j-1}, W_{t+j}, and the number of the sequence of each row.
    """
    b, t = tokens.shape
    last = t - 1 - offset
    if offset < 1 or last < 1:
        raise InputError(f"invalid value {offset}: must be from 1 to {t - 2}", field="offset")
    between = torch.stack([tokens[:, 1 + k : 1 + k + last] for k in range(offset)], -1)
    sequence = torch.arange(b, device=tokens.device)[:, None].expand(b, last)
    return (
        states[:, :last].flatten(0, 1),
        between.flatten(0, 1),
        tokens[:, 1 + offset : 1 + offset + last].flatten(),
        sequence.flatten(),
    )


def conditional_surplus(
    states: Float[Tensor, "n d"],
    between: Float[Tensor, "n e"],
    targets: Int[Tensor, " n"] | Float[Tensor, "n c"],
    sequences: Int[Tensor, " n"],
    *,
    classes: int | None = None,
    held_out: float = 0.25,
    hidden: int = 64,
    steps: int = 150,
    batch_size: int = 512,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
) -> Surplus:
    """Train the two probes and measure them on held-out sequences.

    The probes are MLPs with one hidden layer. Of the steps, the number is kept that was best on a fifth of the training
    sequences, by which a probe with little data stops before it over-fits.

    Args:
        states: H_t.
        between: Features of W_t .. W_{t+j-1}, such as one-hot vectors or embeddings.
        targets: W_{t+j} as numbers, or a law over it for each row (a model's, for what a drafter of it can use).
        sequences: The sequence of each row. Rows of one sequence are all held out, or none: neighbours share words.
        classes: Number of different targets; None: as many as there are.
        held_out: Fraction of the sequences that the result is measured on.
        hidden, steps, batch_size, learning_rate, weight_decay: Of the probes.
        seed: Random seed of the split, the weights and the batches.

    Raises:
        InputError: Fewer than three sequences.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = sequences.unique()
    if len(numbers) < 3:
        problem = f"expected at least 3 sequences, got {len(numbers)}"
        raise InputError(problem, field="sequences", remedy="use more or shorter sequences")
    order = numbers[torch.randperm(len(numbers), generator=generator).to(numbers.device)]
    cut = min(len(order) - 2, max(1, round(held_out * len(order))))
    choosing = max(1, round(_CHOOSING * (len(order) - cut)))
    parts = (order[cut + choosing :], order[cut : cut + choosing], order[:cut])
    train, choice, test = (torch.isin(sequences, part).nonzero().flatten() for part in parts)
    law = F.one_hot(targets, classes or int(targets.max()) + 1).float() if targets.ndim == 1 else targets.float()
    found = []
    for known in (torch.zeros_like(states), states):
        x = torch.cat([_standardised(known, train), _standardised(between, train)], 1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            probe = nn.Sequential(nn.Linear(x.shape[1], hidden), nn.GELU(), nn.Linear(hidden, law.shape[1])).to(x)
            # The first prediction is the mean law: nothing has to be learned for it.
            nn.init.zeros_(probe[2].weight)
            probe[2].bias.data = law[train].mean(0).clamp(min=1e-6).log()
            _fit(probe, x, law, train, choice, steps, batch_size, learning_rate, weight_decay, generator)
        with torch.no_grad():
            found.append(probe(x[test]).log_softmax(-1))
    without, with_state = (float(-(law[test] * log_q).sum(1).double().mean()) for log_q in found)
    return Surplus(without, with_state, (found[0].exp(), found[1].exp()), test)


def _fit(
    probe: nn.Sequential,
    x: Tensor,
    law: Tensor,
    train: Tensor,
    choice: Tensor,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    generator: torch.Generator,
) -> None:
    """AdamW with a one-cycle schedule; the weights that were best on `choice` are kept."""
    optimiser = torch.optim.AdamW(probe.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)

    def error() -> float:
        with torch.no_grad():
            return float(F.cross_entropy(probe(x[choice]), law[choice]))

    best, kept = error(), [p.detach().clone() for p in probe.parameters()]
    for step in range(1, steps + 1):
        rows = train[torch.randint(len(train), (batch_size,), generator=generator).to(train.device)]
        optimiser.zero_grad()
        F.cross_entropy(probe(x[rows]), law[rows]).backward()
        optimiser.step()
        schedule.step()
        if (step % _LOOK == 0 or step == steps) and (now := error()) < best:
            best, kept = now, [p.detach().clone() for p in probe.parameters()]
    with torch.no_grad():
        for p, value in zip(probe.parameters(), kept, strict=True):
            p.copy_(value)


def _standardised(x: Tensor, rows: Tensor) -> Tensor:
    """Mean 0 and variance 1 of each column, as they are among some rows."""
    x = x.float()
    return (x - x[rows].mean(0)) / x[rows].std(0).clamp(min=1e-6)
