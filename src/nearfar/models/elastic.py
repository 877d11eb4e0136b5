"""Truncated encoders: fewer layers, fewer dimensions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

Features = dict[str, Any]

_PROBE = "near and far"


def truncated(model: SentenceTransformer, layers: int | None = None, dims: int | None = None) -> SentenceTransformer:
    """An encoder with the first `layers` layers of another, which returns the first `dims` dimensions of its vectors.

    The layers above are removed: they cost neither time nor memory, and are not saved. Modules after the last layer (a
    final norm, pooling) follow the new last layer. Dimensions are truncated with `truncate_dim` of
    sentence-transformers. Both are kept by `save_pretrained`, and `SentenceTransformer(path)` loads the result.

    A prefix of a unit vector is not a unit vector, even if the model ends with `Normalize`: compare by cosine, or
    encode with `normalize_embeddings=True`, which first truncates and then normalises.

    Args:
        model: Any encoder with a stack of layers; it is not changed. The result shares its weights.
        layers: Number of layers, from 1 to `depth(model)`; by default all.
        dims: Number of dimensions, from 1 to the width of the model's vectors; by default the model's own.

    Raises:
        InputError: A number is out of range, or the model has no single stack of layers.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    small = copy.deepcopy(model, shared)
    if layers is not None:
        stack = _Stack.of(small)
        _check_range(layers, len(stack.blocks), "layers")
        stack.cut(layers)
    if dims is not None:
        _check_range(dims, small.get_embedding_dimension() or dims, "dims")
        small.truncate_dim = dims
        if isinstance(list(small)[-1], Normalize) and small.similarity_fn_name == "dot":
            small.similarity_fn_name = "cosine"  # the dot product of its unit vectors was the cosine
    return small


def depth(model: SentenceTransformer) -> int:
    """The number of layers of a model.

    Raises:
        InputError: The model has no single stack of layers.
    """
    return len(_Stack.of(model).blocks)


def width(model: SentenceTransformer) -> int:
    """The number of dimensions of a model's vectors, without its `truncate_dim`."""
    with model.truncate_embeddings(None):
        return model.get_embedding_dimension() or 0


class LayerViews:
    """The vectors of texts after each of several layers, all from one forward pass.

    The vector after layer n is that of `truncated(model, n)`, before a final `Normalize`. In a model like BERT it is
    the pooled hidden state. A model whose layers normalise their input (ModernBERT, LLaMA) applies one more norm after
    its last layer; this norm is then applied to the hidden states of the other layers, too. Which of the two is correct
    is checked with a truncated model when this object is created.

    Args:
        model: The encoder; its weights are looked up at each call, so it may be in training.

    Raises:
        InputError: There is no single stack of layers, or the hidden states differ from those of truncated models.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self.depth = depth(model)
        modules = list(model)
        self.backbone: Any = modules[0].model
        self.after = modules[1:-1] if isinstance(modules[-1], Normalize) else modules[1:]
        self.norm: nn.Module | None = None
        self.norm = self._find_norm(model)

    def at(self, model: nn.Module, layers: Sequence[int]) -> Callable[[Features], dict[str, Float[Tensor, "b k d"]]]:
        """A function from features to the vectors after each of k `layers`, as `{"sentence_embedding": vectors}`.

        Args:
            model: The model of this object, or a wrapper around it (for distributed training).
            layers: Numbers of layers, from 1 to `depth`.
        """

        def embedded(features: Features) -> dict[str, Tensor]:
            with _hidden_states(self.backbone.config):
                found = model(features)
            hidden = found["all_layer_embeddings"]
            return {"sentence_embedding": torch.stack([self._pooled(found, hidden, n) for n in layers], dim=1)}

        return embedded

    def _pooled(self, found: Features, hidden: Sequence[Tensor], layer: int) -> Float[Tensor, "b d"]:
        tokens = found["token_embeddings"] if layer == self.depth else hidden[layer]
        if self.norm is not None and layer < self.depth:
            tokens = self.norm(tokens)
        features: Features = {**found, "token_embeddings": tokens}
        for module in self.after:
            features = module(features)
        return features["sentence_embedding"]

    @torch.no_grad()
    def _find_norm(self, model: SentenceTransformer) -> nn.Module | None:
        layer = (self.depth + 1) // 2
        small = truncated(model, layer)
        norms = [
            module
            for module in _Stack.of(model).parent.children()
            if "norm" in type(module).__name__.lower() and not isinstance(module, nn.ModuleList)
        ]
        with _evaluating(model), _evaluating(small):
            features = batch_to_device(model.preprocess([_PROBE]), model.device)
            expected = self._pooled(small[0](dict(features)), (), self.depth)
            for norm in (None, *norms):
                self.norm = norm
                view = self.at(model, [layer])(dict(features))["sentence_embedding"][:, 0]
                if (view - expected).abs().max() <= 1e-3 * expected.abs().max():
                    return norm
        raise InputError(
            f"the hidden states of {type(self.backbone).__name__} differ from those of its truncated models",
            field="model",
            remedy="use an encoder such as BERT, MiniLM, MPNet or ModernBERT",
        )


@dataclass(frozen=True)
class _Stack:
    """The layers of a model, and their place in it."""

    parent: nn.Module
    name: str
    blocks: nn.ModuleList
    config: Any

    @classmethod
    def of(cls, model: SentenceTransformer) -> _Stack:
        first = next(iter(model), None)
        backbone = first.model if isinstance(first, Transformer) else None
        config = None if backbone is None else backbone.config.get_text_config()
        layers = getattr(config, "num_hidden_layers", None)
        found: list[tuple[str, nn.Module, str, nn.ModuleList]] = []
        for path, parent in () if backbone is None else backbone.named_modules():
            for name, child in parent.named_children():
                inside = any(f"{path}.".startswith(f"{outer}.") for outer, *_ in found)
                if isinstance(child, nn.ModuleList) and len(child) == layers and not inside:
                    found.append((f"{path}.{name}".lstrip("."), parent, name, child))
        if len(found) != 1:
            what = type(first if backbone is None else backbone).__name__
            raise InputError(
                f"{what} has no single stack of layers that could be truncated",
                field="layers",
                remedy="use an encoder such as BERT, MiniLM, MPNet or ModernBERT",
            )
        _, parent, name, blocks = found[0]
        return cls(parent, name, blocks, config)

    def cut(self, layers: int) -> None:
        """Remove the layers above the first `layers`, also in the configuration."""
        for key, value in list(vars(self.config).items()):
            if key.endswith("layer_types") and isinstance(value, list) and len(value) == len(self.blocks):
                setattr(self.config, key, value[:layers])
        self.config.num_hidden_layers = layers
        setattr(self.parent, self.name, self.blocks[:layers])


def _check_range(value: int, most: int, field: str) -> None:
    if not 1 <= value <= most:
        raise InputError(f"invalid value {value}: the model has {most}", field=field, remedy=f"use 1 to {most}")


@contextmanager
def _hidden_states(config: Any) -> Iterator[None]:
    before = config.output_hidden_states
    config.output_hidden_states = True
    try:
        yield
    finally:
        config.output_hidden_states = before


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
