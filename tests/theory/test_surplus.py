"""Surplus by two probes, on processes whose surplus is known."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nearfar.errors import InputError
from nearfar.theory import ProbeOptions, conditional_surplus, fit_probe, later_tokens, processes

STEP = math.log(4) - processes.copy_entropy()


def surplus(states: torch.Tensor, tokens: torch.Tensor, offset: int) -> float:
    known, between, target, sequence = later_tokens(states, tokens, offset)
    features = F.one_hot(between, 4).flatten(1)
    return conditional_surplus(known, features, target, sequence)


def test_the_process() -> None:
    assert processes.copy_entropy() == pytest.approx(0.587501, abs=1e-6)
    assert pytest.approx(0.798793, abs=1e-6) == STEP
    tokens = processes.delayed_copies(200, 100, delay=3)
    same = (tokens[:, 3:] == tokens[:, :-3]).double().mean()
    assert float(same) == pytest.approx(0.85, abs=0.02)


def test_rows_of_an_offset() -> None:
    tokens = torch.arange(12).view(2, 6)
    states, between, target, sequence = later_tokens(tokens[..., None].float(), tokens, 2)
    assert states.flatten().tolist() == [0, 1, 2, 6, 7, 8]
    assert between.tolist() == [[1, 2], [2, 3], [3, 4], [7, 8], [8, 9], [9, 10]]
    assert target.tolist() == [3, 4, 5, 9, 10, 11]
    assert sequence.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InputError, match="offset"):
        later_tokens(torch.zeros(2, 6, 1), tokens, 5)


def test_a_state_that_is_the_past_has_the_known_surplus() -> None:
    """The last three tokens determine a process with delay 3: all of two tokens after the next, nothing of a third."""
    tokens = processes.delayed_copies(500, 24, delay=3)
    past = torch.cat([F.one_hot(tokens.roll(k, 1), 4) for k in range(3)], -1).float()
    past, tokens = past[:, 3:], tokens[:, 3:]
    assert surplus(past, tokens, 1) == pytest.approx(STEP, rel=0.06)
    assert surplus(past, tokens, 2) == pytest.approx(STEP, rel=0.06)
    assert abs(surplus(past, tokens, 3)) < 0.05
    # With delay 1 the next token is all that the past knows.
    tokens = processes.delayed_copies(500, 20, delay=1)
    assert abs(surplus(F.one_hot(tokens, 4).float(), tokens, 1)) < 0.05


def test_rows_of_a_sequence_stay_together_and_laws_may_be_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    states, sequence = torch.randn(60, 3, generator=generator), torch.arange(60) // 5
    law = (2 * states).softmax(1)
    options = ProbeOptions(steps=80, learning_rate=0.01, batch_size=32)
    found, blind = (fit_probe(x, law, sequence, options) for x in (states, 0 * states))
    assert found.rows.tolist() == blind.rows.tolist()
    assert len(found.rows) == 15
    assert len(sequence[found.rows].unique()) == 3
    assert blind.cross_entropy - found.cross_entropy > 0.1
    assert found.cross_entropy >= float(torch.special.entr(law[found.rows]).sum(1).mean()) - 1e-6
    torch.testing.assert_close(found.laws.sum(1), torch.ones(15))


def test_the_same_seed_gives_the_same_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    arguments = torch.randn(40, 3, generator=generator), torch.randn(40, 2, generator=generator)
    rest = torch.randint(3, (40,), generator=generator), torch.arange(40) // 4
    options = ProbeOptions(steps=20, batch_size=16, seed=3)
    first, second = (conditional_surplus(*arguments, *rest, options) for _ in range(2))
    assert first == second


def test_too_few_sequences() -> None:
    with pytest.raises(InputError, match="sequences"):
        conditional_surplus(torch.zeros(4, 1), torch.zeros(4, 1), torch.zeros(4).long(), torch.arange(4) // 2)


def test_a_recurrent_network_knows_what_it_needs_later() -> None:
    """A GRU trained on the next token alone keeps the two tokens that it will need."""
    tokens = processes.delayed_copies(2_000, 20, delay=3)
    torch.manual_seed(0)
    embed, gru, head = torch.nn.Embedding(4, 32), torch.nn.GRU(32, 32, batch_first=True), torch.nn.Linear(32, 4)
    optimiser = torch.optim.AdamW([*embed.parameters(), *gru.parameters(), *head.parameters()], lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=250)
    fresh = processes.delayed_copies(8_000, 20, delay=3, seed=1)
    for step in range(250):
        batch = fresh[32 * step : 32 * (step + 1)]
        loss = F.cross_entropy(head(gru(embed(batch))[0][:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        states = gru(embed(tokens))[0]
    # The first states have not seen three tokens.
    states, tokens = states[:, 3:], tokens[:, 3:]
    found = [surplus(states, tokens, offset) for offset in (1, 2, 3)]
    assert found[:2] == pytest.approx([STEP, STEP], rel=0.05)
    assert abs(found[2]) < 0.05
