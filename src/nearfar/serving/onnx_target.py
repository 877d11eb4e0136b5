"""Exports for onnxruntime: `onnx/model.onnx`, in the layout of sentence-transformers' backend.

With int8 the weights of all matrix products are quantised, one scale for each column, and their inputs when the model
runs (onnxruntime's dynamic quantisation).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.serving.graph import OUTPUT, write_graph
from nearfar.serving.runner import runner
from nearfar.serving.settings import without_weights, write_settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["load", "write"]

FILE = "onnx/model.onnx"


def write(model: SentenceTransformer, folder: Path, int8: bool) -> None:
    """Write the graph and the files that its readers need."""
    write_settings(model, folder)
    without_weights(folder)
    file = folder / FILE
    write_graph(model, file)
    if int8:
        _quantise(file)


def load(folder: Path, max_length: int) -> SentenceTransformer:
    """The export as an encoder, run by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return runner(folder, lambda arrays: session.run([OUTPUT], {name: arrays[name] for name in names})[0], max_length)  # pyright: ignore[reportArgumentType, reportReturnType]


def _quantise(file: Path) -> None:
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The graph names the file of large weights, which stays where it is until the end.
    whole = file.with_name("whole.onnx")
    file.rename(whole)
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)  # it recommends a step that this graph does not need
    try:
        quantize_dynamic(whole, file, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        root.setLevel(level)
    whole.unlink()
    file.with_name(f"{file.name}.data").unlink(missing_ok=True)
