"""Folders of image or audio files: with a folder per label, or without labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nearfar.data.files import list_folder
from nearfar.data.formats import FORMATS, format_of
from nearfar.data.labels import in_words
from nearfar.data.media import MEDIA, WORDS, Medium
from nearfar.errors import InputError

#: File name endings of each medium.
ENDINGS: dict[Medium, tuple[str, ...]] = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"),
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif"),
}


def folder_rows(folder: Path, split: str = "train") -> dict[str, list[str]] | None:
    """The rows of a folder in which each file lies in a folder named after its label.

    Args:
        folder: Contains one folder per label; or one folder per split, each with one folder per label.
        split: Which split.

    Returns:
        The columns `image` or `audio`, `text` (the label in words) and `label`; None if there are no such files, or
        if the folder contains a table.

    Raises:
        InputError: Both images and audio files, or fewer than two labels.
    """
    if any(path.is_file() and format_of(path) in FORMATS for path in list_folder(folder)):
        return None
    folder = folder / split if (folder / split).is_dir() else folder
    found = _by_medium(folder, folder.glob("*/*"))
    if found is None:
        return None
    medium, files = found
    labels = [path.parent.name for path in files]
    if len(set(labels)) < 2:
        problem = f"all {WORDS[medium]} have the same label, {labels[0]!r}"
        remedy = "give one folder per label, or a table with captions beside the files"
        raise InputError(problem, file=folder, remedy=remedy)
    return {medium: [str(path) for path in files], "text": [in_words(label) for label in labels], "label": labels}


def files_below(folder: Path) -> tuple[Medium, list[str]] | None:
    """All images or audio files in a folder and its subfolders, sorted by path; hidden files are skipped.

    Returns:
        The medium and the paths; None if there are no such files, or if the folder itself contains a table.

    Raises:
        InputError: Both images and audio files.
    """
    if any(path.is_file() and format_of(path) in FORMATS for path in folder.iterdir()):
        return None
    found = _by_medium(folder, folder.rglob("*"))
    return found and (found[0], [str(path) for path in found[1]])


def unlabelled_files(source: object) -> tuple[Medium, list[str]] | None:
    """`files_below`, but None for what is no folder, and for a folder whose files are sorted by label."""
    if not isinstance(source, (str, Path)) or not (folder := Path(source).expanduser()).is_dir():
        return None
    return None if folder_rows(folder) is not None else files_below(folder)


def _by_medium(folder: Path, paths: Iterable[Path]) -> tuple[Medium, list[Path]] | None:
    """The medium and its files, sorted; None if there are none."""
    found: dict[Medium, list[Path]] = {medium: [] for medium in MEDIA}
    for path in sorted(paths):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        for medium, endings in ENDINGS.items():
            if path.suffix.lower() in endings and not hidden:
                found[medium].append(path)
    present: list[Medium] = [medium for medium in MEDIA if found[medium]]
    if len(present) > 1:
        raise InputError("contains both images and audio files", file=folder, remedy="put them into separate folders")
    return (present[0], found[present[0]]) if present else None
