"""Two heads for each tower: a linear one for weak views, a deeper one for strong views, and a mixture of both.

A mixture with the weight w for the linear head z and 1 - w for the other, h, is one vector:

    v = [ sqrt(w) z / c_z ; sqrt(1 - w) h / c_h ],    c: the mean length of a head's vectors, of each tower

If all vectors of a head have the same length, cos(v, v') is exactly w cos(z, z') + (1 - w) cos(h, h'); with w = 0 and
w = 1 it is in any case. c is a running mean, as the statistics of a batch norm are. So the mixture of a trained model
consists of linear layers and ReLUs alone, and `SentenceTransformer(folder)` loads it without nearfar.

Source: Fini et al. 2023, Improved baselines for vision-language pre-training.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Module, Router
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor, nn

from nearfar.models.routes import router_of

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["TOWER", "TwoHeads", "add_heads", "mlp", "save_mixed", "with_dense_heads"]

#: Where the heads leave the vectors of a tower in training, when its whole batch is not known yet.
TOWER = "tower_embedding"
#: Share of a new batch in a running mean, as in batch norms.
_MOMENTUM = 0.1


class TwoHeads(Module):
    """The heads of all towers, between the `Router` and the final `Normalize`.

    In training the heads are not applied here, but by the loss with `linear` and `deep`: their batch norms need the
    whole batch, where towers encode it in chunks. In evaluation a vector is the mixture, of 2 `dims` dimensions.

    Args:
        widths: Number of dimensions of each tower's vectors, by route.
        dims: Number of dimensions of each head.
        hidden: Width of the deep heads' two hidden layers.
        share: w, the weight of the linear head in the mixture.
    """

    forward_kwargs = {"task", "modality"}  # noqa: RUF012 - as the base class declares it
    config_keys = ["widths", "dims", "hidden", "share"]  # noqa: RUF012

    def __init__(self, widths: Mapping[str, int], dims: int = 256, hidden: int = 1024, share: float = 0.5) -> None:
        super().__init__()
        self.widths, self.dims, self.hidden, self.share = dict(widths), dims, hidden, share
        self.heads: Any = nn.ModuleDict({name: nn.Linear(width, dims, bias=False) for name, width in widths.items()})
        for name, width in widths.items():
            nn.init.normal_(self.heads[name].weight, std=width**-0.5)
        self.deep_heads: Any = nn.ModuleDict({name: mlp(width, hidden, dims) for name, width in widths.items()})
        self.lengths: Any = nn.ModuleDict({name: _MeanLengths() for name in widths})

    def linear(self, route: str, x: Float[Tensor, "n width"]) -> Float[Tensor, "n dims"]:
        """z: the linear head's vectors of weak views, which are not normalised."""
        return self._measured(route, 0, self.heads[route](x))

    def deep(self, route: str, x: Float[Tensor, "n width"]) -> Float[Tensor, "n dims"]:
        """h: the deep head's vectors of strong views, which are not normalised."""
        return self._measured(route, 1, self.deep_heads[route](x))

    def forward(
        self, features: dict[str, Any], task: str | None = None, modality: Any = None, **_: Any
    ) -> dict[str, Any]:
        """See the class."""
        x = features["sentence_embedding"]
        if self.training:
            return {**features, TOWER: x}
        names = (task, features.get("task"), modality, features.get("modality"), "text")
        route = next(name for name in names if isinstance(name, str) and name in self.widths)
        parts = zip((self.heads[route](x), self.deep_heads[route](x)), self._factors(route), strict=True)
        return {**features, "sentence_embedding": torch.cat([factor * vectors for vectors, factor in parts], dim=1)}

    def get_embedding_dimension(self) -> int:
        """The number of dimensions of the mixture."""
        return 2 * self.dims

    def as_dense(self, route: str) -> list[Dense]:
        """The mixture of a tower, as layers of sentence-transformers.

        The linear head goes through the ReLUs of the deep one as its positive and its negative part.
        """
        first, second, last = _folded(self.deep_heads[route])
        linear, (z, h), d = self.heads[route].weight.detach(), self._factors(route), self.dims
        one = torch.eye(2 * d).to(linear)
        both = torch.cat([z * one[:d, :d], -z * one[:d, :d]], dim=1)
        layers = [
            (torch.cat([first[0], linear, -linear]), torch.cat([first[1], linear.new_zeros(2 * d)])),
            (torch.block_diag(second[0], one), torch.cat([second[1], linear.new_zeros(2 * d)])),
            (
                torch.cat([torch.cat([both.new_zeros(d, self.hidden), both], 1), _wider(h * last[0], 2 * d)]),
                torch.cat([linear.new_zeros(d), h * last[1]]),
            ),
        ]
        activations = (nn.ReLU(), nn.ReLU(), nn.Identity())
        return [_dense(w, b, activation) for (w, b), activation in zip(layers, activations, strict=True)]

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the heads into a checkpoint; a trained model is saved by `save_mixed`."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, subfolder: str = "", **kwargs: Any) -> TwoHeads:  # type: ignore[override]
        """Read the heads from a checkpoint."""
        found = cls(**cls.load_config(model_name_or_path, subfolder=subfolder))
        cls.load_torch_weights(model_name_or_path, subfolder=subfolder, model=found)
        return found

    def _measured(self, route: str, head: int, vectors: Tensor) -> Tensor:
        if self.training:
            self.lengths[route].add(head, vectors.detach())
        return vectors

    def _factors(self, route: str) -> tuple[Tensor, Tensor]:
        means = self.lengths[route].means
        return self.share**0.5 / means[0], (1 - self.share) ** 0.5 / means[1]


def add_heads(model: SentenceTransformer, dims: int = 256, hidden: int = 1024, share: float = 0.5) -> TwoHeads:
    """Give a model with two towers new heads, in place; see `TwoHeads`.

    Raises:
        InputError: The model has only one tower.
    """
    routes: Any = router_of(model).sub_modules
    widths = {name: _width(modules) for name, modules in routes.items()}
    heads = TwoHeads(widths, dims, hidden, share).to(model.device)
    rest = [module for module in list(model)[1:] if not isinstance(module, Normalize)]
    for name in list(model._modules)[1:]:
        del model._modules[name]
    for place, module in enumerate([*rest, heads, Normalize()], 1):
        model.add_module(str(place), module)
    return heads


def mlp(width: int, hidden: int, dims: int) -> nn.Sequential:
    """Three linear layers, with batch norms and ReLUs between them."""
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, dims),
    )


def with_dense_heads(model: SentenceTransformer) -> SentenceTransformer:
    """A copy of a model with `TwoHeads` whose towers end with the same mixture, as layers of sentence-transformers."""
    router: Any = router_of(model)
    (heads,) = (module for module in model if isinstance(module, TwoHeads))
    after = [module for module in list(model)[1:] if module is not heads]
    towers = {name: [*copy.deepcopy(modules), *heads.as_dense(name)] for name, modules in router.sub_modules.items()}
    joined = Router(towers, default_route=router.default_route, route_mappings=router.route_mappings)
    return SentenceTransformer(
        modules=[joined, *copy.deepcopy(after)],
        prompts={name: prompt or "" for name, prompt in model.prompts.items()},
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
        device=str(model.device),
    ).eval()


def save_mixed(model: SentenceTransformer, folder: Path) -> None:
    """Write `with_dense_heads(model)` into a folder."""
    with_dense_heads(model).save_pretrained(str(folder), create_model_card=False)


class _MeanLengths(nn.Module):
    """The running mean length of the vectors of both heads of a tower."""

    means: Tensor
    batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("means", torch.ones(2))
        self.register_buffer("batches", torch.zeros(2))

    @torch.no_grad()
    def add(self, head: int, vectors: Tensor) -> None:
        """The first batch counts fully, so that short runs do not remember the start."""
        self.batches[head] += 1
        share = max(_MOMENTUM, 1 / float(self.batches[head]))
        self.means[head] += share * (vectors.float().norm(dim=1).mean() - self.means[head])


def _width(modules: Any) -> int:
    return next(w for m in reversed(modules) if (w := getattr(m, "get_embedding_dimension", lambda: None)()))


@torch.no_grad()
def _folded(head: Any) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of the linear layers of `mlp` in evaluation, with the batch norms in them."""
    found = []
    for layer, norm in ((head[0], head[1]), (head[3], head[4]), (head[6], None)):
        weight, bias = layer.weight, layer.bias
        if norm is not None:
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = weight * scale[:, None], (bias - norm.running_mean) * scale + norm.bias
        found.append((weight.detach().clone(), bias.detach().clone()))
    return found


def _wider(weight: Tensor, more: int) -> Tensor:
    return torch.cat([weight, weight.new_zeros(len(weight), more)], dim=1)


def _dense(weight: Tensor, bias: Tensor, activation: nn.Module) -> Dense:
    made = Dense(weight.shape[1], len(weight), activation_function=activation, init_weight=weight, init_bias=bias)
    return made.to(weight.device)
