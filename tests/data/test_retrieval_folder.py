from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.data import Retrieval, load_retrieval, write_jsonl

CORPUS = [
    {"_id": "d1", "title": "T", "text": "one", "metadata": {}},
    {"_id": "d2", "title": "", "text": "two"},
    {"_id": "d3", "title": None, "text": ""},
    {"_id": 4, "text": "four"},
]
QUERIES = [{"_id": "q1", "text": "first"}, {"_id": "q2", "text": "second"}, {"_id": "q3", "text": "unjudged"}]
EXPECTED = Retrieval(
    corpus={"d1": "T one", "d2": "two", "d3": "", "4": "four"},
    queries={"q1": "first", "q2": "second"},
    relevant={"q1": {"d1": 1, "4": 2}, "q2": {"d3": 1}},
)
ROWS = "q1\td1\t1\nq1\t4\t2\nq2\td3\t1\nq3\td1\t0\nq2\td1\t-1\n"


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("header", ["", "query-id\tcorpus-id\tscore\n"])
def test_beirs_layout(tmp_path: Path, packed: str, header: str) -> None:
    write_jsonl(CORPUS, tmp_path / f"corpus.jsonl{packed}")
    write_jsonl(QUERIES, tmp_path / f"queries.jsonl{packed}")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(header + ROWS)
    (tmp_path / "qrels" / "train.tsv").write_text("q3\td2\t1\n")
    assert load_retrieval(tmp_path) == load_retrieval(str(tmp_path), "test") == EXPECTED
    assert load_retrieval(tmp_path, "train").relevant == {"q3": {"d2": 1}}
    assert load_retrieval(tmp_path, "train").queries == {"q3": "unjudged"}


def test_the_flat_layout_with_queries_of_each_split(tmp_path: Path) -> None:
    write_jsonl(CORPUS, tmp_path / "corpus.jsonl.gz")
    write_jsonl(QUERIES, tmp_path / "queries-dev.jsonl.gz")
    write_jsonl([{"_id": "q1", "text": "other"}], tmp_path / "queries-train.jsonl.gz")
    (tmp_path / "qrels-dev.tsv").write_text(ROWS.replace("\n", "\r\n"))
    assert load_retrieval(tmp_path) == EXPECTED  # the only split there is
    (tmp_path / "qrels-train.tsv").write_text("q1\td2\t1\n\n")
    assert load_retrieval(tmp_path, "train").queries == {"q1": "other"}
