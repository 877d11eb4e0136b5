"""A run compared with its records: equal as it was written, and one changed byte is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import nearfar
from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.serving import Verified
from nearfar.serving.verifying import verify


@pytest.fixture
def copy(trained: Path, pairs: Path, tmp_path: Path) -> Path:
    """A copy of the run, on a copy of its data."""
    folder, data = tmp_path / "run", tmp_path / "pairs.jsonl"
    shutil.copytree(trained, folder)
    shutil.copyfile(pairs, data)
    settings = folder / "run.yaml"
    settings.write_text(settings.read_text().replace(str(pairs), str(data)))
    recorded = (folder / "SHA256SUMS").read_text()
    from nearfar.models.aliases import sha256

    (folder / "SHA256SUMS").write_text(recorded.replace(sha256(trained / "run.yaml"), sha256(settings)))
    return folder


def differing(found: Verified) -> set[str]:
    return {check.what for check in found.checks if check.equal is False}


def change_a_byte(file: Path, place: int = -1) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_a_run_is_equal_to_its_records(trained: Path) -> None:
    found = verify(trained)
    assert found.equal
    assert [check.what for check in found.checks] == ["files", "data", "evaluation data", "figures"]
    assert all(check.equal for check in found.checks)
    assert nearfar.verify is verify


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/tokenizer.json", "metrics.json", "report.html"])
def test_a_changed_byte_of_a_file_differs(name: str, copy: Path) -> None:
    change_a_byte(copy / name, -3)
    found = verify(copy, figures=False)
    assert differing(found) == {"files"}
    assert name in found.checks[0].detail


@pytest.mark.parametrize("name", ["run.yaml", "metrics.json", "SHA256SUMS"])
@pytest.mark.parametrize("bit", [1, 128])
def test_a_changed_first_byte_of_a_record_differs(name: str, bit: int, copy: Path, capsys) -> None:
    """With the highest bit, the file is not UTF-8."""
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(bytes([content[0] ^ bit]) + content[1:])
    assert run(["verify", str(copy), "--json"]) == 1
    files, *others = json.loads(capsys.readouterr().out)["checks"]
    assert files["what"] == "files"
    assert files["equal"] is False
    assert name in files["detail"] or name == "SHA256SUMS"
    wrong = {"run.yaml": {"settings"}, "metrics.json": {"figures"}, "SHA256SUMS": set()}[name]
    assert {check["what"] for check in others if check["equal"] is False} == wrong
    assert all("\n" not in check["detail"] for check in (files, *others))


@pytest.mark.parametrize(
    ("name", "key", "what"),
    [
        *(("run.yaml", key, "settings") for key in ("recipe", "data", "source", "sha256", "options", "seed")),
        *(("run.yaml", key, "settings") for key in ("columns", "evaluation")),
        ("run.yaml", "temperature", "recipe"),
        *(("metrics.json", key, "figures") for key in ("after", "metrics", "mrr@10")),
    ],
)
def test_a_changed_letter_of_a_key_differs(name: str, key: str, what: str, copy: Path) -> None:
    text = (copy / name).read_text()
    place = text.index(f"{key}:") if name == "run.yaml" else text.index(f'"{key}"', text.index('"after"')) + 1
    (copy / name).write_text(f"{text[:place]}x{text[place + 1 :]}")
    found = verify(copy, figures=what == "figures")
    assert differing(found) == {"files", what}
    assert f"{name} has changed" in found.checks[0].detail


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", "0"), ("data", []), ("data", {"sets": {"a": 1}}), ("columns", [3]), ("weights", ["a"]), ("recipe", None)],
)
def test_a_setting_of_another_type_differs(key: str, value: object, copy: Path) -> None:
    settings = yaml.safe_load((copy / "run.yaml").read_text())
    (copy / "run.yaml").write_text(yaml.safe_dump({**settings, key: value}))
    found = verify(copy)
    assert differing(found) == {"files", "settings"}
    assert key in found.checks[1].detail


def test_what_a_library_raises_for_a_changed_model_is_said(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: Path) -> None:
        raise RuntimeError("wrong\nsize")

    monkeypatch.setattr("nearfar.kinds.loading.load_kind", fails)
    with pytest.raises(RuntimeError):
        verify(copy)  # no file has changed: a fault of code
    change_a_byte(copy / "model/config.json")
    found = verify(copy)
    assert differing(found) == {"files", "figures"}
    assert found.checks[-1].detail == "cannot be measured: RuntimeError: wrong size"


def test_missing_and_new_files_differ(copy: Path) -> None:
    (copy / "report.html").unlink()
    (copy / "model" / "pytorch_model.bin").write_bytes(b"")
    detail = verify(copy, figures=False).checks[0].detail
    assert "report.html" in detail
    assert "pytorch_model.bin" in detail


def test_a_changed_letter_of_the_data_differs(copy: Path) -> None:
    data = copy.parent / "pairs.jsonl"
    data.write_text(data.read_text().replace("the cat sits", "the bat sits", 1))
    assert differing(verify(copy, figures=False)) == {"data", "evaluation data"}


def test_data_that_is_gone_differs(copy: Path) -> None:
    (copy.parent / "pairs.jsonl").unlink()
    assert {"data", "evaluation data"} <= differing(verify(copy))


def test_other_weights_give_other_figures(copy: Path) -> None:
    """Without the record of files, the figures tell that they are others."""
    from safetensors.torch import load_file, save_file

    (copy / "SHA256SUMS").unlink()
    file = copy / "model/model.safetensors"
    save_file({name: value.roll(1, 0) for name, value in load_file(file).items()}, file, {"format": "pt"})
    found = verify(copy)
    assert differing(found) == {"files", "figures"}


def test_without_the_record_of_files_nothing_is_equal(copy: Path, capsys) -> None:
    """A changed bit of a weight, which no figure shows, and the record removed."""
    change_a_byte(copy / "model/model.safetensors")
    (copy / "SHA256SUMS").unlink()
    assert run(["verify", str(copy), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] is False
    assert [check["what"] for check in found["checks"] if check["equal"] is False] == ["files"]
    assert "SHA256SUMS is missing" in found["checks"][0]["detail"]


def test_other_figures_differ(copy: Path) -> None:
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["after"]["metrics"]["ndcg@10"] += 0.01
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert differing(verify(copy)) == {"files", "figures"}
    assert "figures" not in differing(verify(copy, tolerance=0.1))


def test_rows_in_memory_are_not_checked(trained: Path, copy: Path) -> None:
    settings = yaml.safe_load((copy / "run.yaml").read_text())
    settings["data"]["source"] = settings["evaluation"] = "in memory: Dataset"
    (copy / "run.yaml").write_text(yaml.safe_dump(settings))
    found = {check.what: check.equal for check in verify(copy).checks}
    assert found["data"] is found["evaluation data"] is found["figures"] is None


@pytest.fixture
def upload(trained: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `push` uploads, read where the rows are."""
    monkeypatch.chdir(pairs.parent)
    nearfar.push(trained, "me/search", dry_run=tmp_path / "upload")
    return tmp_path / "upload"


def test_what_was_pushed_is_equal(upload: Path) -> None:
    found = verify(upload)
    assert found.equal
    assert [check.what for check in found.checks] == ["files", "data", "evaluation data", "figures"]
    assert all(check.equal for check in found.checks)


def test_what_was_pushed_is_equal_where_its_rows_are_not(
    upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (upload / ".gitattributes").write_text("")  # the Hub adds it
    (upload / ".cache/huggingface").mkdir(parents=True)
    (upload / ".cache/huggingface/CACHEDIR.TAG").write_text("")
    found = verify(upload)
    assert found.equal
    assert [check.equal for check in found.checks] == [True, None, None, None]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json", "run.yaml"])
def test_a_changed_byte_of_what_was_pushed_differs(name: str, upload: Path) -> None:
    change_a_byte(upload / name, -3)
    found = verify(upload, figures=False)
    assert "files" in differing(found)
    assert name in found.checks[0].detail


def test_other_weights_and_new_files_of_what_was_pushed_differ(upload: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = upload / "model.safetensors"
    save_file({name: value.roll(1, 0) for name, value in load_file(file).items()}, file, {"format": "pt"})
    (upload / "adapter_config.json").write_text("{")
    found = verify(upload)
    assert differing(found) == {"files", "figures"}
    assert found.checks[0].detail == "model.safetensors has changed; adapter_config.json is not in SHA256SUMS"


@pytest.mark.slow
def test_a_language_model_is_measured_on_its_held_out_documents(tmp_path: Path) -> None:
    """They are a part of the training data, which the seed decides."""
    data = tmp_path / "corpus.txt"
    data.write_text("\n\n".join(f"the cat {n} sits on a mat and the dog runs to the green tree" for n in range(60)))
    small = {"vocabulary": 300, "hidden_size": 16, "layers": 1, "heads": 2, "rank": 4, "max_length": 16}
    nearfar.train("lost", str(data), out=tmp_path / "run", max_steps=2, batch_size=4, dense_steps=1, **small)
    found = verify(tmp_path / "run")
    assert [check.what for check in found.checks] == ["files", "data", "figures"]
    assert found.equal
    data.write_text(data.read_text().replace("tree", "tram", 1))
    assert "data" in differing(verify(tmp_path / "run", figures=False))


@pytest.mark.slow
def test_each_of_several_datasets_is_compared(tmp_path: Path, tiny_model_folder: Path, pairs: Path) -> None:
    rows = [
        {"sentence1": f"the {a}", "sentence2": f"a {b}", "score": (ord(a) + ord(b)) % 5 / 5}
        for a in "abcd"
        for b in "efgh"
    ]
    scored = tmp_path / "scored.jsonl"
    scored.write_text("".join(json.dumps(row) + "\n" for row in rows))
    nearfar.train(
        "codiemb",
        [str(pairs), str(scored)],
        model=str(tiny_model_folder),
        evaluation=str(scored),
        out=tmp_path / "run",
        max_steps=1,
        batch_size=2,
        similarity_batch_size=4,
    )
    found = verify(tmp_path / "run")
    assert found.equal, found
    scored.write_text(scored.read_text().replace("the a", "the z", 1))
    assert differing(verify(tmp_path / "run", figures=False)) == {"data", "evaluation data"}


def test_the_command_ends_with_1_where_something_differs(copy: Path, capsys) -> None:
    assert run(["verify", str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True
    change_a_byte(copy / "model/model.safetensors")
    assert run(["verify", str(copy), "--no-figures"]) == 1
    assert "model.safetensors" in capsys.readouterr().out


def test_other_folders_are_refused(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(InputError):
        verify(tmp_path / "nowhere")
    with pytest.raises(InputError, match="SHA256SUMS"):
        verify(tmp_path)
    (copy / "metrics.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        verify(copy)
