"""The smaller encoders inside an encoder: fewer layers, fewer dimensions."""

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
    """An encoder of the first `layers` layers of another, giving the first `dims` numbers of its vectors.

    The layers above are gone: they cost neither time nor memory, and are not saved. What follows the last layer (a
    final norm, pooling) follows the new last one. The width is sentence-transformers' own `truncate_dim`. Both survive
    `save_pretrained`, and `SentenceTransformer(path)` loads the result.

    A prefix of a unit vector is no unit vector, even where the model ends with `Normalize`: compare by cosine, or
    encode with `normalize_embeddings=True`, which cuts first and normalises then.

    Args:
        model: Any encoder with a stack of layers; it stays as it is. The result shares its weights.
        layers: From 1 to `depth(model)`; all when None.
        dims: From 1 to the width of the model's vectors; as many as the model gives when None.

    Raises:
        InputError: Out of range, or the model has no single stack of layers.
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
            small.similarity_fn_name = "cosine"  # what the dot product of its unit vectors was
    return small


def depth(model: SentenceTransformer) -> int:
    """How many layers a model has.

    Raises:
        InputError: It has no single stack of layers.
    """
    return len(_Stack.of(model).blocks)


def width(model: SentenceTransformer) -> int:
    """How many numbers a model's vectors have, whatever its `truncate_dim`."""
    with model.truncate_embeddings(None):
        return model.get_embedding_dimension() or 0


class LayerViews:
    """A text's vector after each of several layers, all from one forward pass.

    The view after layer n is what `truncated(model, n)` gives, before a closing `Normalize`. In a model of the kind of
    BERT that is the pooled hidden state. A model whose layers normalise their input (ModernBERT, LLaMA) applies one
    more norm after its last layer, which the hidden states in between lack: here it is applied to them too. Which of
    the two it is, is found out by comparing with a truncated model when this object is made.

    Args:
        model: The encoder; its weights are looked up at each call, so that it may train.

    Raises:
        InputError: No single stack of layers, or hidden states that are not what truncated models give.
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
            model: The model that this object was made of, or a wrapper around it (for distributed training).
            layers: From 1 to `depth`.
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
            f"the hidden states of {type(self.backbone).__name__} are not the vectors of its truncated models",
            field="model",
            remedy="take an encoder such as BERT, MiniLM, MPNet or ModernBERT",
        )


@dataclass(frozen=True)
class _Stack:
    """The layers of a model, and where they hang."""

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
                f"{what} has no single stack of layers of which some could be left out",
                field="layers",
                remedy="take an encoder such as BERT, MiniLM, MPNet or ModernBERT",
            )
        _, parent, name, blocks = found[0]
        return cls(parent, name, blocks, config)

    def cut(self, layers: int) -> None:
        """Drop the layers above the first `layers`, in the configuration too."""
        for key, value in list(vars(self.config).items()):
            if key.endswith("layer_types") and isinstance(value, list) and len(value) == len(self.blocks):
                setattr(self.config, key, value[:layers])
        self.config.num_hidden_layers = layers
        setattr(self.parent, self.name, self.blocks[:layers])


def _check_range(value: int, most: int, field: str) -> None:
    if not 1 <= value <= most:
        raise InputError(f"the model has {most}, not {value}", field=field, remedy=f"give 1 to {most}")


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
