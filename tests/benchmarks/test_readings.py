"""Requests that are read by espeak-ng: which texts in which voices, and that a run continues."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import soundfile
from datasets import Dataset

from nearfar.data.audio import read_audio

ROOT = Path(__file__).parents[2]
REQUESTS = [
    {"id": number, "text": f"play song number {number}", "scenario": "music", "intent": "music_play"}
    for number in range(60)
]


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import readings

    return readings


def test_no_text_and_no_voice_is_in_both_splits(readings: ModuleType):
    rows = readings.planned([*REQUESTS, {**REQUESTS[7], "id": 999}], readings=2)
    assert len({each.audio for each in rows}) == len(rows) == 2 * 61
    for column in ("text", "voice"):
        train, test = ({getattr(row, column) for row in rows if row.split == split} for split in ("train", "test"))
        assert train
        assert test
        assert not train & test
    assert {row.voice for row in rows} == {voice for voices in readings.VOICES.values() for voice in voices}


def test_entities_are_slots(readings: ModuleType):
    entities = [{"type": "number", "text": "seven"}, {"type": "day", "text": "friday night"}]
    rows = readings.planned([{**REQUESTS[7], "entities": entities}, REQUESTS[8]], 1)
    assert {row.slots for row in rows} == {("number=seven", "day=friday night"), ()}


def test_a_limit_is_the_beginning_of_the_same_order(readings: ModuleType):
    whole = readings.planned(REQUESTS, 1)
    assert readings.planned(REQUESTS[::-1], 1) == whole
    assert readings.planned(REQUESTS, 1, limit=10) == whole[:10]
    assert [row.audio for row in whole] != sorted(row.audio for row in whole)
    twice = readings.planned(REQUESTS, 2, limit=10)
    assert set(whole[:10]) < set(twice)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="requires espeak-ng")
def test_files_and_rows(tmp_path: Path):
    (tmp_path / "data" / "slurp_text").mkdir(parents=True)
    with gzip.open(tmp_path / "data" / "slurp_text" / "slurp-devel.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in REQUESTS)
    out = tmp_path / "out"

    def run(*arguments: str) -> list[dict]:
        command = [sys.executable, str(ROOT / "benchmarks" / "readings.py"), "--out", str(out), *arguments]
        environment = {**os.environ, "NEARFAR_DATA": str(tmp_path / "data")}
        subprocess.run(command, check=True, env=environment, capture_output=True)
        return [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]

    rows = run("--limit", "4")
    assert rows[0].keys() == {"audio", "text", "label", "intent", "slots", "voice", "split"}
    files = {row["audio"]: (out / row["audio"]).read_bytes() for row in rows}
    assert len(set(files.values())) == len(rows) == 8
    lost = rows[3]["audio"]
    (out / lost).unlink()
    kept = out / rows[0]["audio"]
    soundfile.write(kept, [0.0] * 1600, 16_000)
    unlike = kept.read_bytes()
    again = run("--limit", "6", "--pack", str(tmp_path / "pack.parquet"))
    assert again[:8] == rows
    assert len(again) == 12
    assert (out / lost).read_bytes() == files[lost]
    assert kept.read_bytes() == unlike
    parts = [(out / f"{split}.jsonl").read_text() for split in ("train", "test")]
    assert sum(part.count("\n") for part in parts) == 12

    packed = Dataset.from_parquet(str(tmp_path / "pack.parquet"))
    assert packed.remove_columns("audio").to_list() == [
        {name: value for name, value in row.items() if name != "audio"} for row in again
    ]
    for row, value in zip(again, packed["audio"], strict=True):
        assert len(read_audio(io.BytesIO(value["bytes"]), 16_000)) == soundfile.info(out / row["audio"]).frames
