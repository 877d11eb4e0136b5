"""An encoder as one ONNX graph: transformer, pooling, dense layers and normalisation.

    inputs   input_ids, attention_mask, and token_type_ids if the model has them: (batch, sequence), int64
    outputs  last_hidden_state: (batch, sequence, width); sentence_embedding: (batch, d)

Both axes are dynamic. The file has the place and the first output that sentence-transformers' backend and
text-embeddings-inference look for, which pool for themselves; other readers take `sentence_embedding` as it is.

torch exports the graph itself. The usual exporter, optimum-onnx, requires transformers < 4.58 (release 0.1.0), and
nearfar requires 5.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["INPUTS", "OUTPUT", "write_graph"]

#: The inputs that a graph can have.
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
#: The vectors of texts.
OUTPUT = "sentence_embedding"
_TOKENS = "last_hidden_state"


def write_graph(model: SentenceTransformer, file: Path) -> None:
    """Write a text encoder as an ONNX file.

    Args:
        model: A transformer with its pooling and what follows.
        file: The file to write; large weights come beside it.

    Raises:
        InputError: The architecture cannot be exported.
    """
    import torch

    graph = _Graph(model).eval()
    # Two texts of different lengths, so that neither axis is taken for a constant.
    features = model.preprocess(["near", "far and wide"])
    inputs = {name: features[name].cpu() for name in INPUTS if name in features}
    axes = {name: {0: "batch", 1: "sequence"} for name in inputs}
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph,
                (),
                kwargs=inputs,
                dynamo=True,
                dynamic_shapes=axes,
                input_names=list(inputs),
                output_names=[_TOKENS, OUTPUT],
            )
            assert program is not None
            file.parent.mkdir(parents=True, exist_ok=True)
            program.save(str(file))
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        name = type(model[0].model).__name__  # pyright: ignore[reportAttributeAccessIssue]
        line = next(iter(str(error.__cause__ or error).splitlines()), "no reason given")[:200]
        remedy = "use --for tei or --for vllm, which need no graph"
        raise InputError(f"torch cannot export {name} to ONNX ({line})", field="--for", remedy=remedy) from error


class _Graph(nn.Module):
    """The modules of an encoder with tensors as arguments."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        modules: list[Any] = list(model)
        self.transformer, self.rest = modules[0].model, nn.ModuleList(modules[1:])
        self.dims = model.truncate_dim

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> tuple[Any, Any]:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        tokens = self.transformer(**inputs).last_hidden_state
        features = {**inputs, "token_embeddings": tokens}
        for module in self.rest:
            features = module(features)
        vectors = features["sentence_embedding"]
        return tokens, vectors if self.dims is None else vectors[:, : self.dims]


@contextmanager
def _quiet() -> Iterator[None]:
    """torch tells each step of an export on stdout, and what it does not need in its log."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
