"""Datasets from the Hugging Face hub. Code that comes with a dataset never runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from nearfar.data._arrow import table_blocks, text_lists
from nearfar.data._blocks import ROWS, Source
from nearfar.data._hints import close_name
from nearfar.errors import InputError

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?")


def is_hub_id(text: str) -> bool:
    """Whether a text has the form `user/name` or `user/name:config`."""
    return _ID.fullmatch(text) is not None


def open_hub(name: str, split: str, limit: int | None) -> tuple[Source, Mapping[str, Any]]:
    """Open one split of a hub dataset, at most `limit` rows, and return it with its features by column.

    Raises:
        InputError: It cannot be reached, has no such configuration or split, or is empty.
    """
    dataset = _loaded(name, split)
    if not len(dataset):
        raise InputError(f"the split {split!r} is empty", file=name)
    return of_dataset(name, dataset, limit)


def stream_hub(name: str, split: str) -> tuple[Source, Mapping[str, Any]]:
    """Open one split of a hub dataset as a stream: its rows are read over the network, and none is kept on the disk.

    Raises:
        InputError: As `open_hub`; while it is read, also that the connection was lost.
    """
    dataset = _loaded(name, split, streaming=True)
    try:
        features = dataset.features or dataset._resolve_features().features
    except StopIteration:
        features = None
    if features is None:
        raise InputError(f"the split {split!r} is empty", file=name)

    def batches(wanted: list[str]) -> Iterator[Any]:
        rows = 0
        try:
            for table in dataset.select_columns(wanted).with_format("arrow").iter(ROWS):
                rows += table.num_rows
                yield from table.combine_chunks().to_batches()
        except (OSError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            problem = f"cannot be read after row {rows} ({reason:.120})"
            raise InputError(problem, file=name, remedy="run the command again to resume") from None
        if not rows:
            raise InputError(f"the split {split!r} is empty", file=name)

    lists = text_lists(features.arrow_schema)
    source = Source(
        name, list(features), lambda wanted: table_blocks(batches(list(wanted))), counts="rows", lists=lists
    )
    return source, features


def _loaded(name: str, split: str, **how: Any) -> Any:
    import datasets

    repository, _, config = name.partition(":")
    try:
        return datasets.load_dataset(repository, config or None, split=split, **how)
    except (OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name!r} is neither an existing file nor a reachable dataset ({reason:.120})",
            remedy="check the spelling and the connection, or name a file",
        ) from None
    except ValueError as error:
        raise _no_such_part(name, split, str(error)) from None


def of_dataset(name: str, dataset: Any, limit: int | None) -> tuple[Source, Mapping[str, Any]]:
    """Open a dataset in memory, with its name in messages, and return it with its features by column."""
    rows = len(dataset) if limit is None else min(limit, len(dataset))

    def batches(wanted: list[str]) -> Iterator[Any]:
        arrow = dataset.select_columns(wanted).with_format("arrow")
        for start in range(0, rows, ROWS):
            rows_of_block: Any = arrow[start : min(start + ROWS, rows)]
            yield from rows_of_block.combine_chunks().to_batches()

    lists = text_lists(dataset.features.arrow_schema)
    source = Source(
        name, dataset.column_names, lambda wanted: table_blocks(batches(list(wanted))), counts="rows", lists=lists
    )
    return source, dataset.features


def _no_such_part(name: str, split: str, error: str) -> InputError:
    known = list(dict.fromkeys(re.findall(r"'([\w.-]+)'", error.partition("[")[2])))
    if error.startswith("Unknown split"):
        near = close_name(split, known)
        remedy = f"did you mean {near!r}?" if near else f"must be one of {', '.join(islice(known, 20))}"
        return InputError(f"unknown split {split!r}", file=name, field="split", remedy=remedy)
    if known and ("Config name is missing" in error or "not found" in error):
        remedy = f"name one: {name.partition(':')[0]}:{known[0]} (of {', '.join(islice(known, 20))})"
        return InputError("requires the name of a configuration", file=name, remedy=remedy)
    return InputError(f"cannot be loaded ({error.partition(chr(10))[0]:.160})", file=name)
