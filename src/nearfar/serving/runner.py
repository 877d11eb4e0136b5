"""Another runtime behind the interface of sentence-transformers, so that it is measured as every encoder is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module

from nearfar.models.model_files import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from jaxtyping import Float, Int

__all__ = ["Run", "runner"]

#: From the inputs of a graph, (texts, tokens) each, to the vectors of texts.
Run = Callable[["Mapping[str, Int[np.ndarray, 'n t']]"], "Float[np.ndarray, 'n d']"]


def runner(folder: Path, run: Run, max_length: int) -> SentenceTransformer:
    """An encoder that reads the tokenizer and the prompts in a folder, and computes vectors with `run`.

    Args:
        folder: The folder of the export.
        run: The runtime.
        max_length: Maximum number of tokens; longer texts are truncated.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    settings = json_object(folder / "config_sentence_transformers.json")
    return SentenceTransformer(
        modules=[_Runtime(tokenizer, run, max_length)],
        prompts=settings.get("prompts"),
        default_prompt_name=settings.get("default_prompt_name"),
        similarity_fn_name=settings.get("similarity_fn_name"),
        device="cpu",
    ).eval()


class _Runtime(Module):
    """Tokens from the tokenizer, vectors from a runtime."""

    def __init__(self, tokenizer: Any, run: Run, max_length: int) -> None:
        super().__init__()
        self.tokenizer, self._run, self.max_seq_length = tokenizer, run, max_length

    def preprocess(self, inputs: list[str], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        texts = [f"{prompt or ''}{text}" for text in inputs]
        found = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_seq_length, return_tensors="pt"
        )
        return dict(found)

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        arrays = {name: value.numpy() for name, value in features.items() if isinstance(value, torch.Tensor)}
        return {**features, "sentence_embedding": torch.from_numpy(self._run(arrays))}

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("a runtime is not saved")
