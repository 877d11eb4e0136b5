"""`flow`: from dialogue logs to a workflow graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.clustering import Actions, find_actions
from nearfar.dialogue.continuing import Stage, continued, edited, joined, kept, separated
from nearfar.dialogue.edits_file import read_edits
from nearfar.dialogue.exports import write
from nearfar.dialogue.log import Log
from nearfar.dialogue.naming import Described, describe, name_by_model, same_names
from nearfar.dialogue.options import FlowOptions
from nearfar.dialogue.reading import read
from nearfar.dialogue.result import Flow
from nearfar.dialogue.state import load as load_state
from nearfar.dialogue.vectors import vectors_of
from nearfar.models.fingerprint import fingerprint

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

Progress = Callable[[str, int, int], None]


def flow(
    dialogues: str | Path | Dataset | Log,
    options: FlowOptions = FlowOptions(),  # noqa: B008 - immutable
    *,
    progress: Progress | None = None,
    **settings: Any,
) -> Flow:
    """Extract the workflow of dialogues: which actions there are, and which action follows which.

    Burdisso et al. 2024, Dialog2Flow (arXiv 2410.18481), Section 7: the utterances of each speaker are clustered by
    their vectors, and the clusters are the nodes of a graph of transitions. Two defaults differ from the paper: Ward's
    linkage instead of the average one, and the number of actions that best predicts the next action. The settings
    `linkage` and `actions` change that.

    Args:
        dialogues: A table of turns or of dialogues, a folder of transcripts, or a `Log`; see `nearfar.dialogue.read`.
        options: The settings.
        progress: Called with (name of the stage, number done, total).
        **settings: Fields of `FlowOptions` by name, which override those of ``options``: ``actions=12``.

    Raises:
        InputError: the dialogues, the edits or the earlier flow cannot be read or do not fit, or a setting is invalid.
        TypeError: ``settings`` contains an unknown name.

    Example:
        >>> found = flow("calls/", actions=12)  # doctest: +SKIP
        >>> found.write("calls.html")  # doctest: +SKIP
    """
    options = replace(options, **settings)
    edits = None if options.edits is None else read_edits(options.edits)
    known = None if options.update is None else load_state(options.update)
    log, first = _log(dialogues, options), 0
    if options.against is not None:
        after, first = _log(options.against, options), len(log)
        log = joined(log, after, str(_source(options.against)))
    model = _model(options)
    vectors = _vectors(model, log, options, progress)
    chosen = {"encoder": fingerprint(model), "linkage": options.linkage}
    name = partial(_named, log, options, progress)
    same = {"linkage": options.linkage, "seed": options.seed}
    if known is not None:
        stage = continued(log, vectors, known, chosen, name, file=str(options.update), **same)
    else:
        actions = find_actions(log, vectors, options.actions, **same)
        described = name(describe(log, actions))
        if options.merge:
            actions, described = merged_by_name(actions, described)
        stage = Stage(log, actions, described)
    if edits is not None:
        stage = edited(stage, vectors, edits, name, **same)
    applied = [] if edits is None else list(edits.raw)
    source = _source(dialogues)
    if options.against is None:
        keeping = kept(stage, vectors, chosen, applied, source, linkage=options.linkage)
        names = ("" if known is None else known.source, source)
        change, applied = stage.change(names, options.seed), keeping.edits
    else:
        stage, keeping = separated(stage, first), None
        change = stage.change((source, _source(options.against)), options.seed)
    facts = _facts(source, options)
    return Flow(stage.log, stage.actions, stage.described, options.rules, facts, write, change, keeping, tuple(applied))


def _named(log: Log, options: FlowOptions, progress: Progress | None, described: list[Described]) -> list[Described]:
    if options.namer is None or not described:
        return described
    reported = None if progress is None else partial(progress, "name")
    return name_by_model(described, log.texts, options.namer, Path(options.names), reported)


def merged_by_name(actions: Actions, described: list[Described]) -> tuple[Actions, list[Described]]:
    """Merge actions of one speaker that have the same name; the largest one keeps its examples."""
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


def _log(dialogues: str | Path | Dataset | Log, options: FlowOptions) -> Log:
    if isinstance(dialogues, Log):
        return dialogues if options.sample is None else dialogues.sampled(options.sample, options.seed)
    return read(
        dialogues,
        columns=options.columns,
        split=options.split,
        speakers=options.speakers,
        sample=options.sample,
        seed=options.seed,
        skip_broken=options.skip_broken,
    )


def _model(options: FlowOptions) -> SentenceTransformer:
    from nearfar.models import load

    model = options.model
    return load(model, max_length=options.max_length) if isinstance(model, str) else model


def _vectors(model: SentenceTransformer, log: Log, options: FlowOptions, progress: Progress | None) -> np.ndarray:
    return vectors_of(
        model,
        log.texts,
        store=None if options.store is None else Path(options.store),
        batch_size=options.batch_size,
        progress=None if progress is None else partial(progress, "encode"),
    )


def _source(dialogues: str | Path | Dataset | Log) -> str:
    return str(dialogues) if isinstance(dialogues, str | Path) else "dialogues in memory"


def _facts(source: str, options: FlowOptions) -> dict[str, Any]:
    return {
        "source": source,
        "model": options.model if isinstance(options.model, str) else type(options.model).__name__,
        "namer": None if options.namer is None else options.namer.identity,
        "actions": "auto" if options.actions == "auto" else "given",
        "sample": options.sample,
        "seed": options.seed,
    }
