"""Results of many queries in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nearfar.data.row_files import check_row_file, write_rows
from nearfar.errors import InputError
from nearfar.search.index import Hit
from nearfar.writing import draft_of, file_claimed

__all__ = ["check_hit_file", "write_hits"]

#: The format that trec_eval, pytrec_eval and ir-measures read.
_RUN = ".trec"


def check_hit_file(path: str | Path, *, others: Iterable[object] = ()) -> None:
    """Check, before the search, that `write_hits` can write to a path.

    Raises:
        InputError: The suffix is unknown, or the path is a folder, another file of the command, or not writable.
    """
    check_row_file(path, others=others, more=(_RUN,))


def write_hits(found: Iterable[tuple[str, str, Sequence[Hit]]], path: str | Path) -> int:
    """Write queries with their results, all or nothing.

    `.jsonl` and `.parquet` files have a row for each query: `query_id`, `query`, and `hits`, a list of {`rank`, `id`,
    `text`, `score`}. `.trec` files have a line for each result: query, Q0, document, rank, score, nearfar.

    Args:
        found: Id and text of each query, and its results.
        path: The file.

    Returns:
        The number of queries.
    """
    path = Path(path)
    with file_claimed(path):
        return write_rows(map(_row, found), path) if path.suffix != _RUN else _write_run(found, path)


def _write_run(found: Iterable[tuple[str, str, Sequence[Hit]]], path: Path) -> int:
    count = 0
    with draft_of(path) as draft, draft.open("w", encoding="utf-8") as file:
        for query, _, hits in found:
            file.writelines(_lines(query, hits))
            count += 1
    return count


def _row(found: tuple[str, str, Sequence[Hit]]) -> dict[str, Any]:
    query_id, query, hits = found
    return {"query_id": query_id, "query": query, "hits": [hit._asdict() for hit in hits]}


def _lines(query: str, hits: Sequence[Hit]) -> Iterator[str]:
    for hit in hits:
        for each in (query, hit.id):
            if len(each.split()) != 1:
                problem = f"the id {each!r} has a space, which the format does not allow"
                raise InputError(problem, field="--out", remedy="use .jsonl or .parquet")
        yield f"{query} Q0 {hit.id} {hit.rank} {hit.score!r} nearfar\n"
