"""Pretrains a small BERT by masked language modelling: a raw backbone for benchmarks, which has seen no pair of texts.

    NEARFAR_DATA=FOLDER python benchmarks/small_bert.py --out FOLDER [--steps 6000] [--batch 256]

The texts are `wiki_sentences`; its WordPiece vocabulary is made from them, too. Minutes on a GPU, a night on two cores.
The folder is a plain BERT for masked language modelling, with the loss on held-out sentences in `pretraining.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import BertWordPieceTokenizer

from claims._data import wiki_sentences
from nearfar.writing import replace_folder

VOCABULARY, LAYERS, WIDTH, HEADS, LENGTH = 16_000, 6, 384, 6, 48
LEARNING_RATE, MASKED, HELD_OUT, SEED = 5e-4, 0.15, 2_000, 0


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


def pretrain(steps: int, batch: int, folder: Path) -> None:
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
    rows = [{"input_ids": each} for each in ids]
    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            output_dir=scratch,
            max_steps=steps,
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=batch,
            learning_rate=LEARNING_RATE,
            warmup_steps=max(1, steps // 20),
            weight_decay=0.01,
            bf16=torch.cuda.is_available(),
            save_strategy="no",
            logging_steps=max(1, steps // 20),
            report_to=[],
            disable_tqdm=True,
            seed=SEED,
            dataloader_num_workers=0 if steps < 100 else 2,
        )
        trainer = transformers.Trainer(model, arguments, collator, rows[HELD_OUT:], rows[:HELD_OUT])  # type: ignore[arg-type]
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
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
    print(facts, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pretrain a small BERT by masked language modelling.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6_000)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    replace_folder(options.out, partial(pretrain, options.steps, options.batch))
