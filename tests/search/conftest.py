"""The corpus as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.helpers import CORPUS


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join(CORPUS))
    return file
