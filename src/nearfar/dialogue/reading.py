"""Reads dialogue logs: tables of turns or of dialogues, and plain transcripts."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.files import list_folder
from nearfar.data.formats import FORMATS as TABLES
from nearfar.data.formats import format_of
from nearfar.data.saved import is_saved
from nearfar.data.times import order_of, stating_order
from nearfar.dialogue.formats.parts import Context, cleaned, in_one_line_each
from nearfar.dialogue.log import Log, Turn
from nearfar.dialogue.speakers import Casting, heard_once
from nearfar.dialogue.transcripts import is_transcripts, known_formats, read_transcripts
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_ROWS = 1024
_HALVES = re.compile("[\ud800-\udfff\0]")
_LOG = logging.getLogger(__name__)
_READERS = ("nearfar.dialogue", "nearfar.data")


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
            `speaker`, `text`) or one row per dialogue (`dialogue_id`, `turns`); or a file or folder in one of the
            formats of `nearfar.dialogue.transcripts`: exports of WhatsApp, Slack, Discord and Zoom, WebVTT and SRT,
            stories of Rasa, lines `Name: text`. Turns of other dialogues may be between those of one. Turns whose
            `turn_id` or time contradicts their order are sorted by it, with a warning.
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

    What does not become a turn is counted in a warning, with its lines; so is a speaker who is heard once. The warnings
    are also the `notes` of the log.
    """
    if sample is not None and sample < 1:
        raise InputError(f"invalid value {sample}", field="--sample", remedy="must be at least 1")
    with _Notes() as notes:
        log = _read(source, columns, split, Casting.parse(speakers), skip_broken)
    log = replace(log, notes=tuple(notes.texts))
    return log if sample is None else log.sampled(sample, seed)


class _Notes(logging.Handler):
    """Collects the warnings of this package's readers, of this one and of the tables', in one thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def __enter__(self) -> _Notes:
        for name in _READERS:
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for name in _READERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.texts.append(record.getMessage())


def _read(
    source: str | Path | Dataset,
    columns: Mapping[str, str] | None,
    split: str,
    casting: Casting,
    skip_broken: bool,
) -> Log:
    path = Path(source).expanduser() if isinstance(source, str | Path) else None
    context = Context(frozenset(casting.roles or ()))
    if path is not None and is_transcripts(path):
        found: Iterable[tuple[str, Iterable[Turn]]] = (
            (_whole(dialogue.name), [(_whole(turn.speaker), _whole(turn.text)) for turn in dialogue.turns])
            for dialogue in read_transcripts(path, context)
        )
    elif path is not None and path.is_dir() and not _may_be_table(path):
        problem = f"contains no dialogue log: {known_formats()}, or a table ({', '.join(TABLES)})"
        raise InputError(problem, file=path, remedy="name the folder with the logs")
    elif path is not None and path.is_file() and format_of(path) not in TABLES:
        problem = f"is of no known format: {known_formats()}, or a table ({', '.join(TABLES)})"
        packed = path.suffix.lower() in (".zip", ".rar", ".7z", ".tar", ".tgz")
        raise InputError(problem, file=path, remedy="unpack it" if packed else "export the log in one of these formats")
    else:
        found = _of_table(source, columns, split, skip_broken)
    spoken, most, empty = Counter[str](), Counter[str](), Counter[str]()
    log = Log.of(_kept(found, casting, spoken, most, empty))
    name = None if path is None else path
    for note in in_one_line_each(context.notes):
        _LOG.warning(note)
    casting.check(log.speakers, [speaker for speaker, _ in spoken.most_common()], name)
    if not len(log):
        raise InputError("contains no turn with a text", file=name, remedy="add dialogues of at least one turn")
    for note in heard_once(most, casting):
        _LOG.warning(note)
    if empty.total():
        _LOG.warning("skipped %d turns without a text", empty.total())
    return log


def _whole(text: str) -> str:
    """A text without halves of surrogate pairs and NUL characters, which JSON can contain and files cannot."""
    return text if text.isprintable() else _HALVES.sub("\ufffd", text)


def _may_be_table(folder: Path) -> bool:
    """Whether a folder contains tables, or is one that `datasets.save_to_disk` wrote."""
    return is_saved(folder) or any(format_of(file) in TABLES for file in list_folder(folder) if file.is_file())


def _kept(
    dialogues: Iterable[tuple[str, Iterable[Turn]]],
    casting: Casting,
    spoken: Counter[str],
    most: Counter[str],
    empty: Counter[str],
) -> Iterator[tuple[str, list[Turn]]]:
    """Dialogues with the turns of the included speakers; dialogues without such turns are skipped.

    Names that differ only in case, or in characters without width, are one speaker.
    """
    spellings: dict[str, str] = {}
    for name, turns in dialogues:
        kept, here = [], Counter[str]()
        for written, text in turns:
            speaker = cleaned(written) or written
            speaker = spellings.setdefault(speaker.casefold(), speaker)
            here[speaker] += 1
            role = casting.role(speaker)
            if role is not None and text.strip():
                kept.append((role, text))
            elif role is not None:
                empty[role] += 1
        spoken.update(here)
        for speaker, count in here.items():
            most[speaker] = max(most[speaker], count)
        if kept:
            yield name, kept


def _of_table(
    source: Any, columns: Mapping[str, str] | None, split: str, skip_broken: bool
) -> Iterator[tuple[str, list[Turn]]]:
    from nearfar.data import SCHEMAS, load
    from nearfar.data.readers import columns_of

    names = columns_of(source, columns=columns, split=split)
    schema = "dialogues" if SCHEMAS["dialogues"].fits(names) else "turns"
    columns = dict(columns or {})
    if schema == "turns":
        stating = stating_order(names)
        if "time" not in stating and "date" in stating:
            stating["time"] = stating.pop("date")
        columns |= {key: column for key, column in stating.items() if key not in columns}
    table: Any = load(source, columns=columns, split=split, schema=schema, skip_broken=skip_broken)
    if schema == "dialogues":
        for rows in table.iter(_ROWS):
            for name, turns in zip(rows["dialogue_id"], rows["turns"], strict=True):
                yield str(name), [(turn["speaker"], turn["text"]) for turn in turns]
        return
    # Logs are often in the order of time, with several dialogues going on at the same time.
    dialogues: dict[Any, list[Turn]] = {}
    stated: dict[str, dict[Any, list[str | None]]] = {
        key: {} for key in ("turn_id", "time") if key in table.column_names
    }
    for rows in table.iter(_ROWS):
        for name, speaker, text in zip(rows["dialogue_id"], rows["speaker"], rows["text"], strict=True):
            dialogues.setdefault(name, []).append((speaker, text))
        if "date" in rows and "time" in rows:
            rows["time"] = [a and b and f"{a} {b}" for a, b in zip(rows["date"], rows["time"], strict=True)]
        for key, of in stated.items():
            for name, value in zip(rows["dialogue_id"], rows[key], strict=True):
                of.setdefault(name, []).append(value)
    _sort(dialogues, stated, columns)
    for name, turns in dialogues.items():
        yield str(name), turns


def _sort(
    dialogues: dict[Any, list[Turn]], stated: Mapping[str, dict[Any, list[str | None]]], columns: Mapping[str, str]
) -> None:
    """Sort the turns by the first column that states an order, and say where it was another one."""
    used = ""
    for key, values in stated.items():
        field = columns.get(key, key)
        orders = {name: order_of(of) for name, of in values.items()}
        if any(order is None for order in orders.values()):
            _LOG.warning("the column %r does not state an order of the turns, so it is not used", field)
            continue
        falling = [name for name, order in orders.items() if order and any(b < a for a, b in pairwise(order))]
        what = "1 dialogue" if len(falling) == 1 else f"{len(falling):,} dialogues"
        if used:
            if falling:
                _LOG.warning("the column %r contradicts %r in %s; sorted by %r", field, used, what, used)
            break
        repeated = [name for name in falling if len(set(orders[name] or ())) < len(orders[name] or ())]
        if key == "turn_id" and repeated:
            _LOG.warning(
                "the column %r contains a value twice in dialogue %s, so it is not used", field, str(repeated[0])
            )
            continue
        used = field
        for name in falling:
            order, turns = orders[name] or [], dialogues[name]
            dialogues[name] = [turns[number] for number in sorted(range(len(turns)), key=order.__getitem__)]
            for other in stated.values():
                if len(other[name]) == len(turns):
                    other[name] = [other[name][number] for number in sorted(range(len(turns)), key=order.__getitem__)]
        if falling:
            _LOG.warning("turns of %s were not in the order of the column %r; sorted by it", what, field)
