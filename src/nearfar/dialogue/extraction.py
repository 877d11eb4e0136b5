"""`flow`: from dialogue logs to a workflow graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.change.continuing import Stage, continued, edited, joined, kept, separated
from nearfar.dialogue.change.state import load as load_state
from nearfar.dialogue.clustering import Actions, find_actions
from nearfar.dialogue.edits.file import read_edits
from nearfar.dialogue.exports import write
from nearfar.dialogue.log import Log
from nearfar.dialogue.options import FlowOptions
from nearfar.dialogue.quality.held_out import held_out_quality
from nearfar.dialogue.reading import read
from nearfar.dialogue.result import Flow
from nearfar.dialogue.slots.texts import Slots
from nearfar.dialogue.vectors import vectors_of
from nearfar.dialogue.words.labels import distinct
from nearfar.dialogue.words.naming import Described, name_by_model, same_names
from nearfar.dialogue.words.wording import Wording
from nearfar.models.fingerprint import fingerprint

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.models.action_labels import ActionLabels

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
    slots = Slots.of(log.texts, log.speakers) if options.slots else None
    model = _model(options)
    vectors = _vectors(model, log.texts, slots, options, progress)
    wording = Wording(log, vectors, _labels(options), slots, _by_model(log, options, progress))
    settings = {"encoder": fingerprint(model), "linkage": options.linkage, "slots": options.slots}
    same = {"linkage": options.linkage, "seed": options.seed}
    held_out = None
    if known is not None:
        stage = continued(log, vectors, known, settings, wording, file=str(options.update), **same)
    else:
        actions = find_actions(log, vectors, options.actions, **same)
        if options.against is None:
            held_out = held_out_quality(log, vectors, actions, options.rules, **same)
        stage = Stage(log, *_named(actions, wording, options))
    if edits is not None:
        stage = edited(stage, vectors, edits, wording, **same)
    applied = [] if edits is None else list(edits.raw)
    source = _source(dialogues)
    if options.against is None:
        keeping = kept(stage, vectors, settings, applied, source, linkage=options.linkage)
        names = ("" if known is None else known.source, source)
        change, applied = stage.change(names, options.seed), keeping.edits
    else:
        stage, keeping = separated(stage, first), None
        change = stage.change((source, _source(options.against)), options.seed)
    facts = _facts(source, options)
    return Flow(
        stage.log,
        stage.actions,
        stage.described,
        options.rules,
        facts,
        write,
        change=change,
        known=keeping,
        edits=tuple(applied),
        held_out=held_out,
    )


def _by_model(
    log: Log, options: FlowOptions, progress: Progress | None
) -> Callable[[list[Described]], list[Described]] | None:
    """Names actions by the language model of the options; None without one."""
    if options.namer is None:
        return None
    generator, names = options.namer, Path(options.names)
    reported = None if progress is None else partial(progress, "name")
    return lambda described: name_by_model(described, log.texts, generator, names, reported)


def _named(actions: Actions, wording: Wording, options: FlowOptions) -> tuple[Actions, list[Described]]:
    """The actions in words, and without those that are merged by name."""
    described = wording.name(wording.describe(actions))
    if options.namer is None:
        return actions, described
    if options.merge:
        actions, described = merged_by_name(actions, described)
    return actions, distinct(described, actions.speaker)


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
    slots: dict[int, Counter[str]] = {action: Counter() for action in kept}
    for action, each in enumerate(described):
        slots[joined.get(action, action)].update(each.slots)
    return merged, [replace(described[largest[action]], slots=dict(slots[action].most_common())) for action in kept]


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


def _vectors(
    model: SentenceTransformer,
    texts: Sequence[str],
    slots: Slots | None,
    options: FlowOptions,
    progress: Progress | None,
) -> np.ndarray:
    """The vector of each text; texts that differ only in their slots are encoded once."""
    encoded, which = (texts, None) if slots is None else slots.to_encode()
    found = vectors_of(
        model,
        encoded,
        store=None if options.store is None else Path(options.store),
        batch_size=options.batch_size,
        progress=None if progress is None else partial(progress, "encode"),
    )
    return found if which is None else found[which]


def _labels(options: FlowOptions) -> ActionLabels | None:
    """The label vocabulary of the encoder, if it has one; a model in memory has no folder that could contain it."""
    from nearfar.models.action_labels import ActionLabels
    from nearfar.models.loading import find

    return ActionLabels.load(find(options.model)) if isinstance(options.model, str) else None


def _source(dialogues: str | Path | Dataset | Log) -> str:
    return str(dialogues) if isinstance(dialogues, str | Path) else "dialogues in memory"


def _facts(source: str, options: FlowOptions) -> dict[str, Any]:
    return {
        "source": source,
        "model": options.model if isinstance(options.model, str) else type(options.model).__name__,
        "namer": None if options.namer is None else options.namer.identity,
        "actions": "auto" if options.actions == "auto" else "given",
        "slots": options.slots,
        "sample": options.sample,
        "seed": options.seed,
    }
