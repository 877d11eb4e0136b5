from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.data import Retrieval, load, load_retrieval, write_jsonl, write_retrieval
from nearfar.errors import InputError

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


def test_what_is_written_is_read(tmp_path: Path) -> None:
    corpus = {key: EXPECTED.corpus[key] for key in ("d1", "d2", "d3", "4")}
    write_retrieval(Retrieval(corpus, EXPECTED.queries, EXPECTED.relevant), tmp_path, split="dev")
    assert load_retrieval(tmp_path, "dev") == EXPECTED


CORPUS_LINE, QUERY_LINE, QREL = '{"_id": "d1", "text": "a"}\n', '{"_id": "q1", "text": "b"}\n', "q1\td1\t1\n"
# Files that differ from a good folder, the line and the field of the mistake.
MISTAKES = {
    "duplicate document": ({"corpus.jsonl": CORPUS_LINE + "\n" + CORPUS_LINE}, 3, "_id"),
    "duplicate query": ({"queries.jsonl": QUERY_LINE * 2}, 2, "_id"),
    "no id": ({"corpus.jsonl": CORPUS_LINE + '{"text": "a"}\n'}, 2, "_id"),
    "id is a list": ({"corpus.jsonl": '{"_id": [], "text": "a"}\n'}, 1, "_id"),
    "id is empty": ({"corpus.jsonl": '{"_id": "", "text": "a"}\n'}, 1, "_id"),
    "no text": ({"corpus.jsonl": '{"_id": "d1"}\n'}, 1, "text"),
    "text is null": ({"corpus.jsonl": '{"_id": "d1", "text": null}\n'}, 1, "text"),
    "title is a list": ({"corpus.jsonl": '{"_id": "d1", "text": "a", "title": []}\n'}, 1, "title"),
    "unpaired surrogate": ({"corpus.jsonl": '{"_id": "d1", "text": "\\ud800"}\n'}, 1, "text"),
    "query empty": ({"queries.jsonl": '{"_id": "q1", "text": " "}\n'}, 1, "text"),
    "corpus empty": ({"corpus.jsonl": ""}, None, None),
    "corpus not json": ({"corpus.jsonl": CORPUS_LINE + "oops\n"}, 2, None),
    "unknown query": ({"qrels/test.tsv": "q7\td1\t1\nq8\td1\t1\n"}, None, None),
    "unknown document": ({"qrels/test.tsv": "q1\td7\t1\n"}, None, None),
    "half a grade": ({"qrels/test.tsv": "q1\td1\t0.5\n"}, 1, "score"),
    "nothing relevant": ({"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t0\n"}, None, None),
    "grade is a word": ({"qrels/test.tsv": "q1\td1\thigh\n"}, 1, "score"),
    "five columns": ({"qrels/test.tsv": "q1\t0\td1\t1\tx\n"}, 1, None),
    "two columns": ({"qrels/test.tsv": "q1 d1\n"}, 1, None),
    "two grades": ({"qrels/test.tsv": QREL + "q1\td1\t2\n"}, 2, "score"),
    "no corpus": ({"corpus.jsonl": None}, None, None),
    "no queries": ({"queries.jsonl": None, "querys.jsonl": QUERY_LINE}, None, None),
    "no qrels": ({"qrels/test.tsv": None}, None, None),
    "which split": ({"qrels/test.tsv": None, "qrels/a.tsv": QREL, "qrels/b.tsv": QREL}, None, "split"),
    "two corpora": ({"corpus.jsonl.gz": CORPUS_LINE}, None, None),
    "two qrels": ({"qrels-test.tsv": QREL}, None, None),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_field(tmp_path: Path, case: str) -> None:
    changes, line, field = MISTAKES[case]
    good = {"corpus.jsonl": CORPUS_LINE, "queries.jsonl": QUERY_LINE, "qrels/test.tsv": QREL}
    (tmp_path / "qrels").mkdir()
    for name, content in {**good, **changes}.items():
        if content is not None:
            (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        load_retrieval(tmp_path)
    error = caught.value
    assert (error.line, error.field) == (line, field)
    # The file that differs contains the mistake; where a file is missing or doubled, the folder does.
    changed = [str(tmp_path / name) for name in changes]
    assert str(error.file) in (changed if line else [*changed, str(tmp_path)])
    assert error.remedy


@pytest.mark.parametrize("between", ["\t", " ", "   "])
@pytest.mark.parametrize("columns", [3, 4])
@pytest.mark.parametrize("grade", ["", ".0", ".", ".000"])
def test_qrels_of_trec_eval_and_grades_with_a_point(tmp_path: Path, between: str, columns: int, grade: str) -> None:
    write_jsonl(CORPUS, tmp_path / "corpus.jsonl")
    write_jsonl(QUERIES, tmp_path / "queries.jsonl")
    rows = [row.split("\t") for row in ROWS.splitlines()]
    lines = [between.join([row[0], *["0"] * (columns - 3), row[1], row[2] + grade]) for row in rows]
    (tmp_path / "qrels-test.tsv").write_text("\n".join(lines) + "\n")
    assert load_retrieval(tmp_path) == EXPECTED


def test_unknown_ids_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_jsonl(CORPUS, tmp_path / "corpus.jsonl")
    write_jsonl(QUERIES, tmp_path / "queries.jsonl")
    (tmp_path / "qrels-test.tsv").write_text(ROWS + "q9\td1\t1\nq1\td9\t1\n")
    with caplog.at_level("WARNING", "nearfar"):
        assert load_retrieval(tmp_path) == EXPECTED
    assert "2 of 7 lines are skipped; line 6: 'q9' is not in queries.jsonl" in caplog.text


def test_a_folder_that_is_missing_or_a_file_or_lacks_the_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        load_retrieval(tmp_path / "nowhere")
    (tmp_path / "corpus.jsonl").write_text(CORPUS_LINE)
    with pytest.raises(InputError, match=r"corpus\.jsonl"):
        load_retrieval(tmp_path / "corpus.jsonl")
    (tmp_path / "queries.jsonl").write_text(QUERY_LINE)
    (tmp_path / "qrels-test.tsv").write_text(QREL)
    with pytest.raises(InputError) as caught:
        load_retrieval(tmp_path, "dev")
    assert caught.value.field == "split"
    assert "test" in str(caught.value.remedy)


def test_a_dataset_in_beir_format_is_pairs_to_train_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_jsonl([row for row in CORPUS if row["text"]], tmp_path / "corpus.jsonl")
    write_jsonl(QUERIES, tmp_path / "queries.jsonl")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("q3\td2\t1\n")
    assert load(tmp_path).to_list() == [{"anchor": "unjudged", "positive": "two"}]
    assert "the pairs are those of the split 'test', the only one" in caplog.text
    caplog.clear()
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\t4\t2\nq2\td1\t0\n")
    wanted = [{"anchor": "first", "positive": "T one"}, {"anchor": "first", "positive": "four"}]
    assert load(tmp_path).to_list() == wanted
    assert caplog.text == ""
    assert load(tmp_path, limit=1).to_list() == wanted[:1]
    assert load(tmp_path, split="test")["anchor"][:] == ["unjudged"]
    with pytest.raises(InputError, match=r": split: .*'dev'.* test, train$"):
        load(tmp_path, split="dev")


def test_an_empty_document_is_no_positive(tmp_path: Path) -> None:
    write_jsonl(CORPUS, tmp_path / "corpus.jsonl")
    write_jsonl(QUERIES, tmp_path / "queries.jsonl")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("q2\td3\t1\n")
    with pytest.raises(InputError, match=r"'d3'.*'q2'"):
        load(tmp_path)
