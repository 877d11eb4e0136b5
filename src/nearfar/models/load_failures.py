"""What a library raises and shows while it loads a model: one line for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfar.errors import InputError
from nearfar.models.model_files import check_settings

__all__ = ["failures_named", "first_line", "without_progress_bar"]


@contextmanager
def failures_named(folder: Path, what: str, remedy: str, field: str | None = None) -> Iterator[None]:
    """Turn whatever a library raises while it loads a folder into one line.

    Args:
        folder: Named in the message.
        what: What it was to load as, with its article.
        remedy: What to do about it.
        field: The option that named the model.

    Raises:
        InputError: the block failed; it names the file where one of the folder's JSON files cannot be read.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of tokenizers is no Exception
        check_settings(folder, vocabularies=True)
        problem = f"cannot be loaded as {what} ({type(error).__name__}: {first_line(error)[:300]})"
        raise InputError(problem, file=folder, field=field, remedy=remedy) from error


@contextmanager
def without_progress_bar() -> Iterator[None]:
    """Turn off the progress bar for loading a file from disk, which would disturb a command's output."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """The first line of an exception that says anything."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
