"""A language model trained with NLL, the spectral loss, or both."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM

import nearfar
from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.recipes import markov

WORDS = ["the cat sits", "the dog runs", "a bird swims", "a fish flies"]
DOCUMENTS = Dataset.from_dict({"text": [" and ".join(WORDS[i % 4] for i in range(n, n + 6)) for n in range(40)]})
SMALL: dict[str, Any] = {
    **{"vocabulary": 280, "hidden_size": 16, "layers": 1, "heads": 2},
    **{"max_steps": 40, "batch_size": 4, "max_length": 16, "learning_rate": 1e-2, "held_out": 0.2},
}


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    out = tmp_path_factory.mktemp("markov")
    return {
        loss: nearfar.train("markov", DOCUMENTS, out=out / loss, loss=loss, **SMALL).metrics["losses"]
        for loss in ("nll", "spectral", "both")
    }


def test_each_loss_learns_and_is_measured_by_both(losses: dict[str, dict[str, float]]) -> None:
    # The marginal law is the same for all, and has L_spec 0.
    (entropy,) = {each["entropy"] for each in losses.values()}
    assert losses["nll"]["nll"] < entropy
    assert losses["both"]["nll"] < entropy
    assert losses["spectral"]["spectral"] < min(0, losses["nll"]["spectral"])


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.txt").write_text("\n\n".join(DOCUMENTS["text"]))
    settings = " ".join(f"--set {key}={value}" for key, value in {**SMALL, "max_steps": 2}.items())
    out = tmp_path / "run"
    assert run(shlex.split(f"train markov --data {tmp_path}/corpus.txt --out {out} {settings} --json")) == 0
    assert set(json.loads(capsys.readouterr().out)["losses"]) == {"nll", "spectral", "entropy"}
    assert AutoModelForCausalLM.from_pretrained(out / "model").config.hidden_size == 16


def test_an_unknown_loss() -> None:
    with pytest.raises(InputError, match="loss"):
        with_settings(markov.Options(), {"loss": "contrastive"})
