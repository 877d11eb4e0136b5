"""The result: a log of dialogues as a workflow graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.change.comparing import Change
from nearfar.dialogue.change.known import Known
from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.graph import FIRST, Edge, Graph, Rules, either, happy_path, prune, transitions
from nearfar.dialogue.log import Log
from nearfar.dialogue.quality.explained import Explained, explained
from nearfar.dialogue.quality.held_out import HeldOut
from nearfar.dialogue.words.naming import Described

if TYPE_CHECKING:
    from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class Flow:
    """A log of dialogues as a workflow.

    Args:
        log: The dialogues.
        actions: The action of every turn.
        described: The name, words and examples of each action.
        rules: How the graph is pruned.
        facts: The source and the settings.
        writer: Writes a flow to a file: `nearfar.dialogue.write`, passed in because formats build on results.
        change: What changed from another log to this one; None: it was compared with none.
        known: The actions for a later update; None for two logs side by side.
        edits: The edits that were applied, as in their file.
        held_out: The quality on held-out dialogues; None if there are too few dialogues to hold some out, or the flow
            refers to another log.
    """

    log: Log
    actions: Actions
    described: list[Described]
    rules: Rules
    facts: dict[str, Any]
    writer: Callable[[Flow, Path], Path] = field(repr=False)
    change: Change | None = None
    known: Known | None = field(default=None, repr=False)
    edits: tuple[dict[str, Any], ...] = ()
    held_out: HeldOut | None = None

    @property
    def nodes(self) -> Int[np.ndarray, " turns"]:
        """The node of each turn in the graph."""
        return self.actions.turn.astype(np.int64) + FIRST

    def counts(self, speaker: int | None = None) -> dict[Edge, int]:
        """How often each step occurs, over all turns or over one speaker's."""
        return transitions(self.log, self.nodes, speaker)

    def graph(self, rules: Rules | None = None, speaker: int | None = None) -> Graph:
        """The pruned graph; of two compared logs what is left of either, with the counts of this one."""
        rules, counts = rules or self.rules, self.counts(speaker)
        graph = prune(counts, rules)
        if self.change is None:
            return graph
        return either(graph, prune(self.change.before.counts(speaker), rules), counts, rules.weighing)

    def happy_path(self, graph: Graph | None = None) -> list[int]:
        """Nodes from start to end along the strongest path; empty if there is none."""
        return happy_path(graph or self.graph(), dict(enumerate(self.actions.speaker.tolist(), FIRST)))

    def explained(self, graph: Graph | None = None) -> Explained:
        """The share of dialogues and steps that the pruned graph explains."""
        return explained(self.log, self.nodes, (graph or self.graph()).counts)

    def speaker_of(self, node: int) -> str:
        """The speaker of an action."""
        return self.log.speakers[int(self.actions.speaker[node - FIRST])]

    def write(self, path: str | Path) -> Path:
        """Write it in the format of the suffix, such as .html, .json or .bpmn, or .safetensors for a later update.

        See `nearfar.dialogue.write`.

        Raises:
            InputError: unknown suffix, or the path is not writable.
        """
        return self.writer(self, Path(path))
