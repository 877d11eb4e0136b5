"""The evidence script for written questions, on a dozen documents and a scripted endpoint."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from fake_endpoint import completion
from nearfar.data import Retrieval, write_retrieval

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
questions = import_module("questions")

WORDS = ["cat", "dog", "fish", "bird", "house", "tree", "guitar", "drum", "bank"]
WORDS += ["bill", "sea", "snow", "rain", "sun", "wind", "card", "money", "song"]


@pytest.mark.slow
def test_gain_and_correlation_are_measured_and_calls_are_kept(tmp_path, server, monkeypatch, tiny_model_folder) -> None:
    corpus = {f"d{row}": f"the {word} sits on grass and a {word} runs" for row, word in enumerate(WORDS)}
    queries = {f"q{row}": f"my {word} today" for row, word in enumerate(WORDS[:6])}
    relevant = {f"q{row}": {f"d{row}": 1} for row in range(6)}
    write_retrieval(Retrieval(corpus, queries, relevant), tmp_path / "data" / "tiny")
    monkeypatch.setattr(questions, "DATA", tmp_path / "data")

    def reply(body, number):
        asked = body["messages"][0]["content"]
        return (
            200,
            {},
            completion(f"{len(asked.splitlines()[0])} where is my {asked.splitlines()[-2].split()[2]} today"),
        )

    server.reply = reply
    how = "--data tiny --model m --rank 18 --passages 18 --per-passage 4 --steps 2 --batch 4 --seeds 2 --max-length 16"
    files = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "q.json"), "--encoder", str(tiny_model_folder)]
    monkeypatch.setattr("sys.argv", ["questions.py", *how.split(), "--endpoint", server.url, *files])
    questions.main()
    found = json.loads((tmp_path / "q.json").read_text())["tiny"]
    assert list(found["models"]) == ["base, 1 layers", "base", "trained, seed 0", "trained, seed 1"]
    assert len(found["gain"]) == 3
    assert found["counts"]["written"] == 72
    asked = len(server.requests)
    questions.main()
    assert len(server.requests) == asked


def test_correlation() -> None:
    assert questions.correlation([1, 2, 3], [2, 4, 9]) == 1
    assert questions.correlation([1, 2, 3], [1, 1, 1]) is None


def test_written_questions_are_a_search_in_the_whole_corpus() -> None:
    rows = [{"anchor": "why", "positive": "b"}]
    found = questions.written(rows, {"1": "a", "2": "b", "3": "b"})
    assert found == Retrieval({"1": "a", "2": "b", "3": "b"}, {"w0": "why"}, {"w0": {"2": 1}})
