"""The rows of a run: of one data set, or of several, each with a schema of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.recipes._recipe import Recipe

    Source = str | Path | Dataset
    Sources = Source | Sequence[Source] | Mapping[str, Source]
    Columns = Mapping[str, str]


def rows_for(
    recipe: Recipe,
    data: Sources,
    columns: Columns | Sequence[Columns | None] | None = None,
    *,
    skip_broken: bool = False,
) -> Dataset | DatasetDict:
    """Read what a recipe is to train on, and leave the columns of its schemas.

    Args:
        recipe: Which schemas there are to fit.
        data: A source, several, or several by name.
        columns: Canonical column name -> name in the file; of several sources one for each, in their order.
        skip_broken: Leave out broken files and empty turns, see `nearfar.data.load`.

    Returns:
        A Dataset; a DatasetDict where there are several sources.

    Raises:
        InputError: a source that cannot be read or fits none of the schemas; several for a recipe that takes one.
    """
    from datasets import DatasetDict

    from nearfar.data import load

    sources, mappings = named(data), _mappings(columns)
    if sources is None:
        if len(mappings) > 1:
            problem = f"{len(mappings)} mappings for one data set"
            raise InputError(problem, field="--columns", remedy="give one, such as anchor=question,positive=answer")
        source = cast("Source", data)
        return _checked(
            recipe, load(source, columns=mappings[0] if mappings else None, skip_broken=skip_broken), source
        )
    if not recipe.several:
        raise InputError(
            f"{recipe.name} trains on one data set, and there are {len(sources)}",
            field="--data",
            remedy="give one, or put files of one kind into a folder",
        )
    if mappings and len(mappings) != len(sources):
        raise InputError(
            f"{len(mappings)} mappings for {len(sources)} data sets",
            field="--columns",
            remedy="give one for each --data, in their order; '' where the names fit",
        )
    pairs = zip(sources.items(), mappings or [None] * len(sources), strict=True)
    return DatasetDict(
        {name: _checked(recipe, load(at, columns=own, skip_broken=skip_broken), at) for (name, at), own in pairs}
    )


def named(data: Sources) -> dict[str, Source] | None:
    """Several sources by name; None where there is one. Files are called by their names without endings."""
    from datasets import Dataset, DatasetDict

    if isinstance(data, (str, Path, Dataset, DatasetDict)):
        return None
    if isinstance(data, Mapping):
        return {_name(name): source for name, source in data.items()}
    found: dict[str, Source] = {}
    for number, source in enumerate(data, 1):
        name = _name(Path(source).name.partition(".")[0]) if isinstance(source, (str, Path)) else f"data-{number}"
        found[name if name and name not in found else f"{name}-{number}"] = source
    return found


def described(data: Sources, rows: Dataset | DatasetDict) -> dict[str, Any]:
    """What `run.yaml` says of the rows: where they came from, how many there are, and what they hold."""
    from datasets import DatasetDict

    from nearfar.data.fingerprint import fingerprint

    if not isinstance(rows, DatasetDict):
        return {"source": source_of(data), "rows": len(rows), "sha256": fingerprint(rows)}
    sources = named(data) or {}
    sets = {str(name): described(sources[str(name)], part) for name, part in rows.items()}
    together = ", ".join(str(each["source"]) for each in sets.values())
    return {"source": together, "rows": sum(each["rows"] for each in sets.values()), "sets": sets}


def together(rows: Dataset | DatasetDict) -> Dataset:
    """The columns of text of all data sets, one under the other."""
    from datasets import DatasetDict, concatenate_datasets

    if not isinstance(rows, DatasetDict):
        return rows

    def texts(part: Dataset) -> Dataset:
        names = [name for name, kind in part.features.items() if getattr(kind, "dtype", None) == "string"]
        return part.select_columns(names)

    return concatenate_datasets([texts(part) for part in rows.values()])


def source_of(what: Any) -> str | None:
    """How a source is called in `run.yaml`."""
    if what is None:
        return None
    if isinstance(what, (str, Path)):
        return str(Path(what).absolute()) if Path(what).exists() else str(what)
    return f"in memory: {type(what).__name__}"


def _checked(recipe: Recipe, rows: Dataset, source: Source) -> Dataset:
    """The columns of the first of the recipe's schemas that the rows fit."""
    from nearfar.data import SCHEMAS, fitting

    file = source if isinstance(source, (str, Path)) else None
    fits = [SCHEMAS[name] for name in recipe.schemas if SCHEMAS[name].fits(rows.column_names)]
    if not fits:
        needed = " or ".join(str(SCHEMAS[name]) for name in recipe.schemas)
        raise InputError(
            f"{recipe.name} needs {needed}; these rows are {fitting(rows.column_names, file=file).name}",
            file=file,
            remedy="choose another recipe (nearfar recipes), or map the columns with --columns",
        )
    if len(rows) < 2:
        raise InputError("holds one row, and contrast needs at least two", file=file, remedy="give more rows")
    return rows.select_columns(fits[0].pick(rows.column_names))


def _mappings(columns: Columns | Sequence[Columns | None] | None) -> list[Columns | None]:
    if columns is None or isinstance(columns, Mapping):
        return [] if columns is None else [columns]
    return list(columns)


def _name(text: str) -> str:
    """Losses and checkpoints are called by it."""
    return text.replace("/", "-")
