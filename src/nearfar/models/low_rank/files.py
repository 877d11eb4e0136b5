"""Saving and loading of models with low-rank and sparse layers.

`config.json` has its own model type and contains the base model's configuration: plain transformers then reports an
unknown type, instead of loading the folder with random weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.low_rank.layers import LowRankSparse, convert_shapes
from nearfar.writing import write_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODEL_TYPE = "low_rank_sparse"


def save_low_rank_sparse(model: PreTrainedModel, folder: str | Path) -> None:
    """Write a converted model's weights (safetensors) and configuration."""
    model.save_pretrained(folder)
    path = Path(folder, "config.json")
    base = json.loads(path.read_text("utf-8"))
    how = base.pop(MODEL_TYPE)
    write_text(json.dumps({"model_type": MODEL_TYPE, MODEL_TYPE: how, "base": base}, indent=2) + "\n", path)


def is_low_rank_sparse(folder: Path) -> bool:
    """Whether the model in a folder must be loaded with `load_low_rank_sparse`."""
    try:
        return json.loads((folder / "config.json").read_text("utf-8")).get("model_type") == MODEL_TYPE
    except (OSError, ValueError, AttributeError):
        return False


def load_low_rank_sparse(folder: Path) -> PreTrainedModel:
    """Load a model that `save_low_rank_sparse` wrote.

    Raises:
        InputError: The configuration or the weights are not those of such a model.
    """
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM

    path = folder / "config.json"
    written = json.loads(path.read_text("utf-8"))
    try:
        how, base = LowRankSparse(**written[MODEL_TYPE]), dict(written["base"])
        config = AutoConfig.for_model(base.pop("model_type"), **base)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"is not a configuration of low-rank layers ({error})", file=path) from error
    model: Any = convert_shapes(AutoModelForCausalLM.from_config(config), how)
    weights = {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}
    found = model.load_state_dict(weights, strict=False)
    model.tie_weights()
    missing = set(found.missing_keys) - set(model.all_tied_weights_keys or ())
    if missing or found.unexpected_keys:
        problem = f"lacks {min(missing)}" if missing else f"contains the unknown tensor {found.unexpected_keys[0]}"
        raise InputError(f"{problem}: weights and configuration do not match", file=folder)
    assert model.config.low_rank_sparse == asdict(how)
    return model.eval()
