"""Information surplus: what a state knows about later tokens, beyond the next one.

    I(H_t; W_{t:t+K-1}) = I(H_t; W_t) + sum_{j=1}^{K-1} I(H_t; W_{t+j} | W_{t:t+j-1})

Each term is estimated by two probes of the same architecture for W_{t+j}: one sees the tokens between, the other the
state as well. The difference of their cross-entropies on held-out sequences is a lower bound of the term where the
first probe is nearly optimal (conditional usable information). An over-fitted probe gives a negative number, which is
reported as it is. Source: Zhang 2025 (arXiv 2507.19247) for the quantity.
"""

from __future__ import annotations

import copy
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


@dataclass(frozen=True)
class ProbeOptions:
    """How probes are trained and measured.

    Args:
        hidden: Units of the hidden layer.
        steps, batch_size, learning_rate, weight_decay: Of AdamW, with a one-cycle schedule.
        held_out: Fraction of the sequences that the result is measured on.
        seed: Random seed of the split, the weights and the batches.
    """

    hidden: int = 64
    steps: int = 150
    batch_size: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    held_out: float = 0.25
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Probe:
    """A trained probe on held-out sequences.

    Args:
        cross_entropy: Of its predictions, in nats.
        laws: Its predictions.
        rows: The numbers of the held-out rows.
    """

    cross_entropy: float
    laws: Float[Tensor, "m c"]
    rows: Int[Tensor, " m"]


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
    options: ProbeOptions | None = None,
) -> float:
    """The surplus of one offset in nats: the cross-entropy of a probe of the tokens minus that of one with the state.

    Args:
        states: H_t.
        between: Features of W_t .. W_{t+j-1}, such as one-hot vectors or embeddings.
        targets: W_{t+j}, see `fit_probe`.
        sequences: The sequence of each row.
        options: How probes are trained.

    Raises:
        InputError: Fewer than three sequences.
    """
    alone = fit_probe(torch.cat([torch.zeros_like(states), between.to(states)], 1), targets, sequences, options)
    both = fit_probe(torch.cat([states, between.to(states)], 1), targets, sequences, options)
    return alone.cross_entropy - both.cross_entropy


def fit_probe(
    features: Float[Tensor, "n f"],
    targets: Int[Tensor, " n"] | Float[Tensor, "n c"],
    sequences: Int[Tensor, " n"],
    options: ProbeOptions | None = None,
) -> Probe:
    """Train an MLP with one hidden layer, and measure it on held-out sequences.

    The number of steps is the one that was best on a fifth of the training sequences, so that a probe with little data
    stops before it over-fits. With the same sequences and seed, the same rows are held out.

    Args:
        features: What it sees; columns are standardised.
        targets: Numbers of tokens, or a law over them for each row (a model's, for what a drafter of it can use).
        sequences: The sequence of each row. All rows of one are held out, or none: neighbours share words.
        options: How it is trained.

    Raises:
        InputError: Fewer than three sequences.
    """
    options = options or ProbeOptions()
    generator = torch.Generator().manual_seed(options.seed)
    train, choice, test = _split(sequences, options.held_out, generator)
    law = (F.one_hot(targets) if targets.ndim == 1 else targets).float()
    x = features.float()
    x = (x - x[train].mean(0)) / x[train].std(0).clamp(min=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        last = nn.Linear(options.hidden, law.shape[1])
        probe = nn.Sequential(nn.Linear(x.shape[1], options.hidden), nn.GELU(), last).to(x.device)
    with torch.no_grad():
        # The first prediction is the mean law, which does not have to be learned.
        last.weight.zero_()
        last.bias.copy_(law[train].mean(0).clamp(min=1e-6).log())
    _fit(probe, (x[train], law[train]), (x[choice], law[choice]), options, generator)
    with torch.no_grad():
        log_q = probe(x[test]).log_softmax(-1)
    return Probe(float(-(law[test] * log_q).sum(1).double().mean()), log_q.exp(), test)


def _split(sequences: Tensor, held_out: float, generator: torch.Generator) -> list[Tensor]:
    """Row numbers for training, for the choice of the number of steps, and for the result."""
    numbers = sequences.unique()
    if len(numbers) < 3:
        problem = f"expected at least 3 sequences, got {len(numbers)}"
        raise InputError(problem, field="sequences", remedy="use more or shorter sequences")
    order = numbers[torch.randperm(len(numbers), generator=generator).to(numbers.device)]
    cut = min(len(order) - 2, max(1, round(held_out * len(order))))
    choosing = max(1, round(_CHOOSING * (len(order) - cut)))
    parts = (order[cut + choosing :], order[cut : cut + choosing], order[:cut])
    return [torch.isin(sequences, part).nonzero().flatten() for part in parts]


def _fit(
    probe: nn.Module,
    train: tuple[Tensor, Tensor],
    choice: tuple[Tensor, Tensor],
    options: ProbeOptions,
    generator: torch.Generator,
) -> None:
    """Train on one set of (features, law), and keep the weights that were best on the other."""
    optimiser = torch.optim.AdamW(probe.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=options.steps)

    def error() -> float:
        with torch.no_grad():
            return float(F.cross_entropy(probe(choice[0]), choice[1]))

    best, kept = error(), copy.deepcopy(probe.state_dict())
    for step in range(1, options.steps + 1):
        rows = torch.randint(len(train[0]), (options.batch_size,), generator=generator).to(train[0].device)
        optimiser.zero_grad()
        F.cross_entropy(probe(train[0][rows]), train[1][rows]).backward()
        optimiser.step()
        schedule.step()
        if (step % _LOOK == 0 or step == options.steps) and (now := error()) < best:
            best, kept = now, copy.deepcopy(probe.state_dict())
    probe.load_state_dict(kept)
