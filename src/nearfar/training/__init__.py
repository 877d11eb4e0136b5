"""One training run: options, Hugging Face's trainer, checkpoints that survive a kill, the run folder."""

from nearfar.training.result import Run
from nearfar.training.run import train

__all__ = ["Run", "train"]
