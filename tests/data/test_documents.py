"""Documents from plain text and tables, and their packing into blocks."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from datasets import Dataset

from nearfar.data import _plain, write_jsonl
from nearfar.data._arrow import Gathered
from nearfar.data.documents import load_documents
from nearfar.data.packing import packed
from nearfar.errors import InputError
from nearfar.models.new_language import new_tokenizer

TEXT = "A first line,\nand a second.\n\n  \nAnother document\r\n\r\n\nThe last, <b>without</b> an end"
DOCUMENTS = ["A first line,\nand a second.", "Another document", "The last, <b>without</b> an end"]


def test_blank_lines_separate_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, newline="")
    with gzip.open(tmp_path / "b.MD.gz", "wt", newline="") as file:
        file.write(TEXT)
    for name in ("a.txt", "b.MD.gz"):
        assert load_documents(tmp_path / name)["text"] == DOCUMENTS
    # A folder of them, in the order of their names.
    assert load_documents(str(tmp_path))["text"] == DOCUMENTS * 2


def test_tables_datasets_and_several_sources(tmp_path: Path) -> None:
    write_jsonl([{"text": "one", "id": 1}, {"text": "two", "id": 2}], tmp_path / "rows.jsonl")
    (tmp_path / "README.md").write_text("Notes on the rows.")
    (tmp_path / "more.csv").write_text("body\nthree\n")
    assert load_documents(tmp_path / "rows.jsonl")["text"] == ["one", "two"]
    assert load_documents(tmp_path / "more.csv", columns={"text": "body"})["text"] == ["three"]
    rows = Dataset.from_dict({"text": ["four"]})
    assert load_documents([tmp_path / "rows.jsonl", rows, tmp_path / "README.md"])["text"] == [
        *("one", "two", "four", "Notes on the rows.")
    ]
    (tmp_path / "more.csv").unlink()
    assert load_documents(tmp_path)["text"] == ["one", "two"]
    (tmp_path / "notes.txt").write_text("Which are meant?")
    with pytest.raises(InputError, match=r"notes\.txt: "):
        load_documents(tmp_path)


def test_long_documents_and_long_lines_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plain, "LONGEST", 20)
    monkeypatch.setattr(_plain, "_AT_ONCE", 50)
    lines = [f"line {number:02}" for number in range(12)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    found = load_documents(tmp_path / "lines.txt")["text"]
    assert "\n".join(found).split("\n") == lines
    assert len(found) == 4
    line = "x" * 90
    (tmp_path / "line.txt").write_text(f"{line}\n\nend")
    found = load_documents(tmp_path / "line.txt")["text"]
    assert "".join(found[:-1]).replace("\n", "") == line
    assert found[-1] == "end"
    assert max(map(len, found)) < 45


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty.txt: is empty"),
        (b" \n\n\t\n", "empty.txt: is empty"),
        (b"caf\xe9\n", r"empty.txt:1: byte 4 of the line \(0xe9\) is not UTF-8"),
        (b"\xff\xfeh\0i\0", "empty.txt: is UTF-16, not UTF-8"),
    ],
)
def test_files_that_are_not_plain_text(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_documents(tmp_path / "empty.txt")


def test_the_task_is_kept_if_all_sources_have_it(tmp_path: Path) -> None:
    write_jsonl([{"text": "one", "task": "a"}], tmp_path / "one.jsonl")
    write_jsonl([{"text": "two", "task": "b"}], tmp_path / "two.jsonl")
    (tmp_path / "three.txt").write_text("three")
    assert load_documents([tmp_path / "one.jsonl", tmp_path / "two.jsonl"])["task"][:] == ["a", "b"]
    assert load_documents([tmp_path / "one.jsonl", tmp_path / "three.txt"]).column_names == ["text"]


def test_other_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data: "):
        load_documents([])
    with pytest.raises(InputError, match="no such file"):
        load_documents(tmp_path / "none.txt")
    (tmp_path / "pairs.csv").write_text("anchor,positive\na,b\n")
    with pytest.raises(InputError, match="'text'"):
        load_documents(tmp_path / "pairs.csv")


def test_blocks_contain_every_token_once() -> None:
    texts = [f"document {number} " + "word " * (number % 7) for number in range(300)]
    documents = Dataset.from_dict({"text": texts})
    tokenizer = new_tokenizer(documents, 300)
    expected = [token for text in texts for token in [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
    blocks = packed(documents, tokenizer, 32)
    found = [token for block in blocks for token in block["input_ids"].tolist()]
    assert {len(block["input_ids"]) for block in blocks} == {32}
    assert found == expected[: len(found)]
    assert len(expected) - len(found) < 32
    assert tokenizer.decode(expected, skip_special_tokens=True) == "".join(texts)
    # A rest shorter than a block is kept only if there is no block.
    assert packed(documents.select([3]), tokenizer, 512)["input_ids"][0].tolist()[-1] == tokenizer.eos_token_id
    with pytest.raises(InputError, match="fewer than two tokens"):
        packed(documents.select([]), tokenizer, 32)


def test_blocks_beyond_memory_are_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = Dataset.from_dict({"text": [f"document {number}" for number in range(2_000)]})
    tokenizer = new_tokenizer(documents, 300)
    expected = packed(documents, tokenizer, 16)
    made: list[Gathered] = []

    def small() -> Gathered:
        made.append(Gathered(memory=10_000))
        return made[-1]

    monkeypatch.setattr("nearfar.data._arrow.Gathered", small)
    blocks = packed(documents, tokenizer, 16)
    assert made[0].file is not None
    assert blocks["input_ids"][:].tolist() == expected["input_ids"][:].tolist()


def test_a_vocabulary_contains_all_bytes() -> None:
    tokenizer = new_tokenizer(Dataset.from_dict({"text": ["abc"]}), 257)
    text = "naïve 字 \u0000 🙂\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    with pytest.raises(InputError, match="256 tokens are fewer than there are bytes"):
        new_tokenizer(Dataset.from_dict({"text": ["abc"]}), 256)
