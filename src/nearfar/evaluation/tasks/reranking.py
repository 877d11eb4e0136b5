"""Reranking: does the model improve on the order of a first stage?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from jaxtyping import Float, Int

from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError
from nearfar.evaluation.intervals import bootstrap_mean, paired_difference
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.ranking import dcg
from nearfar.evaluation.tasks.retrieval import as_retrieval, judged
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.abilities import Encodes, Scores

__all__ = ["DEPTHS", "FIRST", "first_stage", "measure"]

#: Numbers of documents of the first stage that are reranked.
DEPTHS = (25, 50, 100)
#: The encoder of the first stage, unless one is named.
FIRST = "minilm"


def measure(model: Scores, data: Dataset | Retrieval, asked: Asked) -> Result:
    """nDCG@10 of an encoder's nearest documents, in the order of the encoder and of the model's scores.

    `ndcg@10` (primary) is that of the deepest reranking, `ndcg@10_top_25` that of the first 25 documents, and
    `ndcg@10_first_stage` that without reranking; `differences` are paired differences to the first stage.
    `recall@100_first_stage` is the part of the relevant documents that a reranker of 100 documents can find at all.
    `ms_per_query` is the time of each, one query at a time; documents are encoded before.

    Args:
        model: Scores pairs (query, document).
        data: A BEIR-format dataset, or pairs, of which each distinct positive is a document.
        asked: How to evaluate; `first` is the encoder of the first stage.

    Raises:
        InputError: The first stage is no text encoder, or the data cannot be ranked, see `retrieval`.
    """
    found, own = as_retrieval(data)
    wanted, own, notes = judged(found.corpus, found.queries, found.relevant, own)
    encoder = first_stage(asked.first)
    names, texts = list(found.corpus), list(found.corpus.values())
    vectors = encoder.encode(texts, kind="document", batch_size=asked.batch_size)
    most = min(DEPTHS[-1], len(texts))
    depths = [*(depth for depth in DEPTHS if depth < most), most]
    before: list[float] = []
    recall: list[float] = []
    after: dict[int, list[float]] = {depth: [] for depth in depths}
    seconds = dict.fromkeys([0, *depths], 0.0)
    for number, (query, grades) in enumerate(wanted.items(), 1):
        started = time.perf_counter()
        similarity = vectors @ encoder.encode([found.queries[query]], kind="query")[0]
        rows = _nearest(similarity, most, None if query not in own else names.index(own[query]))
        seconds[0] += time.perf_counter() - started
        gains = np.array([grades.get(names[row], 0) for row in rows], dtype=np.float64)
        every = np.array(list(grades.values()), dtype=np.float64)
        ideal = dcg(every, every)
        before.append(dcg(similarity[rows], gains) / ideal)
        recall.append(float((gains > 0).sum()) / len(every))
        scores = np.empty(0)
        for start, depth in zip([0, *depths], depths, strict=False):
            started = time.perf_counter()
            part = [texts[row] for row in rows[start:depth]]
            if part:
                more = model.score_relevance([found.queries[query]] * len(part), part, batch_size=asked.batch_size)
                scores = np.concatenate([scores, more])
            spent = time.perf_counter() - started
            for each in depths[depths.index(depth) :]:
                seconds[each] += spent
            after[depth].append(dcg(scores, gains[: len(scores)]) / ideal)
        if asked.progress is not None:
            asked.progress(number, len(wanted))
    per_item = {
        "ndcg@10": np.array(after[most]),
        "ndcg@10_first_stage": np.array(before),
        **{f"ndcg@10_top_{depth}": np.array(after[depth]) for depth in depths},
        f"recall@{most}_first_stage": np.array(recall),
    }
    notes += (f"the first stage is {_name(asked.first)}; {most} of {len(texts):,} documents are reranked",)
    scored = [float(np.mean(each)) for each in (after[most], before)]
    if scored[0] < scored[1]:
        notes += (f"worse than the first stage: nDCG@10 {scored[0]:.3f} after reranking, {scored[1]:.3f} before",)
    several = len(wanted) > 1
    ms = {depth: 1000 * spent / len(wanted) for depth, spent in seconds.items()}
    return Result(
        "rerank",
        "ndcg@10",
        {name: float(values.mean()) for name, values in per_item.items()},
        n=len(wanted),
        per_item=per_item,
        notes=notes,
        interval=bootstrap_mean(per_item["ndcg@10"], seed=asked.seed) if several else None,
        differences={f"top_{d}": paired_difference(before, after[d], seed=asked.seed) for d in depths}
        if several
        else None,
        ms_per_query={"first_stage": ms[0], **{f"top_{depth}": ms[depth] for depth in depths}},
    )


def first_stage(model: Any) -> Any:
    """The encoder of a first stage.

    Args:
        model: A model, or a name for `nearfar.load`; None: `FIRST`.

    Raises:
        InputError: It does not encode texts.
    """
    from nearfar.kinds.loading import load_kind, of

    model = FIRST if model is None else model
    found = load_kind(model) if isinstance(model, (str, Path)) else of(model)
    if not isinstance(found, Encodes):
        raise InputError(f"expected a text encoder, got {found.words}", field="first", remedy="use e.g. minilm")
    return found


def _nearest(similarity: Float[np.ndarray, " n"], k: int, own: int | None) -> Int[np.ndarray, " k"]:
    """The rows of the k most similar documents without the query itself, most similar first."""
    kept = np.arange(len(similarity)) if own is None else np.delete(np.arange(len(similarity)), own)
    values = similarity[kept]
    first = np.argpartition(-values, min(k, len(kept)) - 1)[:k]
    return kept[first[np.argsort(-values[first], kind="stable")]]


def _name(first: Any) -> str:
    named = FIRST if first is None else first
    return str(named) if isinstance(named, (str, Path)) else "a model in memory"
