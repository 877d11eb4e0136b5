"""Training rows of one dataset, or of several of one schema that are joined, with weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Int

__all__ = ["Joined", "check_weights", "listed", "mapping_of_each", "parse_weights", "weighted"]

Columns = Mapping[str, str]


class Joined:
    """Rows of several datasets, one after the other.

    Args:
        parts: The datasets by name, in order.

    Raises:
        InputError: They have different columns, or columns of different types.
    """

    def __init__(self, parts: Mapping[str, Dataset]) -> None:
        from datasets import concatenate_datasets

        (first_name, first), *others = parts.items()
        for name, part in others:
            if part.features != first.features:
                known, got = ({key: str(each) for key, each in rows.features.items()} for rows in (first, part))
                differing = next((key for key in known if key in got and known[key] != got[key]), None)
                expected = f"the columns {', '.join(known)} of {first_name}, got {', '.join(got)}"
                if differing is not None and list(known) == list(got):
                    expected = f"the same type of {differing!r} as in {first_name}"
                raise InputError(
                    f"expected {expected}",
                    file=name,
                    field="--data",
                    remedy="give all datasets the same columns, or map them with one --columns for each --data",
                )
        self.rows: Dataset = first if len(parts) == 1 else concatenate_datasets(list(parts.values()))
        self._lengths = list(map(len, parts.values()))

    def origins(self) -> Int[np.ndarray, " n"]:
        """The number of the dataset that each row is from."""
        import numpy as np

        return np.repeat(np.arange(len(self._lengths)), self._lengths)


def mapping_of_each(columns: Columns | Sequence[Columns | None] | None, count: int) -> list[Columns | None]:
    """The column mapping of each dataset: its own, or one for all.

    Raises:
        InputError: There are several mappings, but not one for each dataset.
    """
    given: list[Columns | None] = [columns] if columns is None or isinstance(columns, Mapping) else list(columns)
    if len(given) == 1:
        return given * count
    if len(given) != count:
        problem = f"expected one mapping for all datasets, or one for each of {count}, got {len(given)}"
        remedy = "pass one for each --data, in the same order; '' if the names need no mapping"
        raise InputError(problem, field="--columns", remedy=remedy)
    return given


def weighted(rows: Dataset, origins: Int[np.ndarray, " n"], weights: Sequence[float], seed: int = 0) -> Dataset:
    """Rows as often as the weights of their datasets say: 2 is twice, 0.5 a half of the rows, 1.5 one and a half times.

    Args:
        rows: The rows, in order of their datasets.
        origins: The number of the dataset of each row.
        weights: The weight of each dataset, above 0.
        seed: Random seed of the sample that a fraction of a weight takes.
    """
    import numpy as np

    if all(weight == 1 for weight in weights):
        return rows
    generator = np.random.default_rng(seed)
    chosen = []
    for number, weight in enumerate(weights):
        own = np.flatnonzero(origins == number)
        whole = math.floor(weight)
        some = generator.permutation(own)[: round((weight - whole) * len(own))]
        chosen.append(np.sort(np.concatenate([np.repeat(own, whole), some])))
    return rows.select(np.concatenate(chosen))


def check_weights(weights: Sequence[float] | None, count: int) -> list[float]:
    """The weight of each dataset, 1 by default.

    Raises:
        InputError: There is not one for each dataset, or one is not above 0.
    """
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        problem = f"expected one weight for each of {count} datasets, got {len(weights)}"
        raise InputError(problem, field="--weights", remedy="give as many as --data, e.g. 2,1")
    for weight in weights:
        if not 0 < weight < math.inf:
            raise InputError(f"invalid weight {weight:g}: must be above 0", field="--weights", remedy="use e.g. 2,1")
    return [float(weight) for weight in weights]


def parse_weights(text: str | None) -> list[float] | None:
    """Weights as the command line has them: `2,1`.

    Raises:
        InputError: A part is not a number.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        problem = f"expected numbers separated by commas, got {text!r}"
        raise InputError(problem, field="--weights", remedy="use e.g. 2,1") from None


def listed(data: Any) -> dict[str, Any]:
    """The sources of rows by name; a name is that of the file as it was given."""
    from datasets import Dataset

    given = [data] if isinstance(data, (str, Path, Dataset)) else list(data)
    if not given:
        raise InputError("expected a file, a folder or a hub id, got none", field="--data")
    found = {str(each) if isinstance(each, (str, Path)) else f"dataset {n}": each for n, each in enumerate(given, 1)}
    if len(found) < len(given):
        raise InputError("a dataset is listed twice", field="--data", remedy="list it once, and use --weights")
    return found
