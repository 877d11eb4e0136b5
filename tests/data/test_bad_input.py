"""Each mistake that people make, and the one line that they get for it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load, load_retrieval, parse_columns
from nearfar.errors import InputError

PAIR = '{"anchor": "a", "positive": "b"}\n'
MANY = PAIR * 20_000


def rows(*objects: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in objects)


# file name, content, what the line must hold beside the file's name
FILES = {
    "bad json in the middle": ("x.jsonl", MANY + '{"anchor": "a", "positive": \n' + PAIR, ["x.jsonl:20001: not JSON"]),
    "python dict for json": (
        "x.jsonl",
        PAIR + "{'anchor': 'a'}\n",
        [":2: not JSON", "double quotes", "one JSON object"],
    ),
    "two objects a line": ("x.jsonl", PAIR + PAIR.strip() + PAIR, [":2: not JSON: Extra data"]),
    "row is a list": ("x.jsonl", PAIR + '["a", "b"]\n', [":2: a list where an object is due", ".json"]),
    "key twice": ("x.jsonl", PAIR + '{"text": "a", "text": "b"}\n', [":2: the key 'text' stands twice", "keep one"]),
    "json list, key twice": ("x.json", '[\n{"text": "a", "text": "b"}]', [":2: the key 'text' stands twice"]),
    "row is a number": ("x.jsonl", PAIR + "17\n", [":2: a number where an object is due"]),
    "row is null": ("x.jsonl", PAIR + "null\n", [":2: null where an object is due"]),
    "nested too deeply": ("x.jsonl", PAIR + "[" * 200_000 + "\n", [":2: not readable JSON", "nested"]),
    "number of many digits": ("x.jsonl", PAIR + "9" * 5000 + "\n", [":2: not readable JSON"]),
    "field missing": ("x.jsonl", PAIR + "\n" + '{"anchor": "a"}\n', [":3: positive: is missing; every row needs it"]),
    "field missing in line 1": ("x.jsonl", '{"anchor": "a"}\n' + PAIR, [":1: positive: is missing"]),
    "field null": ("x.jsonl", MANY + '{"anchor": null, "positive": "b"}\n', [":20001: anchor: is null"]),
    "text empty": (
        "x.jsonl",
        PAIR + '{"anchor": "a", "positive": ""}\n',
        [":2: positive: is empty", "leave the row out"],
    ),
    "text of spaces": ("x.jsonl", rows({"text": " \u3000\t"}), [":1: text: holds only white space"]),
    "text is a number": (
        "x.jsonl",
        PAIR + '{"anchor": 3, "positive": "b"}\n',
        [":2: anchor: a number where a text is due"],
    ),
    "text is a list": (
        "x.jsonl",
        rows({"anchor": "a", "positive": ["b"]}),
        [":1: positive: a list where", "one text a row"],
    ),
    "text is a boolean": ("x.jsonl", rows({"text": True}), [":1: text: a boolean where a text is due"]),
    "half a surrogate": ("x.jsonl", '{"text": "a \\ud83d"}\n', [":1: text: holds half a character (\\ud83d)"]),
    "late extra field": (
        "x.jsonl",
        MANY + '{"anchor": "a", "positive": "b", "negative": "c"}\n',
        [":20001: negative: rows before lack"],
    ),
    "score is text": (
        "x.jsonl",
        rows({"sentence1": "a", "sentence2": "b", "score": "0.5"}),
        [":1: score: a text ('0.5')", "without quotes"],
    ),
    "score is NaN": (
        "x.jsonl",
        '{"sentence1": "a", "sentence2": "b", "score": NaN}\n',
        [":1: score: nan is not finite"],
    ),
    "score is a boolean": (
        "x.jsonl",
        rows({"sentence1": "a", "sentence2": "b", "score": True}),
        [":1: score: a boolean where a number"],
    ),
    "score is huge": (
        "x.jsonl",
        rows({"sentence1": "a", "sentence2": "b", "score": 10**400}),
        [":1: score: is too large"],
    ),
    "score missing": (
        "x.jsonl",
        rows({"sentence1": "a", "sentence2": "b", "score": 1}, {"sentence1": "a", "sentence2": "b"}),
        [":2: score: is missing"],
    ),
    "labels mixed": (
        "x.jsonl",
        rows({"text": "a", "label": "x"}, {"text": "b", "label": 1}),
        [":2: label: a number where the rows before have texts"],
    ),
    "labels mixed, late": (
        "x.jsonl",
        rows({"text": "a", "label": 1}) * 9000 + rows({"text": "b", "label": "x"}),
        [":9001: label: a text where the rows before have numbers"],
    ),
    "label is a float": (
        "x.jsonl",
        rows({"text": "a", "label": 1.0}),
        [":1: label: a number (1.0)", "write 3, not 3.0"],
    ),
    "label is a boolean": ("x.jsonl", rows({"text": "a", "label": False}), [":1: label: a boolean", "write 0 or 1"]),
    "label null among texts": (
        "x.jsonl",
        rows({"text": "a", "label": "x"}, {"text": "b", "label": None}),
        [":2: label: is null"],
    ),
    "no turns": ("x.jsonl", rows({"dialogue_id": "d", "turns": []}), [":1: turns: is an empty list"]),
    "turns are text": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": "hi"}),
        [":1: turns: a text where a list of turns"],
    ),
    "turn is text": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": ["hi"]}),
        [":1: turns[0]: a text where a turn is due"],
    ),
    "turn without text": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": [{"speaker": "U", "text": "a"}, {"speaker": "U"}]}),
        [":1: turns[1].text: is missing"],
    ),
    "acts are numbers": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": [{"speaker": "U", "text": "a", "acts": [1]}]}),
        [":1: turns[0].acts[0]: a number where a text"],
    ),
    "slots are an object": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": [{"speaker": "U", "text": "a", "slots": {"x": 1}}]}),
        [":1: turns[0].slots: an object where a list of texts"],
    ),
    "no rationales": (
        "x.jsonl",
        rows({"question": "q", "answer": "a", "rationales": []}),
        [":1: rationales: is an empty list"],
    ),
    "rationales null": (
        "x.jsonl",
        rows({"question": "q", "answer": "a", "rationales": None}),
        [":1: rationales: is null"],
    ),
    "empty jsonl": ("x.jsonl", "", ["holds no rows", "one JSON object a line"]),
    "blank jsonl": ("x.jsonl", "\n \n", ["holds no rows"]),
    "near names": (
        "x.jsonl",
        rows({"query": "a", "answer": "b"}),
        ["'query', 'answer' fit no schema", "pairs: anchor, positive", "--columns anchor=query,positive=answer"],
    ),
    "misspelt names": ("x.csv", "Anchor,postive\na,b\n", ["--columns anchor=Anchor,positive=postive"]),
    "unguessable names": (
        "x.jsonl",
        rows({"q": "a", "zz": "b"}),
        ["'q', 'zz' fit no schema", "--columns anchor=...,positive=..."],
    ),
    "json list, bad item": ("x.json", '[\n{"text": "a"},\n{"text": \n"b",}\n]', ["x.json:4: not JSON"]),
    "json list, no comma": (
        "x.json",
        '[\n{"text": "a"}\n{"text": "b"}\n]',
        [":3: not JSON: '{' where ',' or ']' is due"],
    ),
    "json list not closed": ("x.json", '[\n{"text": "a"},\n{"text": "b"}\n', ["the end of the file where ',' or ']'"]),
    "json list ends in a comma": ("x.json", '[{"text": "a"},\n]', [":2: not JSON"]),
    "json list of texts": ("x.json", '[\n"a"]', [":2: a text where an object is due"]),
    "json list, text after": ("x.json", '[{"text": "a"}]\n[]', [":2: text after the end of the list"]),
    "json list, empty": ("x.json", "[]", ["holds no rows"]),
    "json list, empty text": ("x.json", '[\n{"text": "a"},\n\n{"text": ""}]', [":4: text: is empty"]),
    "json list, cut": ("x.json", "[", ["not JSON"]),
    "csv, too many fields": (
        "x.csv",
        "anchor,positive\na,b\nno, really,b\n",
        [":3: 3 fields where the header names 2", "double quotes"],
    ),
    "csv, too few fields": ("x.csv", 'anchor,positive\n"a\n\n\nb",c\nonly\n', [":6: 1 field where the header names 2"]),
    "csv, open quote": ("x.csv", 'text\na\n"never closed\nb\n', [":3: a quote is opened in this row and never closed"]),
    "csv, open quote in a big file": (
        "x.csv",
        'text\na\n"never closed\n' + "some text\n" * 20_000,
        [":3: a field of more than", "left open"],
    ),
    "csv, stray quote": ("x.csv", 'text\na\n"say "hi" now"\n', [":3: not CSV", "double a quote"]),
    "csv, carriage returns": ("x.csv", "text\ra\rb\r", [":1: a bare carriage return"]),
    "csv, blank line": ("x.csv", "anchor,positive\na,b\n\nc,d\n", [":3: a blank line between rows; remove it"]),
    "csv, empty field": ("x.csv", 'anchor,positive\n"a\nb",c\n,d\n', [":4: anchor: is empty"]),
    "csv, empty file": ("x.csv", "", ["is empty", "header"]),
    "csv, header only": ("x.csv", "text,label\n", ["holds a header and no rows"]),
    "csv, two columns of a name": ("x.csv", "text,label,text\na,b,c\n", [":1: text: two columns have this name"]),
    "csv, semicolons": ("x.csv", "anchor;positive\na;b\n", ["one column that holds ';'"]),
    "csv, score with a comma": (
        "x.csv",
        'sentence1,sentence2,score\na,b,1\na,b,"0,5"\n',
        [":3: score: '0,5' is not a number; write it like 0.8"],
    ),
    "csv, score empty": ("x.csv", "sentence1,sentence2,score\na,b,\n", [":2: score: is empty"]),
    "tsv, score infinite": ("x.tsv", "sentence1\tsentence2\tscore\na\tb\t-inf\n", [":2: score: -inf is not finite"]),
    "tsv, score NaN": ("x.tsv", "sentence1\tsentence2\tscore\na\tb\t1\na\tb\tNaN\n", [":3: score: nan is not finite"]),
    "tsv, too many fields": (
        "x.tsv",
        "anchor\tpositive\na\tb\tc\n",
        [":2: 3 fields where the header names 2", "a tab inside a text"],
    ),
    "tsv, too few fields": ("x.tsv", "anchor\tpositive\n" + "a\tb\n" * 9000 + "a\n", [":9002: 1 field"]),
    "tsv, blank line": ("x.tsv", "text\na\n\nb\n", [":3: a blank line between rows"]),
    "tsv, empty": ("x.tsv", "", ["is empty"]),
    "tsv, spaces in a field": ("x.tsv", "anchor\tpositive\na\t \n", [":2: positive: holds only white space"]),
    "latin-1": (
        "x.tsv",
        b"text\n" + b"plain\n" * 3000 + b"caf\xe9\n",
        [":3002: byte 4 of the line (0xe9) is not UTF-8", "iconv"],
    ),
    "latin-1 jsonl": ("x.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', [":2: byte 11 of the line (0xe9)"]),
    "latin-1 json": ("x.json", b'[{"text": "a"},\n{"text": "\xe9"}]\n', [":2: byte 11 of the line (0xe9)"]),
    "utf-8 cut off": ("x.csv", b"text\ncaf\xc3", [":2: byte 4 of the line (0xc3)"]),
    "utf-16": ("x.csv", "text\na\n".encode("utf-16"), ["is UTF-16, not UTF-8", "iconv -f UTF-16"]),
    "utf-16 without its mark": ("x.csv", "text\na\n".encode("utf-16-le"), ["holds NUL bytes", "iconv -f UTF-16LE"]),
    "utf-32": ("x.csv", "text\na\n".encode("utf-32"), ["is UTF-32, not UTF-8"]),
    "gzip without the name": ("x.csv", gzip.compress(b"text\na\n"), ["compressed by gzip", "add .gz"]),
    "name without the gzip": ("x.csv.gz", "text\na\n", ["is not sound gzip", "drop .gz"]),
    "gzip cut off": ("x.jsonl.gz", gzip.compress(os.urandom(9000).hex().encode())[:-400], ["cut off", "again"]),
    "gzip damaged": ("x.jsonl.gz", gzip.compress(PAIR.encode())[:-6] + b"\0" * 6, ["is not sound gzip"]),
    "excel workbook": ("x.csv", b"PK\x03\x04" + b"\0" * 30, ["Excel", "save the sheet as CSV"]),
    "parquet by another name": ("x.csv", b"PAR1" + b"\0" * 30, ["Parquet", ".parquet"]),
    "parquet that is none": ("x.parquet", b"not parquet at all", ["is not sound Parquet"]),
    "parquet that is empty": ("x.parquet", b"", ["is not sound Parquet"]),
    "unknown suffix": ("x.xlsx", b"PK", ["'.xlsx' is none of .jsonl, .json, .csv, .tsv, .parquet", ".gz"]),
    "no suffix": ("data", "text\na\n", ["the suffix '' is none of"]),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named_with_line_field_and_remedy(tmp_path: Path, case: str) -> None:
    name, content, pieces = FILES[case]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert caught.value.remedy
    for piece in pieces:
        assert piece in message


TABLES = {
    "null": ({"text": ["a"] * 9000 + [None]}, ["text: row 9001: is null"]),
    "empty": ({"text": ["a", ""]}, ["text: row 2: is empty"]),
    "numbers": ({"text": [1, 2]}, ["text: row 1: a number where a text is due"]),
    "lists": ({"anchor": ["a"], "positive": [["b"]]}, ["positive: row 1: a list where a text is due"]),
    "score infinite": ({"sentence1": ["a"], "sentence2": ["b"], "score": [float("inf")]}, ["score: row 1: inf is not"]),
    "score null": (
        {"sentence1": ["a"], "sentence2": ["b"], "score": pa.array([None], pa.float32())},
        ["row 1: is null"],
    ),
    "score text": ({"sentence1": ["a"], "sentence2": ["b"], "score": ["0.5"]}, ["score: row 1: a text ('0.5')"]),
    "label null": ({"text": ["a", "b"], "label": [1, None]}, ["label: row 2: is null"]),
    "label float": ({"text": ["a"], "label": [1.5]}, ["label: row 1: a number (1.5)"]),
    "label of 64 bits": ({"text": ["a"], "label": pa.array([2**63], pa.uint64())}, ["label: row 1: is too large"]),
    "not utf-8": (
        {"text": pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9"))},
        ["text: row 1: is not UTF-8"],
    ),
    "no rows": ({"text": pa.array([], pa.string())}, ["holds no rows"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_parquet_file_is_named_with_its_row(tmp_path: Path, case: str) -> None:
    table, pieces = TABLES[case]
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x.parquet")
    for piece in (f"{tmp_path / 'x.parquet'}: ", *pieces):
        assert piece in str(caught.value)


def test_a_cut_parquet_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[:-20])
    with pytest.raises(InputError, match="is not sound Parquet"):
        load(tmp_path / "x.parquet")


def test_two_parquet_columns_of_a_name(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["text", "text"]), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="text: two columns have this name"):
        load(tmp_path / "x.parquet")


FOLDERS = {
    "nothing": ({}, ["holds no file that ends in .jsonl"]),
    "nothing readable": ({"README.md": "hi"}, ["holds no file that ends in .jsonl"]),
    "one level too high": ({"README.md": "hi", "inner/x.jsonl": PAIR}, ["name the folder inside it", "inner"]),
    "retrieval": ({"corpus.jsonl": "{}", "queries.jsonl": "{}"}, ["is a retrieval folder"]),
    "no such split": (
        {"dev.jsonl": PAIR, "test.jsonl": PAIR},
        ["split: no file of the split 'train'", "test, validation"],
    ),
    "some without a split": ({"extra.jsonl": PAIR, "train.jsonl": PAIR}, ["extra.jsonl", "this one does not"]),
    "columns differ": (
        {"a.jsonl": PAIR, "b.jsonl": '{"text": "a"}\n'},
        ["b.jsonl", "none where", "has anchor, positive"],
    ),
    "second has a mistake": ({"a.jsonl": PAIR, "b.csv": "anchor,positive\na,\n"}, ["b.csv:2: positive: is empty"]),
    "second is empty": ({"a.jsonl": PAIR, "b.csv": ""}, ["b.csv: is empty"]),
    "label types differ": (
        {"a.jsonl": '{"text": "a", "label": 1}\n', "b.csv": "text,label\na,1\n"},
        ["b.csv:2: label: a text where the rows before have numbers"],
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder(tmp_path: Path, case: str) -> None:
    files, pieces = FOLDERS[case]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    for piece in (str(tmp_path), *pieces):
        assert piece in str(caught.value)


def test_a_path_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(PAIR)
    with pytest.raises(InputError, match=r"trian\.jsonl: no such file or folder; did you mean train\.jsonl\?"):
        load(tmp_path / "trian.jsonl")
    with pytest.raises(InputError, match=r"no such file or folder; look into "):
        load(str(tmp_path / "zebra.csv"))
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist either"):
        load(str(tmp_path / "nowhere" / "train.csv"))


@pytest.mark.parametrize("name", ["train.jsonl", "user/train.csv", "./user/name", "a/b/c", "name", "~/x/y"])
def test_what_looks_like_a_path_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load(name)


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name(name: str) -> None:
    with pytest.raises(InputError, match="no file is named"):
        load(name)


def test_an_address_is_not_downloaded() -> None:
    with pytest.raises(InputError, match=r"^https://x\.org/a\.csv: is an address, not a file; download it"):
        load("https://x.org/a.csv")


def test_a_pipe_and_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    with pytest.raises(InputError, match=r"x\.jsonl: is a pipe or a device, not a file"):
        load(tmp_path / "x.jsonl")
    with pytest.raises(InputError, match="is a pipe or a device"):
        load("/dev/null")


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_text("text\na\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the file's mode alone would prove nothing where tests run as root.
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(gzip, "open", refuse)
    with pytest.raises(InputError, match=r"x\.\S+: permission denied; make it readable"):
        load(tmp_path / name)


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match="permission denied"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("anchor", "'anchor' in 'anchor' is not of the form name=column"),
        ("", "is not of the form name=column"),
        ("anchor=", "is not of the form name=column"),
        ("anchor=a,", "is not of the form name=column"),
        ("anchor=a,anchor=b", "columns: 'anchor' is given twice"),
        ("anchor=a,positive=a", "columns: 'a' is used twice"),
        ("anchr=a", "'anchr' is no column of any schema; did you mean 'anchor'?"),
        ("negative_0=a", "'negative_0' is no column"),
        ("zzz=a", "choose from anchor, positive"),
    ],
)
def test_a_bad_mapping(text: str, piece: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_columns(text)
    assert piece in str(caught.value)
    assert caught.value.field == "columns"


def test_bad_options_of_load(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(PAIR)
    with pytest.raises(InputError, match=r"x\.jsonl: columns: there is no column 'ancor' to use as 'text'"):
        load(path, columns={"text": "ancor"})
    with pytest.raises(InputError, match="'texts' is no column of any schema; did you mean 'text'"):
        load(path, columns={"texts": "anchor"})
    with pytest.raises(InputError, match="schema: no schema is called 'pair'; did you mean 'pairs'"):
        load(path, schema="pair")
    with pytest.raises(InputError, match="the schema 'labelled' needs 'text', 'label', and the columns are 'anchor'"):
        load(path, schema="labelled")
    with pytest.raises(InputError, match="limit: 0 is not a number of rows"):
        load(path, limit=0)


CORPUS, QUERIES, QRELS = '{"_id": "d1", "text": "a"}\n', '{"_id": "q1", "text": "b"}\n', "q1\td1\t1\n"
RETRIEVAL = {
    "document twice": (
        {"corpus.jsonl": CORPUS + "\n" + CORPUS},
        ["corpus.jsonl:3: _id: 'd1' stands in line 1 already"],
    ),
    "query twice": ({"queries.jsonl": QUERIES * 2}, ["queries.jsonl:2: _id: 'q1' stands in line 1 already"]),
    "no id": ({"corpus.jsonl": CORPUS + '{"text": "a"}\n'}, ["corpus.jsonl:2: _id: is missing"]),
    "id is a list": (
        {"corpus.jsonl": '{"_id": [], "text": "a"}\n'},
        ["corpus.jsonl:1: _id: a list where an id is due"],
    ),
    "id is empty": ({"corpus.jsonl": '{"_id": "", "text": "a"}\n'}, ["corpus.jsonl:1: _id: is empty"]),
    "no text": ({"corpus.jsonl": '{"_id": "d1"}\n'}, ["corpus.jsonl:1: text: is missing"]),
    "text is null": ({"corpus.jsonl": '{"_id": "d1", "text": null}\n'}, [":1: text: null where a text is due"]),
    "title is a list": ({"corpus.jsonl": '{"_id": "d1", "text": "a", "title": []}\n'}, [":1: title: a list where"]),
    "half a surrogate": ({"corpus.jsonl": '{"_id": "d1", "text": "\\ud800"}\n'}, [":1: text: holds half a character"]),
    "query empty": ({"queries.jsonl": '{"_id": "q1", "text": " "}\n'}, ["queries.jsonl:1: text: is empty"]),
    "corpus empty": ({"corpus.jsonl": ""}, ["corpus.jsonl: holds no rows"]),
    "corpus not json": ({"corpus.jsonl": CORPUS + "oops\n"}, ["corpus.jsonl:2: not JSON"]),
    "unknown query": (
        {"qrels/test.tsv": QRELS + "q7\td1\t1\n"},
        ["test.tsv:2: query-id: 'q7' is not in queries.jsonl"],
    ),
    "unknown document": ({"qrels/test.tsv": "q1\td7\t1\n"}, ["test.tsv:1: corpus-id: 'd7' is not in corpus.jsonl"]),
    "nothing relevant": (
        {"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t0\n"},
        ["test.tsv: no pair is relevant"],
    ),
    "grade is a word": ({"qrels/test.tsv": "q1\td1\thigh\n"}, ["test.tsv:1: score: 'high' is not a whole number"]),
    "four columns": (
        {"qrels/test.tsv": "q1\t0\td1\t1\n"},
        ["test.tsv:1: 4 columns where query-id, corpus-id and score"],
    ),
    "two grades": ({"qrels/test.tsv": QRELS + "q1\td1\t2\n"}, ["test.tsv:2: score: query 'q1'", "graded 1 before"]),
    "no corpus": ({"corpus.jsonl": None}, ["holds no corpus.jsonl[.gz]"]),
    "no queries": (
        {"queries.jsonl": None, "querys.jsonl": QUERIES},
        ["holds no queries-test.jsonl", "is it querys.jsonl?"],
    ),
    "no qrels": ({"qrels/test.tsv": None}, ["holds no qrels/SPLIT.tsv[.gz]"]),
    "which split": (
        {"qrels/test.tsv": None, "qrels/a.tsv": QRELS, "qrels/b.tsv": QRELS},
        ["split: has the splits a, b"],
    ),
    "two corpora": ({"corpus.jsonl.gz": CORPUS}, ["holds both corpus.jsonl and corpus.jsonl.gz"]),
    "two qrels": ({"qrels-test.tsv": QRELS}, ["holds both qrels/test.tsv and qrels-test.tsv"]),
}


@pytest.mark.parametrize("case", RETRIEVAL)
def test_a_bad_retrieval_folder(tmp_path: Path, case: str) -> None:
    changes, pieces = RETRIEVAL[case]
    good = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.tsv": QRELS}
    (tmp_path / "qrels").mkdir()
    for name, content in {**good, **changes}.items():
        if content is not None:
            (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        load_retrieval(tmp_path)
    for piece in (str(tmp_path), *pieces):
        assert piece in str(caught.value)


def test_a_retrieval_folder_that_is_not_there_or_a_file_or_lacks_the_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_retrieval(tmp_path / "nowhere")
    (tmp_path / "corpus.jsonl").write_text(CORPUS)
    with pytest.raises(InputError, match="is a file, not a folder"):
        load_retrieval(tmp_path / "corpus.jsonl")
    (tmp_path / "queries.jsonl").write_text(QUERIES)
    (tmp_path / "qrels-test.tsv").write_text(QRELS)
    with pytest.raises(InputError, match="no qrels for the split 'dev'; there is test"):
        load_retrieval(tmp_path, "dev")
