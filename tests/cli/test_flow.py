"""`nearfar flow`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from call_transcripts import TEXTS
from fake_endpoint import FakeServer, completion
from nearfar.cli.app import run
from nearfar.dialogue import FlowOptions, Rules, vectors
from nearfar.errors import InputError


def test_the_command_writes_the_files_that_it_reports(calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys):
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
    assert found["notes"] == []
    assert set(found["quality"]["explained"]) == {"dialogues", "steps", "repeats"}
    assert found["quality"]["held_out"] is None  # too few dialogues
    assert "encode: 8 of 8" in printed.err
    graph = json.loads(Path(exports[0]).read_text())
    assert len([node for node in graph["nodes"] if node["id"] > 1]) == found["shown_actions"]
    assert len(graph["edges"]) == found["shown_steps"]
    assert run(arguments) == 0
    assert "3 actions in 24 turns of 6 dialogues" in capsys.readouterr().out
    # For so few texts no vectors are stored.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calls",
        "flow.dot",
        "flow.html",
        "flow.html.actions.safetensors",
        "flow.json",
        "flow.mmd",
    ]


def test_every_option_reaches_the_flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    received: list[tuple[str, FlowOptions]] = []

    def flow(dialogues: str, options: FlowOptions, *, progress: object) -> None:
        received.append((dialogues, options))
        raise InputError("stop here")

    monkeypatch.setattr("nearfar.dialogue.flow", flow)
    out, store = tmp_path / "flow.json", tmp_path / "store"
    options = {
        "--out": out,
        "--model": "some/model",
        "--actions": "user=2,agent=3",
        "--speakers": "user,agent",
        "--weigh": "max",
        "--edge-threshold": 0.3,
        "--node-threshold": 0.2,
        "--sample": 7,
        "--linkage": "average",
        "--columns": "text=words",
        "--max-length": 9,
        "--batch-size": 3,
        "--store": store,
        "--seed": 11,
        "--namer": "a-model",
        "--endpoint": "http://localhost:1/v1",
        "--edits": tmp_path / "edits.json",
        "--update": tmp_path / "old.html",
    }
    arguments = [str(part) for pair in options.items() for part in pair]
    assert run(["flow", "calls.csv", *arguments, "--merge", "--skip-broken"]) == 2
    [(dialogues, found)] = received
    assert dialogues == "calls.csv"
    assert found.namer is not None
    assert "a-model" in found.namer.identity
    assert found == FlowOptions(
        model="some/model",
        actions={"user": 2, "agent": 3},
        rules=Rules("max", 0.3, 0.2),
        columns={"text": "words"},
        speakers="user,agent",
        sample=7,
        skip_broken=True,
        linkage="average",
        namer=found.namer,
        names=tmp_path / "flow.json.names.jsonl",
        merge=True,
        max_length=9,
        batch_size=3,
        seed=11,
        store=store,
        edits=tmp_path / "edits.json",
        update=tmp_path / "old.html",
    )


def test_a_flow_is_edited_updated_and_compared(calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    model = ["--model", str(tiny_model_folder), "--actions", "2"]
    assert run(["flow", str(calls), "--out", str(old), *model]) == 0
    node = json.loads(old.read_text())["nodes"][2]
    edits = tmp_path / "edits.json"
    action = {"speaker": node["speaker"], "examples": [example["text"] for example in node["examples"]]}
    edit = {"edit": "rename", "action": action, "name": "begin"}
    edits.write_text(json.dumps({"nearfar_edits": 1, "edits": [edit]}))
    assert run(["flow", str(calls), "--out", str(old), *model, "--edits", str(edits)]) == 0
    assert json.loads(old.read_text())["nodes"][2]["name"] == "begin"
    for more in (["--update", str(old)], ["--against", str(calls)]):
        assert run(["flow", str(calls), "--out", str(new), *model, *more]) == 0
        change = json.loads(new.read_text())["change"]
        assert change["method"] == more[0].strip("-")
        assert {rate["kind"] for rate in change["actions"] + change["steps"]} <= {"same", "untested"}
    assert json.loads(old.read_text())["nodes"][2]["name"] == "begin"
    assert run(["flow", str(calls), "--out", str(new), "--actions", "2", "--update", str(old)]) == 2
    assert "--update: " in capsys.readouterr().err


def test_the_default_encoder_is_that_of_actions(calls: Path, tmp_path: Path):
    out = tmp_path / "flow.json"
    assert run(["flow", str(calls), "--out", str(out), "--actions", "2"]) == 0
    assert json.loads(out.read_text())["about"]["model"] == "actions"
    assert FlowOptions().model == "actions"


def test_empty_turns_are_skipped_on_request(calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys):
    log, out = tmp_path / "log.csv", tmp_path / "flow.json"
    rows = [f"{i % 3},{who},{text} {i}" for i, text in enumerate(TEXTS) for who in ("user", "agent")]
    log.write_text("\n".join(["dialogue_id,speaker,text", *rows, "2,user,"]))
    arguments = ["flow", str(log), "--model", str(tiny_model_folder), "--actions", "2", "--out", str(out), "--json"]
    assert run(arguments) == 2
    assert "log.csv:14: text: " in capsys.readouterr().err
    assert run([*arguments, "--skip-broken"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["turns"] == 12
    assert "line 14" in printed.err


def test_a_model_behind_an_endpoint_names_the_actions(
    calls: Path, tiny_model_folder: Path, tmp_path: Path, capsys, server: FakeServer
):
    server.reply = lambda body, number: (200, {}, completion("say it"))
    out = tmp_path / "flow.json"
    arguments = ["flow", str(calls), "--model", str(tiny_model_folder), "--out", str(out), "--actions", "2"]
    named = [*arguments, "--namer", "some-model", "--endpoint", server.url, "--json"]
    assert run(named) == 0
    assert json.loads(capsys.readouterr().out)["actions"] == 4
    assert run([*named, "--merge"]) == 0
    assert len(server.requests) == 4  # the second time, the stored answers are used
    assert "Utterances:" in server.requests[0]["messages"][0]["content"]
    assert json.loads(capsys.readouterr().out)["actions"] == 2  # one per speaker
    nodes = [node for node in json.loads(out.read_text())["nodes"] if node["id"] > 1]
    assert {node["name"] for node in nodes} == {"say it"}
    assert (tmp_path / "flow.json.names.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["missing.jsonl", "--out", "x.html"], "missing.jsonl: "),
        (["calls", "--out", "x.pdf"], "x.pdf: --out: "),
        (["calls", "--out", "x.html", "--export", "y.txt"], "y.txt: --export: "),
        (["calls", "--out", "x.html", "--actions", "many"], "--actions: "),
        (["calls", "--out", "x.html", "--actions", "Caller=2,Caller=3,Agent=1"], "--actions: "),
        (["calls", "--out", "x.html", "--actions", "Boss=2"], "--actions: "),
        (["calls", "--out", "x.html", "--weigh", "sum"], "--weigh: "),
        (["calls", "--out", "x.html", "--linkage", "single"], "--linkage: "),
        (["calls", "--out", "x.html", "--edge-threshold", "2"], "--edge-threshold: "),
        (["calls", "--out", "x.html", "--speakers", "Boss"], "calls: --speakers: "),
        (["calls", "--out", "x.html", "--endpoint", "http://localhost:1/v1"], "--endpoint: "),
        (["calls", "--out", "x.html", "--merge"], "--merge: "),
        (["calls", "--out", "x.html", "--namer", "no-such-model/at-all"], "no-such-model/at-all"),
        (["calls"], "--out"),
    ],
)
def test_mistakes_are_refused_in_one_line_and_nothing_is_written(
    calls: Path, tiny_model_folder: Path, arguments: list[str], where: str, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(calls.parent)
    assert run(["flow", *arguments, "--model", str(tiny_model_folder)]) == 2
    printed = capsys.readouterr()
    assert where in printed.err
    assert printed.err.count("\n") - printed.err.count("encode:") == 1, printed.err
    assert [path.name for path in calls.parent.iterdir()] == ["calls"]


def test_a_killed_run_is_resumed_to_the_same_result(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vectors, "WINDOW", 4)
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


def test_help_imports_nothing_heavy():
    program = "import sys; from nearfar.cli.app import run; run(['flow', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    loaded = {name.partition(".")[0] for name in done.stdout.rpartition("\n\n")[2].split()}
    assert not loaded & {"torch", "numpy", "sklearn", "scipy", "transformers", "jinja2"}
