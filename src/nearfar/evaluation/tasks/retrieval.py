"""Retrieval: does the model rank the relevant documents of a query first?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from jaxtyping import Float, Int
from torch import Tensor

from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import TOLERANCE, Ranks, average_precision, discounted_gain, found_at, reciprocal_rank
from nearfar.kinds.loading import of
from nearfar.models.encoding import check_texts, require_finite

Relevant = Mapping[str, Mapping[str, int]]

RECALL_AT = (1, 5, 10, 100)
_TOP, _DEEP = 10, 100
#: Queries whose time is measured.
_TIMED = 20
# Similarities of queries and documents in memory at a time: 256 MiB of them.
_SCORES_AT_ONCE = 2**26
#: Minimum and maximum number of documents that are encoded at a time.
WINDOW = (1_000, 50_000)


def measure(model: Any, data: Dataset | Retrieval, asked: Asked) -> Result:
    """See `measure_retrieval`; for pairs, each distinct positive is a document."""
    found, own = as_retrieval(data)
    return measure_retrieval(model, found.corpus, found.queries, found.relevant, own=own, batch_size=asked.batch_size)


def as_retrieval(data: Dataset | Retrieval) -> tuple[Retrieval, dict[str, str] | None]:
    """A retrieval dataset, also from pairs; then with the document that each query is itself, if there is one."""
    if isinstance(data, Retrieval):
        return data, None
    corpus, queries, relevant = from_pairs(data["anchor"], data["positive"])
    documents = {text: document for document, text in corpus.items()}
    own = {query: documents[text] for query, text in queries.items() if text in documents}
    return Retrieval(corpus, queries, relevant), own


def measure_retrieval(
    model: Any,
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    relevant: Relevant,
    *,
    own: Mapping[str, str] | None = None,
    batch_size: int = 64,
) -> Result:
    """nDCG@10 (primary), MRR@10, MAP@100 and recall@1, 5, 10, 100, averaged over queries with a relevant document.

    nDCG@10 has the grades themselves as gains, as trec_eval does. A query that is a document itself is no candidate for
    itself, as in BEIR and mteb, unless it is judged relevant to itself. Documents with the same score have no order: a
    metric is the mean over all of them, see `nearfar.evaluation.ties`. Without ties and such queries the metrics are
    those of sentence-transformers' InformationRetrievalEvaluator. recall@k is omitted if the corpus has only
    k documents or fewer, because it would always be 1. `per_item` has one value per query for all metrics except
    MAP@100.

    Args:
        model: An encoder, of `nearfar.kinds` or of the host library; its prompts for queries and documents are used.
        corpus: Texts by document id.
        queries: Texts by query id.
        relevant: Grades by query id and document id; a grade of 0 or less is not relevant.
        own: Query id to the id of the document that it is; those with the same id when None.
        batch_size: Batch size.

    Raises:
        InputError: There are fewer than two documents, or no query has a relevant document in the corpus.
    """
    wanted, own, notes = judged(corpus, queries, relevant, own)
    depths = [k for k in RECALL_AT if k < len(corpus)]
    if len(depths) < len(RECALL_AT):
        notes += (f"recall@k is omitted for k of {len(corpus)} or more, the size of the corpus",)
    found = _Found(of(model), corpus, queries, wanted, own, batch_size)
    per_query = {"ndcg@10": found.ndcg(found.ranks), "mrr@10": found.best(reciprocal_rank(found.ranks, _TOP))}
    per_query |= {f"recall@{k}": found.sums(found_at(found.ranks, k)) / found.judged for k in depths}
    metrics = {name: float(values.mean()) for name, values in per_query.items()}
    precision = found.sums(average_precision(found.ranks, _DEEP)) / np.minimum(found.judged, _DEEP)
    metrics["map@100"] = float(precision.mean())
    if note := found.note_of_ties():
        notes += (note,)
    return Result(
        task="retrieval",
        primary="ndcg@10",
        metrics=metrics,
        n=len(wanted),
        per_item=per_query,
        notes=notes,
        chance=Chance(*[float(found.ndcg(found.unordered()).mean())] * 2),
    )


def ms_of_search(model: Any, data: Dataset | Retrieval) -> float:
    """Milliseconds to encode a query and to compare it with as many vectors as there are documents, one after another.

    The mean over the first queries. Documents are encoded before a search, which is not counted.
    """
    found, _ = as_retrieval(data)
    queries = list(found.queries.values())[:_TIMED]
    encoder: Any = of(model)
    documents = encoder.comparable(queries[:1], kind="document").expand(len(found.corpus), -1).contiguous()
    started = time.perf_counter()
    for query in queries:
        encoder.similarity(encoder.comparable([query], kind="query"), documents).argmax().item()
    return 1000 * (time.perf_counter() - started) / len(queries)


def judged(
    corpus: Mapping[str, str], queries: Mapping[str, str], relevant: Relevant, own: Mapping[str, str] | None = None
) -> tuple[dict[str, dict[str, int]], dict[str, str], tuple[str, ...]]:
    """What is relevant to each query that can be measured, the documents that queries are themselves, and notes.

    Args:
        corpus, queries, relevant, own: See `measure_retrieval`.

    Raises:
        InputError: There are fewer than two documents, or no query has a relevant document in the corpus.
    """
    check_texts(list(corpus.values()), field="corpus")
    check_texts(list(queries.values()), field="queries")
    wanted = {query: {doc: grade for doc, grade in relevant.get(query, {}).items() if grade > 0} for query in queries}
    wanted = {query: grades for query, grades in wanted.items() if grades}
    notes = _check(corpus, queries, wanted)
    own = {query: query for query in wanted if query in corpus} if own is None else own
    own = {query: own[query] for query in wanted if query in own and own[query] not in wanted[query]}
    if own:
        verb = "query is a document" if len(own) == 1 else "queries are documents"
        notes += (f"{len(own)} of {len(wanted)} {verb} too, and no candidate for itself, as in BEIR and mteb",)
    return wanted, own, notes


def from_pairs(
    anchors: Sequence[str], positives: Sequence[str]
) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """A corpus, queries and relevance from pairs: each distinct positive is a document, each distinct anchor a query.

    An anchor that occurs with several positives has several relevant documents. A document equal to the query itself
    stays in the corpus.
    """
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevant: dict[str, dict[str, int]] = {}
    for anchor, positive in zip(anchors, positives, strict=True):
        query = queries.setdefault(anchor, f"q{len(queries)}")
        document = documents.setdefault(positive, f"d{len(documents)}")
        relevant.setdefault(query, {})[document] = 1
    return {name: text for text, name in documents.items()}, {name: text for text, name in queries.items()}, relevant


def _check(corpus: Mapping[str, str], queries: Mapping[str, str], wanted: Relevant) -> tuple[str, ...]:
    if len(corpus) < 2:
        raise InputError(f"expected at least 2 different documents to rank, got {len(corpus)}")
    if not wanted:
        raise InputError("no query has a relevant document", remedy="check that the relevance file uses the query ids")
    absent = sum(doc not in corpus for grades in wanted.values() for doc in grades)
    if absent == sum(map(len, wanted.values())):
        raise InputError(
            "no relevant document is in the corpus", remedy="check that the relevance file uses the document ids"
        )
    notes = ()
    if absent:
        notes += (f"{absent} relevant documents are not in the corpus and count as not found",)
    if len(wanted) < len(queries):
        notes += (f"{len(queries) - len(wanted)} queries without a relevant document are skipped",)
    return notes


class _Found:
    """Where each query's relevant documents are; one after the other, all of one query together.

    Documents are encoded a window at a time, those that are relevant to some query first: their scores are what all
    others are compared with.
    """

    def __init__(
        self,
        model: Any,
        corpus: Mapping[str, str],
        queries: Mapping[str, str],
        wanted: Relevant,
        own: Mapping[str, str],
        batch_size: int,
    ) -> None:
        self._model, self._batch_size, self._documents = model, batch_size, len(corpus)
        self.judged = np.array([len(grades) for grades in wanted.values()])
        self._grades = [list(grades.values()) for grades in wanted.values()]
        relevant = dict.fromkeys(document for grades in wanted.values() for document in grades if document in corpus)
        place = {document: row for row, document in enumerate([*relevant, *(d for d in corpus if d not in relevant)])}
        pairs = [
            (row, place[document], grade)
            for row, grades in enumerate(wanted.values())
            for document, grade in grades.items()
            if document in place
        ]
        self._query, self._document, self._gain = np.array(pairs).T
        of_own = [(row, place[own[query]]) for row, query in enumerate(wanted) if query in own]
        self._own = np.array(of_own, int).reshape(-1, 2)
        self._vectors = self._encoded([queries[query] for query in wanted], "query")
        width = min(WINDOW[1], max(WINDOW[0], _SCORES_AT_ONCE // len(wanted)))
        texts = [corpus[document] for document in place]
        windows = [range(at, min(at + width, len(relevant))) for at in range(0, len(relevant), width)]
        first = [self._encoded([texts[row] for row in window], "document") for window in windows]
        rest = (self._encoded(texts[at : at + width], "document") for at in range(len(relevant), len(texts), width))
        self.ranks = self._count(first, rest)

    def _encoded(self, texts: list[str], kind: Literal["query", "document"]) -> Tensor:
        vectors = self._model.comparable(texts, batch_size=self._batch_size, kind=kind)
        require_finite(vectors.cpu().numpy())
        return vectors

    def _count(self, first: list[Tensor], rest: Iterator[Tensor]) -> Ranks:
        mine = np.empty(len(self._query), np.float32)
        largest = np.zeros(len(self._vectors), np.float32)
        start = 0
        for vectors in first:
            scores = self._scores(vectors)
            inside = (self._document >= start) & (self._document < start + len(vectors))
            rows, columns = self._query[inside], self._document[inside] - start
            mine[inside] = scores[torch.from_numpy(rows), torch.from_numpy(columns)].cpu().numpy()
            largest = np.maximum(largest, scores.abs().amax(1).cpu().numpy())
            start += len(vectors)
        margin = TOLERANCE * largest[self._query]
        above, tied = np.zeros((2, len(self._query)), int)
        start = 0
        for vectors in chain(first, rest):
            # Nothing is asked of what is known to be beyond the deepest rank.
            more, same = self._others(self._scores(vectors), start, mine + margin, mine - margin, above < _DEEP)
            above, tied, start = above + more, tied + same, start + len(vectors)
        relevant_above, relevant_tied = np.zeros((2, len(self._query)), int)
        ends = np.flatnonzero(np.diff(self._query, append=-1)) + 1
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            own, width = mine[begin:end], margin[begin]
            ascending = np.sort(own)
            upper = np.searchsorted(ascending, own + width, "right")
            relevant_above[begin:end] = len(own) - upper
            relevant_tied[begin:end] = upper - np.searchsorted(ascending, own - width, "left")
        return Ranks(above + relevant_above, tied + relevant_tied, relevant_above, relevant_tied)

    def _scores(self, vectors: Tensor) -> Tensor:
        return self._model.similarity(self._vectors, vectors)

    def _others(
        self, scores: Tensor, start: int, upper: np.ndarray, lower: np.ndarray, wanted: np.ndarray
    ) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
        """How many documents of a window, that are not relevant themselves, are above each relevant one or tied."""
        for rows, columns in ((self._query, self._document), self._own.T):
            inside = (columns >= start) & (columns < start + scores.shape[1])
            rows, columns = torch.from_numpy(rows[inside]), torch.from_numpy(columns[inside] - start)
            scores[rows.to(scores.device), columns.to(scores.device)] = -torch.inf
        above, tied = np.zeros((2, len(upper)), int)
        rows = scores.cpu().numpy()
        # Row by row: a count of truth values along an axis of a matrix takes ten times as long.
        for pair in np.flatnonzero(wanted):
            own = rows[self._query[pair]]
            above[pair] = np.count_nonzero(own > upper[pair])
            tied[pair] = np.count_nonzero(own >= lower[pair]) - above[pair]
        return above, tied

    def sums(self, values: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " queries"]:
        """The sum over the relevant documents of each query."""
        return np.bincount(self._query, values, len(self.judged))

    def best(self, values: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " queries"]:
        """The largest of each query; 0 where none of its relevant documents is in the corpus."""
        found = np.zeros(len(self.judged))
        np.maximum.at(found, self._query, values)
        return found

    def unordered(self) -> Ranks:
        """The ranks where all documents of a query have the same score: the mean over them is that of random orders."""
        candidates = np.full(len(self.judged), self._documents)
        candidates[self._own[:, 0]] -= 1
        in_corpus = np.bincount(self._query, minlength=len(self.judged))
        none = np.zeros(len(self._query), int)
        return Ranks(none, candidates[self._query], none, in_corpus[self._query])

    def ndcg(self, ranks: Ranks) -> Float[np.ndarray, " queries"]:
        """nDCG@10 of each query, if its relevant documents have these ranks."""
        discount = 1 / np.log2(np.arange(2, _TOP + 2))
        ideal = np.zeros((len(self._grades), _TOP))
        for row, grades in enumerate(self._grades):
            best = sorted(grades, reverse=True)[:_TOP]
            ideal[row, : len(best)] = best
        return self.sums(self._gain * discounted_gain(ranks, _TOP)) / (ideal @ discount)

    def note_of_ties(self) -> str | None:
        """What to say where the order of equal scores would decide."""
        mixed = (self.ranks.tied > self.ranks.relevant_tied) & (self.ranks.above < _DEEP)
        number = len(np.unique(self._query[mixed]))
        if not number:
            return None
        what = f"in {number} of {len(self.judged)} queries a relevant document has the same score as others"
        return f"{what}: metrics are averaged over all orders of ties"
