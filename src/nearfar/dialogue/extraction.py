"""`flow`: from dialogue logs to a workflow graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.clustering import Actions, Linkage, Number, find_actions
from nearfar.dialogue.graph import FIRST, Edge, Graph, Rules, happy_path, prune, transitions
from nearfar.dialogue.log import Log
from nearfar.dialogue.naming import Described, describe, name_by_model, same_names
from nearfar.dialogue.reading import read

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Int
    from sentence_transformers import SentenceTransformer

    from nearfar.generation import Generator

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Flow:
    """A log of dialogues as a workflow.

    Args:
        log: The dialogues.
        actions: What every turn does.
        described: Each action's name, words and examples.
        rules: How the graph is pruned.
        facts: What it was made from and with.
    """

    log: Log
    actions: Actions
    described: list[Described]
    rules: Rules
    facts: dict[str, Any]

    @property
    def nodes(self) -> Int[np.ndarray, " turns"]:
        """Each turn's node in the graph."""
        return self.actions.turn.astype(np.int64) + FIRST

    def counts(self, speaker: int | None = None) -> dict[Edge, int]:
        """How often each step is taken, of all turns or of one speaker's."""
        return transitions(self.log, self.nodes, speaker)

    def graph(self, rules: Rules | None = None, speaker: int | None = None) -> Graph:
        """The pruned graph."""
        return prune(self.counts(speaker), rules or self.rules)

    def happy_path(self, graph: Graph | None = None) -> list[int]:
        """Nodes from start to end along the strongest way."""
        return happy_path(graph or self.graph(), dict(enumerate(self.actions.speaker.tolist(), FIRST)))

    def speaker_of(self, node: int) -> str:
        """Who takes an action."""
        return self.log.speakers[int(self.actions.speaker[node - FIRST])]

    def write(self, path: str | Path) -> Path:
        """Write it as .html, .json, .mmd (Mermaid) or .dot (Graphviz); see `nearfar.dialogue.write`."""
        from nearfar.dialogue.exports import write

        return write(self, path)


def flow(
    dialogues: str | Path | Dataset | Log,
    *,
    model: str | SentenceTransformer = "minilm",
    actions: Number = "auto",
    rules: Rules = Rules(),  # noqa: B008 - immutable
    columns: Mapping[str, str] | None = None,
    split: str = "train",
    speakers: str | None = None,
    sample: int | None = None,
    linkage: Linkage = "ward",
    namer: Generator | None = None,
    names: str | Path = "flow.names.jsonl",
    merge: bool = False,
    max_length: int = 64,
    batch_size: int = 64,
    seed: int = 0,
    store: str | Path | None = None,
    skip_broken: bool = False,
    progress: Progress | None = None,
) -> Flow:
    """Read the workflow off dialogues: which actions there are, and which follows on which.

    Burdisso et al. 2024, Dialog2Flow (arXiv 2410.18481), Section 7: utterances of each speaker are clustered by their
    vectors, and the clusters are the nodes of a graph of transitions. Here: Ward's linkage instead of the average one,
    and the number of actions by what it tells about the next action; `linkage` and `actions` change that.

    Args:
        dialogues: A table of turns or of dialogues, a folder of transcripts, or a `Log`; see `nearfar.dialogue.read`.
        model: A text encoder, or its name.
        actions: Actions of each speaker, by speaker where they differ, or "auto".
        rules: How the graph is pruned; it can be pruned otherwise later.
        columns, split, speakers, sample, skip_broken: As in `nearfar.dialogue.read`.
        linkage: "ward" or "average".
        namer: A language model that names the actions.
        names: Where its answers are kept.
        merge: Make one action of those of one speaker that it gives the same name. A small model gives one name to
            different actions.
        max_length: Tokens after which an utterance is cut.
        batch_size: Texts in one forward pass.
        seed: Same seed, same graph.
        store: A folder for finished vectors, which a later or a killed run finds again.
        progress: Called with (what is done, how much, of how much).

    Raises:
        InputError: the dialogues cannot be read, or an option does not fit them.

    Example:
        >>> found = flow("calls/", actions=12)  # doctest: +SKIP
        >>> found.write("calls.html")  # doctest: +SKIP
    """
    from nearfar.dialogue.vectors import vectors_of
    from nearfar.models import load

    if isinstance(dialogues, Log):
        log = dialogues if sample is None else dialogues.sampled(sample, seed)
    else:
        log = read(
            dialogues,
            columns=columns,
            split=split,
            speakers=speakers,
            sample=sample,
            seed=seed,
            skip_broken=skip_broken,
        )
    encoder = load(model, max_length=max_length) if isinstance(model, str) else model
    vectors = vectors_of(
        encoder,
        log.texts,
        store=None if store is None else Path(store),
        batch_size=batch_size,
        progress=None if progress is None else lambda done, whole: progress("encode", done, whole),
    )
    found = find_actions(log, vectors, actions, linkage=linkage, seed=seed)
    described = describe(log, found)
    if namer is not None:
        reported = None if progress is None else lambda done, whole: progress("name", done, whole)
        described = name_by_model(described, log.texts, namer, Path(names), reported)
        if merge:
            found, described = _joined(log, found, described)
    facts = {
        "source": str(dialogues) if isinstance(dialogues, str | Path) else "dialogues in memory",
        "model": model if isinstance(model, str) else type(model).__name__,
        "namer": None if namer is None else namer.identity,
        "actions": "auto" if actions == "auto" else "given",
        "sample": sample,
        "seed": seed,
    }
    return Flow(log, found, described, rules, facts)


def _joined(log: Log, actions: Actions, described: list[Described]) -> tuple[Actions, list[Described]]:
    """Make one action of those of one speaker that have the same name; the larger one's examples stand for it."""
    joined = same_names(described, actions.speaker)
    if not joined:
        return actions, described
    sizes = np.bincount(actions.turn, minlength=len(actions))
    largest = {action: action for action in range(len(actions)) if action not in joined}
    for action, first in joined.items():
        if sizes[action] > sizes[largest[first]]:
            largest[first] = action
    kept = sorted(largest)
    number = {action: new for new, action in enumerate(kept)}
    renumber = np.asarray([number[joined.get(action, action)] for action in range(len(actions))], np.int32)
    merged = replace(actions, speaker=actions.speaker[kept], turn=renumber[actions.turn])
    return merged, [described[largest[action]] for action in kept]
