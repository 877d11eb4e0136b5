"""A classifier that learns labels task by task: stages, rehearsal, both kinds of rows, a task that is added later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from datasets import Dataset, DatasetDict

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.classifier import Classifier
from nearfar.losses import ContinualLoss, continual
from nearfar.models import load
from nearfar.recipes import coconut
from nearfar.training.stages import train_plan

TASKS = (("cat", "dog"), ("sun", "rain"), ("bank", "song"))
SMALL: dict[str, Any] = {"batch_size": 8, "learning_rate": 3e-3, "epochs": 3, "memory_per_class": 4}


def rows(*labels: str, each: int = 10, first: int = 0) -> list[dict[str, str]]:
    fill = ("fish", "tree", "card")
    texts = [(f"the {label} and a {fill[n % 3]} {n}", label) for label in labels for n in range(first, first + each)]
    return [{"text": text, "label": label} for text, label in texts]


def tasks(count: int = 2) -> DatasetDict:
    return DatasetDict({f"task {n}": Dataset.from_list(rows(*TASKS[n])) for n in range(count)})


def held(count: int = 2) -> Dataset:
    return Dataset.from_list([row for n in range(count) for row in rows(*TASKS[n], each=4, first=20)])


def trained(folder: Path, model: Path, stream: DatasetDict | None = None, **settings: Any) -> nearfar.training.Run:
    options = {**SMALL, **settings}
    return nearfar.train("coconut", dict(stream or tasks()), model=model, out=folder, evaluation=held(), **options)


def weights(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in (folder / "model").rglob("*.safetensors")}


def nearfar_cli(*arguments: str | Path) -> int:
    return run([str(argument) for argument in arguments])


def test_a_task_is_added_to_a_finished_run_from_the_command_line(tmp_path: Path, tiny_model_folder: Path) -> None:
    for number, labels in enumerate(TASKS):
        write_jsonl(rows(*labels), tmp_path / f"part{number}.jsonl")
    for count in (2, 3):
        write_jsonl(list(held(count)), tmp_path / f"held{count}.jsonl")  # type: ignore[arg-type]

    def train(count: int, out: str, *more: str) -> int:
        data = [part for number in range(count) for part in ("--data", tmp_path / f"part{number}.jsonl")]
        settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
        common = ["--eval", tmp_path / f"held{count}.jsonl", "--model", tiny_model_folder, "--out", tmp_path / out]
        return nearfar_cli("train", "coconut", *data, *common, *settings, *more)

    assert train(2, "run") == 0
    first = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert first["labels"] == ["cat", "dog", "rain", "sun"]
    assert [stage["name"] for stage in first["stages"]] == ["part0", "part1"]
    of_tasks = [stage["metrics"] for stage in first["stages"]]
    seen = [of_tasks[0]["accuracy of part0"], of_tasks[1]["mean accuracy"]]
    assert first["stream"]["seen"] == pytest.approx(seen)
    assert first["stream"]["average_seen"] == pytest.approx(np.mean(seen))
    assert of_tasks[0]["accuracy of part1"] == 0
    buffer = [json.loads(line) for line in (tmp_path / "run" / "rehearsal" / "rows.jsonl").read_text().splitlines()]
    assert sorted(row["label"] for row in buffer) == sorted([*TASKS[0], *TASKS[1]] * 4)

    assert train(3, "run", "--resume") == 0
    assert train(3, "at-once") == 0
    assert weights(tmp_path / "run") == weights(tmp_path / "at-once")
    last, at_once = (json.loads((tmp_path / out / "metrics.json").read_text()) for out in ("run", "at-once"))
    assert last == at_once
    assert last["labels"] == [*first["labels"], "bank", "song"]

    model = nearfar.load(tmp_path / "run" / "model")
    assert isinstance(model, Classifier)
    texts = held(3)["text"][:]
    right = np.mean([told == gold for told, gold in zip(model.predict(texts), held(3)["label"][:], strict=True)])
    assert right == pytest.approx(last["after"]["metrics"]["mean accuracy"])
    assert right > 0.5
    assert nearfar.evaluate(str(tmp_path / "run" / "model"), held(3)).score == pytest.approx(right)
    predicted = nearfar.predict(tmp_path / "run" / "model", texts, top=1)
    assert [row["labels"][0] for row in predicted] == model.predict(texts)
    assert model.head.temperature == 0.05


def test_weights_of_zero_are_plain_replay_bit_for_bit(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> torch.Tensor:
        raise AssertionError("this term has weight 0")

    def nothing(items: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return (items * 0).sum()

    with monkeypatch.context() as patch:
        patch.setattr(continual, "rehearsal_contrast", never)
        trained(tmp_path / "replay", tiny_model_folder, nspt_weight=0, mm_weight=0)
    with monkeypatch.context() as patch:
        patch.setattr(continual, "rehearsal_contrast", nothing)
        trained(tmp_path / "nothing", tiny_model_folder)
    trained(tmp_path / "nspt", tiny_model_folder)
    assert weights(tmp_path / "replay") == weights(tmp_path / "nothing")
    assert weights(tmp_path / "replay") != weights(tmp_path / "nspt")


def stages_of(tmp_path: Path, model: Path, **settings: Any) -> list[Any]:
    """The stages of a plan, each made when the one before has been trained."""
    found: list[Any] = []
    options = coconut.Options(**{**SMALL, **settings})
    plan = coconut.prepare(load(model), tasks(), options)
    stages = plan.stages

    def watched() -> Any:
        for stage in stages:  # type: ignore[union-attr]
            found.append(stage)
            yield stage

    object.__setattr__(plan, "stages", watched())
    train_plan(plan, options, tmp_path, 0)
    return found


def test_a_stage_trains_on_its_task_and_on_the_rehearsed_rows(tmp_path: Path, tiny_model_folder: Path) -> None:
    first, second = stages_of(tmp_path, tiny_model_folder)
    assert first.rows["text"][:] == tasks()["task 0"]["text"][:]
    assert {tuple(label) for label in first.rows["label"]} == {(0, 0), (1, 0)}
    assert first.loss.teacher is None
    assert second.rows["text"][:20] == tasks()["task 1"]["text"][:]
    assert set(second.rows["text"][20:]) < set(first.rows["text"])
    assert [label[1] for label in second.rows["label"]] == [0] * 20 + [1] * 8
    assert second.loss.teacher is not None
    assert second.rehearsal is None


def test_rehearsed_rows_can_have_a_fixed_share(tmp_path: Path, tiny_model_folder: Path) -> None:
    first, second = stages_of(tmp_path, tiny_model_folder, rehearsal_share=0.25, selection="herding")
    assert first.rehearsal is None
    assert (second.rehearsal.rows, second.rehearsal.share) == (8, 0.25)


def test_features_are_rehearsed_instead_of_rows(tmp_path: Path, tiny_model_folder: Path) -> None:
    _, second = stages_of(tmp_path, tiny_model_folder, keep="features")
    assert len(second.rows) == 20
    assert second.loss.stored_vectors.shape == (8, 32)
    assert second.loss.stored_labels.tolist() == [0] * 4 + [1] * 4


def test_without_memory_it_is_fine_tuning(tmp_path: Path, tiny_model_folder: Path) -> None:
    _, second = stages_of(tmp_path / "a", tiny_model_folder, memory_per_class=0, memory_share=0)
    assert (len(second.rows), second.loss.teacher) == (20, None)
    run_ = trained(tmp_path / "b", tiny_model_folder, memory_per_class=0, memory_share=0)
    assert not (run_.folder / "rehearsal").exists()


def test_offline_is_one_stage_of_all_tasks(tmp_path: Path, tiny_model_folder: Path) -> None:
    (stage,) = stages_of(tmp_path / "a", tiny_model_folder, offline=True)
    assert len(stage.rows) == 40
    found = trained(tmp_path / "b", tiny_model_folder, offline=True).metrics
    assert set(found["after"]["metrics"]) == {"mean accuracy", "accuracy of task 0", "accuracy of task 1"}


def test_tasks_can_be_added_unless_the_quota_depends_on_them() -> None:
    assert coconut.Options().grows == "stream"
    assert coconut.Options(memory_size=40).grows is None
    assert coconut.Options(memory_size=40, total_labels=10).grows == "stream"
    assert coconut.Options(memory_size=40, memory_per_class=2).grows == "stream"


def test_rows_without_labels_are_refused(tiny_model_folder: Path) -> None:
    audio = Dataset.from_dict({"audio": ["a.wav", "b.wav"], "text": ["a", "b"]})
    with pytest.raises(InputError) as caught:
        coconut.prepare(load(tiny_model_folder), DatasetDict({"a": audio}), coconut.Options())
    assert caught.value.field == "label"


def sounds(folder: Path, labels: tuple[str, ...], each: int = 6, first: int = 0) -> list[dict[str, str]]:
    """A tone for each label, with a text; files of half a second."""
    folder.mkdir(exist_ok=True)
    pitch = {label: 200 * (place + 1) for place, label in enumerate(label for task in TASKS for label in task)}
    found, rng = [], np.random.default_rng(first)
    for label in labels:
        for number in range(first, first + each):
            time = np.arange(4000) / 8000
            tone = 0.5 * np.sin(2 * np.pi * pitch[label] * time + rng.random()) + 0.01 * rng.normal(size=4000)
            soundfile.write(folder / f"{label}-{number}.wav", tone, 8000)
            found.append({"audio": f"{folder.name}/{label}-{number}.wav", "text": f"the {label}", "label": label})
    return found


def test_audio_with_texts(tmp_path: Path, tiny_model_folder: Path) -> None:
    for number, labels in enumerate(TASKS[:2]):
        write_jsonl(sounds(tmp_path / "files", labels), tmp_path / f"part{number}.jsonl")
    given = [row for labels in TASKS[:2] for row in sounds(tmp_path / "held", labels, 2, 50)]
    write_jsonl(given, tmp_path / "held.jsonl")
    out = tmp_path / "run"
    settings = {**SMALL, "seconds": 1, "untrained_rate": 1, "label_in_text": "true"}
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    data = ["--data", tmp_path / "part0.jsonl", "--data", tmp_path / "part1.jsonl", "--eval", tmp_path / "held.jsonl"]
    assert nearfar_cli("train", "coconut", *data, "--model", tiny_model_folder, "--out", out, *options) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["after"]["task"] == "classify"
    assert len(metrics["stream"]["seen"]) == 2
    assert "paths of your files" in (out / "rehearsal" / "README.md").read_text()
    model = nearfar.load(out / "model")
    told = model.predict([str(tmp_path / row["audio"]) for row in given])
    right = np.mean([one == row["label"] for one, row in zip(told, given, strict=True)])
    assert right == pytest.approx(metrics["after"]["metrics"]["mean accuracy"])


def heard(folder: Path, *labels: str, each: int = 6) -> Dataset:
    found = sounds(folder, labels, each)
    rows_ = [{**row, "audio": str(folder.parent / row["audio"]), "slots": [f"pitch={row['label']}"]} for row in found]
    return Dataset.from_list(rows_)


SPEECH: dict[str, Any] = {"seconds": 1, "untrained_rate": 1, "decoder_layers": 1, "vocabulary": 300}


def test_a_decoder_writes_label_slots_and_transcript(tmp_path: Path, tiny_model_folder: Path) -> None:
    tasks_ = DatasetDict({f"task {n}": heard(tmp_path / "files", *TASKS[n]) for n in range(2)})
    held_out = Dataset.from_list([row for part in tasks_.values() for row in part.select(range(0, 12, 4))])  # type: ignore[union-attr]
    options = {**SMALL, **SPEECH, "distil_beams": 2}
    done = nearfar.train(
        "coconut", dict(tasks_), model=tiny_model_folder, evaluation=held_out, out=tmp_path / "run", **options
    )
    assert {"average_wer", "last_wer", "average_slu_f1", "last_slu_f1"} < set(done.metrics["stream"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Word error rate" in page
    assert "SLU-F1" in page
    model = nearfar.load(tmp_path / "run" / "model")
    files = held_out["audio"][:]
    written = model.understood(files)
    assert written == done.model.understood(files)
    measured = nearfar.evaluate(str(tmp_path / "run" / "model"), held_out).metrics
    right = np.mean([one.label == label for one, label in zip(written, held_out["label"][:], strict=True)])
    assert measured["accuracy_written"] == pytest.approx(right)
    shutil.copytree(tmp_path / "run" / "model", tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "decoder")
    without = nearfar.load(tmp_path / "other")
    assert without.understood(files) is None
    assert without.predict(files) == model.predict(files)
    assert without.fingerprint("") != model.fingerprint("")


def test_targets_of_new_and_of_rehearsed_files(tmp_path: Path, tiny_model_folder: Path) -> None:
    new, old = heard(tmp_path / "files", "cat", each=2), heard(tmp_path / "files", "sun", each=2)
    encoder = load(tiny_model_folder)
    options = coconut.Options(**SPEECH)
    torch.manual_seed(0)
    options.add_tower(encoder, "audio")
    learner = Classifier.without_labels(encoder, new)
    assert learner.targets(new, old) is None
    learner.add_decoder(new, options.vocabulary, 1)
    assert learner.decoder is not None

    def texts(distil_beams: int) -> list[str]:
        found = learner.targets(new, old, distil_beams)
        assert found is not None
        kept = [[token for token in ids if token >= 0] for ids in found]
        return learner.decoder.tokenizer.batch_decode(kept, skip_special_tokens=True)  # type: ignore[union-attr]

    assert texts(0) == ["cat\npitch=cat\nthe cat"] * 2 + ["sun\npitch=sun\nthe sun"] * 2
    written = learner.understood(old["audio"][:], beams=2)
    assert written is not None
    own = learner.decoder.targets([one.target() for one in written])
    cut = [[token for token in ids if token >= 0] for ids in own]
    assert texts(2) == [*texts(0)[:2], *learner.decoder.tokenizer.batch_decode(cut, skip_special_tokens=True)]


def test_a_decoder_requires_audio_with_texts(tiny_model_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        coconut.prepare(load(tiny_model_folder), tasks(), coconut.Options(decoder_layers=1))
    assert caught.value.field == "decoder_layers"


def test_terms_of_a_batch_of_two_columns() -> None:
    """CE + nspt_weight NSPT + mm_weight MM, on vectors that are given."""
    from nearfar.losses import ContinualWeights, new_items_contrast, rehearsal_contrast
    from nearfar.models.label_vectors import LabelVectors

    torch.manual_seed(0)
    items, texts, known = torch.randn(3, 5, 4)
    head = LabelVectors(4)
    head.add(["a", "b"], torch.randn(2, 4))
    labels = torch.tensor([[0, 1], [1, 0], [0, 1], [1, 0], [1, 1]])
    weights_ = ContinualWeights(nspt_weight=0.3, mm_weight=0.7, temperature=0.2)
    loss = ContinualLoss(torch.nn.Identity(), head, weights=weights_)  # type: ignore[arg-type]
    loss.teacher = lambda columns: [known]  # type: ignore[assignment]
    features: list[Any] = [{"sentence_embedding": items}, {"sentence_embedding": texts}]
    classes, rehearsal = labels[:, 0], labels[:, 1].bool()
    expected = loss.classification(items, classes)
    expected = expected + 0.3 * rehearsal_contrast(items, known, classes, rehearsal, 0.2)
    expected = expected + 0.7 * new_items_contrast(items, texts, classes, ~rehearsal, 0.2)
    torch.testing.assert_close(loss(features, labels), expected)
