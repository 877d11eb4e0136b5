"""The streams of spoken requests that coconut's claim learns from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from datasets import Dataset

CLAIMS = Path(__file__).parents[2] / "benchmarks" / "claims"


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, str]]:
    """Ten training texts and a test text of each of 18 labels; their audio is in the same folder."""
    found = []
    for number in range(18 * 11):
        audio, split = f"{number}.wav", "test" if number >= 180 else "train"
        soundfile.write(tmp_path / audio, np.full(160, number / 200), 16_000)
        found.append({"audio": audio, "text": f"text {number}", "label": f"label {number % 18:02}", "split": split})
    (tmp_path / "readings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return found


@pytest.fixture
def requests(rows: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(CLAIMS)
    monkeypatch.setenv("NEARFAR_READINGS", str(tmp_path))
    import _requests

    _requests.readings.cache_clear()
    yield _requests
    _requests.readings.cache_clear()


@pytest.mark.parametrize("tasks", [3, 6])
def test_tasks_share_no_label_and_have_equally_many(requests: ModuleType, rows: list[dict[str, str]], tasks: int):
    stream = requests.stream(0, tasks)
    labels = [{row["label"] for row in part} for part in stream.values()]
    assert [len(each) for each in labels] == [18 // tasks] * tasks
    assert len(set.union(*labels)) == 18
    found = sorted(row["text"] for part in stream.values() for row in part)
    assert found == sorted(row["text"] for row in rows if row["split"] == "train")
    assert labels != [{row["label"] for row in part} for part in requests.stream(1, tasks).values()]


def test_the_rate_is_chosen_on_training_texts_that_are_left_out(
    requests: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = {}

    def trained(tasks: dict, test: list, seed: int, rate: float, arm: str) -> dict[str, float]:
        seen["train"] = {row["text"] for part in tasks.values() for row in part}
        seen["chosen"] = {row["text"] for row in test}
        return {"last": rate}

    monkeypatch.setattr(requests, "trained", trained)
    monkeypatch.setattr(requests, "kept", lambda recipe, name, compute: compute())
    assert requests.validated(0.5) == 0.5
    assert seen["train"]
    assert seen["chosen"]
    assert not seen["train"] & seen["chosen"]
    assert seen["train"] | seen["chosen"] == {f"text {number}" for number in range(180)}


def test_a_pack_is_like_a_folder(
    requests: ModuleType, rows: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = requests.readings()
    stored = [{**row, "audio": {"bytes": (tmp_path / row["audio"]).read_bytes(), "path": None}} for row in rows]
    Dataset.from_list(stored).to_parquet(str(tmp_path / "pack.parquet"))
    requests.readings.cache_clear()
    monkeypatch.setenv("NEARFAR_READINGS", str(tmp_path / "pack.parquet"))
    assert requests.readings() == folder
