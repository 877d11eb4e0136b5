"""Plain transcripts, with and without times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nearfar.dialogue import read
from nearfar.dialogue.transcripts import FORMATS

from .helpers import dialogues, refused

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


def test_times_in_a_text_are_kept(tmp_path: Path):
    (tmp_path / "a.txt").write_text("Agent: When?\nCustomer: 10:30 is fine.\n11:00 too.\nhttp://x.org: no speaker\n")
    assert dialogues(read(tmp_path / "a.txt"))["a"][1] == (
        "Customer",
        "10:30 is fine. 11:00 too. http://x.org: no speaker",
    )


def test_a_folder_is_read_in_order_and_other_files_are_ignored(tmp_path: Path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"User: I am {name}\n")
    (tmp_path / "README.md").write_text("# notes")
    assert list(dialogues(read(tmp_path))) == ["a", "b"]


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"a.txt": "just words\nUser: hello"}, ("a.txt", 1, None)),
        ({"a.txt": "\n\n"}, ("a.txt", None, None)),
        ({"a.txt": "User: hello", "b.csv": "x\n"}, ("calls", None, None)),
        ({"a.txt": "User:\nAgent:\n"}, ("calls", None, None)),
        ({"a.txt": b"User: caf\xe9\n"}, ("a.txt", 1, None)),
        ({"a.md": "x"}, ("calls", None, None)),
    ],
)
def test_invalid_transcripts_are_refused_with_file_and_line(tmp_path: Path, files: dict[str, str | bytes], where):
    folder = tmp_path / "calls"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused(lambda: read(folder)) == where


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
def test_hostile_lines_are_read_in_linear_time(tmp_path: Path, line: str):
    (tmp_path / "a.txt").write_text(f"User: hello\n{line}\n")
    start = time.process_time()
    read(tmp_path)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("line", ["<" + "edited " * 140_000, "<b " * 300_000, "User: " * 170_000, "1 jan " * 160_000])
@pytest.mark.parametrize("head", ["User: ", "[01/02/2024, 09:05:11] User: ", "10:30\tUser\t"])
def test_hostile_turns_are_read_in_linear_time(tmp_path: Path, line: str, head: str):
    (tmp_path / "a.txt").write_text(f"{head}hello\n{head}{line}\n{head}bye\n")
    start = time.process_time()
    read(tmp_path)
    assert time.process_time() - start < 2


def test_the_page_of_the_docs_lists_every_format_and_its_suffixes():
    page = (Path(__file__).parents[2] / "docs" / "dialogues.md").read_text("utf-8").casefold()
    for form in FORMATS:
        assert (
            form.name.casefold().removeprefix("lines like ").removesuffix(" export").split(" (")[0].replace("'", "`")
            in page
        )
        assert any(suffix in page for suffix in form.suffixes)
