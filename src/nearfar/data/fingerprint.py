"""A hash of the values of rows, to detect that a file changed before a run is resumed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from nearfar.data.retrieval import Retrieval

if TYPE_CHECKING:
    from datasets import Dataset


def fingerprint(rows: Dataset | Retrieval) -> str:
    """The SHA-256 of column names and values, in hexadecimal; it does not depend on the file format."""
    digest = hashlib.sha256()
    if isinstance(rows, Retrieval):
        for part in (rows.corpus, rows.queries, rows.relevant):
            for entry in part.items():
                digest.update(json.dumps(entry).encode() + b"\n")
            digest.update(b"\n")
        return digest.hexdigest()
    import pyarrow as pa

    class Sink:
        closed = False

        def write(self, data: bytes) -> int:
            digest.update(data)
            return len(data)

        def flush(self) -> None: ...

    def table(start: int, stop: int) -> pa.Table:
        part: Any = rows.with_format("arrow")[start:stop]
        return part

    # Names and types only: the metadata depends on how the rows were read.
    schema = pa.schema([(field.name, field.type) for field in table(0, 0).schema])
    with pa.ipc.new_stream(Sink(), schema) as stream:
        for start in range(0, len(rows), 10_000):
            # Chunks of a fixed size, so that the bytes do not depend on the chunks of the table.
            stream.write_table(table(start, start + 10_000).combine_chunks().cast(schema), max_chunksize=10_000)
    return digest.hexdigest()
