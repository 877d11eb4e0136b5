"""What commands print: results on stdout (or one JSON object), everything else on stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

#: Columns of a table where there is no terminal to ask.
WIDTH = 160


class Notes(logging.Handler):
    """Warnings of our own loggers, each as a line on stderr.

    They wait until a command starts its work or is done: the one line of a command that fails stands alone.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.waiting: list[str] | None = None
        self.seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the logger. What was said before in this command is not said again."""
        line = record.getMessage()
        if line in self.seen:
            return
        self.seen.add(line)
        if self.waiting is None:
            error_line(line)
        else:
            self.waiting.append(line)

    def show(self) -> None:
        """Print what waits; from now on nothing does."""
        lines, self.waiting = self.waiting or [], None
        for line in lines:
            error_line(line)

    @contextmanager
    def of(self, logger: logging.Logger) -> Iterator[None]:
        """Listen to a logger for the length of a command."""
        self.waiting, self.seen = [], set()
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)


NOTES = Notes()


def error_line(text: str) -> None:
    """One line on stderr."""
    print(f"nearfar: {printable(text)}", file=sys.stderr)


def printable(text: str) -> str:
    """A text with its control characters as escapes: texts of files and servers must not steer the terminal."""
    if text.isprintable():
        return text
    # Letters of some scripts and joined emoji need the two joiners.
    kept = "\n\t\u200c\u200d"
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape").decode("ascii") for each in text
    )


def say(text: str) -> None:
    """One line about what is going on, on stderr."""
    NOTES.show()
    Console(stderr=True, highlight=False).print(printable(text), markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A table on stdout. Texts are shown as they are."""
    table = Table(title=None if title is None else escape(title), title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = all(_is_number(row[index]) for row in rows)
        table.add_column(escape(column), justify="right" if numeric else "left", header_style="bold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    # Into a file or a pipe there is no edge to wrap at, but a table needs one.
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(table)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """A bar on stderr; yields a function of (done, total, loss). Without a terminal, a line every ten percent.

    A total of 0 means that it is not known; without a terminal, there is then a line when the count has doubled.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(label)
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=None, note="")

        def update(done: int, total: int, loss: float | None = None) -> None:
            NOTES.show()
            bar.update(task, completed=done, total=total or None, note="" if loss is None else _loss(loss))

        yield update


def _loss(loss: float) -> str:
    """Three decimals, or two digits of a loss that these would show as almost nothing."""
    return f"loss {loss:.3f}" if loss == 0 or abs(loss) >= 0.01 else f"loss {loss:.1e}"


class _Lines:
    def __init__(self, label: str) -> None:
        self.label, self.shown, self.started = label, -1, time.monotonic()

    def __call__(self, done: int, total: int, loss: float | None = None) -> None:
        NOTES.show()
        reached = 10 * done // total if total else done.bit_length()
        if reached > self.shown:
            self.shown = reached
            of = f"{done:,} of {total:,}" if total else f"{done:,}"
            note = "" if loss is None else f", {_loss(loss)}"
            print(f"{self.label}: {of}{note}, {time.monotonic() - self.started:.0f} s", file=sys.stderr)
