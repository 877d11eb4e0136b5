"""A small network that scores two sentence vectors: slower than a cosine, much faster than a cross-encoder."""

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
Features = Literal["concat", "product", "plain", "dot"]
#: Blocks of the features of pairs, in their order; the first two are u and v.
_BLOCKS: dict[Features, int] = {"concat": 4, "product": 3, "plain": 2}

#: Its folder in a model's folder.
FOLDER = "pair_head"
#: Numbers that are processed at a time when a matrix is scored: about what fits into a CPU's cache.
BLOCK = 1 << 20


@dataclass(frozen=True)
class PairHeadConfig:
    """The configuration of a pair head.

    Args:
        width: Number of dimensions of a sentence vector.
        kind: Meaning of the outputs: a score, the logit of yes, or one logit per class.
        outputs: Number of outputs.
        hidden: Width of the hidden layer.
        features: `"concat"`: u, v, their product and their distance; `"product"`: u, v and their product; `"plain"`: u
            and v; or `"dot"`: only their dot product.
        dropout: Dropout on the vectors, in training.
        layers: Number of top layers of the encoder that give the vectors (see `nearfar.models.pairs.top_layers`); 0:
            the encoder's own vectors.
    """

    width: int
    kind: Kind = "regression"
    outputs: int = 1
    hidden: int = 512
    features: Features = "concat"
    dropout: float = 0.0
    layers: int = 1


def pair_features(
    u: Float[Tensor, "... d"], v: Float[Tensor, "... d"], features: Features = "concat"
) -> Float[Tensor, "... f"]:
    """[u ; v ; u * v ; |u - v|] or its first blocks. In the other order, the first two blocks are swapped."""
    if features == "dot":
        return (u * v).sum(-1, keepdim=True)
    u, v = torch.broadcast_tensors(u, v)
    return torch.cat([u, v, *_joint(u, v, features)], -1)


def _joint(u: Tensor, v: Tensor, features: Features) -> list[Tensor]:
    """The blocks that depend on both."""
    if features == "plain":
        return []
    return [u * v] if features == "product" else [u * v, (u - v).abs()]


class PairHead(nn.Module):
    """Logits = W2 relu(W1 phi(u, v) + b1) + b2 with phi = [u ; v ; u * v ; |u - v|], its first blocks, or u . v.

    But for `dot` it is not symmetric: average both orders if that matters.
    """

    def __init__(self, config: PairHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        blocks = _BLOCKS.get(config.features)
        self.first = nn.Linear(blocks * config.width if blocks else 1, config.hidden)
        self.last = nn.Linear(config.hidden, config.outputs)

    def forward(self, u: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, "n outputs"]:
        """The logits of pairs (u_i, v_i)."""
        u, v = self.dropout(u), self.dropout(v)
        return self.last(torch.relu(self.first(pair_features(u, v, self.config.features))))

    @torch.no_grad()
    def score_matrix(self, queries: Float[Tensor, "q d"], candidates: Float[Tensor, "c d"]) -> Float[Tensor, "q c o"]:
        """The logits of every query with every candidate, in evaluation mode.

        The products of W1 with u and with v are computed once per sentence, not once per pair, and the features of
        shape q x c x 4d are never stored as a whole.
        """
        d, (w, b) = self.config.width, (self.first.weight, self.first.bias)
        scores = queries.new_empty(len(queries), len(candidates), self.config.outputs)
        for rows, columns in _blocks(len(queries), len(candidates), 2 * d + self.config.hidden):
            u, v = queries[rows, None], candidates[columns]
            if self.config.features == "dot":
                hidden = (queries[rows] @ v.T)[..., None] @ w.T + b
            else:
                hidden = (u @ w[:, :d].T + b) + v @ w[:, d : 2 * d].T
                if joint := _joint(u, v, self.config.features):
                    hidden += torch.cat(joint, -1) @ w[:, 2 * d :].T
            scores[rows, columns] = self.last(hidden.relu_())
        return scores

    def save(self, folder: Path) -> None:
        """Write the weights and the configuration into a model's folder."""
        place = Path(folder, FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(state, place / "model.safetensors")
        (place / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> PairHead:
        """Load the head in a model's folder, in evaluation mode.

        Raises:
            InputError: There is no head, or its files are corrupted.
        """
        place = Path(folder, FOLDER)
        if not place.is_dir():
            raise InputError("contains no pair head", file=folder, remedy="train one with `nearfar train dse`")
        try:
            head = cls(PairHeadConfig(**json_object(place / "config.json")))
            head.load_state_dict(load_file(place / "model.safetensors"))
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"the pair head cannot be loaded ({type(error).__name__})", file=place, remedy="copy the folder again"
            ) from error
        return head.eval()


def _blocks(rows: int, columns: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Divide a matrix of pairs into blocks of about BLOCK numbers, with `width` numbers per pair."""
    pairs = max(1, BLOCK // width)
    wide = min(columns, pairs)
    high = max(1, pairs // max(1, wide))
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            yield slice(top, top + high), slice(left, left + wide)
