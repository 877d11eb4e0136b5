"""Puts actions into words: examples, slots, and names by labels or by a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nearfar.dialogue.words.labels import name_by_labels
from nearfar.dialogue.words.naming import Described, describe

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.dialogue.clustering import Actions
    from nearfar.dialogue.log import Log
    from nearfar.dialogue.slots.texts import Slots
    from nearfar.models.action_labels import ActionLabels


@dataclass(frozen=True, eq=False)
class Wording:
    """How the actions of a log are put into words.

    Args:
        log: The dialogues.
        vectors: A unit vector for each of its texts.
        labels: The label vocabulary of the encoder; None if it has none.
        slots: The slots of the texts; None if they were not looked for.
        by_model: Names actions by a language model; None: there is none.
    """

    log: Log
    vectors: Float[np.ndarray, "texts d"]
    labels: ActionLabels | None = None
    slots: Slots | None = None
    by_model: Callable[[list[Described]], list[Described]] | None = None

    def describe(self, actions: Actions, numbers: Sequence[int] | None = None) -> list[Described]:
        """Describe actions, and name them by slots, labels or utterances.

        Args:
            actions: The action of every turn of the log.
            numbers: Actions to describe, each with a turn; others may have none. None: all.
        """
        if numbers is not None and not numbers:
            return []
        present, turn = np.unique(actions.turn, return_inverse=True)
        here = replace(actions, speaker=actions.speaker[present], turn=turn.astype(np.int32))
        described = describe(self.log, here, self.slots)
        described = name_by_labels(self.log, here, described, self.vectors, self.labels, self.slots)
        place = {int(action): index for index, action in enumerate(present)}
        return [described[place[number]] for number in (range(len(actions)) if numbers is None else numbers)]

    def name(self, described: list[Described]) -> list[Described]:
        """Let the language model name actions; without one, they keep their names."""
        return self.by_model(described) if self.by_model is not None and described else described
