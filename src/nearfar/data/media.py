"""Columns that name a file: pictures and recordings, looked at when rows are loaded, decoded when they are needed."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from nearfar.data.pictures import check_picture, read_picture
from nearfar.data.recordings import check_recording, read_recording
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

Medium = Literal["image", "audio"]
MEDIA: tuple[Medium, ...] = ("image", "audio")
#: Endings by which a folder of files is known.
ENDINGS: dict[Medium, tuple[str, ...]] = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"),
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif"),
}
WORDS: dict[Medium, str] = {"image": "pictures", "audio": "recordings"}
_NAMED, _SHOWN = 3, 300


@dataclass(frozen=True)
class Reader:
    """Decodes what a row holds in its column `image` or `audio`: a path, or what the hub's data sets have there.

    Args:
        medium: The column.
        rate: Samples a second to give a model; recordings alone.
        seconds: How much of a recording is read; `nearfar.data.recordings.MAX_SECONDS` when None.
    """

    medium: Medium
    rate: int = 16_000
    seconds: float | None = None

    def read(self, value: Any) -> Any:
        """A picture in RGB, or {"array", "sampling_rate"}: what sentence-transformers takes.

        Raises:
            InputError: the file is missing or damaged, with its name.
        """
        try:
            file = _source(value)
            if self.medium == "image":
                return read_picture(file)
            return {"array": read_recording(file, self.rate, self.seconds), "sampling_rate": self.rate}
        except ValueError as error:
            raise _broken(value, error) from error

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """A batch of rows with this column decoded, as `Dataset.with_transform` has it."""
        if self.medium not in rows:
            return rows
        return {**rows, self.medium: [self.read(value) for value in rows[self.medium]]}


def medium_in(columns: Collection[str]) -> Medium | None:
    """The column that names files, if there is one."""
    return next((medium for medium in MEDIA if medium in columns), None)


def decoded(rows: Dataset, reader: Reader) -> Dataset:
    """The same rows, whose column is decoded whenever a row is taken and not before."""
    return undecoded(rows, reader.medium).with_transform(reader)


def undecoded(rows: Dataset, medium: Medium) -> Dataset:
    """The same rows with the hub's files as bytes: its own decoding has no limits, and asks for other libraries."""
    from datasets import Audio, Image

    feature = rows.features[medium]
    if isinstance(feature, (Image, Audio)):
        return rows.cast_column(medium, type(feature)(decode=False))
    return rows


def usable(rows: Dataset, source: str, *, skip_broken: bool = False) -> Dataset:
    """Rows whose files are there and are what they should be.

    The head of every file is looked at. To skip the broken ones, every file is decoded once: a head may promise more
    than there is.

    Args:
        rows: Rows with at most one column that names files, by paths that can be opened from here.
        source: What to call the rows.
        skip_broken: Leave such rows out, with a note that counts and names them.

    Raises:
        InputError: a file is broken, with its name and how many there are; or none is left.
    """
    medium = medium_in(rows.column_names)
    if medium is None or getattr(rows.features[medium], "dtype", None) != "string":
        return rows
    look = check_picture if medium == "image" else check_recording
    reader = Reader(medium)
    problems: dict[str, ValueError | None] = {}
    paths: list[str] = rows[medium][:]
    for path in paths:
        if path in problems:
            continue
        try:
            look(_source(path))
            if skip_broken:
                reader.read(path)
            problems[path] = None
        except InputError as error:
            if error.file is None:
                raise  # a library is missing
            problems[path] = ValueError(error.problem)
        except ValueError as error:
            problems[path] = error
    broken = [path for path, problem in problems.items() if problem is not None]
    if not broken:
        return rows
    count = f"{len(broken):,} of {len(problems):,} {WORDS[medium]}"
    if not skip_broken:
        remedy = f"mend it, or leave broken files out with --skip-broken (here {count})"
        raise InputError(str(problems[broken[0]]), file=_shown(broken[0]), field=medium, remedy=remedy)
    if len(broken) == len(problems):
        raise InputError(
            f"all {len(broken):,} {WORDS[medium]} are broken: {problems[broken[0]]}", file=_shown(broken[0])
        )
    names = ", ".join(map(_shown, broken[:_NAMED])) + (", ..." if len(broken) > _NAMED else "")
    logging.getLogger(__name__).warning("%s: %s are broken and left out: %s", source, count, names)
    return rows.select([row for row, path in enumerate(paths) if problems[path] is None])


def folder_rows(folder: Path, split: str = "train") -> dict[str, list[str]] | None:
    """The rows that a folder of files is: each file in a folder that is its label, and the label in words as text.

    Args:
        folder: Holds one folder a label; or one a split, and these the labels.
        split: Which of the splits.

    Returns:
        The columns `image` or `audio`, `text` and `label`; None where there are no such files, or a table beside them.

    Raises:
        InputError: pictures and recordings together, or fewer than two labels.
    """
    from nearfar.data._shards import FORMATS, format_of
    from nearfar.data.files import list_folder

    if any(path.is_file() and format_of(path) in FORMATS for path in list_folder(folder)):
        return None
    folder = folder / split if (folder / split).is_dir() else folder
    found: dict[Medium, list[Path]] = {medium: [] for medium in MEDIA}
    for path in sorted(folder.glob("*/*")):
        for medium, endings in ENDINGS.items():
            if path.suffix.lower() in endings and not any(part.startswith(".") for part in path.parts[-2:]):
                found[medium].append(path)
    media: list[Medium] = [medium for medium in MEDIA if found[medium]]
    if not media:
        return None
    if len(media) > 1:
        raise InputError("holds pictures and recordings", file=folder, remedy="put them into folders of their own")
    files = found[media[0]]
    labels = [path.parent.name for path in files]
    if len(set(labels)) < 2:
        problem = f"all {WORDS[media[0]]} lie in one folder, {labels[0]!r}"
        raise InputError(problem, file=folder, remedy="one folder a label, or a table with captions beside the files")
    return {media[0]: [str(path) for path in files], "text": [in_words(label) for label in labels], "label": labels}


def files_below(folder: Path) -> tuple[Medium, list[str]] | None:
    """The pictures or recordings in a folder and all folders in it, in the order of their paths; hidden ones aside.

    Returns:
        Which of both, and the paths; None where there are none, or a table lies in the folder.

    Raises:
        InputError: pictures and recordings together.
    """
    from nearfar.data._shards import FORMATS, format_of

    found: dict[Medium, list[str]] = {medium: [] for medium in MEDIA}
    for path in sorted(folder.rglob("*")):
        if path.parent == folder and path.is_file() and format_of(path) in FORMATS:
            return None
        for medium, endings in ENDINGS.items():
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.suffix.lower() in endings and not hidden:
                found[medium].append(str(path))
    media: list[Medium] = [medium for medium in MEDIA if found[medium]]
    if len(media) > 1:
        raise InputError("holds pictures and recordings", file=folder, remedy="put them into folders of their own")
    return (media[0], found[media[0]]) if media else None


def in_words(label: str) -> str:
    """A label as one would say it: `orderDrink`, `order_drink` and `order-drink` are `order drink`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    words = " ".join(re.split(r"[\s_\-/]+", spaced)).strip()
    return words.lower() if spaced != label else words


def _source(value: Any) -> Path | IO[bytes]:
    """The file that a value stands for, once it is a regular one."""
    if isinstance(value, dict) and value.get("bytes"):
        return io.BytesIO(value["bytes"])
    path = value.get("path") if isinstance(value, dict) else value
    if not isinstance(path, str):
        raise ValueError(f"a {type(value).__name__} where the path of a file is due")
    if "://" in path or path.startswith("data:"):
        raise ValueError("is an address, not a file: download it")
    if "\0" in path:
        raise ValueError("is no path")
    file = Path(path)
    try:
        regular, there = file.is_file(), file.exists()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    if not regular:
        raise ValueError("is no regular file" if there else "no such file")
    return file


def _broken(value: Any, error: ValueError) -> InputError:
    name = value.get("path") if isinstance(value, dict) else value
    return InputError(str(error), file=_shown(name), remedy="mend it, or leave broken files out with --skip-broken")


def _shown(path: object) -> str:
    """A path in a message of one line, whatever a table calls a path."""
    text = str(path)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
