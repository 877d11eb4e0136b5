"""What each of two processes does: trains once for each entry of a file of settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch


def work(settings: Path) -> None:
    torch.set_num_threads(1)
    from nearfar.training.run import train

    for arguments in json.loads(settings.read_text()):
        train(arguments.pop("recipe"), arguments.pop("data"), **arguments)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
