"""A collection of Qdrant: of a server, or of its local mode, which is a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nearfar.errors import InputError
from nearfar.writing import check_free, check_writable, file_claimed, replace_folder

if TYPE_CHECKING:
    import numpy as np

    from nearfar.search.stores.rows import Rows

__all__ = ["write"]

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
        InputError: The client is not installed, or the collection exists.
    """
    try:
        import qdrant_client
    except ImportError as error:
        raise InputError(
            "requires the client of Qdrant", field="--for", remedy='pip install "nearfar[qdrant]"'
        ) from error
    address = urlsplit(str(out))
    if address.scheme in ("http", "https"):
        name = address.path.strip("/")
        # Its check of versions only warns where no server answers, which the next call says.
        client = qdrant_client.QdrantClient(url=f"{address.scheme}://{address.netloc}", check_compatibility=False)
        if not name or _exists(client, name, str(out)):
            problem = "already exists" if name else "names no collection"
            raise InputError(problem, file=str(out), field="--out", remedy="http://HOST:PORT/NEW_COLLECTION")
        try:
            _fill(client, name, rows, dimension, similarity)
        except BaseException:
            client.delete_collection(name)
            raise
        return _search(client, name)
    folder = Path(out)
    check_free(folder)
    check_writable(folder.absolute().parent)

    def save(unfinished: Path) -> None:
        local = qdrant_client.QdrantClient(path=str(unfinished))
        try:
            _fill(local, folder.name, rows, dimension, similarity)
        finally:
            local.close()

    with file_claimed(folder):
        check_free(folder)  # once more: another process may just have finished
        replace_folder(folder, save)
    return _search(qdrant_client.QdrantClient(path=str(folder)), folder.name)


def _exists(client: Any, name: str, address: str) -> bool:
    from qdrant_client.http.exceptions import ApiException

    try:
        return client.collection_exists(name)
    except ApiException as error:
        problem = f"Qdrant cannot be reached ({' '.join(str(error).split()):.120})"
        raise InputError(problem, file=address, field="--out", remedy="start the server, or fix the address") from error


def _fill(client: Any, name: str, rows: Rows, dimension: int, similarity: str) -> None:
    from qdrant_client import models

    distance = models.Distance(_DISTANCES[similarity])
    client.create_collection(name, vectors_config=models.VectorParams(size=dimension, distance=distance))
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
