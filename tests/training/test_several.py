"""Training on several datasets: the order of batches, what a run says of them, resuming."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate.data_loader import BatchSamplerShard
from datasets import Dataset, DatasetDict, concatenate_datasets
from safetensors.torch import load_file

from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds import _trainer
from nearfar.kinds._sampling import Epochs, Part, RunBatches
from nearfar.kinds.kind import Setting
from nearfar.kinds.loading import of
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.models import load
from nearfar.recipes import codiemb
from nearfar.training.rows import named
from nearfar.training.run import train
from nearfar.training.stages import prepared
from plans import first_stage

LENGTHS, SIZES = (100, 70, 50), (8, 8, 4)
STARTS = (0, 100, 170, 220)


def sampler(seed: int = 3, epochs: int = 1, accumulation: int = 1, processes: int = 2) -> RunBatches:
    sets = [Dataset.from_dict({"text": [f"{which} {i}" for i in range(n)]}) for which, n in enumerate(LENGTHS)]
    parts = [Part(str(i), rows, "shuffled", size) for i, (rows, size) in enumerate(zip(sets, SIZES, strict=True))]
    found = Epochs(parts, seed, processes=processes, accumulation=accumulation)
    return RunBatches(found, found.rounds(TrainingOptions(epochs=epochs)))


def source(batch: list[int]) -> int:
    found = {next(k for k in range(3) if index < STARTS[k + 1]) for index in batch}
    assert len(found) == 1, "a batch of several datasets"
    return found.pop()


def test_every_step_is_of_one_data_set_in_all_processes():
    shards = [list(BatchSamplerShard(sampler(), 2, rank, even_batches=False)) for rank in range(2)]
    assert len(shards[0]) == len(shards[1]) == 16
    assert len(sampler()) == 32
    for ours, theirs in zip(*shards, strict=True):
        assert source(ours) == source(theirs)
        assert len(ours) == len(theirs) == SIZES[source(ours)]
    assert Counter(map(source, shards[0])) == {0: 6, 1: 4, 2: 6}
    used = [index for shard in shards for batch in shard for index in batch]
    assert len(set(used)) == len(used) == sum(LENGTHS) - 12


def test_order_depends_on_seed_and_epoch_alone():
    first = list(sampler())
    again = sampler()
    assert list(again) == list(again) == first  # whatever was drawn before
    assert list(sampler(epochs=2))[:32] == first
    assert sorted(sampler(epochs=2))[32:] != sorted(first)
    assert list(sampler(seed=4)) != first
    assert [source(batch) for batch in first] != sorted(source(batch) for batch in first)


def test_batches_of_one_optimiser_step_are_of_one_data_set():
    batches = list(sampler(accumulation=3, processes=1))
    assert len(batches) == len(sampler(accumulation=3, processes=1)) == 3 * (12 // 3 + 8 // 3 + 12 // 3)
    for start in range(0, len(batches), 3):
        assert len({source(batch) for batch in batches[start : start + 3]}) == 1


class Noting(torch.nn.Module):
    """A loss that says which data set it was called for."""

    def __init__(self, model: Any, name: str, seen: list[tuple[str, int, bool]]) -> None:
        super().__init__()
        self.model, self.name, self.seen = model, name, seen
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def forward(self, features: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        columns = list(features)
        self.seen.append((self.name, len(columns[0]["input_ids"]), labels is not None))
        return self.model(columns[0])["sentence_embedding"].mean() * 0 + (self.bias - 1).square()


def rows_of_pairs(n: int) -> Dataset:
    return Dataset.from_dict({"anchor": [f"cat {i}" for i in range(n)], "positive": [f"dog {i}" for i in range(n)]})


def rows_of_scores(n: int) -> Dataset:
    texts = [f"sky {i}" for i in range(n)]
    return Dataset.from_dict({"sentence1": texts, "sentence2": texts[::-1], "score": [i % 3 / 2 for i in range(n)]})


def plan_of(model: Any, seen: list[tuple[str, int, bool]]) -> Plan:
    rows = DatasetDict(ir=rows_of_pairs(26), sts=rows_of_scores(18))
    losses = {name: Noting(model, name, seen) for name in rows}
    return Plan(model, Stage(rows, losses, {"ir": "no_duplicates", "sts": "shuffled"}, batch_sizes={"sts": 4}))


def test_trainer_takes_each_data_set_to_its_loss(tiny_model_folder: Path, tmp_path: Path):
    model, seen = load(tiny_model_folder, device="cpu"), []
    options = TrainingOptions(epochs=2, batch_size=6, gradient_accumulation=2, learning_rate=0.1)
    plan = plan_of(model, seen)
    done = trained(plan, options, tmp_path)
    assert done.state.global_step == 2 * (26 // 12 + 18 // 8)
    assert seen[::2] == seen[1::2], "the two batches of a step"
    assert Counter(seen) == {("ir", 6, False): 8, ("sts", 4, True): 8}
    # Each loss has parameters of its own, in the optimiser and in the checkpoint.
    last = max(tmp_path.glob("checkpoint-*"), key=lambda folder: int(folder.name.partition("-")[2]))
    state = {name: float(loss.bias.detach()) for name, loss in done.loss.items()}
    assert min(state.values()) > 0.1
    assert set(load_file(last / "loss.safetensors")) == {"ir/bias", "sts/bias"}
    fresh = plan_of(load(tiny_model_folder, device="cpu"), [])
    resumed = trained(fresh, options, tmp_path, last)
    assert {name: float(loss.bias.detach()) for name, loss in resumed.loss.items()} == state


def test_shuffled_batches_of_one_data_set(tiny_model_folder: Path, tmp_path: Path):
    model, seen = load(tiny_model_folder, device="cpu"), []
    # Only three different scores: batches without duplicates could hold three rows.
    plan = Plan(model, Stage(rows_of_scores(18), Noting(model, "one", seen), "shuffled"))
    trained(plan, TrainingOptions(epochs=1, batch_size=6), tmp_path)
    assert seen == [("one", 6, True)] * 3


def trained(plan: Plan, options: TrainingOptions, folder: Path, last: Path | None = None) -> Any:
    """The trainer of a plan's one stage, once it has trained."""
    trainer = of(plan.model).trainer(prepared(plan, options).first, options, Setting(folder, 0))
    trainer.train_or_resume(last)
    return trainer


def test_too_few_rows_for_a_step_are_named(tiny_model):
    plan = plan_of(tiny_model, [])
    with pytest.raises(InputError, match=r"^sts: .*\b20 rows .*got 18\b"):
        prepared(plan, TrainingOptions(batch_size=4, gradient_accumulation=5))
    same = DatasetDict(ir=Dataset.from_dict({"anchor": ["a"] * 9, "positive": ["b"] * 9}))
    doubled = Plan(tiny_model, Stage(same, torch.nn.Identity()))
    with pytest.raises(InputError, match=r"^ir: .*\b4 rows"):
        prepared(doubled, TrainingOptions(batch_size=4))


def test_names_of_sources():
    assert named("a.jsonl") is None
    assert named(rows_of_pairs(2)) is None
    assert list(named(["x/a.b.jsonl.gz", "y/a.csv", rows_of_pairs(2)]) or ()) == ["a", "a-2", "data-3"]
    assert list(named({"ir/x": "a", "sts": "b"}) or ()) == ["ir-x", "sts"]


SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 8,
    "similarity_batch_size": 6,
    "save_steps": 2,
    "learning_rate": 1e-3,
    "alike_from": 0.9,
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    ir, sts = tmp_path / "ir.jsonl", tmp_path / "sts.jsonl"
    write_jsonl([{"q": row["anchor"], "positive": row["positive"]} for row in rows_of_pairs(26)], ir)  # type: ignore[index]
    write_jsonl(rows_of_scores(18), sts)  # type: ignore[arg-type]
    return [ir, sts]


def run(files: list[Path], model: Path, out: Path, **options: Any) -> Any:
    columns = [{"anchor": "q"}, None]
    return train("codiemb", files, model=model, out=out, seed=3, columns=columns, **{**SETTINGS, **options})


@pytest.mark.slow
def test_run_folder_and_resume_to_the_same_bits(
    files: list[Path], tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = run(files, tiny_model_folder, tmp_path / "whole")
    assert whole.metrics["steps"] == 3 * (3 + 3)
    said = yaml.safe_load((tmp_path / "whole" / "run.yaml").read_text())
    assert said["columns"] == [{"anchor": "q"}, {}]
    assert said["data"]["rows"] == 44
    assert {name: each["source"] for name, each in said["data"]["sets"].items()} == {
        "ir": str(files[0]),
        "sts": str(files[1]),
    }
    assert "44 rows" in (tmp_path / "whole" / "report.html").read_text()

    def stop(_: Any, __: Any, state: Any, *___: Any, **____: Any) -> None:
        if state.global_step == 11:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_trainer.MarkComplete, "on_step_end", stop)
        with pytest.raises(KeyboardInterrupt):
            run(files, tiny_model_folder, tmp_path / "broken")
    assert not (tmp_path / "broken" / "model").exists()
    again = run(files, tiny_model_folder, tmp_path / "broken", resume=True)
    assert again.metrics == whole.metrics
    first, second = (
        hashlib.sha256((tmp_path / name / "model" / "model.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "broken")
    )
    assert first == second

    write_jsonl(rows_of_scores(20), files[1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"data\.(rows|sets\.sts)"):
        run(files, tiny_model_folder, tmp_path / "broken", resume=True)


def test_what_is_measured_on_is_looked_for_in_all_data_sets(tiny_model_folder: Path, tmp_path: Path):
    seen = rows_of_scores(18).select(range(3))
    fresh = Dataset.from_dict({"sentence1": ["new", "newer"], "sentence2": ["old", "older"], "score": [0.0, 1.0]})
    held_out = concatenate_datasets([seen, fresh])
    options: dict[str, Any] = {**SETTINGS, "max_steps": 1}
    data = [rows_of_pairs(26), rows_of_scores(18)]
    done = train("codiemb", data, model=tiny_model_folder, evaluation=held_out, out=tmp_path / "run", **options)
    assert done.metrics["held_out_seen_in_training"] == 3


def test_bad_input(files: list[Path], tiny_model_folder: Path, tmp_path: Path):
    def fails(message: str, recipe: str = "codiemb", **changes: Any) -> None:
        options: dict[str, Any] = {"data": files, "model": tiny_model_folder, "out": tmp_path / "no", **changes}
        with pytest.raises(InputError, match=message):
            train(recipe, **options)
        assert not (tmp_path / "no").exists()

    fails("expected one dataset for infonce, got 2", recipe="infonce")
    fails("expected a mapping for each of 2 datasets, got 1", columns={"anchor": "q"})
    fails("expected one mapping for one dataset, got 2", data=files[1], columns=[None, None])
    fails("no schema fits")
    texts = tmp_path / "texts.jsonl"
    write_jsonl([{"text": "a cat"}, {"text": "a dog"}], texts)
    fails(r"texts\.jsonl: expected pairs .* for codiemb, got sentences", data=[files[1], texts])
    constant = Dataset.from_dict({"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [2.0, 2.0]})
    fails("flat: score: ", data={"flat": constant})


def test_prepare_is_given_all_by_name(tiny_model: Any):
    rows = DatasetDict(a=rows_of_pairs(4), b=rows_of_pairs(4))
    plan = first_stage(codiemb.prepare)(tiny_model, rows, codiemb.Options())
    assert isinstance(plan.loss, dict)
    assert plan.loss["a"] is not plan.loss["b"]
