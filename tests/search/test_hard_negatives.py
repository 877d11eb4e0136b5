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
    # Theirs drops all rows, and says so by a Dataset without rows.
    wanted = {
        (row["anchor"], row["positive"]): [row[f"negative_{n + 1}"] for n in range(how.num_negatives)]
        for row in expected
    }  # type: ignore[index]
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


def test_at_least_most_settings_find_negatives(pairs, tiny_model, index, cross_encoder, tmp_path: Path) -> None:
    """The comparison with sentence-transformers compares something."""
    for number, (name, settings) in enumerate(SETTINGS.items()):
        found = mine_hard_negatives(
            pairs, tiny_model, tmp_path / f"{number}.jsonl", corpus=index, how=HardNegatives(**settings)
        )
        assert found.written > 0, name
