"""`--ray` of the commands that encode texts: the results of one process, byte for byte."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nearfar.inspection import source
from nearfar.models.encoding import encode
from nearfar.models.encoding_windows import encode_text_windows

from .conftest import NOUN_PAIRS, Nearfar, jsonl

MINE = "mine pairs.jsonl --corpus sentences.jsonl --batch-size 1 --relative-margin 0.01 --too-few fill --json"
INSPECT = "inspect {model} --data pairs.jsonl --dims none --json"


class FakeRay:
    """Encodes in this process, and counts the texts; `limit` is the number after which it is interrupted."""

    encoded: int
    limit: int | None
    asked: list[tuple[Any, ...]]

    def __init__(self, address: str, *, workers: int, gpus: float) -> None:
        FakeRay.asked.append((address, workers, gpus))

    def __enter__(self) -> FakeRay:
        return self

    def __exit__(self, *error: object) -> None:
        print("as Ray does when it replaces a worker")

    def of(self, name: Any, *, view: str | None = None, max_length: int | None = None) -> Any:
        def windows(model: Any, texts: Any, *, column: str = "text", **options: Any) -> Iterator[Any]:
            of = {key: options[key] for key in options.keys() - {"size", "stored", "progress"}}
            FakeRay.asked.append((name, view, max_length, of.get("kind")))

            def make(number: int, window: list[str]) -> np.ndarray:
                if FakeRay.limit is not None and FakeRay.encoded >= FakeRay.limit:
                    raise KeyboardInterrupt
                FakeRay.encoded += len(window)
                return encode(model, window, **of)

            return encode_text_windows(model, texts, make=make, **options)

        return windows


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeRay]:
    FakeRay.encoded, FakeRay.limit, FakeRay.asked = 0, None, []
    monkeypatch.setattr("nearfar.encoding.OnRay", FakeRay)
    return FakeRay


def results_of_inspect(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "inspect.json").read_text("utf-8"))
    del found["seconds"]
    found.get("against", {}).pop("seconds", None)
    return found


def test_negatives_are_the_same(workspace: Path, nearfar: Nearfar, fake: type[FakeRay]) -> None:
    here = nearfar(*shlex.split(f"{MINE} --model tiny --out here.jsonl --index here"))
    there = nearfar(*shlex.split(f"{MINE} --model tiny --out there.jsonl --index there --ray host:1 --workers 3"))
    assert {**there.json, "out": "", "dropped_file": ""} == {**here.json, "out": "", "dropped_file": ""}
    for name in ("{}.jsonl", "{}.jsonl.dropped.jsonl"):
        assert Path(name.format("there")).read_bytes() == Path(name.format("here")).read_bytes()
    stored = [sorted(file.name for file in Path(f"{each}.jsonl.vectors").iterdir()) for each in ("here", "there")]
    assert stored[0] == stored[1]
    kinds = [("tiny", None, None, kind) for kind in ("document", "document", "query")]
    assert fake.asked == [("host:1", 3, 0), *kinds]
    before = fake.encoded
    assert nearfar(*shlex.split(f"{MINE} --model tiny --out there.jsonl --index there --ray host:1")).code == 0
    assert fake.encoded == before > 0


def test_an_interrupted_index_is_resumed(workspace: Path, nearfar: Nearfar, fake: type[FakeRay]) -> None:
    search = "search tiny sentences.jsonl 'the cat' --batch-size 1 --json"
    here = nearfar(*shlex.split(f"{search} --index here"))
    fake.limit = 32
    assert nearfar(*shlex.split(f"{search} --index there --ray local")).code != 0
    fake.limit = None
    there = nearfar(*shlex.split(f"{search} --index there --ray local"))
    assert there.json["hits"] == here.json["hits"]
    assert fake.encoded == len(NOUN_PAIRS)
    assert not list(workspace.glob(".*"))


def test_an_interrupted_inspection_is_resumed(
    workspace: Path, nearfar: Nearfar, fake: type[FakeRay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_ITEMS_PER_STEP", 32)
    inspect = INSPECT.format(model="tiny") + " --against tiny --layers 1"
    assert nearfar(*shlex.split(f"{inspect} --out here")).code == 0
    fake.limit = 64
    assert nearfar(*shlex.split(f"{inspect} --out there --ray local")).code != 0
    fake.limit = None
    assert nearfar(*shlex.split(f"{inspect} --out there --ray local")).code == 0
    assert results_of_inspect(workspace / "there") == results_of_inspect(workspace / "here")
    assert (fake.encoded, fake.asked[-1]) == (2 * len(NOUN_PAIRS), ("tiny", None, None, "document"))
    assert sorted(file.name for file in (workspace / "there").iterdir()) == ["inspect.json", "report.html"]


def test_encode_passes_how_the_model_was_loaded(workspace: Path, nearfar: Nearfar, fake: type[FakeRay]) -> None:
    encode = "encode tiny sentences.jsonl --as document --max-length 5"
    assert nearfar(*shlex.split(f"{encode} --out here.npy")).code == 0
    ended = nearfar(*shlex.split(f"{encode} --out there.npy --ray local --gpus-per-worker 0.5"))
    assert (ended.code, ended.out.count("\n")) == (0, 2), ended
    assert Path("there.npy").read_bytes() == Path("here.npy").read_bytes()
    assert fake.asked == [("local", 2, 0.5), ("tiny", None, 5, "document")]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("mine pairs.jsonl --corpus sentences.jsonl --out o.jsonl --model tiny --stream", "--stream"),
        ("search tiny sentences.jsonl x --stream", "--stream"),
        ("encode tiny sentences.jsonl --out v.npy --stream", "--stream"),
        ("search tiny sentences.jsonl x --vectors v.npy", "--ray"),
        ("inspect v.npy --data sentences.jsonl", "--ray"),
        ("encode tiny files.jsonl --out v.npy --kind image", "--ray"),
    ],
)
def test_what_is_not_encoded_on_ray_is_refused(
    workspace: Path, nearfar: Nearfar, fake: type[FakeRay], command: str, words: str
) -> None:
    Image.new("RGB", (8, 8)).save(workspace / "a.png")
    (workspace / "files.jsonl").write_text(jsonl([{"image": "a.png"}]))
    ended = nearfar(*shlex.split(command), "--ray", "local")
    assert (ended.code, ended.out) == (2, ""), ended
    assert words in ended.err.splitlines()[-1]
    assert fake.encoded == 0


@pytest.mark.parametrize(
    "command",
    [
        "encode tiny sentences.jsonl --out v.npy",
        "mine pairs.jsonl --out o.jsonl --model tiny",
        "inspect tiny --data pairs.jsonl",
        "search tiny sentences.jsonl x",
    ],
)
def test_without_ray_one_line_says_what_to_install(
    workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("nearfar.encoding.on_ray.find_spec", lambda _: None)
    ended = nearfar(*shlex.split(f"{command} --ray local"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert 'pip install "nearfar[ray]"' in ended.err


@pytest.mark.slow
def test_mine_on_a_ray_of_two_workers(workspace: Path, nearfar: Nearfar) -> None:
    pytest.importorskip("ray")
    assert nearfar(*shlex.split(f"{MINE} --model actions --out here.jsonl --index here")).code == 0
    there = nearfar(*shlex.split(f"{MINE} --model actions --out there.jsonl --index there --ray local"))
    assert there.code == 0, there
    for name in ("{}.jsonl", "{}.jsonl.dropped.jsonl"):
        assert Path(name.format("there")).read_bytes() == Path(name.format("here")).read_bytes()


@pytest.mark.slow
def test_inspect_on_a_ray_of_two_workers(workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(source, "_ITEMS_PER_STEP", 16)
    inspect = INSPECT.format(model="actions")
    assert nearfar(*shlex.split(f"{inspect} --out here")).code == 0
    ended = nearfar(*shlex.split(f"{inspect} --out there --ray local"))
    assert ended.code == 0, ended
    assert results_of_inspect(workspace / "there") == results_of_inspect(workspace / "here")
