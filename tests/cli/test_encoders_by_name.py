"""Every command that encodes accepts the same names of models, also those of language models in GGUF files."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from jobs_here import jobs_here
from nearfar.cli.app import run
from nearfar.models import aliases, gguf_folders, language
from nearfar.models.language import load_language_model
from nearfar.search import read_metadata

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "house")

BOTH = ("base", "infonce-0")


@pytest.fixture
def folder(tiny_lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and `own.gguf`; `small` is the alias of such a file in a package."""
    package = tmp_path / "package_of_small"
    package.mkdir()
    for file in (package / "small.gguf", tmp_path / "own.gguf"):
        file.write_bytes(b"GGUF")
    packaged = aliases.Packaged(
        package.name, ".", "small.gguf", aliases.sha256(file), "pip install it", "someone/small"
    )
    monkeypatch.setitem(aliases.GENERATORS, "small", packaged)
    for module in (gguf_folders, language):
        monkeypatch.setattr(module, "load_language_model", lambda *_: load_language_model(tiny_lm_folder, "cpu"))
    jobs_here(monkeypatch)
    monkeypatch.setenv("NEARFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"anchor": f"the {word}", "positive": f"a {word} sits"}) + "\n" for word in WORDS]
    Path("pairs.jsonl").write_text("".join(rows[:8]))
    Path("held.jsonl").write_text("".join(rows[8:]))
    Path("texts.txt").write_text("".join(f"a {word} sits\n" for word in WORDS))
    return tmp_path


@pytest.mark.parametrize("name", ["small", "own.gguf"])
@pytest.mark.parametrize(
    "command",
    [
        "encode {name} texts.txt --out vectors.npy",
        "search {name} texts.txt cat --index index",
        "mine pairs.jsonl --model {name} --out mined.jsonl --num-negatives 1",
        "distill {name} --out static --dims 8",
        "train infonce --data pairs.jsonl --model {name} --out run --set max_steps=1 --set batch_size=4",
    ],
)
def test_a_gguf_file_is_an_encoder_in(command: str, name: str, folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(shlex.split(command.format(name=name))) == 0, capsys.readouterr().err


def test_the_card_of_a_static_model_names_the_teacher_on_the_hub(folder: Path) -> None:
    assert run(shlex.split("distill small --out static --dims 8")) == 0
    assert "# A static model of someone/small\n" in (folder / "static" / "README.md").read_text()


def test_the_base_model_of_a_comparison_is_measured_as_what_is_trained_from_it(folder: Path) -> None:
    options = "--seeds 1 --set max_steps=1 --set batch_size=4"
    given = f"compare infonce --data pairs.jsonl --eval held.jsonl --model small --out compared {options}"
    assert run(shlex.split(given)) == 0
    results = [json.loads((folder / "compared" / "results" / f"{name}.json").read_text()) for name in BOTH]
    assert [found["primary"] for found in results] == ["ndcg@10"] * 2


def test_an_index_of_a_gguf_file_is_found_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(shlex.split("search own.gguf texts.txt cat --index index")) == 0
    assert read_metadata("index").model == str(folder / "own.gguf")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert run(shlex.split("search ../own.gguf ../texts.txt dog --index ../index")) == 0
