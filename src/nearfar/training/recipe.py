"""What a recipe is: one paper's answers to who is near, who is far, and how hard the pull is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nearfar.training.options import TrainingOptions

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer
    from torch import nn

Batches = Literal["no_duplicates", "group_by_label", "shuffled"]


@dataclass(frozen=True)
class Paper:
    """Where a recipe comes from."""

    title: str
    authors: str
    year: int
    url: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}): {self.title}"


@dataclass(frozen=True)
class Plan:
    """What training needs beyond the options that all recipes share.

    Args:
        rows: Columns as the loss takes them, in its order; or several data sets by name. Then all batches of one step
            are of one data set, see `nearfar.training.sampling`.
        loss: A module that sentence-transformers' trainer accepts; of several data sets one for all, or one for each.
        batches: How rows are drawn: `"no_duplicates"` keeps a text from being its own negative (and a score from being
            there twice), `"group_by_label"` puts at least two texts of a label into a batch, `"shuffled"` does neither.
            Of several data sets one for all, or one for each.
        then: The next stage, made once the encoder has been trained by this one. It must depend on nothing but the
            encoder and the seed, so that a resumed run makes the same.
        save: Writes what belongs to the model into its folder, after the encoder has been saved there.
        batch_sizes: Rows in a batch of each of several data sets; `batch_size` of the options where one is not named.
    """

    rows: Dataset | DatasetDict
    loss: nn.Module | Mapping[str, nn.Module]
    batches: Batches | Mapping[str, Batches] = "no_duplicates"
    then: Callable[[], Plan] | None = None
    save: Callable[[Path], None] | None = None
    batch_sizes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Recipe:
    """One file of `nearfar.recipes`.

    Args:
        name: As in `nearfar train NAME`; the file's name.
        summary: One line on what it does.
        paper: Its source.
        task: What it is for.
        schemas: Kinds of rows it trains on, the usual one first.
        options: Its hyper-parameters, with the paper's names and defaults.
        prepare: Composes the library's parts for a model and rows of one of `schemas`: a Dataset, or a DatasetDict
            where several are given.
        several: Takes several data sets at once, each with a schema of its own.
    """

    name: str
    summary: str
    paper: Paper
    task: str
    schemas: tuple[str, ...]
    options: type[TrainingOptions]
    prepare: Callable[[SentenceTransformer, Any, Any], Plan] = field(repr=False)
    several: bool = False
