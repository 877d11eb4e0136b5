"""Reads dialogue logs: tables of turns or of dialogues, and plain transcripts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.dialogue.log import Log, Turn
from nearfar.dialogue.speakers import Casting
from nearfar.dialogue.transcripts import is_transcripts, read_transcripts
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_ROWS = 1024


def read(
    source: str | Path | Dataset,
    *,
    columns: Mapping[str, str] | None = None,
    split: str = "train",
    speakers: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    skip_broken: bool = False,
) -> Log:
    """Read dialogues.

    Args:
        source: A table (file, folder of files, Hub ID, dataset in memory) with one row per turn (`dialogue_id`,
            `speaker`, `text`) or one row per dialogue (`dialogue_id`, `turns`); or a `.txt` transcript or a folder of
            them. The turns of a dialogue must be in order; turns of other dialogues may be between them.
        columns: Canonical column name -> name in the file.
        split: Split of a Hub dataset, or of a folder with several splits.
        speakers: Speakers to include and their roles; see `Casting`.
        sample: Maximum number of dialogues; larger logs are sampled.
        seed: Random seed of the sample.
        skip_broken: Skip turns of a table without a text, and report their number. In transcripts, where a line may
            contain only a name, they are always skipped.

    Raises:
        InputError: the source cannot be read, has a turn without a text, contains no dialogue, or has more speakers
            than a graph can show.
    """
    if sample is not None and sample < 1:
        raise InputError(f"invalid value {sample}", field="--sample", remedy="must be at least 1")
    path = Path(source).expanduser() if isinstance(source, str | Path) else None
    if path is not None and is_transcripts(path):
        found: Iterable[tuple[str, Iterable[Turn]]] = read_transcripts(path)
    else:
        found = _of_table(source, columns, split, skip_broken)
    casting = Casting.parse(speakers)
    spoken, empty = Counter[str](), Counter[str]()
    log = Log.of(_kept(found, casting, spoken, empty))
    name = None if path is None else path
    casting.check(log.speakers, [speaker for speaker, _ in spoken.most_common()], name)
    if not len(log):
        raise InputError("contains no turn with a text", file=name, remedy="add dialogues of at least one turn")
    if empty.total():
        logging.getLogger(__name__).warning("skipped %d turns without a text", empty.total())
    return log if sample is None else log.sampled(sample, seed)


def _kept(
    dialogues: Iterable[tuple[str, Iterable[Turn]]], casting: Casting, spoken: Counter[str], empty: Counter[str]
) -> Iterator[tuple[str, list[Turn]]]:
    """Dialogues with the turns of the included speakers; dialogues without such turns are skipped."""
    for name, turns in dialogues:
        kept = []
        for speaker, text in turns:
            spoken[speaker] += 1
            role = casting.role(speaker)
            if role is not None and text.strip():
                kept.append((role, text))
            elif role is not None:
                empty[role] += 1
        if kept:
            yield name, kept


def _of_table(
    source: Any, columns: Mapping[str, str] | None, split: str, skip_broken: bool
) -> Iterator[tuple[str, list[Turn]]]:
    from nearfar.data import SCHEMAS, load
    from nearfar.data.readers import columns_of

    names = columns_of(source, columns=columns, split=split)
    schema = "dialogues" if SCHEMAS["dialogues"].fits(names) else "turns"
    table: Any = load(source, columns=columns, split=split, schema=schema, skip_broken=skip_broken)
    if schema == "dialogues":
        for rows in table.iter(_ROWS):
            for name, turns in zip(rows["dialogue_id"], rows["turns"], strict=True):
                yield str(name), [(turn["speaker"], turn["text"]) for turn in turns]
        return
    # Logs are often in the order of time, with several dialogues going on at the same time.
    dialogues: dict[Any, list[Turn]] = {}
    for rows in table.iter(_ROWS):
        for name, speaker, text in zip(rows["dialogue_id"], rows["speaker"], rows["text"], strict=True):
            dialogues.setdefault(name, []).append((speaker, text))
    for name, turns in dialogues.items():
        yield str(name), turns
