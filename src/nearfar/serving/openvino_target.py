"""Exports for OpenVINO: `openvino/openvino_model.xml`, in the layout of sentence-transformers' backend.

The graph is that for ONNX, converted. With int8 the weights of matrix products and of embeddings have 8 bits, one
scale for each output, and are multiplied out when the model runs: vectors change less than by quantising inputs, too.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nearfar.serving.graph import OUTPUT, write_graph
from nearfar.serving.runner import runner
from nearfar.serving.settings import without_weights, write_settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["load", "write"]

FILE = "openvino/openvino_model.xml"
#: A smaller matrix keeps its floats: the scales would outweigh what is saved.
_SMALLEST = 1024


def write(model: SentenceTransformer, folder: Path, int8: bool) -> None:
    """Write the graph and the files that its readers need."""
    import openvino

    write_settings(model, folder)
    without_weights(folder)
    with TemporaryDirectory() as place:
        file = Path(place, "model.onnx")
        write_graph(model, file)
        graph = openvino.convert_model(str(file))
        if int8:
            _compress(graph)
        (folder / FILE).parent.mkdir(parents=True)
        openvino.save_model(graph, str(folder / FILE), compress_to_fp16=False)


def load(folder: Path, max_length: int) -> SentenceTransformer:
    """The export as an encoder, run by OpenVINO on the CPU in float32.

    OpenVINO itself would take bfloat16 where the CPU has it, and give other vectors on other machines.
    """
    import openvino

    graph = openvino.Core().compile_model(str(folder / FILE), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [each.get_any_name() for each in graph.inputs]
    return runner(folder, lambda arrays: graph({name: arrays[name] for name in names})[OUTPUT], max_length)


def _compress(graph: Any) -> None:
    """Replace the float32 matrices of matrix products and look-ups by int8 with a scale for each output, in place."""
    import numpy as np
    import openvino
    from openvino import opset13 as operations

    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind not in ("MatMul", "Gather"):
            continue
        place = 1 if kind == "MatMul" else 0
        source = node.input_value(place).get_node()
        if source.get_type_name() != "Constant" or source.get_element_type() != openvino.Type.f32:
            continue
        weights = source.data
        if weights.ndim != 2 or weights.size < _SMALLEST:
            continue
        # The axis that is summed over; of a look-up, each row has a scale.
        axis = 1 if kind == "Gather" or node.get_attributes()["transpose_b"] else 0
        scale = np.abs(weights).max(axis, keepdims=True) / 127
        scale[scale == 0] = 1
        small = operations.constant(np.round(weights / scale).astype(np.int8))
        restored = operations.multiply(operations.convert(small, "f32"), operations.constant(scale.astype(np.float32)))
        node.input(place).replace_source_output(restored.output(0))
