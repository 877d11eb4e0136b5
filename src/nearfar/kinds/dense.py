"""What a run with low-rank and sparse layers leaves for plain transformers: `dense/` in its folder."""

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

#: Peak of the schedule by which a fitted model is brought closer.
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
    """Write `folder/dense`, which `AutoModelForCausalLM.from_pretrained` loads, and say how good it is.

    Args:
        trained: With the layers of `nearfar.models.low_rank.layers.convert`, trained since.
        documents: Text to fit to.
        options: Of the run; they say how large a step is.
        steps: In which a fitted model learns the distributions of the trained one; an exact one has nothing to learn.
        towards: Makes the loss of these steps of the trained model, such as `nearfar.losses.language.TeacherLoss`.
        folder: The run's.
        held_out: Documents to measure on.

    Returns:
        Under `dense`: whether it is `exact`, its `perplexity` on `held_out`, and a `note` in words.
    """
    import math

    from transformers import set_seed

    set_seed(0)
    model, exact = to_dense(trained.model, trained.blocks(documents))
    dense = CausalLM(model, trained.tokenizer)
    dense.block = trained.block
    note = "it is the same function, folded into one matrix a layer."
    if not exact:
        note = (
            "it is another function, fitted to the trained one, since an activation between the factors folds into no "
            "matrix. Compare the perplexities."
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
