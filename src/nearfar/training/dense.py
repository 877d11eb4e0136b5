"""What a run with low-rank and sparse layers leaves for plain transformers: `dense/` in its folder."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.kinds.options import LanguageOptions
from nearfar.models.low_rank.dense import to_dense
from nearfar.recipes._recipe import LanguagePlan
from nearfar.training.folder import is_main_process
from nearfar.training.language_trainer import language_trainer_for
from nearfar.writing import replace_folder

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: Peak of the schedule by which a fitted model is brought closer.
LEARNING_RATE = 1e-3


def export_dense(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: LanguageOptions,
    steps: int,
    folder: Path,
    blocks: Dataset,
    held_out: Dataset | None,
) -> dict[str, Any]:
    """Write `folder/dense`, which `AutoModelForCausalLM.from_pretrained` loads, and say how good it is.

    Args:
        model: As `convert` made it, trained since.
        tokenizer: Saved with it.
        options: Of the run; they say how large a step is.
        steps: In which a fitted model learns the distributions of the trained one; an exact one has nothing to learn.
        folder: The run's.
        blocks: Text to fit to.
        held_out: Text to measure on.

    Returns:
        Under `dense`: whether it is `exact`, its `perplexity` on `held_out`, and a `note` in words.
    """
    from transformers import set_seed

    from nearfar.evaluation.perplexity import perplexity
    from nearfar.losses.language import TeacherLoss

    set_seed(0)
    dense, exact = to_dense(model, blocks)
    note = "it is the same function, folded into one matrix a layer."
    if not exact:
        note = (
            "it is another function, fitted to the trained one, since an activation between the factors folds into no "
            "matrix. Compare the perplexities."
        )
        if steps:
            few = replace(options, max_steps=steps, save_steps=steps, eval_steps=0, learning_rate=LEARNING_RATE)
            with tempfile.TemporaryDirectory() as checkpoints:
                plan = LanguagePlan(dense, tokenizer, TeacherLoss(model))
                language_trainer_for(plan, blocks, few, checkpoints, 0).train()
    if is_main_process():

        def save(path: Path) -> None:
            dense.save_pretrained(path)
            tokenizer.save_pretrained(path)

        replace_folder(folder / "dense", save)
    found = None if held_out is None else perplexity(dense, held_out).metrics["perplexity"]
    return {"dense": {"exact": exact, "perplexity": found, "note": note}}
