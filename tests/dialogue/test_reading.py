"""Dialogues from tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from nearfar.dialogue import read
from nearfar.errors import InputError

from .helpers import dialogues, refused

WANTED = {"1": [("user", "Hello"), ("agent", "Hi, what is it?")], "2": [("user", "Hello"), ("agent", "Yes?")]}


def test_a_table_of_turns_in_the_order_of_time(tmp_path: Path):
    file = tmp_path / "log.csv"
    file.write_text(
        'dialogue_id,speaker,text\n1,user,Hello\n2,user,"Hello "\n1,agent,"Hi, what  is it?"\n2,agent,Yes?\n'
    )
    log = read(file)
    assert dialogues(log) == WANTED
    assert sorted(log.texts) == ["Hello", "Hi, what is it?", "Yes?"]  # each once


def test_a_table_of_dialogues(tmp_path: Path):
    rows = [
        {"dialogue_id": int(i), "turns": [{"speaker": s, "text": t} for s, t in turns]} for i, turns in WANTED.items()
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert dialogues(read(file)) == dialogues(read(Dataset.from_list(rows))) == WANTED


def test_other_column_names(tmp_path: Path):
    file = tmp_path / "log.csv"
    file.write_text("conversation_id,role,content\n1,user,Hello\n")
    with pytest.raises(InputError) as caught:
        read(file)
    assert "--columns dialogue_id=conversation_id,speaker=role,text=content" in (caught.value.remedy or "")
    columns = {"dialogue_id": "conversation_id", "speaker": "role", "text": "content"}
    assert dialogues(read(file, columns=columns)) == {"1": [("user", "Hello")]}


def test_a_bad_row_is_named(tmp_path: Path):
    file = tmp_path / "log.jsonl"
    file.write_text('{"dialogue_id": "a", "turns": [{"speaker": "user"}]}\n')
    assert refused(lambda: read(file)) == ("log.jsonl", 1, "turns[0].text")


def test_turns_of_transcripts_without_text_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "a.txt").write_text("User: hello\nAgent:\nUser: are you there?\n")
    assert dialogues(read(tmp_path))["a"] == [("User", "hello"), ("User", "are you there?")]
    assert "1 turns" in caplog.text


EMPTY = {
    "log.csv": "dialogue_id,speaker,text\n1,user,Hello\n1,agent,\n2,user,  \n3,agent,Yes?\n",
    "log.jsonl": "".join(
        json.dumps({"dialogue_id": i, "turns": turns}) + "\n"
        for i, turns in (
            (1, [{"speaker": "user", "text": "Hello"}, {"speaker": "agent", "text": ""}]),
            (2, [{"speaker": "user", "text": None}]),
            (3, [{"speaker": "agent", "text": "Yes?"}]),
        )
    ),
    "turns.jsonl": "".join(
        json.dumps({"dialogue_id": i, "speaker": who, "text": text}) + "\n"
        for i, who, text in ((1, "user", "Hello"), (1, "agent", None), (2, "user", ""), (3, "agent", "Yes?"))
    ),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("as_parquet", [False, True])
def test_empty_turns_of_tables_are_skipped_on_request(
    tmp_path: Path, name: str, as_parquet: bool, caplog: pytest.LogCaptureFixture
):
    file = tmp_path / name
    file.write_text(EMPTY[name])
    if as_parquet:
        lines = EMPTY[name].splitlines()
        rows = list(csv.DictReader(lines)) if name.endswith(".csv") else [json.loads(line) for line in lines]
        file = file.with_suffix(".parquet")
        pq.write_table(pa.Table.from_pylist(rows), file)
    name, _, field = refused(lambda: read(file))
    assert (name, field) in [(file.name, "text"), (file.name, "turns[1].text")]
    assert caplog.text == ""
    assert dialogues(read(file, skip_broken=True)) == {"1": [("user", "Hello")], "3": [("agent", "Yes?")]}
    assert caplog.text.count("2 turns") == 1


def test_skipping_empty_turns_hides_no_other_mistake(tmp_path: Path):
    file = tmp_path / "log.jsonl"
    rows = [{"dialogue_id": 1, "turns": [{"speaker": "a", "text": ""}, {"speaker": "", "text": "Hello"}]}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert refused(lambda: read(file, skip_broken=True)) == ("log.jsonl", 1, "turns[0].speaker")
    file.write_text('{"dialogue_id": 1, "turns": [{"speaker": "a", "text": ""}]}\n')
    assert refused(lambda: read(file, skip_broken=True)) == ("log.jsonl", None, None)


def test_samples_are_whole_dialogues_and_depend_on_the_seed():
    rows = [{"dialogue_id": i, "speaker": "user", "text": f"text {i}"} for i in range(50)]
    table = Dataset.from_list(rows)
    one, same, other = (read(table, sample=10, seed=seed) for seed in (1, 1, 2))
    assert len(one) == len(one.texts) == 10
    assert one.ids == same.ids != other.ids
    assert one.ids == sorted(one.ids, key=int)
    assert len(read(table, sample=100)) == 50
    assert refused(lambda: read(table, sample=0)) == (None, None, "--sample")


def test_turns_are_sorted_by_turn_id_or_time_where_rows_contradict_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "log.csv"
    for header, values in {
        "turn_id": ("2", "10", "9"),
        "Turn_Index": ("0", "2", "1"),
        "utterance_id": ("d1-u1", "d1-u12", "d1-u2"),
        "timestamp": ("2024-05-12T10:31:00Z", "2024-05-12T10:31:09.5Z", "2024-05-12T10:31:05Z"),
        "time": ("12/05/2024 10:31", "13/05/2024 9:00", "12/05/2024 10:59"),
        "ts": ("1715500000.1", "1715500002", "1715500001"),
        "created_at": ("9:05 AM", "1:10 PM", "11:59 AM"),
    }.items():
        rows = [f"1,a,first,{values[0]}", f"1,b,third,{values[1]}", f"1,a,second,{values[2]}"]
        file.write_text("\n".join([f"dialogue_id,speaker,text,{header}", *rows, f"2,b,other,{values[0]}"]))
        assert [text for _, text in dialogues(read(file))["1"]] == ["first", "second", "third"]
        assert f"turns of 1 dialogue were not in the order of the column {header!r}; sorted by it" in caplog.text
        caplog.clear()


def test_turn_ids_are_surer_than_times_and_unusable_ones_are_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "log.csv"
    file.write_text("dialogue_id,speaker,text,time,turn_id\n1,a,one,9:05,1\n1,b,two,9:01,2\n")
    assert [text for _, text in dialogues(read(file))["1"]] == ["one", "two"]
    assert "'time' contradicts 'turn_id' in 1 dialogue" in caplog.text
    file.write_text("dialogue_id,speaker,text,time,turn_id\n1,a,two,9:05,x\n1,b,one,9:01,\n")
    assert [text for _, text in dialogues(read(file))["1"]] == ["one", "two"]
    assert "the column 'turn_id' does not state an order of the turns" in caplog.text


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_numbers_and_times_of_typed_files_state_the_order_too(tmp_path: Path, suffix: str):
    from datetime import datetime

    for values in ([2, 10, 9], [datetime(2024, 5, 1), datetime(2024, 5, 3), datetime(2024, 5, 2)], [0.5, 2.5, 1.5]):
        rows = [
            {"dialogue_id": 1, "speaker": "a", "text": text, "time": value}
            for text, value in zip(("first", "third", "second"), values, strict=True)
        ]
        file = tmp_path / f"log{suffix}"
        if suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)
        else:
            file.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
        assert [text for _, text in dialogues(read(file))["1"]] == ["first", "second", "third"]


def test_turns_in_lists_are_sorted_by_their_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    turns = [{"speaker": "a", "text": "two", "turn_id": 11}, {"speaker": "b", "text": "one", "turn_id": 2}]
    rows = [{"dialogue_id": 1, "turns": turns}, {"dialogue_id": 2, "turns": turns[::-1]}]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert dialogues(read(file)) == {"1": [("b", "one"), ("a", "two")], "2": [("b", "one"), ("a", "two")]}
    assert "log.jsonl: turns of 1 dialogue were not in the order of their turn_id or time; sorted by it" in caplog.text


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("TurnID", "2", "1"),
        ("Turn ID", "2", "1"),
        ("turnIndex", "2.0", "1.0"),
        ("seq", "t10", "t2"),
        ("start", "5.5", "1.25"),
        ("date", "2024-02-02", "2024-02-01"),
        ("date,time", "2024-02-02,09:00", "2024-02-01,10:00"),
        ("created_at", '"Feb 1, 2024 9:06 AM"', '"Jan 31, 2024 10:05 AM"'),
    ],
)
def test_columns_of_order_in_any_spelling(tmp_path: Path, header: str, first: str, second: str):
    file = tmp_path / "log.csv"
    file.write_text(f"dialogue_id,speaker,text,{header}\n1,a,two,{first}\n1,b,one,{second}\n")
    log = read(file)
    assert [text for _, text in dialogues(log)["1"]] == ["one", "two"]
    assert "sorted by it" in log.notes[0]


def test_a_turn_id_that_occurs_twice_states_no_order(tmp_path: Path):
    file = tmp_path / "log.csv"
    file.write_text("dialogue_id,speaker,text,turn_id\n1,a,p,1\n1,b,q,2\n1,a,r,1\n1,b,s,2\n")
    log = read(file)
    assert [text for _, text in dialogues(log)["1"]] == ["p", "q", "r", "s"]
    assert "'turn_id' contains a value twice in dialogue 1" in log.notes[0]


def test_notes_of_the_readers_belong_to_the_log(tmp_path: Path):
    (tmp_path / "a.txt").write_text("[00:01] A: hi\n[00:02] music\n[00:03] B: ok\n")
    (tmp_path / "b.txt").write_text("[00:01] A: hi\n[00:03] B: ok\n")
    assert read(tmp_path).notes == read(tmp_path, sample=1).notes
    assert "left out 1 lines" in read(tmp_path).notes[0]
    file = tmp_path / "log.jsonl"
    turns = [{"speaker": "a", "text": "two", "turn_id": 2}, {"speaker": "b", "text": "one", "turn_id": 1}]
    file.write_text(json.dumps({"dialogue_id": 1, "turns": turns}) + "\n")
    assert "turn_id" in read(file).notes[0]
