"""What a finished run keeps of its checkpoints, and that it can be trained on from that."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.training.folder import RunFolder
from nearfar.training.kept import IN_MODEL, restored
from nearfar.training.run import train

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree", "bank", "money")
PAIRS = Dataset.from_list(
    [{"anchor": f"{WORDS[i % 14]} a{i}", "positive": f"the {WORDS[i % 14]} {i}"} for i in range(40)]
)
QUICK = {"batch_size": 8, "learning_rate": 1e-3, "save_steps": 2}  # five steps an epoch


@pytest.fixture
def go(tiny_model_folder: Path, tmp_path: Path):
    def call(out: str, recipe: str = "infonce", rows: Dataset = PAIRS, **options: Any) -> Any:
        return train(recipe, rows, model=tiny_model_folder, out=tmp_path / out, seed=3, **{**QUICK, **options})

    return call


def weights(run: Path) -> str:
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_no_second_copy_of_the_weights_stays(go, tmp_path: Path) -> None:
    go("thin")
    go("whole", keep_checkpoints=True)
    assert weights(tmp_path / "thin") == weights(tmp_path / "whole")
    assert len(list((tmp_path / "whole" / "checkpoints").glob("checkpoint-*"))) == 2
    checkpoint = tmp_path / "thin" / "checkpoints" / "checkpoint-5"
    assert list(checkpoint.parent.iterdir()) == [checkpoint]
    assert list((tmp_path / "thin" / "checkpoints").rglob("*.safetensors")) == []
    assert (checkpoint / "optimizer.pt").exists()
    assert size(tmp_path / "thin") < 0.6 * size(tmp_path / "whole")

    folder = RunFolder(tmp_path / "thin")
    assert folder.last_checkpoint() == checkpoint
    kept = tmp_path / "whole" / "checkpoints" / "checkpoint-5"
    names = {path.relative_to(kept) for path in kept.rglob("*") if path.is_file()}
    assert {path.relative_to(checkpoint) for path in checkpoint.rglob("*") if path.is_file()} == names
    for name in names:
        if name.suffix in (".safetensors", ".json"):
            assert (checkpoint / name).read_bytes() == (kept / name).read_bytes(), name


@pytest.mark.parametrize("longer", [{"epochs": 2}, {"max_steps": 12}])
def test_a_finished_run_goes_on_with_more_epochs_as_one_that_kept_all(go, tmp_path: Path, longer) -> None:
    for out, keep in (("thin", False), ("whole", True)):
        first = go(out, keep_checkpoints=keep)
        short, began = weights(tmp_path / out), first.log[0]
        again = go(out, resume=True, keep_checkpoints=keep, **longer)
        assert again.metrics["steps"] == (12 if "max_steps" in longer else 10)
        assert again.log[0] == began, "the log of the first part stays"
        rates = [entry["learning_rate"] for entry in again.log if "learning_rate" in entry]
        assert min(rates[5:-1]) > 0, "the rate is that of the longer schedule, from the first step on"
        assert weights(tmp_path / out) != short
    assert weights(tmp_path / "thin") == weights(tmp_path / "whole")
    record = yaml.safe_load((tmp_path / "thin" / "run.yaml").read_text())
    name = next(iter(longer))
    assert record["options"][name] == longer[name]
    assert record["lengthened"] == [{"steps": 5, "options": {name: {"epochs": 1.0, "max_steps": 0}[name]}}]
    assert list((tmp_path / "thin" / "checkpoints").rglob("*.safetensors")) == []
    # And once more, now with the same options: nothing is left to do.
    done = weights(tmp_path / "thin")
    go("thin", resume=True, **longer)
    assert weights(tmp_path / "thin") == done


@pytest.mark.slow
def test_killed_while_it_goes_on_it_ends_the_same(go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go("whole")
    go("killed")
    go("whole", resume=True, epochs=3)

    class Killed(BaseException):
        pass

    def die(_: Any, args: Any, state: Any, control: Any, **__: Any) -> None:
        if state.global_step == 9:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("nearfar.kinds._trainer.ProgressCallback.on_step_end", die)
        with pytest.raises(Killed):
            go("killed", resume=True, epochs=3, progress=lambda *_: None)
    assert not (tmp_path / "killed" / "metrics.json").exists()
    with pytest.raises(InputError, match=r"run\.yaml: options\.epochs: .*\b3\.0,.* 4"):
        go("killed", resume=True, epochs=4)
    again = go("killed", resume=True, epochs=3)
    assert again.metrics["steps"] == 15
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_killed_while_it_is_thinned_it_ends_the_same(go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nearfar.training.kept as kept

    go("whole")
    unlink, calls = Path.unlink, []

    def dying(path: Path, *arguments: Any, **options: Any) -> None:
        if "checkpoint-5" in path.parts and path.suffix == ".json" and path.name != IN_MODEL:
            calls.append(path)
            if len(calls) == 2:
                raise KeyboardInterrupt
        unlink(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(kept.Path, "unlink", dying)
        with pytest.raises(KeyboardInterrupt):
            go("killed")
    go("killed", resume=True)
    assert json.loads((tmp_path / "killed" / "metrics.json").read_text())["steps"] == 5
    for name in ("whole", "killed"):
        go(name, resume=True, epochs=2)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": 0.5}, "options.epochs: invalid change: stage 1 is finished"),
        ({"max_steps": 3}, "options.max_steps: stage 1 of the finished run has 5 steps, got 3"),
        ({"learning_rate": 1.0}, "options.learning_rate: expected 0.001, as in the run to resume, got 1.0"),
        ({"epochs": 2, "temperature": 1.0}, "options.temperature: expected 0.05, as in the run to resume, got 1.0"),
    ],
)
def test_nothing_else_may_differ(go, tmp_path: Path, options, told: str) -> None:
    go("run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=told):
        go("run", resume=True, **options)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_model_that_was_changed_is_not_trained_on(go, tmp_path: Path) -> None:
    go("run")
    file = tmp_path / "run" / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: has changed"):
        go("run", resume=True, epochs=2)


def test_without_its_model_a_run_is_made_again(go, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go("run")
    expected = weights(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    (tmp_path / "run" / "metrics.json").unlink()
    go("run", resume=True)
    assert weights(tmp_path / "run") == expected
    assert any("does not exist any more" in record.getMessage() for record in caplog.records)


TEXTS = Dataset.from_dict({"text": [f"the {a} on the {b}" for a in WORDS for b in WORDS[:3]]})
ROUNDS = {"negatives": 6, "positives": 4, "random_negatives": 2, "batch_size": 4, "t_fn": 0.999}


@pytest.mark.slow
def test_a_stage_is_added_to_a_finished_run(go, tmp_path: Path) -> None:
    go("two", "debcse", TEXTS, rounds=2, **ROUNDS)
    first = tmp_path / "two" / "checkpoints"
    assert len(list(first.glob("checkpoint-*/*.safetensors"))) == 1, "the next stage is mined by these weights"
    assert list(first.glob("checkpoint-*/optimizer.pt")) == []
    assert list((first / "stage-2").rglob("*.safetensors")) == []
    shutil.copytree(tmp_path / "two", tmp_path / "copy")
    longer = go("two", "debcse", TEXTS, rounds=3, resume=True, **ROUNDS)
    at_once = go("three", "debcse", TEXTS, rounds=3, **ROUNDS)
    assert weights(tmp_path / "two") == weights(tmp_path / "three")
    assert longer.metrics["stages"] == at_once.metrics["stages"]
    with pytest.raises(InputError, match=r"run\.yaml: options\.rounds: .*\b3 stages"):
        go("two", "debcse", TEXTS, rounds=2, resume=True, **ROUNDS)
    with pytest.raises(InputError, match=r"run\.yaml: options\.epochs: .*stage 1\b"):
        go("copy", "debcse", TEXTS, rounds=2, epochs=2, resume=True, **ROUNDS)


def test_files_that_are_not_the_models_stay(tmp_path: Path) -> None:
    from nearfar.training.kept import thin

    model, checkpoint = tmp_path / "model", tmp_path / "checkpoints" / "checkpoint-10"
    older = tmp_path / "checkpoints" / "checkpoint-9"
    for folder in (model / "1", checkpoint / "1", older):
        folder.mkdir(parents=True)
    for folder in (model, checkpoint):
        (folder / "1" / "same").write_text("same")
        (folder / "other").write_text(folder.name[:5])
    thin([checkpoint.parent], model)
    assert not older.exists()
    assert {path.name for path in checkpoint.rglob("*") if path.is_file()} == {"other", IN_MODEL}
    restored(checkpoint, model)
    assert {path.name for path in checkpoint.rglob("*") if path.is_file()} == {"other", "same"}
    assert (checkpoint / "1" / "same").read_text() == "same"
