"""Columns of image or audio files: checked when rows are loaded, decoded when a row is used."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from nearfar.data.audio import check_audio, read_audio
from nearfar.data.images import check_image, read_image
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

Medium = Literal["image", "audio"]
MEDIA: tuple[Medium, ...] = ("image", "audio")
WORDS: dict[Medium, str] = {"image": "images", "audio": "audio files"}
_NAMED, _SHOWN = 3, 300
_FIX = "fix it, or skip broken files with --skip-broken"


@dataclass(frozen=True)
class Reader:
    """Decodes the values of a column `image` or `audio`: paths, or the values that datasets from the hub have there.

    Args:
        medium: The column.
        rate: Sampling rate in Hz that the model expects; audio only.
        seconds: Maximum duration of audio; `nearfar.data.audio.MAX_SECONDS` when None.
    """

    medium: Medium
    rate: int = 16_000
    seconds: float | None = None

    def read(self, value: Any) -> Any:
        """Decode one value to an RGB image, or to {"array", "sampling_rate"}, as sentence-transformers expects.

        Raises:
            InputError: The file is missing or corrupted; names the file.
        """
        try:
            file = _source(value)
            if self.medium == "image":
                return read_image(file)
            return {"array": read_audio(file, self.rate, self.seconds), "sampling_rate": self.rate}
        except ValueError as error:
            name = value.get("path") if isinstance(value, dict) else value
            raise InputError(str(error), file=_shown(name), remedy=_FIX) from error

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Decode this column of a batch of rows; the signature of `Dataset.with_transform`."""
        if self.medium not in rows:
            return rows
        return {**rows, self.medium: [self.read(value) for value in rows[self.medium]]}


def medium_in(columns: Collection[str]) -> Medium | None:
    """The column that contains files, if there is one."""
    return next((medium for medium in MEDIA if medium in columns), None)


def items_of(rows: Dataset) -> list[Any]:
    """The files of the rows if there is a column `image` or `audio`, otherwise their texts."""
    medium = medium_in(rows.column_names)
    return rows["text"][:] if medium is None else undecoded(rows, medium)[medium][:]


def decoded(rows: Dataset, reader: Reader) -> Dataset:
    """The same rows; the column is decoded whenever a row is accessed, not before."""
    return undecoded(rows, reader.medium).with_transform(reader)


def undecoded(rows: Dataset, medium: Medium) -> Dataset:
    """The same rows with files from the hub as bytes; `datasets` would decode them without limits of size."""
    from datasets import Audio, Image

    feature = rows.features[medium]
    if isinstance(feature, (Image, Audio)):
        return rows.cast_column(medium, type(feature)(decode=False))
    return rows


def usable(rows: Dataset, source: str, *, skip_broken: bool = False) -> Dataset:
    """Check that the files of all rows exist and are valid.

    Only the header of each file is read. With `skip_broken`, every file is decoded once, because a header may announce
    more than the file contains.

    Args:
        rows: Rows with at most one column of files, by paths that can be opened from here, or with `parts`.
        source: Name of the rows in messages.
        skip_broken: Remove rows whose file is broken, with a warning that counts and names the files.

    Returns:
        The rows; without the broken ones if `skip_broken`.

    Raises:
        InputError: A file is broken: names it and counts the broken files. Or all files are broken.
    """
    medium, paths = _files_of(rows)
    if medium is None:
        return rows
    problems = {path: _problem(path, medium, decode=skip_broken) for path in dict.fromkeys(chain(*paths))}
    broken = [path for path, problem in problems.items() if problem is not None]
    if not broken:
        return rows
    count = f"{len(broken):,} of {len(problems):,} {WORDS[medium]}"
    if not skip_broken:
        remedy = f"{_FIX} ({count} broken)"
        raise InputError(str(problems[broken[0]]), file=_shown(broken[0]), field=medium, remedy=remedy)
    if len(broken) == len(problems):
        raise InputError(
            f"all {len(broken):,} {WORDS[medium]} are broken: {problems[broken[0]]}", file=_shown(broken[0])
        )
    names = ", ".join(map(_shown, broken[:_NAMED])) + (", ..." if len(broken) > _NAMED else "")
    logging.getLogger(__name__).warning("%s: skipped %s that are broken: %s", source, count, names)
    return rows.select([row for row, own in enumerate(paths) if all(problems[path] is None for path in own)])


def _files_of(rows: Dataset) -> tuple[Medium | None, list[list[str]]]:
    """The medium of the files that rows name, and the paths of each row; None if there are no paths."""
    if "parts" in rows.column_names:
        return "image", [[part["image"] for part in parts if part["image"]] for parts in rows["parts"]]
    medium = medium_in(rows.column_names)
    if medium is None or getattr(rows.features[medium], "dtype", None) != "string":
        return None, []
    return medium, [[path] for path in rows[medium]]


def _problem(path: str, medium: Medium, *, decode: bool) -> str | None:
    """What is wrong with a file, or None."""
    try:
        file = _source(path)
        check_image(file) if medium == "image" else check_audio(file)
        if decode:
            Reader(medium).read(path)
    except InputError as error:
        if error.file is None:
            raise  # a package is missing
        return error.problem
    except ValueError as error:
        return str(error)
    return None


def _source(value: Any) -> Path | IO[bytes]:
    """Open the bytes of a value, or check that its path is a regular file.

    Raises:
        ValueError: It is not; the message is short.
    """
    if isinstance(value, dict) and value.get("bytes"):
        return io.BytesIO(value["bytes"])
    path = value.get("path") if isinstance(value, dict) else value
    if not isinstance(path, str):
        raise ValueError(f"expected the path of a file, got {type(value).__name__}")
    if "://" in path or path.startswith("data:"):
        raise ValueError("is a URL, not a file: download it")
    if "\0" in path:
        raise ValueError("is not a valid path")
    file = Path(path)
    try:
        regular, exists = file.is_file(), file.exists()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    if not regular:
        raise ValueError("is not a regular file" if exists else "no such file")
    return file


def _shown(path: object) -> str:
    """A path, truncated to fit into a message of one line."""
    text = str(path)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
