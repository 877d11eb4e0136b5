"""`nearfar inspect`."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from fake_endpoint import FakeServer, completion
from nearfar.generation import endpoint
from nearfar.inspection.language import drafting
from nearfar.inspection.repair import pairs

from .conftest import Nearfar


def test_inspect_writes_a_page_and_numbers(workspace: Path, nearfar: Nearfar) -> None:
    asked = "inspect tiny --data pairs.jsonl --against tiny --layers 1,2 --dims none --out runs/look"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    assert "alignment" in shown.out
    assert shown.out.splitlines()[-2:] == ["report  runs/look/report.html", "numbers runs/look/inspect.json"]
    page = (workspace / "runs/look/report.html").read_text("utf-8")
    assert page.count("<svg") >= 6
    assert "http://" not in page.replace("http://www.w3.org", "")
    numbers = json.loads((workspace / "runs/look/inspect.json").read_text("utf-8"))
    again = nearfar(*shlex.split(f"{asked} --json")).json
    assert again["measures"] == numbers["measures"]
    assert again["differences"]["alignment"] == {"mean": 0.0, "interval_95": [0.0, 0.0]}
    assert [size["layers"] for size in again["by_layer"]["sizes"]] == [1, 2]
    assert again["by_dims"]["sizes"] == []
    assert again["report"] == "runs/look/report.html"
    assert again["data"] == "pairs.jsonl"


@pytest.mark.parametrize("data", ["sentences", "labelled", "sts", "beir"])
def test_every_kind_of_data(data: str, workspace: Path, nearfar: Nearfar) -> None:
    source = "beir" if data == "beir" else f"{data}.jsonl"
    found = nearfar("inspect", "tiny", "--data", source, "--layers", "none", "--dims", "16", "--json").json
    assert found["measures"]["uniformity"] > 0
    assert (found["measures"]["tolerance"] is not None) == (data == "labelled")
    assert (found["measures"]["alignment"] is not None) == (data in ("sts", "beir"))
    assert (workspace / "runs/inspect/report.html").is_file()


def test_vectors_and_columns(workspace: Path, nearfar: Nearfar) -> None:
    assert nearfar("encode", "tiny", "sentences.jsonl", "--out", "v.npy").code == 0
    found = nearfar("inspect", "v.npy", "--data", "labelled.jsonl", "--against", "tiny", "--rows", "20", "--json").json
    assert found["rows"]["sampled"] is True
    assert found["measures"]["tolerance"] == pytest.approx(found["against"]["measures"]["tolerance"], abs=1e-4)
    (workspace / "faq.csv").write_text("question,reply\n" + "".join(f"the {w},a {w}\n" for w in ("cat", "dog", "sun")))
    mapped = nearfar("inspect", "tiny", "--data", "faq.csv", "--columns", "anchor=question,positive=reply", "--json")
    assert mapped.json["schema"] == "pairs"


def test_inspect_bad_input(workspace: Path, nearfar: Nearfar) -> None:
    (workspace / "taken").write_text("")
    for arguments, words in (
        ("tiny --data none.jsonl", ("none.jsonl",)),
        ("nothing --data pairs.jsonl", ("nothing",)),
        ("tiny --data pairs.jsonl --against ./nothing", ("nothing",)),
        ("tiny --data pairs.jsonl --map umap", ("map",)),
        ("tiny --data pairs.jsonl --layers 1,x", ("--layers", "1,x")),
        ("tiny --data pairs.jsonl --layers 9", ("layers",)),
        ("tiny --data pairs.jsonl --out taken", ("taken", "--out")),
        ("tiny --data pairs.jsonl --near-duplicate 2", ("--near-duplicate",)),
        ("tiny", ("--data",)),
    ):
        ended = nearfar("inspect", *shlex.split(arguments))
        assert (ended.code, ended.out) == (2, ""), (arguments, ended)
        assert ended.err.count("\n") == 1, ended.err
        assert all(word in ended.err for word in words), ended.err
    assert not (workspace / "runs").exists()


def test_inspect_a_language_model(
    workspace: Path, nearfar: Nearfar, tiny_lm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "PROBE", replace(drafting.PROBE, hidden=16, steps=10, batch_size=32))
    (workspace / "texts.txt").write_text("\n\n".join(f"the cat sits on mat {n} in the house" for n in range(8)))
    asked = f"inspect {tiny_lm_folder} --data texts.txt --out runs/lm --layers 0,1"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    assert "tokens per verification" in shown.out
    assert shown.out.splitlines()[-2:] == ["report  runs/lm/report.html", "numbers runs/lm/inspect.json"]
    numbers = json.loads((workspace / "runs/lm/inspect.json").read_text("utf-8"))
    assert [each["layer"] for each in numbers["layers"]] == [0, 1]
    assert numbers["kernel"]["of"] is None
    for option in ("--near-duplicate 0.9", "--dims 8", "--map tsne", "--batch-size 2", "--skip-broken", "--ray local"):
        ended = nearfar(*shlex.split(f"{asked} {option}"))
        assert (ended.code, ended.out) == (2, ""), ended
        assert option.split()[0] in ended.err
    same = nearfar(*shlex.split(f"{asked} --against {tiny_lm_folder}"))
    assert same.code == 2
    assert "--against" in same.err
    assert nearfar(*shlex.split(f"{asked} --against tiny")).code == 2


def test_fix_writes_rows_and_every_change(workspace: Path, nearfar: Nearfar) -> None:
    rows = [json.loads(line) for line in (workspace / "pairs.jsonl").read_text("utf-8").splitlines()]
    (workspace / "twice.jsonl").write_text("\n".join(json.dumps(row) for row in [*rows, rows[0]]))
    asked = "inspect tiny --data twice.jsonl --layers none --dims none --near-duplicate 1 --fix fixed.jsonl"
    asked += " --fix-action wrong_positives=keep --fix-action false-negatives=keep"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    assert "fixed.jsonl.changes.jsonl" in shown.out
    changes = [json.loads(line) for line in (workspace / "fixed.jsonl.changes.jsonl").read_text().splitlines()]
    assert changes[-1]["line"] == len(rows) + 1
    found = nearfar(*shlex.split(f"{asked} --judge tiny --json")).json["repaired"]
    assert found["rows"] - found["written"] == len(changes) == found["changes"]["duplicates: drop"]


def test_fix_says_what_it_kept_and_what_the_judge_did_not_answer(
    workspace: Path, nearfar: Nearfar, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_RANDOM_PAIRS", 5)
    words = ("cat", "dog", "mat", "sky", "red", "green")
    rows = [{"anchor": f"{a} {a}", "positive": f"the {b}"} for a, b in zip(words, words[::-1], strict=True)]
    (workspace / "odd.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = "inspect tiny --data odd.jsonl --layers none --dims none --fix fixed.jsonl"
    alone = nearfar(*shlex.split(asked))
    assert re.search(r"\n  wrong positives: [1-6] found and kept\n", alone.out), alone

    made: list[tuple[float, int]] = []

    class Watched(endpoint.Endpoint):
        def __post_init__(self) -> None:
            super().__post_init__()
            made.append((self.per_minute, self.tries))

    monkeypatch.setattr(endpoint, "Endpoint", Watched)
    server.reply = lambda body, number: (200, {}, completion("no idea"))
    judge = f"--judge any --judge-endpoint {server.url} --per-minute 90000 --tries 2"
    silent = nearfar(*shlex.split(f"{asked} {judge}"))
    assert re.search(r"\n  the judge answered none of \d+ pairs, so it confirmed nothing\n", silent.out), silent
    assert made == [(90000, 2)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--judge tiny", "--judge: is only for --fix"),
        ("--fix out.csv", "--fix: "),
        ("--fix pairs.jsonl", "--fix: "),
        ("--fix a.jsonl --judge-endpoint http://x/v1", "--judge-endpoint: "),
        ("--fix a.jsonl --fix-action x", "--fix-action: "),
        ("--fix a.jsonl --fix-action x=drop", "--fix-action: unknown fault 'x'"),
        ("--fix a.jsonl --fix-action duplicates=mask", "--fix-action: invalid action 'mask'"),
        ("--fix a.jsonl --judge ./nothing", "--judge: the model folder './nothing'"),
        ("--fix a.jsonl --data sentences.jsonl", "--fix: expected rows that can be repaired, got sentences"),
    ],
)
def test_fix_bad_input(
    options: str, words: str, workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before the inspection."""
    monkeypatch.setattr("nearfar.inspection.inspect", lambda *_, **__: pytest.fail("inspected"))
    shown = nearfar(*shlex.split(f"inspect tiny --data pairs.jsonl {options}"))
    assert shown.code == 2, shown
    assert words in shown.err
    assert not (workspace / "runs").exists()
