"""`nearfar distill`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.cli.app import run


def pairs(folder: Path) -> Path:
    words = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky")
    rows = [{"anchor": f"the {word}", "positive": f"a {word} sits"} for word in words]
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_folder_loads_and_its_card_has_the_figures(tiny_model_folder: Path, tmp_path: Path, capsys) -> None:
    data, out = pairs(tmp_path), tmp_path / "static"
    command = f"distill {tiny_model_folder} --out {out} --data {data} --dims 8 --json"
    assert run(shlex.split(command)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dims"] == 8
    assert found["difference"]["interval_95"][0] <= found["difference"]["mean"] <= found["difference"]["interval_95"][1]
    assert found["texts_per_second"]["static"] > 0
    card = (out / "README.md").read_text()
    assert f"{found['static_scores']['metrics']['ndcg@10']:.3f}" in card
    assert "the cat" not in card
    assert SentenceTransformer(str(out), device="cpu").encode("a cat").shape == (8,)
    assert run(shlex.split(command)) == 2  # it already exists


def test_without_data_only_the_speed_is_measured(tiny_model_folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "static"
    assert run(["distill", str(tiny_model_folder), "--out", str(out), "--sif", "1"]) == 0
    assert "texts per second" in capsys.readouterr().out
    again = nearfar.distill(tiny_model_folder, tmp_path / "again", sif=None)
    np.testing.assert_array_equal(nearfar.load(out).encode("a cat"), again.model.encode("a cat"))
    assert again.after is None


def test_mistakes_are_refused_before_the_work(tiny_model_folder: Path, tmp_path: Path, capsys) -> None:
    start = f"distill {tiny_model_folder} --out {tmp_path / 'static'}"
    for options in ("--task sts", f"--data {pairs(tmp_path)} --task no-task", "--data nowhere.jsonl", "--sif 2"):
        assert run(shlex.split(f"{start} {options}")) == 2
    assert "nearfar: --sif: invalid value 2.0" in capsys.readouterr().err
    assert run(["distill", "./nothing", "--out", str(tmp_path / "static")]) == 2
    assert capsys.readouterr().err.startswith("nearfar: MODEL: the model folder")
    assert not (tmp_path / "static").exists()
