"""Each row of the taxonomy's page gives the number of its formula, which is computed here without the kernel."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from nearfar import recipes

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "taxonomy.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (T\d+): [^\n]+\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
NAMES = [f"T{number}" for number in range(1, 17)]
Values = Any


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def unit(x: Any) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def cosines(a: Any, b: Any) -> np.ndarray:
    return unit(a) @ unit(b).T


def info_nce(positive: float, negatives: Any) -> float:
    """Of scores that are divided by the temperature."""
    return -math.log(math.exp(positive) / (math.exp(positive) + sum(math.exp(each) for each in negatives)))


def paired(scores: np.ndarray) -> float:
    """Candidate i is the positive of row i, all other columns are negatives."""
    return float(np.mean([info_nce(row[i], np.delete(row, i)) for i, row in enumerate(scores)]))


def cross_entropy(scores: np.ndarray, targets: Any) -> float:
    """Of rows of targets that sum to 1 or are 0; rows of zeros take no part."""
    found = []
    for row, target in zip(scores, np.asarray(targets, dtype=np.float64), strict=True):
        if target.sum():
            total = sum(math.exp(score) for score in row)
            found.append(-sum(p * math.log(math.exp(score) / total) for p, score in zip(target, row, strict=True) if p))
    return sum(found) / len(found)


def equal(a: Any, b: Any) -> np.ndarray:
    """Equal labels, with equal weights in a row."""
    same = (np.asarray(a)[:, None] == np.asarray(b)[None]).astype(float)
    return same / np.maximum(same.sum(1, keepdims=True), 1)


def without_itself(scores: np.ndarray, labels: Any) -> float:
    """SupCon: the anchor is neither positive nor negative."""
    n = len(scores)
    keep = ~np.eye(n, dtype=bool)
    others = np.array([np.asarray(labels)[row] for row in keep])
    targets = (others == np.asarray(labels)[:, None]).astype(float)
    targets /= np.maximum(targets.sum(1, keepdims=True), 1)
    return cross_entropy(np.array([scores[i][keep[i]] for i in range(n)]), targets)


def sgns(x: Values) -> float:
    found = []
    for word, context, noise in zip(x["word"], x["context"], x["noise"], strict=True):
        score = lambda other, word=word: float(x["words"][word] @ x["contexts"][other])
        found.append(-math.log(sigmoid(score(context))) - sum(math.log(sigmoid(-score(each))) for each in noise))
    return float(np.mean(found))


def triplet(x: Values) -> float:
    ahead = np.sum(unit(x["anchors"]) * unit(x["negatives"]), 1) - np.sum(unit(x["anchors"]) * unit(x["positives"]), 1)
    smooth = x["tau"] * np.log1p(np.exp((ahead + 0.2) / x["tau"]))
    hinge = np.maximum(ahead + 0.2, 0)
    assert np.abs(smooth - hinge).max() <= x["tau"] * math.log(2)
    return float(smooth.mean())


def edits(x: Values) -> float:
    kept, inverted = (np.exp(cosines(x["texts"], x[name]) / 0.1) for name in ("kept", "inverted"))
    return float(np.mean(-np.log(np.diag(kept) / (kept.sum(1) + 2 * inverted.sum(1)))))


def both_directions(x: Values) -> float:
    scores = cosines(x["images"], x["captions"]) / 0.07
    return (paired(scores) + paired(scores.T)) / 2


def replaced(x: Values) -> float:
    found = []
    for position, (state, row) in enumerate(zip(x["states"], x["drawn"], strict=True)):
        scores = [float(state @ x["tokens"][t]) - math.log(2 * float(x["generator"][position, t])) for t in row]
        found.append(
            -(math.log(sigmoid(scores[0])) + sum(math.log(1 - sigmoid(score)) for score in scores[1:])) / len(scores)
        )
    return float(np.mean(found))


def sampled_softmax(x: Values) -> float:
    score = lambda state, token: float(state @ x["embeddings"][token]) - math.log(float(x["q"][token]))
    return float(
        np.mean(
            [
                info_nce(score(state, token), [score(state, other) for other in x["sampled"]])
                for state, token in zip(x["states"], x["following"], strict=True)
            ]
        )
    )


def label_texts(x: Values) -> float:
    scores, found = cosines(x["texts"], x["label_texts"]) / 0.2, []
    for row, own in zip(scores, [[0, 2], [1], [2, 3, 4]], strict=True):
        total = sum(math.exp(score) for score in row)
        found.append(np.mean([-math.log(math.exp(row[label]) / total) for label in own]))
    return float(np.mean(found))


def words(x: Values) -> float:
    assert x["pool"] == ["a", "and", "bern", "sails", "ship", "to", "train"]
    found = []
    for line, row in zip(x["lines"], x["scores"], strict=True):
        inside = line.lower().split()
        judged = zip(x["pool"], map(float, row), strict=True)
        right = [sigmoid(score) if word in inside else 1 - sigmoid(score) for word, score in judged]
        found.append(-np.mean(np.log(right)))
    return float(np.mean(found))


def distilled(x: Values) -> float:
    targets = np.exp(cosines(x["teacher"], x["teacher"]) / 0.1)
    soft = cross_entropy(cosines(x["student"], x["student"]) / 0.05, targets / targets.sum(1, keepdims=True))
    return soft + paired(cosines(x["projected"], x["teacher"]) / 0.05)


def reweighted(x: Values) -> float:
    scores, hard, debiased = cosines(x["queries"], x["documents"]), [], []
    for i, row in enumerate(scores):
        pull, rest = math.exp(row[i] / 0.5), np.delete(row, i)
        hard.append(-math.log(pull / (pull + sum(math.exp(s) * math.exp(s / 0.5) for s in rest))))
        g = max((np.mean(np.exp(rest / 0.5)) - 0.1 * pull) / 0.9, math.exp(-1 / 0.5))
        debiased.append(-math.log(pull / (pull + len(rest) * g)))
    return float(np.mean(hard) + np.mean(debiased))


FORMULAS: dict[str, Callable[[Values], float]] = {
    "T1": sgns,
    "T2": lambda x: paired(np.asarray(x["sentences"][:-1] @ x["sentences"][1:].T)),
    "T3": lambda x: without_itself(cosines(x["views"], x["views"]) / 0.5, x["text"]),
    "T4": lambda x: paired(cosines(x["first"], x["second"]) / 0.05),
    "T5": lambda x: (
        0.9 * without_itself(cosines(x["texts"], x["texts"]) / 0.3, x["y"])
        + 0.1 * cross_entropy(np.asarray(x["texts"] @ x["classes"].T), equal(x["y"], [0, 1, 2]))
    ),
    "T6": triplet,
    "T7": edits,
    "T8": both_directions,
    "T9": lambda x: cross_entropy(cosines(x["here"], x["there"]) / 0.1, equal(x["entity_here"], x["entity_there"])),
    "T10": replaced,
    "T11": sampled_softmax,
    "T12": label_texts,
    "T13": words,
    "T14": distilled,
    "T15": reweighted,
    "T16": lambda x: paired(cosines(x["queries"], [*x["keys"].tolist(), *x["queue"].tolist()]) / 0.07),
}


def test_there_are_sixteen_rows_each_with_its_code_and_what_to_know() -> None:
    assert list(SECTIONS) == NAMES == list(FORMULAS)
    for name, text in SECTIONS.items():
        assert re.findall(r"^```python$", text, re.MULTILINE), name
        for field in ("contrast**", "positives**", "negatives**", "use it when**", "evidence**"):
            assert field in text.lower(), (name, field)
    rows = dict(re.findall(r"^\| \[(T\d+)\]\(#[^)]+\) \|.*\| (.+) \|$", PAGE, re.MULTILINE))
    assert list(rows) == NAMES
    for name, call in rows.items():
        for builder in re.findall(r"(?:near|far)\.\w+|binary_nce|debiased_info_nce", call):
            assert builder in SECTIONS[name], (name, builder)


def test_evidence_is_of_recipes_that_exist() -> None:
    named = re.findall(r"\{\{ evidence: (\w+) \}\}", PAGE)
    assert len(named) > 10
    assert set(named) <= set(recipes.names())


def test_each_row_gives_the_number_of_its_formula() -> None:
    parsers = [CodeBlockParser("python", PythonEvaluator())]
    examples = list(Sybil(parsers, path=str(DOCS), pattern="*.md").parse(DOCS / "taxonomy.md").examples())
    seen = []
    for example in examples:
        example.evaluate()
        before = re.findall(r"^## (T\d+):", PAGE[: example.region.start], re.MULTILINE)
        if before:
            seen.append(before[-1])
            expected = FORMULAS[before[-1]](example.namespace)
            assert float(example.namespace["loss"]) == pytest.approx(expected, rel=1e-9), before[-1]
            del example.namespace["loss"]
    assert seen == NAMES
