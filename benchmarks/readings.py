"""Speech for benchmarks: the requests of SLURP, read by espeak-ng in several voices.

    python benchmarks/readings.py --out FOLDER [--limit N] [--readings N] [--pack FILE]

Writes `FOLDER/wav/VOICE/ID.wav` (16 kHz, mono), and rows with the columns audio, text, label (scenario), intent, slots
(entities), voice and split: all of them in `readings.jsonl`, and each split in `train.jsonl` and `test.jsonl`. About a
fifth of the texts are for the test, in voices that read no other text: neither a text nor a voice is in both splits.

`--pack` also writes all rows with their audio, as Ogg Opus, to one Parquet file: about 25 MB for all texts, a tenth of
the folder. `nearfar train --data FILE` reads it, too.

The texts are `slurp_text` in the folder of the environment variable NEARFAR_DATA. The same texts, voices and release of
espeak-ng give the same files. A run that was interrupted continues where it ended, and so does one with a larger
--limit. Nothing of this is committed.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import soundfile

from claims._data import located
from nearfar.data.audio import read_audio
from nearfar.writing import draft_of, write_text

RATE = 16_000
#: Voices of espeak-ng, with their words per minute, by split. They were chosen among 18 by how well Whisper tiny.en
#: transcribes nine other texts, captions of Multi30k: word error rates are 0.19 to 0.36 here, and 0.58 to 0.77 with the
#: accents of Scotland, Lancaster, the West Midlands and the Caribbean.
VOICES: dict[str, dict[str, int]] = {
    "train": {
        "en-us": 160,
        "en-us+klatt2": 150,
        "en-us+m3": 155,
        "en-gb+f3": 155,
        "en-gb+Annie": 165,
        "en-gb-x-rp+m7": 150,
    },
    "test": {"en-us+steph": 160, "en-us-nyc+f3": 155},
}
#: One text of so many is for the test.
TEST_SHARE = 5
#: Compression of Ogg Opus in a pack, from 0 to 1: about 20 kbit/s.
COMPRESSION = 0.95


@dataclass(frozen=True)
class Reading:
    """One text in one voice: the columns of a row.

    Args:
        audio: Path of the file, relative to the folder of the rows.
        text, label, intent: From SLURP; the label is the scenario.
        voice: Name of the voice.
        split: `train` or `test`.
        slots: The entities of SLURP, such as `food_type=chinese`.
    """

    audio: str
    text: str
    label: str
    intent: str
    voice: str
    split: str
    slots: tuple[str, ...] = ()


def planned(requests: list[dict[str, Any]], readings: int, limit: int | None = None) -> list[Reading]:
    """What is to be read: each text in so many voices of its split.

    Texts are in an order that looks random, so that a limit is a sample; splits and voices of a text depend on nothing
    but the text.

    Args:
        requests: Rows of SLURP: `id`, `text`, `scenario`, `intent` and perhaps `entities`.
        readings: Voices that read each text; at most those of its split.
        limit: Number of texts, the first ones; None: all.
    """
    ordered = sorted(requests, key=lambda row: (_number(f"order {row['id']}"), row["id"]))[:limit]
    return [reading for row in ordered for reading in _readings(row, readings)]


def _readings(row: dict[str, Any], count: int) -> Iterator[Reading]:
    split = "test" if _number(row["text"]) % TEST_SHARE == 0 else "train"
    voices, first = list(VOICES[split]), _number(f"voice {row['text']}")
    slots = tuple(f"{entity['type']}={entity['text']}" for entity in row.get("entities", ()))
    for place in range(min(count, len(voices))):
        voice = voices[(first + place) % len(voices)]
        audio = f"wav/{voice}/{row['id']}.wav"
        yield Reading(audio, row["text"], row["scenario"], row["intent"], voice, split, slots)


def _number(text: str) -> int:
    """A number that depends on a text alone."""
    return zlib.crc32(text.encode())


def speak(reading: Reading, file: Path) -> None:
    """Write the audio file of a reading, completely or not at all."""
    command = ["espeak-ng", "-b", "1", "-v", reading.voice, "-s", str(VOICES[reading.split][reading.voice]), "--stdin"]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw.wav")
        done = subprocess.run([*command, "-w", str(raw)], input=reading.text.encode(), capture_output=True)
        if done.returncode or not raw.is_file():
            sys.exit(f"espeak-ng failed on {reading.text!r}: {done.stderr.decode(errors='replace').strip()}")
        samples = read_audio(raw, RATE)
    with draft_of(file) as draft:
        soundfile.write(draft, samples, RATE, format="WAV", subtype="PCM_16")


def check_release(folder: Path) -> None:
    """Stop if the files of a folder are of another release of espeak-ng: the same text would sound different."""
    release = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    release = release.split("Data at")[0].strip()
    record = folder / "espeak-ng.txt"
    if not record.exists():
        write_text(release + "\n", record)
    elif (found := record.read_text("utf-8").strip()) != release:
        sys.exit(f"{folder} was made by {found}, and this is {release}: choose another folder")


def write_rows(readings: list[Reading], folder: Path) -> None:
    """Write the rows of all readings, and of each split."""
    for name in ("readings", *VOICES):
        rows = [asdict(each) for each in readings if name in ("readings", each.split)]
        write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), folder / f"{name}.jsonl")


def write_pack(readings: list[Reading], folder: Path, file: Path) -> None:
    """Write the rows of all readings as one Parquet file with compressed audio."""
    from datasets import Dataset

    with ThreadPoolExecutor() as pool:
        audio = pool.map(partial(_compressed, folder), readings)
        rows = [{**asdict(each), "audio": value} for each, value in zip(readings, audio, strict=True)]
    with draft_of(file) as draft:
        Dataset.from_list(rows).to_parquet(str(draft))


def _compressed(folder: Path, reading: Reading) -> dict[str, Any]:
    """The value of a column `audio`, as datasets from the Hub have it."""
    samples, rate = soundfile.read(folder / reading.audio, dtype="float32")
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="OGG", subtype="OPUS", compression_level=COMPRESSION)
    return {"bytes": stream.getvalue(), "path": str(Path(reading.audio).with_suffix(".opus"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="Folder to write")
    parser.add_argument("--limit", type=int, help="Number of texts; by default all")
    parser.add_argument("--readings", type=int, default=2, help="Number of voices that read each text")
    parser.add_argument("--pack", type=Path, help="Parquet file to write, with all rows and compressed audio")
    options = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng is not installed: apt-get install espeak-ng")
    if options.readings < 1 or (options.limit is not None and options.limit < 1):
        sys.exit("--limit and --readings must be at least 1")
    with gzip.open(located("slurp_text", "slurp-devel.jsonl.gz"), "rt", encoding="utf-8") as lines:
        requests = [json.loads(line) for line in lines]
    readings = planned(requests, options.readings, options.limit)
    options.out.mkdir(parents=True, exist_ok=True)
    check_release(options.out)
    missing = [each for each in readings if not (options.out / each.audio).is_file()]
    for number, reading in enumerate(missing, 1):
        file = options.out / reading.audio
        file.parent.mkdir(parents=True, exist_ok=True)
        speak(reading, file)
        if number % 200 == 0:
            print(f"{number:,} of {len(missing):,}", flush=True)
    write_rows(readings, options.out)
    if options.pack is not None:
        write_pack(readings, options.out, options.pack)
    splits = ", ".join(f"{sum(each.split == split for each in readings):,} for {split}" for split in VOICES)
    print(f"{len(readings):,} files in {options.out}: {splits}; {len(missing):,} of them are new")


if __name__ == "__main__":
    main()
