"""Reads benchmark datasets from the folder in the environment variable NEARFAR_DATA."""

from __future__ import annotations

import gzip
import os
import sys
from functools import cache
from pathlib import Path

from datasets import Dataset


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


@cache
def sts(split: str) -> Dataset:
    """A split of STS-B: pairs with a score from 0 to 5."""
    rows = table("sts", f"stsb-{split}.tsv.gz")
    columns = {name: [row[name] for row in rows] for name in ("sentence1", "sentence2")}
    return Dataset.from_dict({**columns, "score": [float(row["score"]) for row in rows]})


@cache
def wiki_sentences() -> Dataset:
    """Distinct Wikipedia sentences with at least five words."""
    found = dict.fromkeys(row["sentence"] for row in table("wiki_sentences", "wiki-sentences-train.tsv.gz"))
    return Dataset.from_dict({"text": [text for text in found if len(text.split()) >= 5]})
