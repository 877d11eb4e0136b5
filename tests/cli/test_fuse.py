"""`nearfar fuse`, and `nearfar train` with several data sets."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import torch
import yaml

from nearfar.models import load

from .conftest import Nearfar


def changed(folder: Path, out: Path, by: float) -> None:
    model = load(folder, device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += by
    model.save_pretrained(str(out))


def test_fuse(workspace: Path, nearfar: Nearfar):
    changed(workspace / "tiny", workspace / "a", 0.1)
    changed(workspace / "tiny", workspace / "b", 0.3)
    shown = nearfar(*shlex.split("fuse tiny a b --out fused"))
    assert shown.code == 0, shown
    assert "mean weight" in shown.out
    assert "0.250" in shown.out
    assert "model   fused" in shown.out
    assert nearfar("encode", "fused", "sentences.jsonl", "--out", "vectors.npy").code == 0
    found = nearfar(*shlex.split("fuse tiny a b --out even --beta 0 --granularity model --json")).json
    assert found["model"] == "even"
    assert [each["weight"] for each in found["checkpoints"]] == [0.5, 0.5]
    assert [each["checkpoint"] for each in found["checkpoints"]] == ["a", "b"]
    weights = [load(name, device="cpu").state_dict() for name in ("tiny", "even")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight + 0.2)


def test_fuse_bad_input(workspace: Path, nearfar: Nearfar):
    for arguments, words in (
        ("fuse tiny tiny --out fused", ("expected at least 2 checkpoints", "two or more")),
        ("fuse tiny tiny nowhere --out fused", ("nowhere",)),
        ("fuse tiny tiny tiny --out tiny", ("already exists",)),
        ("fuse tiny tiny tiny --out fused --beta inf", ("beta", "inf")),
        ("fuse tiny tiny tiny --out fused --granularity row", ("granularity", "row")),
        ("fuse tiny tiny tiny", ("--out",)),
    ):
        ended = nearfar(*shlex.split(arguments))
        assert (ended.code, ended.out) == (2, ""), arguments
        assert ended.err.count("\n") == 1, ended.err
        assert all(word in ended.err for word in words), ended.err
        assert not (workspace / "fused").exists()


def test_the_weight_is_chosen_within_a_limit(workspace: Path, nearfar: Nearfar):
    changed(workspace / "tiny", workspace / "a", 0.1)
    asked = "fuse tiny a --data pairs.jsonl --keep heldout.jsonl --weights 0.5,1 --limit 1 --out fused"
    found = nearfar(*shlex.split(f"{asked} --json"))
    assert found.code in (0, 1)
    chosen = found.json
    assert [each["weight"] for each in chosen["measured"]] == [0.5, 1.0]
    assert chosen["limit"] == 1.0
    assert Path(chosen["report"]) == Path("fused.html")
    assert (workspace / "fused.html").exists()
    # Without a gain there is no model, and the command has failed.
    assert (chosen["model"] is None) == (found.code == 1) == (not (workspace / "fused").exists())
    # The base model is no better than itself.
    same = nearfar(*shlex.split("fuse tiny tiny --data pairs.jsonl --keep heldout.jsonl --weights 1 --out none"))
    assert same.code == 1
    assert "No weight that was measured gains" in same.out
    assert not (workspace / "none").exists()


def test_options_of_the_choice(workspace: Path, nearfar: Nearfar):
    for arguments, words in (
        ("fuse tiny tiny tiny --out fused --keep builtin", ("--keep", "--data")),
        ("fuse tiny tiny tiny --out fused --limit 0.1", ("--limit", "--data")),
        ("fuse tiny tiny --data pairs.jsonl --out fused --weights x", ("--weights", "x")),
        ("fuse tiny tiny --data pairs.jsonl --out fused --weights 2", ("--weights", "2")),
        ("fuse tiny tiny --data pairs.jsonl --out fused --limit -1", ("--limit", "-1")),
        ("fuse tiny tiny --data pairs.jsonl --out fused --keep sentences.jsonl --weights 1", ("sentences.jsonl",)),
        ("fuse tiny tiny --data nowhere.jsonl --out fused", ("nowhere.jsonl",)),
    ):
        ended = nearfar(*shlex.split(arguments))
        assert (ended.code, ended.out) == (2, ""), arguments
        assert ended.err.count("\n") == 1, ended.err
        assert all(word in ended.err for word in words), ended.err
        assert not (workspace / "fused").exists()


def test_train_on_two_data_sets_and_fuse_what_comes_out(workspace: Path, nearfar: Nearfar):
    options = "--set max_steps=4 --set batch_size=8 --set similarity_batch_size=4 --set save_steps=2"
    command = (
        f"train codiemb --model tiny --data pairs.jsonl --data sts.jsonl --out run {options} --keep-checkpoints --json"
    )
    ended = nearfar(*shlex.split(command))
    assert ended.code == 0, ended
    assert ended.json["steps"] == 4
    assert set(yaml.safe_load((workspace / "run" / "run.yaml").read_text())["data"]["sets"]) == {"pairs", "sts"}
    # Its checkpoints are models too; the run stands for the last one.
    fused = nearfar(*shlex.split("fuse tiny run/checkpoints/checkpoint-2 run --out fused --json"))
    assert fused.code == 0, fused
    first, last = (each["distance"] for each in fused.json["checkpoints"])
    assert 0 < first < last


def test_columns_of_each_data_set(workspace: Path, nearfar: Nearfar):
    text = (workspace / "pairs.jsonl").read_text()
    (workspace / "asked.jsonl").write_text(text.replace('"anchor"', '"question"'))
    options = "--set max_steps=1 --set batch_size=8 --set similarity_batch_size=4 --model tiny"
    data = "--data asked.jsonl --data sts.jsonl"
    ended = nearfar(*shlex.split(f"train codiemb {data} --columns anchor=question --columns '' --out a {options}"))
    assert ended.code == 0, ended
    for arguments, words in (
        (
            f"train codiemb {data} --columns anchor=question --out b {options}",
            ("expected a mapping for each of 2", "--columns"),
        ),
        (f"train infonce {data} --out b --model tiny", ("expected one dataset for infonce", "--data")),
        (f"train codiemb {data} --out b {options}", ("asked.jsonl", "anchor=question")),
    ):
        ended = nearfar(*shlex.split(arguments))
        assert ended.code == 2, ended
        assert all(word in ended.err for word in words), ended.err
        assert not (workspace / "b").exists()
    shutil.rmtree(workspace / "a")
