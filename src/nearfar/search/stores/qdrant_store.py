"""A collection of Qdrant: of a server, or of its local mode, which is a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nearfar.errors import InputError
from nearfar.writing import check_free, check_writable, file_claimed, replace_folder

if TYPE_CHECKING:
    import numpy as np

    from nearfar.search.stores.rows import Rows

__all__ = ["write"]

#: The variable with the API key of a server.
KEY = "QDRANT_API_KEY"
_ADDRESS = "http://HOST:PORT/NEW_COLLECTION"
#: Points in a request.
_POINTS = 256
_DISTANCES = {"cosine": "Cosine", "dot": "Dot"}


def write(out: str | Path, rows: Rows, dimension: int, similarity: str) -> Callable[[np.ndarray, int], list[str]]:
    """Write the collection. Points have the numbers of the rows, from 1, and the columns as their payload.

    Args:
        out: http://HOST:PORT/COLLECTION, or a new folder, whose name is that of the collection.
        rows: The documents.
        dimension: Dimension of the vectors.
        similarity: `cosine` or `dot`.

    Raises:
        InputError: The client is not installed, the collection exists, or the server fails or refuses.
    """
    try:
        import qdrant_client
    except ImportError as error:
        raise InputError(
            "requires the client of Qdrant", field="--for", remedy='pip install "nearfar[qdrant]"'
        ) from error
    if str(out).startswith(("http://", "https://")):
        return _to_server(str(out), rows, dimension, similarity)
    folder = Path(out)
    check_free(folder)
    check_writable(folder.absolute().parent)

    def save(unfinished: Path) -> None:
        local = qdrant_client.QdrantClient(path=str(unfinished))
        try:
            _create(local, folder.name, dimension, similarity)
            _fill(local, folder.name, rows, dimension)
        finally:
            local.close()

    with file_claimed(folder):
        check_free(folder)  # once more: another process may just have finished
        replace_folder(folder, save)
    return _search(qdrant_client.QdrantClient(path=str(folder)), folder.name)


def _to_server(out: str, rows: Rows, dimension: int, similarity: str) -> Callable[[np.ndarray, int], list[str]]:
    client, name = _client(out)
    with _said(out):
        if client.collection_exists(name):
            raise InputError("already exists", file=out, field="--out", remedy=_ADDRESS)
        # Outside of the block below: one that another process has just created is not removed.
        _create(client, name, dimension, similarity)
    try:
        with _said(out):
            _fill(client, name, rows, dimension)
    except BaseException as failure:
        _remove(client, name, out, failure)
        raise
    nearest = _search(client, name)

    def said(vector: np.ndarray, k: int) -> list[str]:
        with _said(out):
            return nearest(vector, k)

    return said


def _client(out: str) -> tuple[Any, str]:
    """The client of a server, and the name of the collection."""
    import qdrant_client

    try:
        address = urlsplit(out)
        name, server = address.path.strip("/"), f"{address.scheme}://{address.netloc}"
        if not address.hostname or address.port == 0:
            raise ValueError
        # Its check of versions only warns where no server answers, which the next call says.
        client = qdrant_client.QdrantClient(url=server, api_key=os.environ.get(KEY), check_compatibility=False)
    except ValueError as error:
        raise InputError("invalid address", file=out, field="--out", remedy=f"write {_ADDRESS}") from error
    if not name:
        raise InputError("names no collection", file=out, field="--out", remedy=_ADDRESS)
    return client, name


@contextmanager
def _said(address: str) -> Iterator[None]:
    """Say in one line what the server answers."""
    from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

    try:
        yield
    except ApiException as error:
        line, code = f"{' '.join(str(error).split()):.160}", None
        if isinstance(error, UnexpectedResponse):
            code = error.status_code
        if code in (401, 403):
            problem = "Qdrant refuses the API key" if os.environ.get(KEY) else "Qdrant requires an API key"
            remedy = f"set {KEY} to a key that may write"
        elif code is not None:
            problem, remedy = f"Qdrant refuses or fails ({line})", "see the log of the server"
        else:
            problem, remedy = f"Qdrant cannot be reached ({line})", "start the server, or fix the address"
        raise InputError(problem, file=address, field="--out", remedy=remedy) from error


def _remove(client: Any, name: str, address: str, failure: BaseException) -> None:
    """Remove an unfinished collection; where that fails, too, say what is left."""
    from qdrant_client.http.exceptions import ApiException

    try:
        client.delete_collection(name)
    except ApiException:
        problem = failure.problem if isinstance(failure, InputError) else f"{failure}" or type(failure).__name__
        remedy = f"remove the unfinished collection {name!r} once the server answers"
        raise InputError(problem, file=address, field="--out", remedy=remedy) from failure


def _create(client: Any, name: str, dimension: int, similarity: str) -> None:
    from qdrant_client import models

    distance = models.Distance(_DISTANCES[similarity])
    client.create_collection(name, vectors_config=models.VectorParams(size=dimension, distance=distance))


def _fill(client: Any, name: str, rows: Rows, dimension: int) -> None:
    from qdrant_client import models

    number = 1
    for batch in rows.batches():
        columns = [column for column in batch.schema.names if column != "vector"]
        payloads = batch.select(columns).to_pylist()
        vectors = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
        for start in range(0, len(payloads), _POINTS):
            some = payloads[start : start + _POINTS]
            ids: list[Any] = list(range(number, number + len(some)))
            points = models.Batch(ids=ids, vectors=vectors[start : start + len(some)].tolist(), payloads=some)
            client.upsert(name, points=points, wait=True)
            number += len(some)


def _search(client: Any, name: str) -> Callable[[np.ndarray, int], list[str]]:
    def nearest(vector: np.ndarray, k: int) -> list[str]:
        found = client.query_points(name, query=vector.tolist(), limit=k, with_payload=["id"])
        return [point.payload["id"] for point in found.points]

    return nearest
