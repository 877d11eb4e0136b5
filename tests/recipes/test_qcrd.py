"""What `qcrd` composes from its options, its gradients, and its use from the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.kinds.seq2seq import Seq2SeqLM
from nearfar.losses.rationales import DiscriminatorLoss, RationaleLoss
from nearfar.recipes import qcrd

DIGITS = ["zero", "one", "two", "three", "four"]


def rows() -> list[dict[str, Any]]:
    """Sums of two digits modulo 5, with right rationales and, for some, a wrong one."""
    made = []
    for a in range(5):
        for b in range(5):
            c, wrong = DIGITS[(a + b) % 5], DIGITS[(a + b + 1) % 5]
            right = [f"{DIGITS[a]} then {c}", f"{DIGITS[b]} then {c}"]
            rationales = [{"text": text, "answer": c} for text in right]
            rationales += [{"text": f"{DIGITS[a]} then {wrong}", "answer": wrong}] * (a > 1)
            made.append({"question": f"{DIGITS[a]} plus {DIGITS[b]}", "answer": c, "rationales": rationales})
    return made


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", "predict:", "explain:", "plus", "then", *DIGITS]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def t5() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    shape = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    special = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
    return T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer()), **shape, **special))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("students")
    torch.manual_seed(0)
    size = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64, "bos_token_id": 1}
    size |= {"vocab_size": len(tokenizer()), "hidden_size": 32, "intermediate_size": 64}
    llama = LlamaForCausalLM(LlamaConfig(pad_token_id=0, eos_token_id=1, **size))
    for name, model in (("t5", t5()), ("llama", llama)):
        model.save_pretrained(root / name)
        tokenizer().save_pretrained(root / name)
    write_jsonl(rows(), root / "rows.jsonl")
    write_jsonl([{key: row[key] for key in ("question", "answer")} for row in rows()[:9]], root / "held.jsonl")
    return {"root": root, "t5": root / "t5", "llama": root / "llama"}


def prepared(**options: Any) -> Any:
    torch.manual_seed(0)
    student = Seq2SeqLM(t5(), tokenizer())
    return qcrd.prepare(student, Dataset.from_list(rows()), qcrd.Options(batch_size=5, **options))


def batch_of(plan: Any, numbers: range) -> dict[str, Any]:
    (*_, stage) = plan
    return plan.model.collate([stage.rows[number] for number in numbers])


def gradients(plan: Any, loss: torch.Tensor) -> list[torch.Tensor]:
    plan.model.model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in plan.model.model.parameters() if p.grad is not None]


def test_stages_and_shares() -> None:
    first, student = prepared()
    assert isinstance(first.loss, DiscriminatorLoss)
    assert isinstance(student.loss, RationaleLoss)
    assert student.loss.steps == 5
    (alone,) = prepared(quality=False)
    assert alone.loss.discriminator is None
    (plain,) = prepared(quality=False, own_negatives=False)
    assert plain.loss.own is None
    assert prepared(iteration_steps=7, quality=False).stages[0].loss.steps == 7


def test_without_negatives_and_with_one_positive_it_is_step_by_step_distillation() -> None:
    plan = prepared(rationales=1, positive_by="all", beta=0.0, quality=False)
    batch, (stage,) = batch_of(plan, range(5)), plan
    ours = gradients(plan, stage.loss(plan.model.model, batch))
    student, model = plan.model, plan.model.model
    answer = student.target_losses(
        model, [qcrd.PREDICT + q for q in batch["question"]], student.target_tokens(batch["answer"]), range(5)
    )
    reason = student.target_losses(
        model,
        [qcrd.EXPLAIN + q for q in batch["question"]],
        student.target_tokens([texts[0] for texts in batch["positives"]]),
        range(5),
    )
    expected = gradients(plan, 0.5 * answer.mean() + 0.5 * reason.mean())
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_what_decides_nothing_is_not_computed() -> None:
    alone = {"rationales": 1, "positive_by": "all"}
    for settings, passes in (
        ({**alone, "beta": 0.0}, 2),  # the answer and the rationale
        ({**alone, "beta": 0.2}, 3),  # and a look at the student's own negatives
        ({"beta": 0.0, "own_negatives": False}, 3),  # and at several positives
    ):
        plan = prepared(quality=False, **settings)
        batch, (stage,) = batch_of(plan, range(5)), plan
        losses = plan.model.target_losses
        with patch.object(plan.model, "target_losses", side_effect=losses) as measured:
            stage.loss(plan.model.model, batch)
        assert measured.call_count == passes, settings


def test_only_the_likeliest_positive_gets_a_gradient() -> None:
    plan = prepared(beta=0.0, quality=False)
    batch, (stage,) = batch_of(plan, range(5)), plan
    before = gradients(plan, stage.loss(plan.model.model, batch))
    student = plan.model
    sources = [qcrd.EXPLAIN + q for q in batch["question"]]
    changed = []
    for row, texts in enumerate(batch["positives"]):
        losses = student.target_losses(student.model, sources, student.target_tokens(texts), [row] * len(texts))
        worst = int(losses.argmax())
        # Longer nonsense is even less likely than the one it replaces, or as good as.
        changed.append([text if n != worst else texts[int(losses.argmin())] for n, text in enumerate(texts)])
    after = gradients(plan, stage.loss(plan.model.model, {**batch, "positives": changed}))
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_student_gets_no_gradient_from_the_discriminator_nor_the_other_way_round() -> None:
    plan = prepared(answer_weight=0.0, rationale_weight=0.0)
    _, stage = plan
    loss = stage.loss(plan.model.model, batch_of(plan, range(5)))
    loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in plan.model.model.parameters())
    assert any(p.grad is not None and p.grad.any() for p in stage.loss.discriminator.parameters())
    plan = prepared(discriminator_weight=0.0)
    _, stage = plan
    stage.loss(plan.model.model, batch_of(plan, range(5))).backward()
    assert all(p.grad is None or not p.grad.any() for p in stage.loss.discriminator.parameters())


def test_a_higher_temperature_makes_samples_more_different() -> None:
    student = Seq2SeqLM(t5(), tokenizer())

    def entropy(temperature: float) -> float:
        drawn = student.sample_targets(["one plus two"] * 400, temperature=temperature, max_new_tokens=1)
        shares = torch.bincount(torch.cat(drawn)) / 400
        return float(torch.special.entr(shares).sum())

    assert entropy(1.5) > entropy(1.0) + 0.05


def test_the_loss_of_a_rationale_is_a_mean_or_a_sum_over_its_tokens() -> None:
    alone = {"answer_weight": 0.0, "beta": 0.0, "quality": False}
    means, sums = (prepared(token_mean=mean, **alone) for mean in (True, False))
    losses = [float(plan.stages[0].loss(plan.model.model, batch_of(plan, range(5))).detach()) for plan in (means, sums)]
    assert losses[1] == pytest.approx(4 * losses[0], rel=1e-5)  # three words and the end


def test_the_weight_of_the_discriminator_decays_by_iteration() -> None:
    plan = prepared(answer_weight=0.0, rationale_weight=0.0, own_negatives=False, discriminator_every=2)
    _, stage = plan
    batch, found = batch_of(plan, range(10, 15)), []
    for call in range(25):
        loss = float(stage.loss(plan.model.model, batch).detach())
        if call % 5 == 0:
            found.append(loss)
    assert found[1] == found[3] == 0
    assert [found[2] / found[0], found[4] / found[0]] == pytest.approx([0.81, 0.9**4], rel=1e-5)


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_from_the_command_line(
    name: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = folders["root"], tmp_path / "run"
    sets = "max_steps=12 batch_size=5 learning_rate=3e-3 max_rationale=6 max_length=32 lag=1 discriminator_epochs=0.5"
    chosen = " ".join(f"--set {setting}" for setting in f"{sets} epochs=2.5".split())
    command = (
        f"train qcrd --data {root}/rows.jsonl --model {folders[name]} --eval {root}/held.jsonl --out {out} {chosen}"
    )
    assert run(shlex.split(command)) == 0
    capsys.readouterr()
    metrics = json.loads((out / "metrics.json").read_text())
    assert [(stage["name"], stage["steps"]) for stage in metrics["stages"]] == [("discriminator", 2), ("student", 10)]
    assert metrics["after"]["task"] == "answers"
    assert nearfar.load(out / "model", device="cpu").prefixes == {"predict": qcrd.PREDICT, "explain": qcrd.EXPLAIN}
    assert run(shlex.split(f"evaluate {out}/model --data {root}/held.jsonl --task answers --json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"] == pytest.approx(metrics["after"]["metrics"])
    assert not any("prefix" in note for note in found["notes"])


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearfar.kinds import _trainer

    sets = "max_steps=16 batch_size=5 learning_rate=3e-3 max_rationale=6 lag=2 save_steps=3 iteration_steps=2"
    chosen = " ".join(f"--set {setting}" for setting in f"{sets} discriminator_epochs=1 epochs=5".split())
    command = f"train qcrd --data {folders['root']}/rows.jsonl --model {folders['t5']} {chosen} --out {tmp_path}/"
    assert run(shlex.split(command + "whole")) == 0
    original = _trainer.MarkComplete.on_step_end

    def stopped(self: Any, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        if "stage-2" in str(args.output_dir) and state.global_step == 8:
            raise KeyboardInterrupt
        return original(self, args, state, control, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(_trainer.MarkComplete, "on_step_end", stopped)
        assert run(shlex.split(command + "cut")) != 0
    assert not (tmp_path / "cut" / "model").exists()
    assert run(shlex.split(command + "cut --resume")) == 0
    whole, cut = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_a_model_of_another_kind_is_refused_in_one_line(
    folders: dict[str, Path], tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folders["root"] / "rows.jsonl"
    for model in (f"--model {tiny_model_folder}", ""):
        assert run(shlex.split(f"train qcrd --data {data} {model} --out {tmp_path}/run")) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "--model" in error
    assert not (tmp_path / "run").exists()


def test_it_learns_from_rationales() -> None:
    import tempfile

    from nearfar.training.stages import train_plan

    settings: dict[str, Any] = {"epochs": 40.0, "learning_rate": 5e-3, "max_rationale": 6, "discriminator_epochs": 5.0}
    plan = prepared(**settings)
    sources = [qcrd.EXPLAIN + row["question"] for row in rows()]

    def right() -> float:
        texts = plan.model.target_texts(plan.model.sample_targets(sources, max_new_tokens=6))
        good = ([rationale["text"] for rationale in row["rationales"][:2]] for row in rows())
        return sum(text in own for text, own in zip(texts, good, strict=True)) / len(sources)

    before = right()
    with tempfile.TemporaryDirectory() as folder:
        train_plan(plan, qcrd.Options(batch_size=5, **settings), folder, 0)
    assert before < 0.2
    assert right() > 0.6
