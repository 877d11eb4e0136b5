"""What the tests of all kinds do in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

TEXTS = ["the cat and so dog 1", "the sea and so sky 2", "money bank 3"]


def answers(out: str, folders: list[str]) -> None:
    """Write what each of some models answers."""
    import nearfar
    from nearfar.kinds.loading import of
    from nearfar.models.abilities import Classifies, Encodes, Generates, Scores

    found = []
    for folder in folders:
        model = of(nearfar.load(folder, device="cpu"))
        answer: dict[str, Any] = {"kind": model.name}
        if isinstance(model, Encodes):
            answer["vectors"] = np.asarray(model.encode(TEXTS)).tolist()
        if isinstance(model, Classifies):
            answer["labels"] = model.labels, model.label_scores(TEXTS).tolist()
        if isinstance(model, Scores):
            answer["scores"] = np.asarray(model.score_pairs(TEXTS, TEXTS[::-1]), dtype=float).tolist()
        if isinstance(model, Generates):
            answer["texts"] = model.generate(TEXTS, max_new_tokens=5)
        found.append(answer)
    Path(out).write_text(json.dumps(found))


def killed(folder: str, step: int, arguments: list[str]) -> None:
    """Train by the command line, and die by SIGKILL once it has made so many steps of a stage."""
    from nearfar.cli.app import run
    from nearfar.kinds import _trainer

    original = _trainer.MarkComplete.on_step_end

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        if str(args.output_dir).endswith(folder) and state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, args, state, control, **rest)

    _trainer.MarkComplete.on_step_end = on_step_end
    sys.exit(run(arguments))
