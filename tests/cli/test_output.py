"""What commands print: where, in which order, and that texts are shown as they are."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from nearfar.cli import output
from nearfar.cli.output import Notes, print_json, print_table, progress


def test_a_table_shows_texts_as_they_are_and_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "score [b]"], [["[red]a[/red]", "1,000"], ["b", "2"]], title="[i]title")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "[i]title"
    assert "score [b]" in lines[1]
    assert lines[2].split() == ["[red]a[/red]", "1,000"]
    # The last digits stand below each other, and names begin together.
    assert len(lines[2].rstrip()) == len(lines[3].rstrip())
    assert lines[3].startswith("b")


def test_words_are_not_set_like_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["value"], [["1"], ["none"]])
    _, first, second = capsys.readouterr().out.splitlines()
    assert (first.rstrip(), second.rstrip()) == ("1", "none")


def test_json_is_one_line_and_knows_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "a\nü"})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"text": "a\nü"}
    with pytest.raises(ValueError, match="JSON"):
        print_json({"score": float("nan")})
    assert capsys.readouterr().out == ""


def test_without_a_terminal_progress_is_a_line_every_ten_percent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train") as update:
        for done in range(1, 1001):
            update(done, 1000, 0.125 if done >= 500 else None)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 11
    assert [line.split(": ")[1].split(",")[0] for line in lines[:3]] == ["1 of 1", "100 of 1", "200 of 1"]
    assert "0.125" in lines[-1]
    assert "loss" not in lines[0]


def test_progress_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("encode") as update:
        update(0, 0)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_notes_wait_until_work_begins(capsys: pytest.CaptureFixture[str]) -> None:
    logger, notes = logging.getLogger("nearfar.tests"), Notes()
    with notes.of(logger):
        logger.warning("first %d", 1)
        logger.info("too little to say")
        assert capsys.readouterr().err == ""
        notes.show()
        logger.warning("second")
        assert [line.split(": ")[-1] for line in capsys.readouterr().err.splitlines()] == ["first 1", "second"]
    logger.warning("after")
    assert "after" not in capsys.readouterr().err


def test_notes_of_a_command_that_fails_are_not_shown(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from nearfar.cli import app
    from nearfar.errors import InputError

    def fails(**_: Any) -> None:
        logging.getLogger("nearfar").warning("a note")
        raise InputError("is wrong", field="--data")

    monkeypatch.setattr(app, "app", fails)
    assert app.run(["train", "--json"]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert json.loads(captured.out) == {"error": "--data: is wrong", "exit_code": 2}
    assert output.NOTES.waiting == ["a note"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (RuntimeError("broke\nin two"), 1),
        (OSError(28, "No space left on device", "/out/model"), 2),
        (PermissionError(13, "Permission denied", "/out"), 2),
        (RuntimeError("[enforce fail] No space left on device"), 2),
        (FileNotFoundError(2, "No such file or directory", "x"), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from nearfar.cli import app

    def fails(**_: Any) -> None:
        raise error

    monkeypatch.setattr(app, "app", fails)
    monkeypatch.delenv("NEARFAR_DEBUG", raising=False)
    assert app.run(["train"]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_cause_of_a_failure_may_be_the_system(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from nearfar.cli import app

    def fails(**_: Any) -> None:
        try:
            raise OSError(28, "No space left on device", "/out/model")
        except OSError as error:
            raise RuntimeError("saving failed") from error

    monkeypatch.setattr(app, "app", fails)
    assert app.run(["train"]) == 2
    assert "/out/model" in capsys.readouterr().err
