"""Reads benchmark datasets from the folder in the environment variable NEARFAR_DATA."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path


def located(folder: str, file: str) -> Path:
    """The path of a file of a dataset."""
    path = Path(os.environ.get("NEARFAR_DATA", "../shared/data"), folder, file)
    if not path.exists():
        sys.exit(f"{path} does not exist: set NEARFAR_DATA to the folder that contains {folder}/")
    return path


def table(folder: str, file: str) -> list[dict[str, str]]:
    """Rows of a tab-separated file with a header line and no quoting."""
    with gzip.open(located(folder, file), "rt", encoding="utf-8", newline="\n") as lines:
        names = next(lines).rstrip("\n").split("\t")
        return [dict(zip(names, line.rstrip("\n").split("\t"), strict=True)) for line in lines]
