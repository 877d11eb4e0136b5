"""The weights of Whisper by the names of transformers, from the variables of CTranslate2.

CTranslate2 joins projections of one input into one matrix, row by row: queries, keys and values of self-attention, and
keys and values of cross-attention. A joined bias contains zeros for the keys, which have no bias in Whisper.

Source: Radford et al. 2023, Robust Speech Recognition via Large-Scale Weak Supervision (ICML 2023, arXiv 2212.04356).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.models.whisper.ctranslate2 import Variables

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["TINY", "Shape", "whisper_weights"]

_REMEDY = "use the weights of the package"


@dataclass(frozen=True)
class Shape:
    """The shape of a Whisper.

    Args:
        width: Dimensions of a state.
        layers: Layers of the encoder, and of the decoder.
        heads: Heads of each attention.
        feed_forward: Dimensions between the two matrices of a feed-forward layer.
        vocabulary: Number of tokens; by default that of the English models.
        mels: Mel bins of a frame.
        frames: Positions of the encoder: 50 for each second.
        positions: Positions of the decoder.
    """

    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int = 51864
    mels: int = 80
    frames: int = 1500
    positions: int = 448


#: Whisper tiny.en.
TINY = Shape(width=384, layers=4, heads=6, feed_forward=1536)


def whisper_weights(found: Variables, shape: Shape, file: Path) -> dict[str, Tensor]:
    """The weights of transformers' `WhisperForConditionalGeneration`, in float32.

    The output layer is not among them: it is the embedding of the tokens.

    Args:
        found: The content of a file of CTranslate2.
        shape: The shape of the model.
        file: The file, for messages.

    Raises:
        InputError: The file contains another model, or a variable is missing, has another shape, or contains NaN.
    """
    if found.specification != "WhisperSpec":
        raise InputError(f"expected WhisperSpec, got {found.specification}", file=file, remedy=_REMEDY)
    source = _Source(found.tensors, file)
    for side in ("encoder", "decoder"):
        source.require(f"{side}/num_heads", shape.heads)
    return dict(_pairs(source, shape))


def _pairs(source: _Source, shape: Shape) -> Iterator[tuple[str, Tensor]]:
    """Each name of transformers, with its weights."""
    width = shape.width
    for number, inputs in ((1, shape.mels), (2, width)):
        for part, dims in (("weight", (width, inputs, 3)), ("bias", (width,))):
            yield f"model.encoder.conv{number}.{part}", source.weights(f"encoder/conv{number}/{part}", *dims)
    yield "model.decoder.embed_tokens.weight", source.weights("decoder/embeddings/weight", shape.vocabulary, width)
    for side, length in (("encoder", shape.frames), ("decoder", shape.positions)):
        positions = source.weights(f"{side}/position_encodings/encodings", length, width)
        yield f"model.{side}.embed_positions.weight", positions
        yield from source.norm(f"model.{side}.layer_norm", f"{side}/layer_norm", width)
        for layer in range(shape.layers):
            yield from _layer(source, shape, f"model.{side}.layers.{layer}.", f"{side}/layer_{layer}/", side)


def _layer(source: _Source, shape: Shape, to: str, of: str, side: str) -> Iterator[tuple[str, Tensor]]:
    """One layer of the encoder or the decoder; in CTranslate2 each part contains the layer norm before it."""
    width = shape.width
    attention, cross = f"{of}self_attention/", f"{of}attention/"
    yield from source.joined(f"{to}self_attn", f"{attention}linear_0", width, "qkv")
    yield from source.linear(f"{to}self_attn.out_proj", f"{attention}linear_1", width, width)
    yield from source.norm(f"{to}self_attn_layer_norm", f"{attention}layer_norm", width)
    if side == "decoder":
        yield from source.linear(f"{to}encoder_attn.q_proj", f"{cross}linear_0", width, width)
        yield from source.joined(f"{to}encoder_attn", f"{cross}linear_1", width, "kv")
        yield from source.linear(f"{to}encoder_attn.out_proj", f"{cross}linear_2", width, width)
        yield from source.norm(f"{to}encoder_attn_layer_norm", f"{cross}layer_norm", width)
    yield from source.linear(f"{to}fc1", f"{of}ffn/linear_0", shape.feed_forward, width)
    yield from source.linear(f"{to}fc2", f"{of}ffn/linear_1", width, shape.feed_forward)
    yield from source.norm(f"{to}final_layer_norm", f"{of}ffn/layer_norm", width)


@dataclass(frozen=True)
class _Source:
    """The variables of a file.

    Args:
        tensors: By name.
        file: For messages.
    """

    tensors: dict[str, Tensor]
    file: Path

    def weights(self, name: str, *shape: int) -> Tensor:
        """A variable of this shape, as float32."""
        import torch

        value = self._found(name)
        if tuple(value.shape) != shape or not value.is_floating_point():
            got = f"{_words(value.dtype)} of shape {tuple(value.shape)}"
            raise self._error(name, f"expected floating-point numbers of shape {shape}, got {got}")
        if not torch.isfinite(value).all():
            raise self._error(name, "contains NaN or infinity")
        return value.float()

    def require(self, name: str, expected: int) -> None:
        """Check a setting."""
        value = self._found(name)
        if value.numel() != 1 or int(value) != expected:
            raise self._error(name, f"expected {expected}, got {value.tolist()}")

    def linear(self, to: str, of: str, outputs: int, inputs: int) -> Iterator[tuple[str, Tensor]]:
        """A linear layer."""
        yield f"{to}.weight", self.weights(f"{of}/weight", outputs, inputs)
        yield f"{to}.bias", self.weights(f"{of}/bias", outputs)

    def norm(self, to: str, of: str, width: int) -> Iterator[tuple[str, Tensor]]:
        """A layer norm."""
        yield f"{to}.weight", self.weights(f"{of}/gamma", width)
        yield f"{to}.bias", self.weights(f"{of}/beta", width)

    def joined(self, to: str, of: str, width: int, parts: str) -> Iterator[tuple[str, Tensor]]:
        """The projections in a joined matrix: `q`, `k` and `v`, or `k` and `v`."""
        weights = self.weights(f"{of}/weight", len(parts) * width, width).chunk(len(parts))
        biases = self.weights(f"{of}/bias", len(parts) * width).chunk(len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            yield f"{to}.{part}_proj.weight", weight.clone()
            if part != "k":
                yield f"{to}.{part}_proj.bias", bias.clone()
            elif bias.any():
                raise self._error(f"{of}/bias", "expected zeros for the keys, got other numbers")

    def _found(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise self._error(name, "is missing")
        return self.tensors[name]

    def _error(self, name: str, problem: str) -> InputError:
        return InputError(f"variable {name!r}: {problem}", file=self.file, remedy=_REMEDY)


def _words(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
