"""The whole way: the function, the store of vectors, and the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nearfar
from nearfar.cli.app import run
from nearfar.dialogue import vectors
from nearfar.dialogue.vectors import vectors_of
from nearfar.errors import InputError

TEXTS = ["the cat sits", "a dog runs", "pay the bill", "rain today", "play a song", "a lost card"]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(6):
        lines = []
        for step in range(4):
            speaker = ("Caller", "Agent")[step % 2]
            lines.append(f"[00:0{step}] {speaker}: {TEXTS[step]} {'on the mat' if number % 2 else 'in the tree'}")
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return folder


def test_flow_of_a_folder_of_transcripts(calls: Path, tiny_model, tmp_path: Path):
    stages = []
    flow = nearfar.flow(calls, model=tiny_model, actions=2, progress=lambda *at: stages.append(at))
    assert len(flow.actions) == 4
    assert flow.log.turns == 24
    assert stages[-1] == ("encode", 8, 8)
    assert sum(count for (a, _), count in flow.counts().items() if a == 0) == 6
    again = nearfar.flow(calls, model=tiny_model, actions=2)
    assert again.described == flow.described
    assert flow.write(tmp_path / "x" / "flow.html").stat().st_size > 10_000


def test_the_command_writes_all_that_it_says(calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys):
    out = tmp_path / "flow.html"
    arguments = [
        "flow",
        str(calls),
        "--model",
        str(tiny_model_folder),
        "--out",
        str(out),
        "--actions",
        "Caller=2,Agent=1",
    ]
    exports = [str(tmp_path / name) for name in ("flow.json", "flow.mmd", "flow.dot")]
    for path in exports:
        arguments += ["--export", path]
    assert run([*arguments, "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["files"] == [str(out), *exports]
    assert all(Path(path).stat().st_size for path in found["files"])
    assert (found["dialogues"], found["turns"], found["texts"], found["actions"]) == (6, 24, 8, 3)
    assert found["speakers"] == ["Caller", "Agent"]
    assert "encode: 8 of 8" in printed.err
    graph = json.loads(Path(exports[0]).read_text())
    assert len([node for node in graph["nodes"] if node["id"] > 1]) == found["shown_actions"]
    assert len(graph["edges"]) == found["shown_steps"]
    assert run(arguments) == 0
    assert "3 actions in 24 turns of 6 dialogues" in capsys.readouterr().out
    # Of so few texts no vectors are kept.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calls",
        "flow.dot",
        "flow.html",
        "flow.json",
        "flow.mmd",
    ]


def test_the_command_leaves_empty_turns_out_when_told(calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys):
    log, out = tmp_path / "log.csv", tmp_path / "flow.json"
    rows = [f"{i % 3},{who},{text} {i}" for i, text in enumerate(TEXTS) for who in ("user", "agent")]
    log.write_text("\n".join(["dialogue_id,speaker,text", *rows, "2,user,"]))
    arguments = ["flow", str(log), "--model", str(tiny_model_folder), "--actions", "2", "--out", str(out), "--json"]
    assert run(arguments) == 2
    assert "log.csv:14: text: is empty" in (capsys.readouterr().err)
    assert run([*arguments, "--skip-broken"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["turns"] == 12
    assert "1 turn without a text: line 14" in printed.err


def test_a_model_behind_an_address_names_the_actions(
    calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    from fake_endpoint import FakeServer, completion

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FakeServer()
    server.reply = lambda body, number: (200, {}, completion("say it"))
    out = tmp_path / "flow.json"
    arguments = ["flow", str(calls), "--model", str(tiny_model_folder), "--out", str(out), "--actions", "2"]
    try:
        named = [*arguments, "--namer", "some-model", "--endpoint", server.url, "--json"]
        assert run(named) == 0
        assert json.loads(capsys.readouterr().out)["actions"] == 4
        assert run([*named, "--merge"]) == 0
    finally:
        server.close()
    assert len(server.requests) == 4  # the second time, the log answered
    assert "Utterances:" in server.requests[0]["messages"][0]["content"]
    assert json.loads(capsys.readouterr().out)["actions"] == 2  # of equal names, one a speaker is left
    nodes = [node for node in json.loads(out.read_text())["nodes"] if node["id"] > 1]
    assert {node["name"] for node in nodes} == {"say it"}
    assert (tmp_path / "flow.json.names.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl", "--out", "x.html"], "no such file or folder"),
        (["calls", "--out", "x.pdf"], "cannot tell the format from '.pdf'"),
        (["calls", "--out", "x.html", "--export", "y.txt"], "--export: cannot tell the format from '.txt'"),
        (
            ["calls", "--out", "x.html", "--actions", "many"],
            "--actions: 'many' is no number of actions; write auto, 20",
        ),
        (["calls", "--out", "x.html", "--actions", "Caller=2,Caller=3"], "a speaker stands twice"),
        (["calls", "--out", "x.html", "--actions", "Boss=2"], "no speaker is called 'Boss'"),
        (["calls", "--out", "x.html", "--weigh", "sum"], "--weigh: 'sum' is none of prob-out, max-out, max"),
        (["calls", "--out", "x.html", "--linkage", "single"], "--linkage: 'single' is none of ward, average"),
        (["calls", "--out", "x.html", "--edge-threshold", "2"], "--edge-threshold: 2.0 is out of range"),
        (["calls", "--out", "x.html", "--speakers", "Boss"], "nobody in the dialogues speaks as 'Boss'"),
        (["calls", "--out", "x.html", "--endpoint", "http://localhost:1/v1"], "does not say which model names there"),
        (["calls", "--out", "x.html", "--merge"], "--merge: merges actions by their names; give --namer NAME"),
        (["calls", "--out", "x.html", "--namer", "no-such-model/at-all"], "no-such-model/at-all"),
        (["calls"], "out"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(
    calls: Path, tiny_model_folder: Path, arguments: list[str], message: str, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(calls.parent)
    assert run(["flow", *arguments, "--model", str(tiny_model_folder)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") - printed.err.count("encode:") == 1, printed.err
    assert [path.name for path in calls.parent.iterdir()] == ["calls"]


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "WINDOW", 4)


def test_vectors_are_those_of_the_model_and_are_found_again(tiny_model, tmp_path: Path, small_windows, monkeypatch):
    texts = [f"{text} {i}" for i, text in enumerate([*TEXTS, *TEXTS])]
    store = tmp_path / "store"
    found = vectors_of(tiny_model, texts, store=store)
    direct = tiny_model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(found.astype(np.float32), direct, atol=2e-3)
    files = sorted(store.iterdir())
    assert len(files) == 3
    calls = []
    monkeypatch.setattr(
        "nearfar.encoding.encode", lambda model, window, **_: calls.append(window) or direct[: len(window)]
    )
    assert (vectors_of(tiny_model, texts, store=store) == found).all()
    assert calls == []
    # A damaged window is made again, other files are left alone, and windows of other texts go.
    files[0].write_bytes(files[0].read_bytes()[:50])
    (store / "notes.txt").write_text("mine")
    vectors_of(tiny_model, texts, store=store)
    assert len(calls) == 1
    vectors_of(tiny_model, texts[:5], store=store)
    assert len(list(store.glob("*.npy"))) == 2
    assert (store / "notes.txt").exists()


def test_another_model_finds_nothing_in_the_store(tiny_model, model_copy: Path, tmp_path: Path, small_windows):
    import torch

    from nearfar.models import load

    other = load(model_copy, device="cpu")
    with torch.no_grad():
        next(other.parameters()).mul_(1.5)
    store = tmp_path / "store"
    first = vectors_of(tiny_model, TEXTS, store=store)
    assert not np.allclose(vectors_of(other, TEXTS, store=store), first)


def test_an_interrupted_run_goes_on_with_the_windows_it_has(tiny_model, tmp_path: Path, small_windows, monkeypatch):
    from nearfar import encoding

    real, calls = encoding.encode, []

    def interrupted(model, window, **options):
        calls.append(len(window))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(model, window, **options)

    texts = [f"{text} {i}" for i, text in enumerate(TEXTS * 3)]
    monkeypatch.setattr(encoding, "encode", interrupted)
    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        vectors_of(tiny_model, texts, store=store)
    assert len(list(store.iterdir())) == 2
    found = vectors_of(tiny_model, texts, store=store)
    assert calls == [4, 4, 4, 4, 4, 2]  # the first two once, the third again
    np.testing.assert_allclose(found.astype(np.float32), real(tiny_model, texts), atol=2e-3)


def test_a_killed_run_leaves_nothing_half_and_the_next_ends_as_if_nothing_had_been(
    tiny_model_folder: Path, tmp_path: Path, small_windows: None
):
    words = [word for text in TEXTS for word in text.split()]
    texts = [f"{a} {b} {c}" for a in words for b in words[:8] for c in words[:3]]
    log = tmp_path / "log.csv"
    rows = [f"{i // 6},{('user', 'agent')[i % 2]},{text}" for i, text in enumerate(texts)]
    log.write_text("\n".join(["dialogue_id,speaker,text", *rows]))

    def arguments(folder: str) -> list[str]:
        out = str(tmp_path / folder / "flow.json")
        return ["flow", str(log), "--model", str(tiny_model_folder), "--actions", "3", "--out", out]

    program = f"""
from nearfar.dialogue import vectors
vectors.WINDOW = 4
from nearfar.cli.app import run
run({arguments("killed")!r})
"""
    store = tmp_path / "killed" / "flow.json.vectors"
    killed = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    while killed.poll() is None and len(list(store.glob("*.npy"))) < 2:
        time.sleep(0.005)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL, killed.communicate()[1]
    assert not (tmp_path / "killed" / "flow.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in store.glob("*.npy")}
    assert 2 <= len(kept) < len(set(texts)) // 4
    for folder in ("killed", "whole"):
        assert run(arguments(folder)) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    first, second = (tmp_path / folder / "flow.json" for folder in ("killed", "whole"))
    about = [json.loads(path.read_text()) for path in (first, second)]
    assert about[0] == about[1]
    assert len(list(store.glob("*.npy"))) == -(-len(set(texts)) // 4)


def test_a_model_that_is_no_encoder_is_refused(calls: Path, tmp_path: Path):
    with pytest.raises(InputError):
        nearfar.flow(calls, model=str(tmp_path), actions=2)


def test_help_needs_nothing_heavy():
    program = "import sys; from nearfar.cli.app import run; run(['flow', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    loaded = {name.partition(".")[0] for name in done.stdout.rpartition("\n\n")[2].split()}
    assert not loaded & {"torch", "numpy", "sklearn", "scipy", "transformers", "jinja2"}
