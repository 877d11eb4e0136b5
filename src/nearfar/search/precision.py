"""Vectors of documents in fewer bytes: candidates are found by short codes, and ordered by longer ones.

    precision   candidates by                  in memory   order by                             on disk
    float32     float32                        4 d         float32                              -
    int8        8 bits a dimension             d           the same codes, query in float32     -
    binary      the sign of each dimension     d / 8       8 bits a dimension, memory-mapped    d

An 8-bit code is x / scale * 127, rounded, with one scale for all dimensions: so products of codes have the order of
products of vectors. The query is never rounded in the final order (asymmetric distance: Jégou, Douze, Schmid 2011,
Product Quantization for Nearest Neighbor Search).

A graph is in memory while it is built. So there is one for every two million documents, and what is in memory does not
grow with the corpus; afterwards all of them are memory-mapped, and searched one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from usearch.index import Index as Graph

__all__ = ["VECTORS", "Precision", "StoredVectors", "VectorWriter", "check_precision", "files_of"]

Precision = Literal["float32", "int8", "binary"]

VECTORS, CODES = "vectors.usearch", "codes.int8"
_DTYPES = {"float32": "f32", "int8": "i8", "binary": "b1"}
_NUMBERS = {"float32": np.float32, "int8": np.int8}
# Similarity of the model -> metric of usearch. Signs of components are compared by their number of differences.
_METRICS = {"cosine": "cos", "dot": "ip"}
# Candidates for each result, which the longer codes put in order, and the least number of them.
_DEPTH = {"float32": 1, "int8": 2, "binary": 10}
_LEAST_DEPTH = {"float32": 1, "int8": 100, "binary": 400}
_LARGEST = 127
# Documents in a graph.
_OF_GRAPH = 2_000_000
# Bytes of document vectors that are in memory at once while candidates are put in order.
_AT_ONCE = 64 * 2**20


def check_precision(name: str) -> Precision:
    """The precision of that name.

    Raises:
        InputError: There is none.
    """
    if name not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise InputError(f"invalid precision {name!r}: must be one of {known}", field="--precision")
    return name  # pyright: ignore[reportReturnType]


def files_of(precision: str, graphs: int = 1) -> tuple[str, ...]:
    """The files that vectors are written to."""
    names = tuple(_graph_file(number) for number in range(graphs))
    return (*names, CODES) if precision == "binary" else names


def _graph_file(number: int) -> str:
    return VECTORS if number == 0 else f"vectors-{number + 1}.usearch"


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """The vectors of an index, memory-mapped.

    Args:
        graphs: The usearch indexes; their keys are row numbers, each begins where the one before it ends.
        precision: See above.
        scale: The component that the largest 8-bit code stands for; 0 for float32.
        codes: The 8-bit codes, (n, d), where the graphs have only signs.
    """

    graphs: tuple[Graph, ...]
    precision: Precision
    scale: float
    codes: np.ndarray | None = None

    @classmethod
    def open(cls, folder: Path, precision: Precision, scale: float, graphs: int = 1) -> StoredVectors:
        """Open the files that a `VectorWriter` closed.

        Raises:
            ValueError, OSError, RuntimeError: A file is damaged.
        """
        from usearch.index import Index as Graph

        restored = [Graph.restore(folder / _graph_file(number), view=True) for number in range(graphs)]
        opened = tuple(graph for graph in restored if graph is not None)
        if len(opened) != max(1, graphs) or len({int(graph.ndim) for graph in opened}) != 1:
            raise ValueError("no index")
        shape = (sum(map(len, opened)), int(opened[0].ndim))
        if precision == "binary" and (folder / CODES).stat().st_size != shape[0] * shape[1]:
            raise ValueError("codes of another size")
        codes = np.memmap(folder / CODES, np.int8, "r", shape=shape) if precision == "binary" else None
        return cls(opened, precision, scale, codes)

    def __len__(self) -> int:
        return sum(map(len, self.graphs))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self.graphs[0].ndim)

    def of(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        """The vectors of documents by their row numbers from 0, as float32."""
        codes = self._in_graphs(rows) if self.codes is None else self.codes[rows]
        vectors = codes.astype(np.float32)
        return vectors if self.precision == "float32" else vectors * np.float32(self.scale / _LARGEST)

    def near(
        self, queries: Float[np.ndarray, "q d"], k: int, *, candidates: int | None = None
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """The k nearest by the graph, in the order of their products with the queries.

        Args:
            queries: Vectors.
            k: Number of results.
            candidates: How many documents of the graph are put in order; by default ten for each result and at least
                400 with binary codes, two and at least 100 with 8-bit codes.

        Returns:
            Row numbers from 0, and products; -1 and -inf where fewer were found.
        """
        by_default = max(_LEAST_DEPTH[self.precision], _DEPTH[self.precision] * k)
        depth = min(max(k, candidates or by_default), len(self))
        rows = self._candidates(queries, depth)
        scores = np.where(rows < 0, -np.inf, self._products(queries, np.maximum(rows, 0)))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)

    def _candidates(self, queries: Float[np.ndarray, "q d"], depth: int) -> Int[np.ndarray, "q depth"]:
        """The documents nearest to each query by the codes of the graphs; -1 where fewer were found."""
        coded = _coded(queries, self.precision, self.scale)
        rows, distances = [], []
        for graph in self.graphs:
            # Candidates kept by the graph search; with only as many as are asked for, the last ones are often wrong.
            graph.expansion_search = max(128, 2 * depth)
            found = graph.search(coded, min(depth, len(graph)))
            keys = np.atleast_2d(found.keys).astype(np.int64)
            there = np.arange(keys.shape[1]) < np.atleast_1d(getattr(found, "counts", keys.shape[1]))[:, None]
            rows.append(np.where(there, keys, -1))
            distances.append(np.where(there, np.atleast_2d(found.distances), np.inf))
        if len(rows) == 1:
            return rows[0]
        best = np.argpartition(np.concatenate(distances, axis=1), depth - 1, axis=1)[:, :depth]
        return np.take_along_axis(np.concatenate(rows, axis=1), best, 1)

    def _in_graphs(self, rows: Int[np.ndarray, " n"]) -> np.ndarray:
        """The codes of documents that the graphs have: all but signs."""
        of_graph = np.searchsorted(np.cumsum([len(graph) for graph in self.graphs]), rows, side="right")
        found = np.empty((len(rows), self.ndim), _NUMBERS[self.precision])
        for number in np.unique(of_graph):
            mine = of_graph == number
            found[mine] = self.graphs[number].get(rows[mine].astype(np.uint64))
        return found

    def _products(self, queries: Float[np.ndarray, "q d"], rows: Int[np.ndarray, "q k"]) -> Float[np.ndarray, "q k"]:
        """The product of each query with each of its documents."""
        scores = np.empty(rows.shape, dtype=np.float32)
        at_once = max(1, _AT_ONCE // (rows.shape[1] * self.ndim * scores.itemsize))
        for start in range(0, len(rows), at_once):
            part = slice(start, start + at_once)
            documents = self.of(rows[part].ravel()).reshape(*rows[part].shape, -1)
            scores[part] = np.einsum("qd,qkd->qk", queries[part], documents)
        return scores


class VectorWriter:
    """Writes vectors in blocks; the scale of 8-bit codes is that of the first block, and larger components are cut off.

    Args:
        folder: The folder of the files.
        precision: See above.
        similarity: `cosine` (vectors of length 1) or `dot`.
    """

    def __init__(self, folder: Path, precision: Precision, similarity: str) -> None:
        self.folder, self.precision, self.similarity = folder, precision, similarity
        self.scale, self.rows, self.ndim, self.graphs = 0.0, 0, 0, 0
        self._graph: Any = None

    def add(self, block: Float[np.ndarray, "n d"]) -> None:
        """Add the next vectors."""
        if not self.rows:
            self._begin(block)
        while len(block):
            if self._graph is None:
                self._graph, self.graphs = self._empty(), self.graphs + 1
            part, block = np.split(block, [_OF_GRAPH - len(self._graph)])
            keys = np.arange(self.rows, self.rows + len(part), dtype=np.uint64)
            self._graph.add(keys, _coded(part, self.precision, self.scale))
            if self.precision == "binary":
                with (self.folder / CODES).open("ab") as codes:
                    codes.write(_coded(part, "int8", self.scale).tobytes())
            self.rows += len(part)
            if len(self._graph) == _OF_GRAPH:
                self.close()

    def close(self) -> None:
        """Write what is in memory."""
        if self._graph is not None:
            self._graph.save(self.folder / _graph_file(self.graphs - 1))
            self._graph = None

    def _begin(self, block: np.ndarray) -> None:
        self.ndim = block.shape[1]
        if self.precision != "float32":
            self.scale = float(np.abs(block).max()) or 1.0
        if self.precision == "binary" and self.ndim % 8:
            problem = f"expected a number of dimensions that is a multiple of 8, got {self.ndim}"
            raise InputError(problem, field="--precision", remedy="use int8")

    def _empty(self) -> Graph:
        from usearch.index import Index as Graph

        metric = "hamming" if self.precision == "binary" else _METRICS[self.similarity]
        return Graph(ndim=self.ndim, metric=metric, dtype=_DTYPES[self.precision])


def _coded(vectors: Float[np.ndarray, "n d"], precision: str, scale: float) -> np.ndarray:
    if precision == "float32":
        return vectors
    if precision == "binary":
        return np.packbits(vectors > 0, axis=1)
    return np.clip(np.rint(vectors * (_LARGEST / scale)), -_LARGEST, _LARGEST).astype(np.int8)
