"""One training run: options, the Hugging Face trainer, checkpoints, and the run folder. Static models, without one."""

from nearfar.training.fusing import fuse_within
from nearfar.training.result import Run
from nearfar.training.run import train
from nearfar.training.static import distill
from nearfar.training.static_result import Distilled

__all__ = ["Distilled", "Run", "distill", "fuse_within", "train"]
