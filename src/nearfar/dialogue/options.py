"""The settings of a flow, as one object that is passed through the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from nearfar.dialogue.clustering import Linkage, Number
from nearfar.dialogue.graph import Rules
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.dialogue.log import Log
    from nearfar.generation import Generator


@dataclass(frozen=True)
class FlowOptions:
    """How a workflow is extracted from dialogues.

    Args:
        model: A text encoder, or its path, Hub ID or alias.
        actions: Number of actions per speaker, or a mapping from speaker to number, or "auto".
        rules: How the graph is pruned; a finished flow can be pruned again with other rules.
        columns: Canonical column name -> name in the file.
        split: Split of a Hub dataset, or of a folder with several splits.
        speakers: Speakers to include and their roles, such as "user,agent=Anna|Ben"; see `nearfar.dialogue.Casting`.
        sample: Maximum number of dialogues; larger logs are sampled.
        skip_broken: Skip turns without a text instead of refusing the log.
        slots: Replace numbers, names, times and other slots before the texts are encoded; see
            `nearfar.dialogue.slots.texts`.
        linkage: "ward", or "average" (cosine distance) as in Dialog2Flow.
        namer: A language model that names the actions.
        names: The file that stores the answers of ``namer``.
        merge: Merge actions of one speaker to which ``namer`` gives the same name. A small model gives one name to
            different actions.
        max_length: Maximum sequence length in tokens; longer utterances are truncated.
        batch_size: Number of texts in one forward pass.
        seed: Random seed.
        store: A folder for finished vectors, which later and resumed runs reuse.
        edits: A file of edits, as the page writes it: actions that are renamed, merged or split.
        update: An earlier flow, whose actions are used again: the .html or .json that the command line wrote, or its
            .safetensors.
        against: A second log, which is compared with the first: what changed from the first to this one.

    Raises:
        InputError: a value is out of range, ``merge`` has no ``namer``, or ``update`` and ``against`` are both set.
    """

    model: str | SentenceTransformer = "actions"
    actions: Number = "auto"
    rules: Rules = Rules()  # noqa: RUF009 - immutable
    columns: Mapping[str, str] | None = None
    split: str = "train"
    speakers: str | None = None
    sample: int | None = None
    skip_broken: bool = False
    slots: bool = True
    linkage: Linkage = "ward"
    namer: Generator | None = None
    names: str | Path = "flow.names.jsonl"
    merge: bool = False
    max_length: int = 64
    batch_size: int = 64
    seed: int = 0
    store: str | Path | None = None
    edits: str | Path | None = None
    update: str | Path | None = None
    against: str | Path | Dataset | Log | None = None

    def __post_init__(self) -> None:
        if self.linkage not in get_args(Linkage):
            remedy = f"must be one of {', '.join(get_args(Linkage))}"
            raise InputError(f"invalid linkage {self.linkage!r}", field="--linkage", remedy=remedy)
        counts = {"--sample": self.sample, "--max-length": self.max_length, "--batch-size": self.batch_size}
        for option, value in counts.items():
            if value is not None and value < 1:
                raise InputError(f"invalid value {value}", field=option, remedy="must be at least 1")
        if self.merge and self.namer is None:
            raise InputError("requires a model that names the actions", field="--merge", remedy="add --namer NAME")
        if self.update is not None and self.against is not None:
            raise InputError("cannot be combined with --update", field="--against", remedy="remove one of them")
