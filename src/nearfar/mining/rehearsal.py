"""A rehearsal buffer: a few items of each class of earlier tasks, for training on later ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from nearfar.data.files import write_jsonl
from nearfar.data.labels import in_words
from nearfar.data.media import medium_in, undecoded
from nearfar.writing import replace_folder, write_text

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float, Int
    from torch import Tensor

__all__ = ["Keep", "Quota", "RehearsalBuffer", "Selection", "herded", "with_rehearsal"]

Selection = Literal["random", "herding"]
Keep = Literal["rows", "features", "nothing"]


@dataclass(frozen=True)
class Quota:
    """How many items of a class a buffer contains; the first setting above 0 counts.

    Args:
        memory_per_class: Items of each class.
        memory_size: Items of all classes together: each class has memory_size // total_labels, also while few classes
            are known.
        total_labels: Number of classes that will be known in the end, for `memory_size`.
        memory_share: Fraction of the items of each class, at least one item.
    """

    memory_per_class: int = 0
    memory_size: int = 0
    total_labels: int = 0
    memory_share: float = 0.0

    def of(self, items: int) -> int:
        """The number of items to keep of a class with so many items."""
        if self.memory_per_class:
            return min(items, self.memory_per_class)
        if self.memory_size:
            return min(items, self.memory_size // max(1, self.total_labels))
        return min(items, max(1, round(self.memory_share * items))) if self.memory_share else 0


class RehearsalBuffer:
    """Items of the tasks that have ended.

    Args:
        quota: Items of each class.
        selection: `"random"` items of a class, or `"herding"`, see `herded`.
        keep: `"rows"`, or `"features"`: vectors and labels alone, no texts and files. `"nothing"` is like rows, but
            `write` writes none of them.
    """

    def __init__(self, quota: Quota, selection: Selection = "random", keep: Keep = "rows") -> None:
        self.quota, self.selection, self.keep = quota, selection, keep
        self.tasks: dict[str, dict[str, int]] = {}
        self._rows: list[Dataset] = []
        self._vectors: list[Float[np.ndarray, "n d"]] = []
        self._labels: list[str] = []

    @property
    def needs_vectors(self) -> bool:
        """Whether `add` requires the vectors of all items."""
        return self.keep == "features" or self.selection == "herding"

    def add(self, task: str, rows: Dataset, vectors: Float[np.ndarray, "n d"] | None = None) -> None:
        """Keep some items of a task that has ended. Random ones are drawn with torch's global generator.

        Args:
            task: Its name.
            rows: All rows of the task, with a column `label`.
            vectors: The unit vectors of the items, as the model encodes them now.

        Raises:
            ValueError: Vectors are missing.
        """
        if self.needs_vectors and (vectors is None or len(vectors) != len(rows)):
            raise ValueError(f"expected a vector for each of {len(rows)} rows")
        labels = [str(label) for label in rows["label"][:]]
        chosen: list[int] = []
        for label in dict.fromkeys(labels):
            members = [row for row, own in enumerate(labels) if own == label]
            count = self.quota.of(len(members))
            if self.selection == "herding" and vectors is not None:
                picked = herded(vectors[members], count)
            else:
                picked = torch.randperm(len(members))[:count].tolist()
            chosen += [members[place] for place in picked]
            self.tasks.setdefault(task, {})[label] = count
        self._labels += [labels[row] for row in chosen]
        if self.keep == "features" and vectors is not None:
            self._vectors.append(vectors[chosen])
        elif chosen:
            self._rows.append(rows.select(chosen))

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def rows(self) -> Dataset | None:
        """The rows of all tasks that have ended; None if there are none, or only features."""
        from datasets import concatenate_datasets

        return concatenate_datasets(self._rows) if self._rows else None

    def stored(self, names: Sequence[str]) -> tuple[Float[Tensor, "m d"], Int[Tensor, " m"]] | None:
        """The vectors and the numbers of their labels among `names`; None unless features are kept."""
        if self.keep != "features" or not self._labels:
            return None
        number = {name: place for place, name in enumerate(names)}
        labels = torch.tensor([number[label] for label in self._labels])
        return torch.from_numpy(np.concatenate(self._vectors)), labels

    def described(self) -> dict[str, Any]:
        """What the buffer contains, for `metrics.json`."""
        return {"items": len(self), "keep": self.keep, "selection": self.selection, "tasks": self.tasks}

    def finish(self, run: Path, _: Any = None) -> dict[str, Any]:
        """Write the items into the folder `rehearsal` of a run, see `Plan.finish`; nothing where there are none."""
        if len(self) and not (dist.is_available() and dist.is_initialized() and dist.get_rank()):
            self.write(run / "rehearsal")
        return {"rehearsal": self.described()} if len(self) else {}

    def write(self, folder: Path) -> None:
        """Write the items into a folder, with a file `README.md` that says which of the user's data it contains."""
        replace_folder(folder, self._write)

    def _write(self, folder: Path) -> None:
        folder.mkdir()
        rows = self.rows if self.keep == "rows" else None
        what = "It contains none of your data, only the number of items of each label."
        if rows is not None:
            what = self._write_rows(rows, folder)
        elif self.keep == "features" and self._vectors:
            save_file({"vectors": torch.from_numpy(np.concatenate(self._vectors))}, folder / "vectors.safetensors")
            what = (
                f"`vectors.safetensors` contains the model's vectors of {len(self)} of your items, and no texts or "
                "files; but a vector can tell much about its item."
            )
        write_text(json.dumps({**self.described(), "labels": self._labels}, indent=2) + "\n", folder / "contents.json")
        write_text(_README.format(what=what), folder / "README.md")

    def _write_rows(self, rows: Dataset, folder: Path) -> str:
        medium = medium_in(rows.column_names)
        if medium is None or getattr(rows.features[medium], "dtype", None) == "string":
            write_jsonl(rows.to_list(), folder / "rows.jsonl")
            paths = "" if medium is None else f" The column `{medium}` has the paths of your files, not the files."
            return f"`rows.jsonl` contains {len(rows)} of your training rows.{paths}"
        undecoded(rows, medium).to_parquet(folder / "rows.parquet")
        return f"`rows.parquet` contains {len(rows)} of your training rows, with their {medium} files."


_README = """# Rehearsal buffer

Training on later tasks rehearses these items of earlier tasks, so that the model does not forget their labels.

{what} `contents.json` lists how many items of each task and label there are.

To keep only vectors, train with `--set keep=features`. To rehearse rows and keep none of them in this folder, train
with `--set keep=nothing`. `--set memory_share=0` trains without rehearsal. The model does not need this folder: you can
remove it.
"""


def herded(vectors: Float[np.ndarray, "n d"], count: int) -> list[int]:
    """The items whose running mean stays closest to the mean of all, in the order in which they are chosen.

    Source: Rebuffi et al. 2017, iCaRL: Incremental Classifier and Representation Learning, algorithm 4.
    """
    mean, total = vectors.mean(0), np.zeros(vectors.shape[1])
    chosen: list[int] = []
    for size in range(1, min(count, len(vectors)) + 1):
        distances = np.square(mean - (total + vectors) / size).sum(1)
        distances[chosen] = np.inf
        chosen.append(int(distances.argmin()))
        total += vectors[chosen[-1]]
    return chosen


def with_rehearsal(
    rows: Dataset,
    rehearsed: Dataset | None,
    names: Sequence[str],
    columns: Iterable[str],
    *,
    label_in_text: bool = False,
    targets: Sequence[Sequence[int]] | None = None,
) -> Dataset:
    """The rows of a task, then the rehearsed rows, as `nearfar.losses.ContinualLoss` expects them.

    Args:
        rows: The rows of the current task, with a column `label`.
        rehearsed: The rows of a buffer, with the same columns.
        names: All labels; the number of a label is its place.
        columns: The columns that the model reads, in order.
        label_in_text: Whether to put the label, in words, before each text.
        targets: For each row, then for each rehearsed row, equally many further numbers.

    Returns:
        These columns, and `label`: the number of the label, 1 for a rehearsed row, otherwise 0, and the row of targets.
    """
    from datasets import concatenate_datasets

    number = {name: place for place, name in enumerate(names)}
    parts = [rows, *([] if rehearsed is None else [rehearsed])]
    labels = [[number[str(label)], flag] for flag, part in enumerate(parts) for label in part["label"][:]]
    if targets is not None:
        labels = [[*label, *target] for label, target in zip(labels, targets, strict=True)]
    found = concatenate_datasets([part.select_columns(list(columns)) for part in parts]).add_column("label", labels)
    if not label_in_text:
        return found
    texts = [f"{in_words(names[label])} {text}" for (label, *_), text in zip(labels, found["text"][:], strict=True)]
    return found.remove_columns("text").add_column("text", texts).select_columns([*columns, "label"])
