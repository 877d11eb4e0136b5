"""Samples of earlier iterations: which snapshot they come from, and that they are saved."""

from __future__ import annotations

from typing import Any

import torch

from nearfar.losses.own_samples import OwnSamples


class Counter:
    """A student whose samples are the number of the draw, as often as the number of the row."""

    def __init__(self) -> None:
        self.draws, self.temperatures = 0, []

    def sample_targets(self, sources: list[str], *, temperature: float, **_: Any) -> list[torch.Tensor]:
        self.draws += 1
        self.temperatures.append(temperature)
        return [torch.full((row,), self.draws - 1) for row in range(len(sources))]


def test_samples_are_of_the_snapshot_some_iterations_before_or_of_the_first() -> None:
    own, student = OwnSamples(["a", "b", "c"], lag=5, temperature=1.5, max_new_tokens=3), Counter()
    for iteration in range(9):
        own.draw(student, iteration)  # type: ignore[arg-type]
        none, one, two = own.of([0, 1, 2], iteration)
        snapshot = max(0, iteration - 5)
        assert none.tolist() == []
        assert (one.tolist(), two.tolist()) == ([snapshot], [snapshot, snapshot])
    assert set(student.temperatures) == {1.5}


def test_a_checkpoint_contains_them() -> None:
    own, other = (OwnSamples(["a", "b"], lag=2, max_new_tokens=2) for _ in range(2))
    student = Counter()
    own.draw(student, 0)  # type: ignore[arg-type]
    other.load_state_dict(own.state_dict())
    assert [row.tolist() for row in other.of([0, 1], 1)] == [[], [0]]
