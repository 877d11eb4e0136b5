"""Warnings of the libraries below, as notes in a command's own output."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

#: Loggers of libraries whose warnings a user should see.
LIBRARIES = ("sentence_transformers", "transformers", "datasets", "accelerate", "peft")
#: Beginnings of warnings that ask nothing of a user: what they are about is intended, or has a message of its own.
_NO_MATTER = (
    # Documents are longer than a block, and are cut into blocks.
    "Token indices sequence length is longer than",
    # Checkpoints are found by their steps.
    "mtime may not be reliable on this filesystem",
    # An adapter names its base model as nearfar does, such as by an alias; its vocabulary never changes.
    "Could not find a config file in",
    # A resumed run is checked against run.yaml, which records more.
    "Warning: The following arguments do not match the ones in the `trainer_state.json`",
)
#: Characters of a warning that are shown.
_SHOWN = 300


class LibraryNotes(logging.Handler):
    """Passes warnings of libraries on to the handler of notes, each as one line that names its library."""

    def __init__(self, notes: logging.Handler) -> None:
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the logger."""
        text = " ".join(record.getMessage().split())
        if text.startswith(_NO_MATTER):
            return
        library = record.name.partition(".")[0].replace("_", "-")
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        line = logging.makeLogRecord({"name": record.name, "levelno": record.levelno, "msg": f"{library}: {shown}"})
        self.notes.handle(line)


def note_libraries(notes: logging.Handler) -> None:
    """Let the warnings of libraries reach `notes`, and nothing else: their own lines would run through the progress.

    Called before they are imported, as they read the environment then.
    """
    handler = LibraryNotes(notes)
    for name in LIBRARIES:
        logger: Any = logging.getLogger(name)
        logger.addHandler(handler)
        # The libraries add a handler of their own that prints.
        logger.addHandler = lambda _: None
    for library in ("TRANSFORMERS", "DATASETS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "warning")
    os.environ.setdefault("HF_HUB_VERBOSITY", "critical")
    # Of Python's warnings, those that these libraries address to users; others are for developers.
    warnings.filterwarnings("ignore")
    warnings.filterwarnings("default", category=UserWarning, module=rf"({'|'.join(LIBRARIES)})\b")

    def show(message: Warning | str, category: Any, filename: str, *_: Any) -> None:
        parts = os.path.normpath(filename).split(os.sep)
        library = next((name for name in LIBRARIES if name in parts), LIBRARIES[1])
        logging.getLogger(library).warning("%s", message)

    warnings.showwarning = show
