"""Hard negatives: those of sentence-transformers, never a positive or the query, the same after an interruption."""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sentence_transformers import CrossEncoder, SentenceTransformer

from nearfar.data import load
from nearfar.errors import InputError
from nearfar.mining import HardNegatives
from nearfar.models import load as load_encoder
from nearfar.models.cross_encoder import load_cross_encoder
from nearfar.search import SearchIndex, build_index, mine_hard_negatives
from search.helpers import CORPUS, WORDS

ANCHORS = [f"the {word} today" for word in WORDS] + ["the cat today", "the dog today", "the dog today"]
POSITIVES = [f"a {word} in the house" for word in WORDS] + ["a warm cat", "a loud dog", "a cold dog"]


@pytest.fixture
def pairs() -> Dataset:
    return Dataset.from_dict({"anchor": ANCHORS, "positive": POSITIVES})


@pytest.fixture(scope="module")
def cross_encoder(tiny_model_folder: Path) -> CrossEncoder:
    import torch

    torch.manual_seed(5)
    model = load_cross_encoder(tiny_model_folder, device="cpu")
    for parameter in model.model.classifier.parameters():  # pyright: ignore[reportCallIssue]
        torch.nn.init.normal_(parameter)
    return model


@pytest.fixture(scope="module")
def index(tiny_model: SentenceTransformer, tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    return build_index(tiny_model, CORPUS, tmp_path_factory.mktemp("mine") / "index")


def negatives_of(file: Path) -> dict[tuple[str, str], list[str]]:
    found = {}
    for row in load(file):
        values: dict[str, Any] = dict(row)
        found[values["anchor"], values["positive"]] = [values[name] for name in values if name.startswith("negative_")]
    return found


SETTINGS = {
    "the defaults": {},
    "ranks": {"range_min": 4, "range_max": 20, "num_negatives": 5},
    "one negative": {"num_negatives": 1, "range_min": 2},
    "an absolute margin": {"absolute_margin": 0.02},
    "a relative margin": {"relative_margin": 0.01, "num_negatives": 2},
    "a maximum": {"max_score": 0.9, "num_negatives": 4},
    "a minimum": {"min_score": 0.9, "num_negatives": 4, "range_max": 60},
    "everything": {
        "range_min": 1,
        "range_max": 40,
        "absolute_margin": 0.001,
        "relative_margin": 0.001,
        "max_score": 0.995,
        "min_score": 0.3,
        "num_negatives": 2,
    },
    "a random sample": {"sampling_strategy": "random", "range_max": 25},
    "a random sample within a margin": {"sampling_strategy": "random", "relative_margin": 0.01, "range_min": 2},
}


@pytest.mark.parametrize("judged", [False, True], ids=["by cosines", "by a cross-encoder"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_negatives_are_those_of_sentence_transformers(
    name: str,
    judged: bool,
    pairs: Dataset,
    tiny_model: SentenceTransformer,
    cross_encoder: CrossEncoder,
    index: SearchIndex,
    tmp_path: Path,
) -> None:
    from sentence_transformers.util import mine_hard_negatives as theirs

    how, judge = HardNegatives(**SETTINGS[name]), cross_encoder if judged else None
    if judged and not how.limited:
        pytest.skip("a judge needs a limit")
    random.seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(
            pairs,
            tiny_model,
            corpus=CORPUS,
            cross_encoder=judge,
            output_format="n-tuple",
            verbose=False,
            **SETTINGS[name],
        )
    wanted = {
        (row["anchor"], row["positive"]): [row[f"negative_{n + 1}"] for n in range(how.num_negatives)]
        for row in expected
    }  # type: ignore[index]
    assert wanted or judged
    for corpus in (index, CORPUS):
        out = tmp_path / f"{type(corpus).__name__}.jsonl"
        if not wanted:
            with pytest.raises(InputError, match="num_negatives"):
                mine_hard_negatives(pairs, tiny_model, out, corpus=corpus, how=how, judge=judge, seed=7)
            continue
        found = mine_hard_negatives(pairs, tiny_model, out, corpus=corpus, how=how, judge=judge, seed=7)
        assert negatives_of(out) == wanted
        assert found.written == len(wanted)
        assert found.written + found.too_few == found.rows == len(pairs)


def test_the_query_and_its_positives_are_never_negatives(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    pairs = Dataset.from_dict(
        {"anchor": ["the cat", "the cat", "the dog"], "positive": ["a warm cat", "a cold cat", "a loud dog"]}
    )
    corpus = ["The  CAT", "A warm Cat", "a cold cat", "the dog", "rain", "Rain", "RAIN ", "snow", "wind", "a loud  dog"]
    for number, documents in enumerate((corpus, build_index(tiny_model, corpus, tmp_path / "index"))):
        out = tmp_path / f"{number}.jsonl"
        mine_hard_negatives(pairs, tiny_model, out, corpus=documents, how=HardNegatives(4))
        for (anchor, _), texts in negatives_of(out).items():
            plain = [" ".join(text.lower().split()) for text in texts]
            assert len(set(plain)) == 4
            refused = {"the cat", "a warm cat", "a cold cat"} if anchor == "the cat" else {"the dog", "a loud dog"}
            assert not refused & set(plain)
    assert negatives_of(tmp_path / "0.jsonl") == negatives_of(tmp_path / "1.jsonl")


def test_without_a_corpus_the_positives_are_the_documents(pairs, tiny_model, tmp_path: Path) -> None:
    found = mine_hard_negatives(pairs, tiny_model, tmp_path / "out.parquet", how=HardNegatives(2))
    assert found.documents == len(POSITIVES)
    assert set().union(*negatives_of(tmp_path / "out.parquet").values()) <= set(POSITIVES)
    assert load(tmp_path / "out.parquet").column_names == ["anchor", "positive", "negative_1", "negative_2"]


def test_candidates_near_the_positive_are_listed_with_their_reasons(pairs, tiny_model, index, tmp_path: Path) -> None:
    without = mine_hard_negatives(pairs, tiny_model, tmp_path / "all.jsonl", corpus=index)
    how = HardNegatives(relative_margin=0.0, max_score=0.99)
    found = mine_hard_negatives(pairs, tiny_model, tmp_path / "few.jsonl", corpus=index, how=how, too_few="fill")
    assert without.likely_false > 0
    assert found.likely_false == 0
    listed = [json.loads(line) for line in (tmp_path / "few.jsonl.dropped.jsonl").read_text().splitlines()]
    assert len(listed) == sum(found.dropped.values()) > 0
    for each in listed:
        assert each["reason"] in ("relative_margin", "max_score")
        assert each["score"] > (each["positive_score"] if each["reason"] == "relative_margin" else 0.99)
    dropped = {(each["anchor"], each["document"]) for each in listed}
    for (anchor, _), texts in negatives_of(tmp_path / "few.jsonl").items():
        assert not dropped & {(anchor, text) for text in texts}


def test_rows_with_too_few_negatives_are_dropped_or_filled(pairs, tiny_model, index, tmp_path: Path) -> None:
    # A range of ranks in which the minimum leaves some queries fewer than four.
    scores = [json.loads(line)["score"] for line in _all_candidates(pairs, tiny_model, index, tmp_path)]
    how = HardNegatives(4, range_max=4, max_score=float(np.median(scores)))
    few = mine_hard_negatives(pairs, tiny_model, tmp_path / "few.jsonl", corpus=index, how=how)
    assert 0 < few.written < few.rows
    assert few.written + few.too_few == few.rows
    assert few.negatives == 4 * few.written
    filled = mine_hard_negatives(pairs, tiny_model, tmp_path / "all.jsonl", corpus=index, how=how, too_few="fill")
    assert filled.written == filled.rows
    assert filled.too_few == few.too_few
    assert negatives_of(tmp_path / "few.jsonl").items() <= negatives_of(tmp_path / "all.jsonl").items()
    assert all(len(set(texts)) == 4 for texts in negatives_of(tmp_path / "all.jsonl").values())


def _all_candidates(pairs: Dataset, model: SentenceTransformer, index: SearchIndex, folder: Path) -> list[str]:
    """What is dropped when everything is."""
    how = HardNegatives(4, range_max=4, max_score=-2)
    with pytest.raises(InputError, match="no row"):
        mine_hard_negatives(pairs, model, folder / "none.jsonl", corpus=index, how=how)
    assert not (folder / "none.jsonl").exists()
    return (folder / "none.jsonl.dropped.jsonl").read_text().splitlines()


@pytest.mark.parametrize("guided", [False, True], ids=["cross-encoder", "guide"])
def test_an_interrupted_call_resumes_to_the_same_result(
    guided: bool, pairs, tiny_model, index, cross_encoder, tmp_path: Path, monkeypatch
) -> None:
    from nearfar.search import candidates
    from nearfar.search.judge import Judge

    monkeypatch.setattr(candidates, "_JUDGED", 2)
    judge = tiny_model if guided else cross_encoder
    options: dict[str, Any] = {
        "corpus": index,
        "how": HardNegatives(max_score=0.995),
        "judge": judge,
        "too_few": "fill",
    }
    mine_hard_negatives(pairs, tiny_model, tmp_path / "whole.jsonl", **options)
    real, calls = Judge._computed, []

    def interrupted(self: Judge, queries: Any, documents: Any) -> Any:
        calls.append(tuple(queries))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, queries, documents)

    monkeypatch.setattr(Judge, "_computed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mine_hard_negatives(pairs, tiny_model, tmp_path / "again.jsonl", **options)
    assert not (tmp_path / "again.jsonl").exists()
    mine_hard_negatives(pairs, tiny_model, tmp_path / "again.jsonl", **options)
    assert len(calls) == len(set(calls)) + 1  # only what was interrupted is computed again
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_exact_and_approximate_search_agree_on_a_small_index(pairs, tiny_model, index, tmp_path: Path) -> None:
    for name, exact in (("exact", True), ("graph", False)):
        mine_hard_negatives(pairs, tiny_model, tmp_path / f"{name}.jsonl", corpus=index, exact=exact)
    assert negatives_of(tmp_path / "exact.jsonl") == negatives_of(tmp_path / "graph.jsonl")


def test_what_cannot_be_mined_is_refused(pairs, tiny_model, index, cross_encoder, tmp_path: Path, model_copy) -> None:
    def refused(words: str, **options: Any) -> None:
        with pytest.raises(InputError, match=words):
            mine_hard_negatives(pairs, options.pop("model", tiny_model), tmp_path / "out.jsonl", **options)

    refused("judge: ", judge=cross_encoder)
    other = load_encoder(model_copy, device="cpu")
    next(other.parameters()).data += 0.5
    refused("corpus", model=other, corpus=index)
    refused("num_negatives", how=HardNegatives(50), too_few="fill")
    with pytest.raises(InputError, match="range_max"):
        HardNegatives(3, range_min=4, range_max=6)
    with pytest.raises(InputError, match="suffix"):
        mine_hard_negatives(pairs, tiny_model, tmp_path / "out.csv")
