"""One training run: options, the Hugging Face trainer, checkpoints to resume from, and the run folder."""

from nearfar.training.result import Run
from nearfar.training.run import train

__all__ = ["Run", "train"]
