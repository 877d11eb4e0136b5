"""The export of low-rank and sparse layers for plain transformers: `dense/` in a run's folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.kinds._processes import is_main_process
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.kind import Setting
from nearfar.kinds.options import LanguageOptions
from nearfar.kinds.plan import Stage
from nearfar.models.low_rank.dense import to_dense
from nearfar.writing import replace_folder

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import nn

#: Peak learning rate when a dense model is fitted to the trained one.
LEARNING_RATE = 1e-3


def export_dense(
    trained: CausalLM,
    documents: Dataset,
    options: LanguageOptions,
    steps: int,
    towards: Callable[[Any], nn.Module],
    folder: Path,
    held_out: Dataset | None,
) -> dict[str, Any]:
    """Write `folder/dense`, which `AutoModelForCausalLM.from_pretrained` loads, and report how good it is.

    Args:
        trained: The trained model, with the layers of `nearfar.models.low_rank.layers.convert`.
        documents: Documents used for fitting.
        options: Options of the run; they give the batch size of a step.
        steps: Number of steps in which a fitted model learns the distributions of the trained one; an exact export
            needs none.
        towards: Makes the loss of these steps from the trained model, such as `nearfar.losses.language.TeacherLoss`.
        folder: Folder of the run.
        held_out: Documents for evaluation.

    Returns:
        Under `dense`: whether the export is `exact`, its `perplexity` on `held_out`, and a `note` in words.
    """
    import math

    from transformers import set_seed

    set_seed(0)
    model, exact = to_dense(trained.model, trained.blocks(documents))
    dense = CausalLM(model, trained.tokenizer)
    dense.block = trained.block
    note = "the same function, with one matrix per layer."
    if not exact:
        note = (
            "a different function, fitted to the trained one, because factors with an activation between them cannot "
            "be merged into one matrix. Compare the perplexities."
        )
        if steps:
            few = replace(options, max_steps=steps, save_steps=steps, eval_steps=0, learning_rate=LEARNING_RATE)
            with tempfile.TemporaryDirectory() as checkpoints:
                stage = Stage(documents, towards(trained.model))
                dense.trainer(stage, few, Setting(Path(checkpoints), 0)).train()
    if is_main_process():
        replace_folder(folder / "dense", dense.save)
    found = None
    if held_out is not None:
        found = math.exp(min(-float(dense.log_probability(held_out).mean()), 700.0))
    return {"dense": {"exact": exact, "perplexity": found, "note": note}}
