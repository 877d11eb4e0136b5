from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

NOUNS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank"]


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows with an anchor and a positive."""
    rows = [
        {"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a in NOUNS for b in NOUNS if a < b
    ]
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, pairs: Path) -> Path:
    """A finished run. Do not write: copy it."""
    import nearfar

    folder = tmp_path_factory.mktemp("runs") / "run"
    nearfar.train("infonce", str(pairs), model=str(tiny_model_folder), evaluation=str(pairs), out=folder, max_steps=2)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
