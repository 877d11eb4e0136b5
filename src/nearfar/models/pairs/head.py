"""A small network that scores two sentence vectors: dearer than a cosine, far cheaper than reading the pair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nearfar.errors import InputError
from nearfar.models.model_files import json_object

if TYPE_CHECKING:
    from jaxtyping import Float

Kind = Literal["regression", "binary", "classes"]

#: Where it lies in a model's folder.
FOLDER = "pair_head"
#: Numbers that scoring a matrix works on at once: what stays in a CPU's caches, more or less.
BLOCK = 1 << 20


@dataclass(frozen=True)
class PairHeadConfig:
    """What a pair head is.

    Args:
        width: Of a sentence vector.
        kind: What the outputs mean: a score, the logit of a yes, or one logit a class.
        outputs: How many there are.
        hidden: Width of the layer between.
        features: `"concat"`, u and v with their product and distance; or `"dot"`, their scalar product alone.
        dropout: On the vectors, in training.
        layers: Of the encoder, counted from the top, whose vectors it takes (see `nearfar.models.pairs.top_layers`).
    """

    width: int
    kind: Kind = "regression"
    outputs: int = 1
    hidden: int = 512
    features: Literal["concat", "dot"] = "concat"
    dropout: float = 0.0
    layers: int = 1


def pair_features(u: Float[Tensor, "... d"], v: Float[Tensor, "... d"]) -> Float[Tensor, "... 4*d"]:
    """[u ; v ; u * v ; |u - v|]. Turned around, the first two blocks change places."""
    return torch.cat([u, v, u * v, (u - v).abs()], -1)


class PairHead(nn.Module):
    """Logits = W2 relu(W1 phi(u, v) + b1) + b2 with phi = [u ; v ; u * v ; |u - v|], or phi = u . v.

    With `concat` it is not symmetric: average both orders where that matters.
    """

    def __init__(self, config: PairHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.first = nn.Linear(4 * config.width if config.features == "concat" else 1, config.hidden)
        self.last = nn.Linear(config.hidden, config.outputs)

    def forward(self, u: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, "n outputs"]:
        """The logits of pairs (u_i, v_i)."""
        u, v = self.dropout(u), self.dropout(v)
        phi = pair_features(u, v) if self.config.features == "concat" else (u * v).sum(-1, keepdim=True)
        return self.last(torch.relu(self.first(phi)))

    @torch.no_grad()
    def score_matrix(self, queries: Float[Tensor, "q d"], candidates: Float[Tensor, "c d"]) -> Float[Tensor, "q c o"]:
        """The logits of every query with every candidate, in evaluation mode.

        What W1 does to u and to v is computed once a sentence and not once a pair, and the q x c x 4d features are
        never held as a whole.
        """
        d, (w, b) = self.config.width, (self.first.weight, self.first.bias)
        scores = queries.new_empty(len(queries), len(candidates), self.config.outputs)
        for rows, columns in _blocks(len(queries), len(candidates), 2 * d + self.config.hidden):
            u, v = queries[rows, None], candidates[columns]
            if self.config.features == "concat":
                hidden = torch.cat([u * v, (u - v).abs()], -1) @ w[:, 2 * d :].T
                hidden += u @ w[:, :d].T + b
                hidden += v @ w[:, d : 2 * d].T
            else:
                hidden = (queries[rows] @ v.T)[..., None] @ w.T + b
            scores[rows, columns] = self.last(hidden.relu_())
        return scores

    def save(self, folder: Path) -> None:
        """Write weights and configuration into a model's folder."""
        place = Path(folder, FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(state, place / "model.safetensors")
        (place / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> PairHead:
        """The head in a model's folder, in evaluation mode.

        Raises:
            InputError: there is none, or it is damaged.
        """
        place = Path(folder, FOLDER)
        if not place.is_dir():
            raise InputError("this model has no pair head", file=folder, remedy="train one with `nearfar train dse`")
        try:
            head = cls(PairHeadConfig(**json_object(place / "config.json")))
            head.load_state_dict(load_file(place / "model.safetensors"))
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"the pair head does not load ({type(error).__name__})", file=place, remedy="copy the folder again"
            ) from error
        return head.eval()


def _blocks(rows: int, columns: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Cut a matrix of pairs into blocks of about BLOCK numbers, `width` of them a pair."""
    pairs = max(1, BLOCK // width)
    wide = min(columns, pairs)
    high = max(1, pairs // max(1, wide))
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            yield slice(top, top + high), slice(left, left + wide)
