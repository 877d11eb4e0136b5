"""Dialogue logs that are not tables: transcripts, subtitles, exports of chats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nearfar.data.files import list_folder
from nearfar.data.formats import FORMATS as TABLES
from nearfar.data.formats import format_of
from nearfar.dialogue.formats import discord, headed, plain, rasa, slack, subtitles, telegram, whatsapp, zoom
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, head_of
from nearfar.errors import InputError

#: The formats; of those that a file's suffix allows, the first that detects the file reads it.
FORMATS: tuple[Format, ...] = (
    subtitles.FORMAT,
    zoom.FORMAT,
    headed.FORMAT,
    whatsapp.FORMAT,
    plain.FORMAT,
    slack.FORMAT,
    discord.FORMAT,
    telegram.FORMAT,
    rasa.FORMAT,
)
# The name that WhatsApp gives to a chat on iOS; other names that begin with an underscore are not read.
_CHAT = "_chat.txt"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json(?:\.gz|\.zst)?")


def known_formats() -> str:
    """The names of all formats, for messages."""
    *names, last = [form.name for form in FORMATS if form is not plain.FORMAT] + [plain.FORMAT.name]
    return f"{', '.join(names)} or {last}"


def is_transcripts(path: Path) -> bool:
    """Whether a path is such a log, or a folder of such logs.

    Raises:
        InputError: a folder contains both transcripts and tables.
    """
    if path.is_file():
        return _form_of(path, alone=True) is not None or _is_text(path)
    if not path.is_dir():
        return False
    transcripts = _transcripts(path)
    used = set(transcripts)
    tables = [file for file in list_folder(path) if file.is_file() and format_of(file) in TABLES and file not in used]
    if transcripts and all(_form_of(file) is slack.FORMAT for file in transcripts):
        return True  # beside the days of a channel lie lists of users and channels
    if transcripts and tables:
        problem = f"contains transcripts ({transcripts[0].name}) and tables ({tables[0].name})"
        raise InputError(problem, file=path, remedy="remove one kind, or pass the path of the table")
    return bool(transcripts)


def read_transcripts(path: Path, context: Context) -> Iterator[Dialogue]:
    """Yield the dialogues of a file, or of the files of a folder in the order of their names.

    Args:
        path: The file or folder.
        context: Gets the notes of the readers.

    Raises:
        InputError: a file cannot be read, is empty, or is of no known format.
    """
    by_format: dict[str, tuple[Format, list[Path]]] = {}
    for file in [path] if path.is_file() else _transcripts(path):
        form = _form_of(file, alone=path.is_file())
        if form is None:
            raise _unknown(file)
        by_format.setdefault(form.name, (form, []))[1].append(file)
    for form, files in by_format.values():
        yield from form.read(files, context)


def _transcripts(folder: Path) -> list[Path]:
    """The logs of a folder, and the days in the channels of an export of Slack."""
    files = [file for file in list_folder(folder) if file.is_file()]
    chat = folder / _CHAT
    found = [file for file in ([chat] if chat.is_file() else []) + files if _is_text(file) or _form_of(file)]
    if found:
        return found
    days = (file for inner in list_folder(folder) if inner.is_dir() for file in list_folder(inner))
    return [day for day in days if _DAY.fullmatch(day.name) and _form_of(day) is slack.FORMAT]


def _is_text(file: Path) -> bool:
    """Whether a file by its suffix can only be a log, so that it is refused if its format is unknown."""
    return format_of(file) in (*plain.FORMAT.suffixes, *subtitles.FORMAT.suffixes)


def _form_of(file: Path, *, alone: bool = False) -> Format | None:
    """The format of a file, or None. In a folder Markdown files are notes; one that the user names is read as text."""
    suffix = format_of(file)
    if alone and suffix == ".md":
        suffix = ".txt"
    allowed = [form for form in FORMATS if suffix in form.suffixes]
    if not allowed:
        return None
    head = head_of(file)
    return next((form for form in allowed if form.detect(head)), None)


def _unknown(file: Path) -> InputError:
    lines = head_of(file).lines
    if not lines:
        return InputError("contains no dialogue", file=file, remedy="remove the file, or add turns")
    problem = f"expected a speaker at the beginning of the line, got {lines[0][:40]!r}"
    number = 1
    remedy = f"{plain.READ_LIKE}; known formats: {known_formats()}"
    return InputError(problem, file=file, line=number, remedy=remedy)
