"""Pretrains a small BERT by masked language modelling: a raw backbone for benchmarks, which has seen no pair of texts.

    NEARFAR_DATA=FOLDER python benchmarks/small_bert.py --out FOLDER [--steps 6000] [--batch 128]

The texts are `wiki_sentences`; its WordPiece vocabulary is made from them, too. More than an hour on one core of a CPU
with bfloat16 instructions. The same command resumes a stopped run from FOLDER.unfinished. The folder is a plain BERT
for masked language modelling, with the loss on held-out sentences in `pretraining.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from tokenizers import BertWordPieceTokenizer

from claims._data import wiki_sentences
from nearfar.writing import replace_folder, write_text

#: The size of BERT-mini.
VOCABULARY, LAYERS, WIDTH, HEADS, LENGTH = 16_000, 4, 256, 4, 48
LEARNING_RATE, MASKED, HELD_OUT, SEED, SAVE_STEPS = 1e-3, 0.15, 2_000, 0, 500


def sentences() -> list[str]:
    """In a random order."""
    found = list(wiki_sentences()["text"])
    random.Random(SEED).shuffle(found)
    return found


def vocabulary(texts: list[str], folder: Path) -> Any:
    """A tokenizer of lower-case word pieces."""
    made = BertWordPieceTokenizer(lowercase=True)
    made.train_from_iterator(texts, vocab_size=VOCABULARY, show_progress=False)
    made.save_model(str(folder))
    return transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LENGTH)


class Pretraining(transformers.Trainer):
    """Computes the head only for the masked tokens."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        labels = inputs.pop("labels")
        with self.accelerator.autocast():  # otherwise only for a call of the model itself
            states, masked = model.bert(**inputs).last_hidden_state, labels != -100
            logits = model.cls(states[masked])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[masked])
        return (loss, {"loss": loss}) if return_outputs else loss


def checkpoint(unfinished: Path, asked: dict[str, int]) -> str | None:
    """The newest whole checkpoint of a stopped run with the same settings, if there is one."""
    settings = unfinished / "settings.json"
    if settings.is_file() and (there := json.loads(settings.read_text("utf-8"))) != asked:
        sys.exit(f"{unfinished} is of a run with {there}: use the same options, or remove it")
    unfinished.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(asked), settings)
    # Written last.
    whole = [each.parent for each in unfinished.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda each: int(each.name.rpartition("-")[2]))) if whole else None


def pretrain(steps: int, batch: int, unfinished: Path, folder: Path) -> None:
    start = checkpoint(unfinished, {"steps": steps, "batch": batch})
    transformers.set_seed(SEED)
    texts = sentences()
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = vocabulary(texts, Path(scratch))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=512,
    )
    model = transformers.BertForMaskedLM(config)
    ids = tokenizer(texts, truncation=True, max_length=LENGTH)["input_ids"]
    collator = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASKED)
    rows = Dataset.from_dict({"input_ids": ids})
    arguments = transformers.TrainingArguments(
        output_dir=str(unfinished),
        max_steps=steps,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        learning_rate=LEARNING_RATE,
        warmup_steps=max(1, steps // 20),
        weight_decay=0.01,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        prediction_loss_only=True,
        save_steps=SAVE_STEPS,
        save_total_limit=1,
        logging_steps=max(1, steps // 20),
        report_to=[],
        disable_tqdm=True,
        seed=SEED,
    )
    trainer = Pretraining(
        model,
        arguments,
        collator,
        rows.select(range(HELD_OUT, len(rows))),
        rows.select(range(HELD_OUT)),  # pyright: ignore[reportArgumentType]
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train(resume_from_checkpoint=start)
    after = trainer.evaluate()["eval_loss"]
    model.float().save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    facts: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "sentences": len(rows) - HELD_OUT,
        "loss": {"before": before, "after": after},
    }
    (folder / "pretraining.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    shutil.rmtree(unfinished, ignore_errors=True)
    print(facts, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pretrain a small BERT by masked language modelling.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6_000)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    unfinished = options.out.with_name(f"{options.out.name}.unfinished")
    replace_folder(options.out, partial(pretrain, options.steps, options.batch, unfinished))
