"""The training rows of a run: for each role of the recipe, the columns of a schema that it trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.recipes import Recipe

    Source = str | Path | Dataset
    Sources = Source | Sequence[Source] | Mapping[str, Source]
    Columns = Mapping[str, str]

__all__ = ["DOCUMENTS", "by_task", "described", "named", "rows_for", "source_of", "together"]

#: The role of most recipes, and the role of a sequence of tasks.
ROWS, STREAM = "rows", "stream"
#: The schema that also reads plain text.
DOCUMENTS = "documents"


def rows_for(
    recipe: Recipe,
    data: Sources,
    columns: Columns | Sequence[Columns | None] | None = None,
    *,
    weights: Sequence[float] | None = None,
    skip_broken: bool = False,
) -> Dataset | DatasetDict:
    """Read the training data of a recipe; only the columns of its schemas, and `task`, are kept.

    Args:
        recipe: The recipe, with its roles and their schemas.
        data: One source, several, or several by name (by role, if the recipe has several roles).
        columns: Canonical column name -> name in the file; for several sources a list with one for each, in order, or
            one for all tasks of a stream or for all sources that are joined.
        weights: How often the rows of each source count, of sources of one schema that are joined: 2 is twice, 0.5 half
            of them. None: sources are not joined.
        skip_broken: Skip broken files and empty turns, see `nearfar.data.load`.

    Returns:
        A Dataset for the one role `rows` and one source; otherwise a DatasetDict, by role, task or name of the source.

    Raises:
        InputError: A source cannot be read or fits no schema, or the sources are not those of the recipe's roles.
    """
    if weights is not None:
        return _joined(recipe, data, columns, weights, skip_broken)
    if recipe.roles == (ROWS,):
        return _of_one_role(recipe, data, columns, skip_broken)
    if recipe.roles == (STREAM,):
        return _of_stream(recipe, data, columns, skip_broken)
    return _of_roles(recipe, data, columns, skip_broken)


def _of_one_role(recipe: Recipe, data: Sources, columns: Any, skip_broken: bool) -> Dataset | DatasetDict:
    sources = named(data)
    if DOCUMENTS in recipe.inputs[ROWS]:
        return _documents(recipe, list(sources.values()) if sources else data, columns)
    if sources is None:
        mappings = _mappings(columns)
        if len(mappings) > 1:
            problem = f"expected one mapping for one dataset, got {len(mappings)}"
            raise InputError(problem, field="--columns", remedy="use one, such as anchor=question,positive=answer")
        return _read(recipe, ROWS, cast("Source", data), mappings[0] if mappings else None, skip_broken)
    if not recipe.multi_dataset:
        raise InputError(
            f"expected one dataset for {recipe.name}, got {len(sources)}",
            field="--data",
            remedy=f"use one, or join them: --weights {','.join('1' * len(sources))}",
        )
    return _read_all(recipe, dict.fromkeys(sources, ROWS), sources, columns, skip_broken)


def _joined(
    recipe: Recipe,
    data: Sources,
    columns: Columns | Sequence[Columns | None] | None,
    weights: Sequence[float],
    skip_broken: bool,
) -> Dataset:
    from nearfar.training.joining import Joined, check_weights, listed, mapping_of_each, weighted

    if recipe.roles != (ROWS,) or recipe.multi_dataset or DOCUMENTS in recipe.inputs[ROWS]:
        problem = f"is for rows that are joined to one dataset, which {recipe.name} does not do"
        raise InputError(problem, field="--weights", remedy="remove --weights")
    sources = dict(data) if isinstance(data, Mapping) else listed(data)
    checked = check_weights(weights, len(sources))
    pairs = zip(sources.items(), mapping_of_each(columns, len(sources)), strict=True)
    joined = Joined({str(name): _read(recipe, ROWS, at, own, skip_broken) for (name, at), own in pairs})
    return weighted(joined.rows, joined.origins(), checked)


def _of_stream(recipe: Recipe, data: Sources, columns: Any, skip_broken: bool) -> DatasetDict:
    """Several sources are tasks in the given order; a single one must have a column `task`."""
    from datasets import DatasetDict

    sources = named(data)
    if sources is not None:
        mappings = _mappings(columns)
        # Tasks of a stream mostly come from one place, so that one mapping is for all.
        each = mappings * len(sources) if len(mappings) == 1 else columns
        return _read_all(recipe, dict.fromkeys(sources, STREAM), sources, each, skip_broken)
    source, mappings = cast("Source", data), _mappings(columns)
    rows = _read(recipe, STREAM, source, mappings[0] if mappings else None, skip_broken)
    if "task" not in rows.column_names:
        raise InputError(
            f"{recipe.name} trains on a stream of tasks, but the rows have no column 'task'",
            file=source if isinstance(source, (str, Path)) else None,
            field="task",
            remedy="add the column, map it with --columns task=NAME, or pass a --data for each task, in order",
        )
    return DatasetDict(**by_task(rows))


def _of_roles(recipe: Recipe, data: Sources, columns: Any, skip_broken: bool) -> DatasetDict:
    from datasets import DatasetDict

    roles = ", ".join(recipe.roles)
    example = " ".join(f"--data {role}=FILE" for role in recipe.roles)
    sources = named(data) if isinstance(data, Mapping) else None
    if sources is None or set(sources) != set(recipe.roles):
        got = "datasets without names" if sources is None else ", ".join(sources) or "none"
        raise InputError(
            f"expected one dataset for each role of {recipe.name} ({roles}), got {got}",
            field="--data",
            remedy=f"use {example}",
        )
    # Mappings are in the order in which the datasets were given, whatever that of the roles.
    found = _read_all(recipe, {role: role for role in recipe.roles}, sources, columns, skip_broken)
    return DatasetDict({role: found[role] for role in recipe.roles})


def _read_all(
    recipe: Recipe, roles: Mapping[str, str], sources: Mapping[str, Source], columns: Any, skip_broken: bool
) -> DatasetDict:
    from datasets import DatasetDict

    mappings = _mappings(columns)
    if mappings and len(mappings) != len(sources):
        raise InputError(
            f"expected a mapping for each of {len(sources)} datasets, got {len(mappings)}",
            field="--columns",
            remedy="pass one for each --data, in the same order; '' if the names need no mapping",
        )
    pairs = zip(sources.items(), mappings or [None] * len(sources), strict=True)
    return DatasetDict({name: _read(recipe, roles[name], at, own, skip_broken) for (name, at), own in pairs})


def _read(recipe: Recipe, role: str, source: Source, columns: Columns | None, skip_broken: bool) -> Dataset:
    """The columns of the first schema of the role that the rows fit."""
    from nearfar.data import SCHEMAS, fitting, load
    from nearfar.data.encodable import folder_of_files
    from nearfar.data.readers import columns_of
    from nearfar.data.schemas import ONLY_BY_NAME, TASK, mapping_to

    if DOCUMENTS in recipe.inputs[role]:
        return _documents(recipe, source, columns)
    files = {"images", "audio"} & set(recipe.inputs[role])
    rows = folder_of_files(source, skip_broken=skip_broken) if files else None
    if rows is None:
        own = [name for name in recipe.inputs[role] if name in ONLY_BY_NAME]
        names = columns_of(source, columns=columns) if own else ()
        schema = next((name for name in own if SCHEMAS[name].fits(names)), None)
        rows = load(source, columns=columns, schema=schema, skip_broken=skip_broken)
    file = source if isinstance(source, (str, Path)) else None
    fits = [SCHEMAS[name] for name in recipe.inputs[role] if SCHEMAS[name].fits(rows.column_names)]
    if not fits:
        needed = " or ".join(str(SCHEMAS[name]) for name in recipe.inputs[role])
        whose = recipe.name if role == ROWS else f"{recipe.name} ({role})"
        names = columns_of(source, columns=columns)
        mapping = mapping_to(names, recipe.inputs[role])
        raise InputError(
            f"expected {needed} for {whose}, got {fitting(rows.column_names, file=file).name}",
            file=file,
            remedy=f"map the columns with --columns {mapping}"
            if mapping
            else "choose another recipe (nearfar recipes), or map the columns with --columns",
        )
    if len(rows) < 2:
        raise InputError("expected at least 2 rows, got 1", file=file, remedy="use more rows")
    kept = [name for name in fits[0].pick(rows.column_names) if role == STREAM or name != TASK]
    return rows.select_columns(kept)


def _documents(recipe: Recipe, data: Any, columns: Any) -> Dataset:
    from nearfar.data.documents import load_documents

    mappings = _mappings(columns)
    if len(mappings) > 1:
        problem = f"expected one mapping for all documents, got {len(mappings)}"
        raise InputError(problem, field="--columns", remedy="use one, such as text=body")
    return load_documents(data, columns=(mappings[0] or None) if mappings else None)


def named(data: Sources) -> dict[str, Source] | None:
    """Several sources by name, or None for a single one. The name of a file is its file name without suffix."""
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


def by_task(rows: Dataset) -> dict[str, Dataset]:
    """The rows of each task, in the order in which the tasks first appear, without the column `task`."""
    places: dict[str, list[int]] = {}
    for row, name in enumerate(rows["task"][:]):
        places.setdefault(str(name), []).append(row)
    plain = rows.remove_columns("task")
    return {name: plain.select(chosen) for name, chosen in places.items()}


def described(data: Sources, rows: Dataset | DatasetDict) -> dict[str, Any]:
    """Source, number and hash of the rows, for `run.yaml`."""
    from datasets import DatasetDict

    from nearfar.data.fingerprint import fingerprint

    sources = named(data) or {}
    if not isinstance(rows, DatasetDict):
        listed = [source_of(source) for source in sources.values()] or [source_of(data)]
        return {"source": ", ".join(map(str, listed)), "rows": len(rows), "sha256": fingerprint(rows)}
    sets = {str(name): described(sources.get(str(name), cast("Source", data)), part) for name, part in rows.items()}
    together = ", ".join(dict.fromkeys(str(each["source"]) for each in sets.values()))
    return {"source": together, "rows": sum(each["rows"] for each in sets.values()), "sets": sets}


def together(rows: Dataset | DatasetDict) -> Dataset:
    """The text columns of all datasets, concatenated."""
    from datasets import DatasetDict, concatenate_datasets

    if not isinstance(rows, DatasetDict):
        return rows

    def texts(part: Dataset) -> Dataset:
        names = [name for name, kind in part.features.items() if getattr(kind, "dtype", None) == "string"]
        return part.select_columns(names)

    return concatenate_datasets([texts(part) for part in rows.values()])


def source_of(what: Any) -> str | None:
    """The name of a source in `run.yaml`."""
    if what is None:
        return None
    if isinstance(what, (str, Path)):
        return str(Path(what).absolute()) if Path(what).exists() else str(what)
    return f"in memory: {type(what).__name__}"


def _mappings(columns: Columns | Sequence[Columns | None] | None) -> list[Columns | None]:
    if columns is None or isinstance(columns, Mapping):
        return [] if columns is None else [columns]
    return list(columns)


def _name(text: str) -> str:
    """A name for losses and checkpoints."""
    return text.replace("/", "-")
