"""Training that divides the weights among the processes is refused before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from nearfar.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["WholeWeights", "is_sharded"]


def is_sharded(model: nn.Module) -> bool:
    """Whether this process has a part of some weights only: FSDP, DeepSpeed's ZeRO stage 3, or tensor parallelism."""
    if any(isinstance(module, FullyShardedDataParallel) for module in model.modules()):
        return True
    # ZeRO's stage 3 leaves empty parameters, with the part of this process as an attribute.
    return any(isinstance(weight, DTensor) or hasattr(weight, "ds_tensor") for weight in model.parameters())


class WholeWeights(TrainerCallback):
    """Checks, when the model has been prepared for training, that every process has all of its weights."""

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any = None, **_: Any) -> None:
        """Called by the trainer before the first step.

        Raises:
            InputError: The weights are sharded. What is evaluated and written afterwards would be a part of them.
        """
        if is_sharded(model):
            raise InputError(
                "the weights would be sharded over the processes (FSDP, or DeepSpeed's ZeRO stage 3), and nearfar "
                "evaluates and writes whole ones",
                field="--trainer-args",
                remedy="use ZeRO stage 1 or 2, which shard gradients and the optimizer's state",
            )
