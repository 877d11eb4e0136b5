"""Retrieval: does the model rank the relevant documents of a query first?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from jaxtyping import Float
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from torch import Tensor

from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.encoding import check_texts, require_finite

Relevant = Mapping[str, Mapping[str, int]]

RECALL_AT = (1, 5, 10, 100)
_TOP = 10
# The evaluator needs a matrix of queries x documents; this limits it to 256 MiB.
_SCORES_AT_ONCE = 2**26


def measure(model: Any, data: Dataset | Retrieval, asked: Asked) -> Result:
    """See `measure_retrieval`; for pairs, each distinct positive is a document."""
    if isinstance(data, Retrieval):
        corpus, queries, relevant = data.corpus, data.queries, data.relevant
    else:
        corpus, queries, relevant = from_pairs(data["anchor"], data["positive"])
    return measure_retrieval(model.host, corpus, queries, relevant, batch_size=asked.batch_size)


def measure_retrieval(
    model: SentenceTransformer,
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    relevant: Relevant,
    *,
    batch_size: int = 64,
) -> Result:
    """nDCG@10 (primary), MRR@10, MAP@100 and recall@1, 5, 10, 100, averaged over queries with a relevant document.

    The exact ranking comes from the evaluator of sentence-transformers, where a document is relevant if its grade is
    above 0. nDCG@10 is computed from that ranking with the grades as gains, as in trec_eval; for grades of 0 and 1 it
    equals the evaluator's. recall@k is omitted if the corpus has only k documents or fewer, because it would always be
    1. `per_item` has one value per query for all metrics except MAP@100.

    Args:
        model: The encoder; its prompts for queries and documents are used, if it has any.
        corpus: Texts by document id.
        queries: Texts by query id.
        relevant: Grades by query id and document id; a grade of 0 or less is not relevant.
        batch_size: Batch size.

    Raises:
        InputError: There are fewer than two documents, or no query has a relevant document in the corpus.
    """
    check_texts(list(corpus.values()), field="corpus")
    check_texts(list(queries.values()), field="queries")
    wanted = {query: {doc: grade for doc, grade in relevant.get(query, {}).items() if grade > 0} for query in queries}
    wanted = {query: grades for query, grades in wanted.items() if grades}
    notes = _check(corpus, queries, wanted)
    depths = [k for k in RECALL_AT if k < len(corpus)]
    if len(depths) < len(RECALL_AT):
        notes += (f"recall@k is omitted for k of {len(corpus)} or more, the size of the corpus",)
    evaluator = _Recording(
        dict(queries),
        dict(corpus),
        {query: set(grades) for query, grades in wanted.items()},
        corpus_chunk_size=min(50_000, max(1_000, _SCORES_AT_ONCE // len(wanted))),
        mrr_at_k=[_TOP],
        ndcg_at_k=[_TOP],
        accuracy_at_k=[1],
        precision_recall_at_k=depths,
        map_at_k=[100],
        batch_size=batch_size,
        write_csv=False,
    )
    found = evaluator(model)
    grades = [wanted[query] for query in evaluator.queries_ids]
    per_query = {"ndcg@10": _ndcg(evaluator.ranking, grades), "mrr@10": _reciprocal_rank(evaluator.ranking, grades)}
    per_query |= {f"recall@{k}": _recall(evaluator.ranking, grades, k) for k in depths}
    metrics = {name: float(values.mean()) for name, values in per_query.items()}
    metrics["map@100"] = float(found[f"{model.similarity_fn_name}_map@100"])
    return Result(task="retrieval", primary="ndcg@10", metrics=metrics, n=len(grades), per_item=per_query, notes=notes)


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


def _ndcg(ranking: list[list[str]], grades: Sequence[Mapping[str, int]]) -> Float[np.ndarray, " q"]:
    discount = 1 / np.log2(np.arange(2, _TOP + 2))
    gains, ideal = np.zeros((len(grades), _TOP)), np.zeros((len(grades), _TOP))
    for row, (documents, grade) in enumerate(zip(ranking, grades, strict=True)):
        found = [grade.get(document, 0) for document in documents[:_TOP]]
        best = sorted(grade.values(), reverse=True)[:_TOP]
        gains[row, : len(found)], ideal[row, : len(best)] = found, best
    return (gains @ discount) / (ideal @ discount)


def _reciprocal_rank(ranking: list[list[str]], grades: Sequence[Mapping[str, int]]) -> Float[np.ndarray, " q"]:
    def value(documents: list[str], grade: Mapping[str, int]) -> float:
        return next((1 / rank for rank, document in enumerate(documents[:_TOP], start=1) if document in grade), 0.0)

    return np.array([value(documents, grade) for documents, grade in zip(ranking, grades, strict=True)])


def _recall(ranking: list[list[str]], grades: Sequence[Mapping[str, int]], k: int) -> Float[np.ndarray, " q"]:
    pairs = zip(ranking, grades, strict=True)
    return np.array([sum(document in grade for document in documents[:k]) / len(grade) for documents, grade in pairs])


class _Recording(InformationRetrievalEvaluator):
    """Keeps the ranking for per-query metrics, because the evaluator returns only means."""

    ranking: list[list[str]]

    def compute_metrics(self, queries_result_list: list[Any]) -> dict[str, Any]:
        self.ranking = [[hit["corpus_id"] for hit in hits] for hits in queries_result_list]
        return super().compute_metrics(queries_result_list)

    def embed_inputs(self, model: SentenceTransformer, sentences: Any, *args: Any, **kwargs: Any) -> Any:
        vectors = super().embed_inputs(model, sentences, *args, **kwargs)
        assert isinstance(vectors, Tensor)
        require_finite(vectors.float().cpu().numpy())
        return vectors
