"""Training a language model: its loss, its figures, its run folder, a kill and what follows."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

import nearfar
from nearfar import contrast, near
from nearfar.data.packing import packed
from nearfar.errors import InputError
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.kind import Setting
from nearfar.kinds.plan import Plan, Stage
from nearfar.losses.language import LanguageLoss, TeacherLoss
from nearfar.models.new_language import new_llama, new_tokenizer
from nearfar.models.size import sizes
from nearfar.recipes import lost

WORDS = "the cat dog bird sits runs flies on in over mat grass tree green blue red".split(" ")  # noqa: SIM905
SMALL = {"vocabulary": 300, "hidden_size": 16, "layers": 1, "heads": 2, "rank": 4, "sparsity": 0.2, "max_length": 16}
STEPS = {"max_steps": 8, "save_steps": 3, "batch_size": 4, "dense_steps": 2}


def texts(count: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=30)) + f"\nend of {number}." for number in range(count)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n\n".join(texts(60)))
    return path


@pytest.fixture(scope="module")
def blocks() -> tuple[Any, Dataset]:
    documents = Dataset.from_dict({"text": texts(20)})
    tokenizer = new_tokenizer(documents, 300)
    return tokenizer, packed(documents, tokenizer, 16)


def tiny() -> Any:
    torch.manual_seed(0)
    return new_llama(300, hidden_size=16, layers=1, heads=2, positions=16)


# The loss.


def test_the_next_token_is_an_instance_of_the_kernel() -> None:
    model, tokens = tiny(), torch.arange(3, 35).reshape(2, 16)
    hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1].flatten(0, 1)
    weights = F.one_hot(tokens[:, 1:].flatten(), 300).float()
    embeddings = model.get_output_embeddings().weight
    expected = contrast(hidden, embeddings, near=near.weights(weights), temperature=1, similarity="dot")
    torch.testing.assert_close(LanguageLoss()(model, {"input_ids": tokens}), expected)
    # A teacher's distribution in the place of the token.
    last = model.model(input_ids=tokens).last_hidden_state.flatten(0, 1)
    teacher = tiny()
    with torch.no_grad():
        teacher.lm_head.weight.mul_(3)
        targets = teacher(input_ids=tokens).logits.flatten(0, 1).softmax(-1)
    expected = contrast(last, embeddings, near=near.weights(targets), temperature=1, similarity="dot")
    torch.testing.assert_close(TeacherLoss(teacher)(model, {"input_ids": tokens}), expected)


def test_terms_are_added_and_see_the_hidden_states() -> None:
    model, tokens = tiny(), torch.arange(3, 35).reshape(2, 16)
    seen: list[Any] = []

    def term(output: Any, given: torch.Tensor) -> torch.Tensor:
        seen.append((len(output.hidden_states), given))
        return 0.5 * output.hidden_states[-1].square().mean()

    plain, loss = (each(model, {"input_ids": tokens}) for each in (LanguageLoss(), LanguageLoss(term, term)))
    state = model.model(input_ids=tokens).last_hidden_state
    torch.testing.assert_close(loss, plain + state.square().mean())
    assert seen[0][0] == 2
    assert seen[0][1] is tokens


# The figures.


def test_perplexity_is_that_of_every_token_but_the_first(blocks: tuple[Any, Dataset]) -> None:
    tokenizer, rows = blocks
    model, found = tiny(), CausalLM(tiny(), tokenizer).log_probability(rows, batch_size=3)
    tokens = torch.stack([block["input_ids"] for block in rows])
    logits = model.eval()(input_ids=tokens).logits[:, :-1]
    expected = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    assert found.mean() == pytest.approx(-float(expected.detach()), rel=1e-6)
    assert len(found) == len(tokens)
    # A model that knows nothing at all is as surprised as a die of that many sides.
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert math.exp(-CausalLM(model, tokenizer).log_probability(rows).mean()) == pytest.approx(300, rel=1e-4)


def test_memory_of_the_optimiser_is_what_it_holds(blocks: tuple[Any, Dataset], tmp_path: Path) -> None:
    tokenizer, rows = blocks
    options = lost.Options(batch_size=4, max_length=16, max_steps=1)
    model = CausalLM(tiny(), tokenizer)
    trainer = model.trainer(Stage(rows, LanguageLoss()), options, Setting(tmp_path, 0))
    trainer.train()
    state: Any = trainer.optimizer
    held = sum(
        value.numel() * value.element_size()
        for moments in state.state.values()
        for name, value in moments.items()
        if name != "step"
    )
    found = sizes(model.model)
    assert found["memory_bytes"]["optimizer"] == held > 0
    embeddings = 300 * 16
    assert found["parameters"]["all"] == found["parameters"]["trained"] == model.model.num_parameters()
    assert found["parameters"]["without_embeddings"] == model.model.num_parameters() - embeddings


def test_accumulated_batches_make_the_step_of_one_large_batch(blocks: tuple[Any, Dataset], tmp_path: Path) -> None:
    tokenizer, rows = blocks
    found = []
    for size, accumulation in ((8, 1), (2, 4)):
        model = CausalLM(tiny(), tokenizer)
        options = lost.Options(
            batch_size=size, gradient_accumulation=accumulation, max_length=16, max_steps=2, gradient_clip=0.01
        )
        stage = Stage(rows.select(range(16)), LanguageLoss())
        model.trainer(stage, options, Setting(tmp_path / str(size), 0)).train()
        found.append(model.model.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-4, atol=1e-5)


# The run.


def test_a_run_leaves_a_whole_folder(corpus: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []

    def progress(done: int, total: int, loss: float | None) -> None:
        steps.append((done, total))

    options = {**SMALL, **STEPS, "eval_steps": 4, "held_out": 0.2}
    run = nearfar.train("lost", corpus, out=tmp_path / "run", seed=1, progress=progress, **options)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics == run.metrics
    assert metrics["steps"] == 8
    assert metrics["tokens_seen"] == 8 * 4 * 16
    assert metrics["after"]["metrics"]["perplexity"] < metrics["before"]["metrics"]["perplexity"]
    assert metrics["speed"]["tokens_per_second"] > 0
    assert metrics["held_out_seen_in_training"] == 0
    assert steps[-1] == (8, 8)
    assert run.after is not None
    followed = {entry["step"]: entry["eval_log_probability"] for entry in run.log if "eval_log_probability" in entry}
    assert list(followed) == [4, 8]
    assert followed[8] == pytest.approx(run.after.score)
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("perplexity went from", "optimizer", "tokens/s", "Held-out metrics", "AutoModelForCausalLM"):
        assert words in page
    again = nearfar.train("lost", corpus, out=tmp_path / "again", seed=1, **options)
    assert {**again.metrics, "speed": None} == {**metrics, "speed": None}
    # The loaded model is the trained one.
    from nearfar.models.language import load_language_model

    model, tokenizer = load_language_model(tmp_path / "run" / "model", device="cpu")
    tokens = tokenizer("the cat sits", return_tensors="pt")["input_ids"]
    assert torch.equal(model(tokens).logits, run.model.model.cpu()(tokens).logits)
    dense = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "dense")
    assert dense(tokens).logits.shape == model(tokens).logits.shape
    assert AutoTokenizer.from_pretrained(tmp_path / "run" / "dense")("the cat sits")["input_ids"] == tokens[0].tolist()


def test_held_out_documents_are_not_trained_on(corpus: Path, tmp_path: Path) -> None:
    seen: list[Dataset] = []
    finish: list[tuple[Any, ...]] = []

    def prepare(name: str | None, documents: Dataset, options: lost.Options) -> Plan:
        seen.append(documents)
        plan = lost.prepare(name, documents, replace(options, rank=0))

        def done(folder: Path, held_out: Dataset | None) -> dict[str, Any]:
            finish.append((folder, held_out))
            return {"more": 7}

        return replace(plan, finish=done)

    recipe = replace(lost.RECIPE, prepare=prepare)
    run = nearfar.train(recipe, corpus, out=tmp_path / "a", **{**SMALL, **STEPS, "held_out": 0.25})
    assert len(seen[0]) == 45
    assert run.metrics["more"] == 7
    folder, held_out = finish[0]
    assert folder == tmp_path / "a"
    trained, kept = set(seen[0]["text"]), set(held_out["text"])
    assert len(kept) == 15
    assert not trained & kept
    # Given documents are measured on as they are, and no others held out.
    (tmp_path / "eval.txt").write_text("\n\n".join(texts(3)))
    run = nearfar.train(recipe, corpus, evaluation=tmp_path / "eval.txt", out=tmp_path / "b", **{**SMALL, **STEPS})
    assert len(seen[1]) == 60
    assert run.metrics["held_out_seen_in_training"] == 3
    run = nearfar.train(recipe, corpus, out=tmp_path / "c", **{**SMALL, **STEPS, "held_out": 0})
    assert run.before is None
    assert "no evaluation data was given" in (tmp_path / "c" / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 1}, "max_length: invalid value 1"),
        ({"held_out": 1}, "held_out: invalid value 1.0"),
        ({"beta2": 1}, "beta2: invalid value 1.0"),
        ({"gradient_clip": 0}, "gradient_clip: invalid value 0.0"),
        ({"eval_steps": 2, "held_out": 0}, "eval_steps: requires evaluation data"),
        ({"batch_size": 5000}, "batch_size: expected at least 5000"),
        (
            {"hidden_size": 18},
            "hidden_size: invalid value 18: must be a multiple of 4, twice the number of heads; use e.g. 20",
        ),
        ({"rank": 16}, "rank: invalid value 16: must be below 16 for a layer with 16 inputs and 16 outputs"),
        ({"model": "/no/such/model"}, "the model folder '/no/such/model' does not exist"),
        ({"columns": [{"text": "a"}, {"text": "b"}]}, "expected one mapping for all documents, got 2"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    options: dict[str, Any], message: str, corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        nearfar.train("lost", corpus, out=tmp_path / "run", **{**SMALL, **STEPS, **options})
    assert not (tmp_path / "run").exists()


def test_one_document_cannot_be_split(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(" ".join(WORDS * 50))
    with pytest.raises(InputError, match=r"^held_out: .*got 1\b"):
        nearfar.train("lost", tmp_path / "one.txt", out=tmp_path / "run", **SMALL, **STEPS)
    run = nearfar.train("lost", tmp_path / "one.txt", out=tmp_path / "run", **SMALL, **STEPS, held_out=0, dense=False)
    assert run.metrics["steps"] == 8


def test_a_model_gives_its_shape_and_tokenizer_and_not_its_weights(corpus: Path, tmp_path: Path) -> None:
    first = nearfar.train("lost", corpus, out=tmp_path / "a", **SMALL, **STEPS, activation="identity")
    shape, found = tmp_path / "a" / "dense", {}
    others = {name: value for name, value in SMALL.items() if name in ("rank", "sparsity", "max_length")}
    for seed in (0, 1):
        options = {**others, **STEPS, "rank": 0}
        run = nearfar.train("lost", corpus, model=shape, out=tmp_path / f"b{seed}", seed=seed, **options)
        found[seed] = run
        assert run.model.model.config.hidden_size == 16
        assert run.model.model.config.vocab_size == first.model.model.config.vocab_size
        assert run.before is not None
        assert run.before.metrics["perplexity"] > 0.8 * first.model.model.config.vocab_size
    assert found[0].metrics["before"] != found[1].metrics["before"]
    (shape / "model.safetensors").unlink()  # nobody reads it
    nearfar.train("lost", corpus, model=shape, out=tmp_path / "d", **others, **STEPS, dense=False)
    configuration = (tmp_path / "b0" / "run.yaml").read_text()
    assert str(shape) in configuration
    with pytest.raises(InputError, match="max_length: invalid value 64"):
        nearfar.train("lost", corpus, model=shape, out=tmp_path / "c", **{**others, **STEPS, "max_length": 64})
    with pytest.raises(InputError, match="hidden_size: has no effect with a model"):
        nearfar.train("lost", corpus, model=shape, out=tmp_path / "e", **others, **STEPS, hidden_size=32)
    assert not (tmp_path / "e").exists()
