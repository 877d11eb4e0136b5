from __future__ import annotations

import itertools

import numpy as np
import pytest
from datasets import Dataset
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sklearn.metrics import ndcg_score

from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.evaluation.tasks.retrieval import from_pairs, measure_retrieval
from nearfar.models.encoding import encode

WORDS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card", "song", "drum"]
CORPUS = {f"d{i}": f"the {a} and the {b}" for i, (a, b) in enumerate(itertools.permutations(WORDS, 2))}
QUERIES = {f"q{i}": f"{word} today" for i, word in enumerate(WORDS)}


def relevance(seed: int, grades: tuple[int, ...]) -> dict[str, dict[str, int]]:
    draw = np.random.default_rng(seed)
    return {
        query: {str(doc): int(draw.choice(grades)) for doc in draw.choice(list(CORPUS), 1 + i, replace=False)}
        for i, query in enumerate(QUERIES)
    }


def test_every_metric_equals_the_evaluators(tiny_model):
    relevant = relevance(0, (1,))
    result = measure_retrieval(tiny_model, CORPUS, QUERIES, relevant)
    evaluator = InformationRetrievalEvaluator(
        QUERIES,
        CORPUS,
        {query: set(docs) for query, docs in relevant.items()},
        precision_recall_at_k=[1, 5, 10, 100],
        write_csv=False,
    )
    found = evaluator(tiny_model)
    names = ["ndcg@10", "mrr@10", "map@100", "recall@1", "recall@5", "recall@10", "recall@100"]
    assert sorted(result.metrics) == sorted(names)
    for name in names:
        assert result.metrics[name] == pytest.approx(found[f"cosine_{name}"], abs=1e-12), name
    assert result.primary == "ndcg@10"
    assert result.notes == ()


def test_per_query_values_belong_to_their_query_and_average_to_the_metrics(tiny_model):
    result = measure_retrieval(tiny_model, CORPUS, QUERIES, relevance(1, (1,)))
    assert result.per_item is not None
    assert result.n == len(QUERIES)
    for name, values in result.per_item.items():
        assert values.shape == (len(QUERIES),)
        assert values.mean() == pytest.approx(result.metrics[name])
    # One query alone must get the value it has among the others.
    for row in (0, 5, 11):
        query = f"q{row}"
        alone = measure_retrieval(tiny_model, CORPUS, {query: QUERIES[query]}, relevance(1, (1,)))
        for name, values in result.per_item.items():
            assert alone.metrics[name] == pytest.approx(values[row]), (query, name)


def test_graded_ndcg_equals_scikit_learns(tiny_model):
    relevant = relevance(2, (0, 1, 2, 3))
    relevant["q0"] = dict.fromkeys(list(CORPUS)[:20], 3)  # more ideal documents than ranks
    relevant["q1"] = dict.fromkeys(relevant["q1"], 0)
    result = measure_retrieval(tiny_model, CORPUS, QUERIES, relevant)
    scores = encode(tiny_model, list(QUERIES.values())) @ encode(tiny_model, list(CORPUS.values())).T
    grades = np.array([[relevant[query].get(doc, 0) for doc in CORPUS] for query in QUERIES])
    kept = grades.any(axis=1)
    assert result.notes == ("1 queries without a relevant document are skipped",)
    assert result.metrics["ndcg@10"] == pytest.approx(ndcg_score(grades[kept], scores[kept], k=10), abs=1e-9)


def test_pairs_become_queries_and_a_corpus_without_copies():
    corpus, queries, relevant = from_pairs(["a", "b", "a", "a", "c"], ["x", "y", "z", "x", "x"])
    assert corpus == {"d0": "x", "d1": "y", "d2": "z"}
    assert queries == {"q0": "a", "q1": "b", "q2": "c"}
    assert relevant == {"q0": {"d0": 1, "d2": 1}, "q1": {"d1": 1}, "q2": {"d0": 1}}


def test_a_model_that_finds_itself(tiny_model):
    texts = list(CORPUS.values())
    result = evaluate(tiny_model, Dataset.from_dict({"anchor": texts, "positive": texts}))
    assert result.task == "retrieval"
    assert result.score == result.metrics["mrr@10"] == result.metrics["recall@1"] == 1
    assert result.seconds > 0


def test_small_corpus_leaves_out_what_is_one_by_construction(tiny_model):
    pairs = Dataset.from_dict({"anchor": WORDS[:6], "positive": [f"the {word}" for word in WORDS[:6]]})
    result = evaluate(tiny_model, pairs)
    assert sorted(result.metrics) == ["map@100", "mrr@10", "ndcg@10", "recall@1", "recall@5"]
    assert "6 or more" in result.notes[0]


def test_relevant_documents_outside_the_corpus_count_as_missed(tiny_model):
    relevant = {"q0": {"d0": 1, "gone": 1}}
    result = measure_retrieval(tiny_model, CORPUS, QUERIES, relevant)
    assert result.metrics["recall@100"] <= 0.5
    assert result.notes[0] == "1 relevant documents are not in the corpus and count as not found"


def test_what_cannot_be_ranked(tiny_model):
    with pytest.raises(InputError, match=r"\b2 .*documents.*got 1\b"):
        evaluate(tiny_model, Dataset.from_dict({"anchor": ["a", "b"], "positive": ["x", "x"]}))
    with pytest.raises(InputError, match="no query has a relevant document"):
        measure_retrieval(tiny_model, CORPUS, QUERIES, {"other": {"d0": 1}})
    with pytest.raises(InputError, match="no relevant document is in the corpus"):
        measure_retrieval(tiny_model, CORPUS, QUERIES, {"q0": {"other": 1}})
    with pytest.raises(InputError, match=r"^queries: row 1: .*None"):
        evaluate(tiny_model, Dataset.from_dict({"anchor": [None, "b"], "positive": ["x", "y"]}))
    with pytest.raises(InputError, match="corpus: "):
        evaluate(tiny_model, Dataset.from_dict({"anchor": [], "positive": []}))


@pytest.mark.parametrize(("documents", "depths"), [(5, {1}), (6, {1, 5}), (10, {1, 5}), (11, {1, 5, 10})])
def test_recall_of_all_documents_is_left_out(documents: int, depths: set[int], tiny_model):
    pairs = Dataset.from_dict({"anchor": WORDS[:documents], "positive": [f"the {word}" for word in WORDS[:documents]]})
    metrics = evaluate(tiny_model, pairs).metrics
    assert {int(name.partition("@")[2]) for name in metrics if name.startswith("recall")} == depths
