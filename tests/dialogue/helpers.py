"""What several tests of dialogues look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.dialogue.log import Log
from nearfar.errors import InputError


def dialogues(log: Log) -> dict[str, list[tuple[str, str]]]:
    """Speaker and text of each turn, by dialogue."""
    return {
        name: [(log.speakers[who], log.texts[text]) for who, text in log.dialogue_turns(i)]
        for i, name in enumerate(log.ids)
    }


def refused(call: Callable[[], object]) -> tuple[str | None, int | None, str | None]:
    """File name, line and field of the InputError that a call raises; its text is one line with a remedy."""
    with pytest.raises(InputError) as caught:
        call()
    error = caught.value
    assert "\n" not in str(error)
    assert error.remedy
    return None if error.file is None else Path(error.file).name, error.line, error.field
