"""Warnings of libraries reach the terminal as notes; their own lines do not."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import logging, warnings
from nearfar.cli import app
from nearfar.cli.output import NOTES, say

app._quiet_libraries()
with NOTES.of(logging.getLogger("nearfar")):
    from transformers.utils import logging as theirs
    from datasets.utils.logging import get_logger

    theirs.get_logger("transformers.modeling_utils").warning("Some weights\\n are new: %s", ["head"])
    theirs.get_logger("transformers.tokenization_utils_base").warning("Token indices sequence length is longer than 9")
    theirs.get_logger("transformers.trainer").info("Num examples = 8")
    get_logger("datasets.load").warning("x" * 400)
    logging.getLogger("sentence_transformers.base.data_collator").warning("Column 'positive' is at index 0")
    logging.getLogger("sentence_transformers.base.data_collator").warning("Column 'positive' is at index 0")
    warnings.warn_explicit("a prompt is unknown", UserWarning, "/lib/sentence_transformers/model.py", 3,
                           module="sentence_transformers.model")
    warnings.warn_explicit("going away", FutureWarning, "/lib/transformers/x.py", 3, module="transformers.x")
    warnings.warn_explicit("other", UserWarning, "/lib/matplotlib/x.py", 3, module="matplotlib.x")
    say("done")
"""


def test_warnings_of_libraries_are_notes() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_VERBOSITY")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "nearfar: transformers: Some weights are new: ['head']",
        f"nearfar: datasets: {'x' * 300}...",
        "nearfar: sentence-transformers: Column 'positive' is at index 0",
        "nearfar: sentence-transformers: a prompt is unknown",
        "done",
    ]
