"""Rows for a recipe, from what people have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.recipes import get
from nearfar.training.rows import rows_for


def test_a_column_that_is_commonly_called_otherwise_is_named_with_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,intent\na,b\nc,d\n")
    with pytest.raises(InputError) as caught:
        rows_for(get("dialog2flow"), tmp_path / "x.csv")
    assert caught.value.remedy == "map the columns with --columns label=intent"
    rows = rows_for(get("dialog2flow"), tmp_path / "x.csv", {"label": "intent"})
    assert rows.column_names == ["text", "label"]
    with pytest.raises(InputError, match=r"for infonce, got sentences"):
        rows_for(get("infonce"), Dataset.from_dict({"text": ["a", "b"], "zzz": ["c", "d"]}))


def test_recipes_on_sentences_and_pairs_take_the_files_that_people_have(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("one sentence\nanother one\n\na third\n")
    assert len(rows_for(get("simcse"), tmp_path / "x.txt")) == 3
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    texts = {"corpus.jsonl": {"d1": "two", "d2": "four"}, "queries.jsonl": {"q1": "one", "q2": "three"}}
    for name, entries in texts.items():
        lines = [json.dumps({"_id": key, "text": text}) for key, text in entries.items()]
        (folder / name).write_text("\n".join(lines))
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    for source in (folder, str(folder)):
        assert rows_for(get("infonce"), source)["positive"][:] == ["two", "four"]
    Dataset.from_dict({"anchor": ["a", "b"], "positive": ["c", "d"]}).save_to_disk(tmp_path / "saved")
    assert rows_for(get("infonce"), tmp_path / "saved").column_names == ["anchor", "positive"]
