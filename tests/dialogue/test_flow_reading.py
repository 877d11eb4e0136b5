"""Dialogues from tables and transcripts."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from nearfar.dialogue import read
from nearfar.dialogue.log import Log
from nearfar.errors import InputError


def dialogues(log: Log) -> dict[str, list[tuple[str, str]]]:
    return {
        name: [(log.speakers[who], log.texts[text]) for who, text in log.dialogue_turns(i)]
        for i, name in enumerate(log.ids)
    }


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
    with pytest.raises(InputError, match="--columns dialogue_id=conversation_id,speaker=role,text=content"):
        read(file)
    columns = {"dialogue_id": "conversation_id", "speaker": "role", "text": "content"}
    assert dialogues(read(file, columns=columns)) == {"1": [("user", "Hello")]}


def test_a_bad_row_is_named(tmp_path: Path):
    file = tmp_path / "log.jsonl"
    file.write_text('{"dialogue_id": "a", "turns": [{"speaker": "user"}]}\n')
    with pytest.raises(InputError, match=r"log.jsonl:1: turns\[0\].text: is missing"):
        read(file)


SAME = """
Agent: Good morning.|Customer: Hi, my card: it is lost.
[00:01] Agent: Good morning.|[00:05] Customer: Hi, my card: it is lost.
00:00:01 Agent: Good morning.|00:00:05 Customer: Hi, my card: it is lost.
00:01 - Agent: Good morning.|00:05 - Customer: Hi, my card: it is lost.
Agent (00:01): Good morning.|Customer (00:05): Hi, my card: it is lost.
Agent [10:01 AM]: Good morning.|Customer [10:05 pm]: Hi, my card: it is lost.
Agent 00:00:01.250: Good morning.|Customer 00:00:05,000: Hi, my card: it is lost.
2024-05-01 10:11:12 Agent: Good morning.|2024-05-01 10:11:19 Customer: Hi, my card: it is lost.
2024-05-01T10:11:12Z Agent: Good morning.|2024-05-01T10:11:19+01:00 Customer: Hi, my card: it is lost.
[2024-05-01, 10:11:12] Agent: Good morning.|[2024-05-01, 10:11:12] Customer: Hi, my card: it is lost.
01/05/2024, 10:11 - Agent: Good morning.|01/05/2024, 10:12 - Customer: Hi, my card: it is lost.
Agent: [00:01] Good morning.|Customer: [00:02] Hi, my card: it is lost.
1|00:00:01,000 --> 00:00:04,000|Agent: Good morning.||2|00:00:05,000 --> 00:00:09,000|Customer: Hi, my card:|it is lost.
WEBVTT||00:01.000 --> 00:04.000|Agent: Good morning.||00:05.000 --> 00:09.000|Customer: Hi, my card: it is|lost.
   Agent :   Good morning.\r|Customer: Hi, my card: it|   is lost.\r
"""


@pytest.mark.parametrize("text", SAME.strip("\n").split("\n"))
def test_transcripts_with_and_without_times(tmp_path: Path, text: str):
    (tmp_path / "call 7.txt").write_text(text.replace("|", "\n"))
    found = dialogues(read(tmp_path))
    assert found == {"call 7": [("Agent", "Good morning."), ("Customer", "Hi, my card: it is lost.")]}


def test_times_that_are_said_stay(tmp_path: Path):
    (tmp_path / "a.txt").write_text("Agent: When?\nCustomer: 10:30 is fine.\n11:00 too.\nhttp://x.org: no speaker\n")
    assert dialogues(read(tmp_path / "a.txt"))["a"][1] == (
        "Customer",
        "10:30 is fine. 11:00 too. http://x.org: no speaker",
    )


def test_a_folder_is_read_in_order_and_other_files_are_passed_over(tmp_path: Path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"User: I am {name}\n")
    (tmp_path / "README.md").write_text("# notes")
    assert list(dialogues(read(tmp_path))) == ["a", "b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "just words\nUser: hello"}, r"a.txt:1: 'just words' begins with no speaker; begin every turn"),
        ({"a.txt": "\n\n"}, "a.txt: holds no dialogue"),
        ({"a.txt": "User: hello", "b.csv": "x\n"}, "holds transcripts .a.txt. and tables .b.csv."),
        ({"a.txt": "User:\nAgent:\n"}, "holds no turn with a text"),
        ({"a.txt": b"User: caf\xe9\n"}, "a.txt:1: byte 10 of the line"),
        ({"a.md": "x"}, "contains no file that ends in .jsonl"),
    ],
)
def test_what_is_no_transcript(tmp_path: Path, files: dict[str, str | bytes], message: str):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_turns_without_text_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "a.txt").write_text("User: hello\nAgent:\nUser: are you there?\n")
    assert dialogues(read(tmp_path))["a"] == [("User", "hello"), ("User", "are you there?")]
    assert "1 turns without a text are left out" in caplog.text


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
def test_empty_turns_of_tables_are_left_out_when_one_says_so(
    tmp_path: Path, name: str, as_parquet: bool, caplog: pytest.LogCaptureFixture
):
    file = tmp_path / name
    file.write_text(EMPTY[name])
    if as_parquet:
        lines = EMPTY[name].splitlines()
        rows = list(csv.DictReader(lines)) if name.endswith(".csv") else [json.loads(line) for line in lines]
        file = file.with_suffix(".parquet")
        pq.write_table(pa.Table.from_pylist(rows), file)
    with pytest.raises(InputError, match=r"text: (row 2: |row 1: )?is (empty|null); .*--skip-broken"):
        read(file)
    assert caplog.text == ""
    assert dialogues(read(file, skip_broken=True)) == {"1": [("user", "Hello")], "3": [("agent", "Yes?")]}
    assert caplog.text.count("skipped 2 turns without a text: ") == 1


def test_empty_turns_hide_no_other_mistake(tmp_path: Path):
    file = tmp_path / "log.jsonl"
    rows = [{"dialogue_id": 1, "turns": [{"speaker": "a", "text": ""}, {"speaker": "", "text": "Hello"}]}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"log.jsonl:1: turns\[0\].speaker: is empty"):
        read(file, skip_broken=True)
    file.write_text('{"dialogue_id": 1, "turns": [{"speaker": "a", "text": ""}]}\n')
    with pytest.raises(InputError, match=r"log.jsonl: contains no turn"):
        read(file, skip_broken=True)


@pytest.mark.parametrize(
    "line",
    [
        "1:00.111" * 4000 + "x",
        "00:01" + " " * 100_000 + "x",
        "[" * 50_000,
        "1-1-1 " * 20_000 + "x",
        "a" * 200_000,
        "1" * 100_000 + "x",
    ],
    ids=["clocks", "spaces", "brackets", "dates", "letters", "digits"],
)
def test_hostile_lines_take_no_time(tmp_path: Path, line: str):
    (tmp_path / "a.txt").write_text(f"User: hello\n{line}\n")
    start = time.process_time()
    read(tmp_path)
    assert time.process_time() - start < 2


def five() -> Dataset:
    names = ["Anna", "Caller", "Ben", "caller", "IVR"]
    return Dataset.from_list([{"dialogue_id": 1, "speaker": name, "text": f"{name} speaks"} for name in names])


def test_speakers_are_chosen_and_joined():
    assert [who for who, _ in dialogues(read(five(), speakers="Caller"))["1"]] == ["Caller", "Caller"]
    joined = dialogues(read(five(), speakers="agent=Anna|ben, caller"))["1"]
    assert [who for who, _ in joined] == ["agent", "caller", "agent", "caller"]
    rest = dialogues(read(five(), speakers="caller,agent=*"))["1"]
    assert [who for who, _ in rest] == ["agent", "caller", "agent", "caller", "agent"]


@pytest.mark.parametrize(
    ("speakers", "message"),
    [
        ("nobody", "nobody in the dialogues speaks as 'nobody'; those who speak are Anna, Caller"),
        ("a=,b", "'a=' in 'a=,b' names no speaker"),
        ("a,a", "'a' stands twice"),
        ("x=Anna,y=anna", "'anna' stands twice"),
        ("a=*,b=*", r"'\*' stands twice"),
        ("a,b,c,d,e,f,g", "7 roles are more than 6"),
    ],
)
def test_bad_choices_of_speakers(speakers: str, message: str):
    with pytest.raises(InputError, match=message):
        read(five(), speakers=speakers)


def test_too_many_speakers_say_what_to_do():
    rows = [{"dialogue_id": 1, "speaker": f"agent {i}", "text": "hello"} for i in range(7)]
    with pytest.raises(InputError, match=r"7 speakers .*--speakers agent 0,others=\*"):
        read(Dataset.from_list(rows))


def test_sampling_is_by_dialogue_and_by_seed():
    rows = [{"dialogue_id": i, "speaker": "user", "text": f"text {i}"} for i in range(50)]
    table = Dataset.from_list(rows)
    one, same, other = (read(table, sample=10, seed=seed) for seed in (1, 1, 2))
    assert len(one) == len(one.texts) == 10
    assert one.ids == same.ids != other.ids
    assert one.ids == sorted(one.ids, key=int)
    assert len(read(table, sample=100)) == 50
    with pytest.raises(InputError, match="0 dialogues are none"):
        read(table, sample=0)
