"""What a drafter of several tokens could use of a state: surplus by offset, acceptance, and tokens per verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfar.inspection.language.reading import shortlist_laws
from nearfar.theory import ProbeOptions, acceptance_rate, expected_tokens, fit_probe, speed_up

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.inspection.language.options import LanguageInspectOptions
    from nearfar.inspection.language.pieces import Piece
    from nearfar.inspection.language.reading import Reading

#: What a drafter sees where it sees no state.
TOKENS_ONLY = "tokens only"
#: What most drafters see: the state from which the next token is predicted.
LAST = "the last state"
#: Settings of the probes: few texts, so a small one that stops early.
PROBE = ProbeOptions(hidden=256, steps=120, batch_size=256, learning_rate=2e-3, weight_decay=0.1)

#: Assumed time to draft a token, as a fraction of a pass of the model: one layer of some twenty.
DRAFT_COST = 0.05


@dataclass(frozen=True)
class AtOffset:
    """Two or more probes for the token `offset` after the next one.

    Args:
        offset: j: 1 is the first drafted token.
        cross_entropy: Of each probe with the model's law, in nats, on held-out documents.
        entropy: The mean entropy of that law: what a probe that knows the whole context would have.
        acceptance: The share of the drafts of each probe that the model accepts.
    """

    offset: int
    cross_entropy: dict[str, float]
    entropy: float
    acceptance: dict[str, float]

    @property
    def surplus(self) -> dict[str, float]:
        """What each state knows beyond the tokens between; a lower bound, and negative where a probe over-fits."""
        alone = self.cross_entropy[TOKENS_ONLY]
        return {name: alone - value for name, value in self.cross_entropy.items() if name != TOKENS_ONLY}

    @property
    def most(self) -> float:
        """The upper bound: what the whole context knows beyond them."""
        return self.cross_entropy[TOKENS_ONLY] - self.entropy

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "offset": self.offset,
            "cross_entropy": self.cross_entropy,
            "entropy": self.entropy,
            "surplus": self.surplus,
            "surplus_at_most": self.most,
            "acceptance": self.acceptance,
        }


@dataclass(frozen=True)
class Drafting:
    """What drafters could gain.

    Args:
        offsets: By offset.
        shortlist: Number of tokens that the drafter can propose.
        covered: Their share of the model's probability.
        held_out: Number of held-out positions at the first offset.
        notes: Notes for readers.
    """

    offsets: list[AtOffset]
    shortlist: int
    covered: float
    held_out: int
    notes: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> dict[str, float]:
        """Expected tokens per verification of each probe; with drafts that cost nothing, this is the speed-up."""
        return {
            name: expected_tokens([each.acceptance[name] for each in self.offsets])
            for name in self.offsets[0].acceptance
        }

    @property
    def speed_up(self) -> dict[str, float]:
        """Tokens per time of each probe, in multiples of the model alone, if a draft costs `DRAFT_COST`."""
        return {
            name: speed_up([each.acceptance[name] for each in self.offsets], DRAFT_COST)
            for name in self.offsets[0].acceptance
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "offsets": [each.as_dict() for each in self.offsets],
            "shortlist": self.shortlist,
            "covered": self.covered,
            "held_out": self.held_out,
            "tokens_per_verification": self.tokens,
            "speed_up": self.speed_up,
            "draft_cost": DRAFT_COST,
            "notes": self.notes,
        }


def measure_drafting(
    reading: Reading, pieces: Sequence[Piece], options: LanguageInspectOptions, step: Callable[[], None]
) -> Drafting | None:
    """Train probes for the tokens after the next one, with the model's own laws as targets.

    A drafter is accepted where it agrees with the model, so the model's law is the target, and not the token in the
    text. Laws are over a shortlist of tokens; a draft of any other token counts as rejected.

    Args:
        reading: The pass of the model.
        pieces: What it read.
        options: Number of offsets and size of the shortlist.
        step: Called after each offset.

    Returns:
        None if no offsets are asked for, or the text has too few pieces.
    """
    documents = torch.tensor([piece.document for piece in pieces])
    notes = []
    if len(documents.unique()) < 3:
        documents = torch.arange(len(pieces))
        notes.append("fewer than 3 documents: probes are held out by piece, and pieces of a document share its words")
    if not options.offsets or len(pieces) < 3:
        return None
    laws = shortlist_laws(reading, options.shortlist)
    views = state_views(reading)
    found, held_out = [], 0
    for offset in range(1, options.offsets + 1):
        rows = _rows(reading.pieces, offset)
        sequences = documents[reading.pieces[rows]]
        if len(sequences.unique()) < 3:
            break
        between = torch.cat([reading.inner[0][rows + k] for k in range(1, offset + 1)], 1)
        target = laws[rows + offset]
        sets = {TOKENS_ONLY: between} | {name: torch.cat([of[rows], between], 1) for name, of in views.items()}
        probes = {name: fit_probe(features, target, sequences, PROBE) for name, features in sets.items()}
        test = target[probes[TOKENS_ONLY].rows]
        held_out = held_out or len(test)
        found.append(
            AtOffset(
                offset,
                {name: probe.cross_entropy for name, probe in probes.items()},
                float(torch.special.entr(test).sum(1).mean()),
                {
                    name: float(acceptance_rate(test[:, :-1], probe.laws[:, :-1]).mean())
                    for name, probe in probes.items()
                },
            )
        )
        step()
    if not found:
        return None
    return Drafting(found, laws.shape[1] - 1, float(1 - laws[:, -1].mean()), held_out, notes)


def state_views(reading: Reading) -> dict[str, Float[Tensor, "n d"]]:
    """What drafters may read: the last state, an inner one, or several."""
    inner = [layer for layer in reading.inner if layer > 0]
    views = {LAST: reading.last}
    if inner:
        middle = inner[len(inner) // 2]
        views[f"the state of layer {middle}"] = reading.inner[middle]
        views[f"the states of layers {', '.join(map(str, inner))}"] = torch.cat(
            [reading.inner[layer] for layer in inner], 1
        )
    return views


def _rows(pieces: Tensor, offset: int) -> Tensor:
    """Positions whose piece goes on for `offset` more, without the first of each piece."""
    numbers = torch.arange(len(pieces) - offset)
    inside = (pieces[numbers] == pieces[numbers + offset]) & (numbers > 0)
    inside[1:] &= pieces[numbers[1:]] == pieces[numbers[1:] - 1]
    return numbers[inside]
