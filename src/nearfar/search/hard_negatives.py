"""Hard negatives for pairs: documents that a model finds similar to the query, through an index."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from nearfar.data.blanks import is_blank
from nearfar.data.row_files import check_row_file, write_rows
from nearfar.errors import InputError
from nearfar.mining.hard_negatives import REASONS, HardNegatives, Selected, select
from nearfar.models.encoding import Kind
from nearfar.models.encoding_windows import EncodeWindows, encode_windows
from nearfar.models.prompts import prompts_of
from nearfar.models.stored_arrays import StoredArrays
from nearfar.search.candidates import Asked, Candidates, find_candidates
from nearfar.search.index import SearchIndex
from nearfar.search.judge import Judge
from nearfar.search.metadata import named, similarity_of, stale
from nearfar.search.pool import Pool
from nearfar.writing import file_claimed

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

__all__ = ["MinedNegatives", "beside", "mine_hard_negatives"]

# Queries that are compared with the documents at a time.
_QUERIES = 1024


@dataclass(frozen=True)
class MinedNegatives:
    """What was mined and what was not.

    Args:
        rows: Number of pairs read.
        written: Number of rows written.
        too_few: Number of rows with too few negatives: dropped, or filled with random documents.
        documents: Number of different documents that were candidates.
        negatives: Number of mined negatives in the rows that were written; what filled a row is none.
        likely_false: How many of them have a higher score than the positive of their query.
        dropped: Number of candidates dropped, by reason.
        positive_score, negative_score: Mean scores of positives and of mined negatives in these rows; None without any.
        prompts: What the encoder put before queries (`query`) and documents (`document`); without one, nothing.
    """

    rows: int
    written: int
    too_few: int
    documents: int
    negatives: int
    likely_false: int
    dropped: dict[str, int] = field(default_factory=dict)
    positive_score: float | None = None
    negative_score: float | None = None
    prompts: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return asdict(self)


def beside(out: str | Path, what: str) -> Path:
    """The path of a file or folder that accompanies an output file."""
    return Path(out).with_name(f"{Path(out).name}.{what}")


def mine_hard_negatives(
    pairs: str | Path | Dataset,
    model: SentenceTransformer | str | Path,
    out: str | Path,
    *,
    corpus: SearchIndex | Sequence[str] | None = None,
    how: HardNegatives | None = None,
    judge: Any = None,
    too_few: Literal["drop", "fill"] = "drop",
    dropped: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    batch_size: int = 64,
    seed: int = 0,
    exact: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
    encode: EncodeWindows = encode_windows,
) -> MinedNegatives:
    """Mine hard negatives for pairs, and write rows of an anchor, a positive and negatives.

    The negatives are those that `sentence_transformers.util.mine_hard_negatives` finds with the same options, for
    models whose similarity is the cosine, with three differences: documents that differ only in case and white space
    are one document, a document equal to the query is no candidate, and every pair is a row, in the order of the pairs.

    An interrupted call resumes where it was if it is called again: vectors and the judge's scores are stored in the
    folder `OUT.vectors`, which is kept, so that mining again with other limits encodes nothing.

    Args:
        pairs: Rows with the columns `anchor` and `positive`, or where to read them. Other columns are not used.
        model: The encoder, or its name for `nearfar.models.load`; of an index the one that built it.
        out: The file to write, `.jsonl`, `.jsonl.gz` or `.parquet`: columns `anchor`, `positive`, `negative_1`, ...
        corpus: An index of documents, see `open_or_build`; or their texts, which are compared with every query. The
            positives are candidates, too, and the only ones when None.
        how: Number, ranks and limits of the negatives.
        judge: A cross-encoder, or another model that scores pairs, whose scores take the place of the similarities in
            limits and order; or its name. An encoder as a judge is a guide: its cosines decide.
        too_few: Rows with too few negatives are dropped, or filled with random documents.
        dropped: The file of candidates dropped by a margin or the maximum score, with reason and scores, in one of the
            formats of `out`; by default `OUT.dropped.jsonl`.
        columns: Canonical column name -> name in the file.
        batch_size: Batch size.
        seed: Random seed of the strategy `random` and of filling.
        exact: See `SearchIndex.nearest`; by default exact below a million documents.
        progress: Called with (queries done, number of queries).
        encode: What encodes queries and documents: this process, or the workers of `nearfar.encoding.OnRay`. A judge
            is used in this process.

    Raises:
        InputError: The pairs or a model cannot be read, the judge has no limit to apply, or no row has enough
            negatives.
    """
    how = HardNegatives() if how is None else how
    out, dropped = Path(out), Path(dropped or beside(out, "dropped.jsonl"))
    check_row_file(out, others=[pairs])
    check_row_file(dropped, "--dropped", others=[pairs, out])
    _check(how, judge, too_few)
    from nearfar.data.readers import load

    with ExitStack() as stack:
        stack.enter_context(file_claimed(out))
        stack.enter_context(file_claimed(dropped, "--dropped"))
        rows = load(pairs, columns=columns, schema="pairs")
        stored = StoredArrays(beside(out, "vectors"))
        _, encoder = named(model)
        vectors_of = _vectors_of(encoder, encode, batch_size, stored)
        index, texts = _documents(corpus, encoder)
        anchors, positives = list(rows["anchor"]), list(rows["positive"])
        pool = Pool(index, [*texts, *positives], lambda each: vectors_of(each, "document"), exact)
        asked = Asked.of(anchors, positives, pool)
        work = _Work(asked, pool, how, random.Random(seed))
        scorer = None if judge is None else Judge(judge, batch_size=batch_size, stored=stored)
        write_rows(work.mine(vectors_of(asked.queries, "query"), scorer, progress), dropped)
        if too_few == "fill":
            work.fill(random.Random(seed))
        written = write_rows(work.rows(anchors, positives), out)
        stored.remove_unused()
    return replace(work.result(len(anchors), written), prompts=prompts_of(encoder, ("query", "document")))


def _check(how: HardNegatives, judge: Any, too_few: str) -> None:
    if judge is not None and not how.limited:
        problem = "a judge changes nothing without a limit"
        raise InputError(problem, field="judge", remedy="add a margin, such as --absolute-margin 0")
    if too_few not in ("drop", "fill"):
        raise InputError(f"invalid value {too_few!r}", field="too_few", remedy="must be drop or fill")


def _vectors_of(
    encoder: SentenceTransformer, encode: EncodeWindows, batch_size: int, stored: StoredArrays
) -> Callable[[Sequence[str], Kind], np.ndarray]:
    """A function that encodes queries or documents, and stores their vectors."""
    normalize = similarity_of(encoder) == "cosine"

    def vectors_of(texts: Sequence[str], kind: Kind) -> np.ndarray:
        windows = encode(encoder, texts, batch_size=batch_size, normalize=normalize, kind=kind, stored=stored)
        return np.concatenate([vectors for _, vectors in windows])

    return vectors_of


def _documents(
    corpus: SearchIndex | Sequence[str] | None, encoder: SentenceTransformer
) -> tuple[SearchIndex | None, list[str]]:
    """The index, and documents beside it.

    Raises:
        InputError: The index is of another model.
    """
    if not isinstance(corpus, SearchIndex):
        return None, [text for text in corpus or () if not is_blank(text)]
    if reason := stale(corpus.metadata, encoder, None):
        raise InputError(f"the index was {reason}", field="corpus", remedy="pass the model that built it")
    return corpus, []


class _Work:
    """Mines the negatives of each query, then gives them to the rows.

    Args:
        asked: The queries.
        pool: The documents.
        how: Which of them are negatives.
        rng: Source of randomness of the strategy `random`.
    """

    def __init__(self, asked: Asked, pool: Pool, how: HardNegatives, rng: random.Random) -> None:
        self._asked, self._pool, self._how, self._rng = asked, pool, how, rng
        self._negatives = np.full((len(asked.queries), how.num_negatives), -1, dtype=np.int64)
        self._likely: dict[int, set[int]] = {}
        self._counts: Counter[str] = Counter()
        # By query: number of rows written; of negatives, number, sum of scores, and likely false ones; of positives.
        self._written, self._mined, self._likely_false, self._positives = np.zeros((4, len(asked.queries)), np.int64)
        self._negative_sum, self._positive_sum = np.zeros((2, len(asked.queries)))
        self._short = 0
        self._lacking: set[int] = set()

    def mine(
        self, vectors: np.ndarray, judge: Judge | None, progress: Callable[[int, int], None] | None
    ) -> Iterator[dict[str, Any]]:
        """Choose the negatives of all queries, and yield each candidate that is dropped as likely relevant."""
        asked, how = self._asked, self._how
        depth, total = how.depth(asked.most, judged=judge is not None), len(asked.queries)
        for start in range(0, total, _QUERIES):
            rows = range(start, min(start + _QUERIES, total))
            part = vectors[rows.start : rows.stop]
            found = find_candidates(asked, rows, part, self._pool, depth + asked.most, judge)
            chosen = select(torch.from_numpy(found.scores), torch.from_numpy(found.lowest), how, depth, self._rng)
            self._keep(rows, found, chosen)
            yield from self._dropped(rows, found, chosen)
            if progress is not None:
                progress(rows.stop, total)
        self._lacking = set(np.flatnonzero((self._negatives < 0).any(1)).tolist())

    def fill(self, rng: random.Random) -> None:
        """Fill the negatives of queries that have too few with random documents.

        Raises:
            InputError: There are too few documents.
        """
        for row in sorted(self._lacking):
            have = self._negatives[row]
            refused = {*self._asked.positives[row], self._asked.itself[row], *self._likely.get(row, ()), *have.tolist()}
            missing = np.flatnonzero(have < 0).tolist()
            if len(self._pool) - len(refused - {None, -1}) < len(missing):
                remedy = "use fewer negatives, or a larger corpus"
                raise InputError(f"{len(self._pool)} documents are too few", field="num_negatives", remedy=remedy)
            for column in missing:
                while (number := rng.randrange(len(self._pool))) in refused:
                    pass
                have[column] = number
                refused.add(number)

    def rows(self, anchors: Sequence[str], positives: Sequence[str]) -> Iterator[dict[str, str]]:
        """The rows that have enough negatives.

        Raises:
            InputError: There is none.
        """
        place = {query: row for row, query in enumerate(self._asked.queries)}
        complete = False
        for anchor, positive in zip(anchors, positives, strict=True):
            row = place[anchor]
            self._short += row in self._lacking
            numbers = self._negatives[row].tolist()
            if -1 not in numbers:
                complete = True
                self._written[row] += 1
                texts = {f"negative_{n}": self._pool.text(number) for n, number in enumerate(numbers, 1)}
                yield {"anchor": anchor, "positive": positive, **texts}
        if not complete:
            remedy = "use fewer negatives, wider ranks or limits, a larger corpus, or --too-few fill"
            problem = f"no row has {self._how.num_negatives} negatives"
            raise InputError(problem, field="num_negatives", remedy=remedy)

    def result(self, rows: int, written: int) -> MinedNegatives:
        """The figures."""
        of, negatives = self._written, int(self._written @ self._mined)
        return MinedNegatives(
            rows=rows,
            written=written,
            too_few=self._short,
            documents=len(self._pool),
            negatives=negatives,
            likely_false=int(of @ self._likely_false),
            dropped={name: self._counts[name] for name in REASONS if self._counts[name]},
            positive_score=float(of @ self._positive_sum / (of @ self._positives)),
            negative_score=float(of @ self._negative_sum / negatives) if negatives else None,
        )

    def _keep(self, rows: range, found: Candidates, chosen: Selected) -> None:
        columns = chosen.negatives.numpy()
        there = columns >= 0
        at = np.maximum(columns, 0)
        self._negatives[rows.start : rows.stop] = np.where(there, np.take_along_axis(found.numbers, at, 1), -1)
        scores = np.take_along_axis(found.scores, at, 1)
        part = slice(rows.start, rows.stop)
        self._mined[part] = there.sum(1)
        self._likely_false[part] = (there & (scores > found.lowest[:, None])).sum(1)
        self._negative_sum[part] = np.where(there, scores, 0).sum(1, dtype=np.float64)
        self._positives[part] = [len(of) for of in found.positives]
        self._positive_sum[part] = [sum(of.values()) for of in found.positives]

    def _dropped(self, rows: range, found: Candidates, chosen: Selected) -> Iterator[dict[str, Any]]:
        reasons = chosen.reasons.numpy()
        for at, column in np.argwhere(reasons >= 0).tolist():
            name, number = REASONS[reasons[at, column]], int(found.numbers[at, column])
            self._counts[name] += 1
            if name == "min_score":  # too easy, not likely relevant
                continue
            self._likely.setdefault(rows[at], set()).add(number)
            weakest = min(found.positives[at], key=found.positives[at].__getitem__)
            yield {
                "anchor": self._asked.queries[rows[at]],
                "positive": self._pool.text(weakest),
                "document": self._pool.text(number),
                "rank": column + 1,
                "score": float(found.scores[at, column]),
                "positive_score": found.positives[at][weakest],
                "reason": name,
                "limit": getattr(self._how, name),
            }
