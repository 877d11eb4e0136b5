"""The new layers of a language model that reads images: resampler, gated cross-attention, pooling of texts.

All are without biases and normalise their input (Alayrac et al. 2022, Flamingo; Jaegle et al. 2021, Perceiver).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

__all__ = ["CrossAttention", "GatedCrossAttention", "Resampler", "TextPooling"]


class CrossAttention(nn.Module):
    """Attention of one sequence to another.

    Args:
        width: Width of what attends.
        other: Width of what is attended to.
        heads: Number of heads.
        head_width: Width of a head.
    """

    def __init__(self, width: int, other: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, heads * head_width, bias=False)
        self.keys_values = nn.Linear(other, 2 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "b t d"], other: Float[Tensor, "b s e"], allowed: Bool[Tensor, "b t s"] | None = None
    ) -> Float[Tensor, "b t d"]:
        """What x takes from `other`; zero where nothing is allowed."""
        q = self._split(self.queries(x))
        k, v = (self._split(each) for each in self.keys_values(other).chunk(2, -1))
        some = None
        if allowed is not None:
            some = allowed.any(-1, keepdim=True)
            # A softmax over nothing is not a number.
            allowed = (allowed | ~some)[:, None]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(2)
        found = self.out(found)
        return found if some is None else found * some

    def _split(self, x: Float[Tensor, "b t w"]) -> Float[Tensor, "b h t c"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _feed_forward(width: int, inner: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, inner, bias=False), nn.GELU(), nn.Linear(inner, width, bias=False)
    )


class Resampler(nn.Module):
    """From the vectors of an image's patches, any number, to a fixed number of vectors.

    Args:
        width: Width of the vectors.
        latents: Number of vectors that the language model reads; one more summarises the image.
        depth: Number of layers.
        heads, head_width: See `CrossAttention`.
    """

    def __init__(self, width: int, latents: int, depth: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1 + latents, width))
        self.layers = nn.ModuleList(_ResamplerLayer(width, heads, head_width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Float[Tensor, "n p d"]) -> Float[Tensor, "n 1+l d"]:
        """The summary of each image first, then what the language model reads."""
        x = self.latents.expand(len(patches), -1, -1)
        for layer in self.layers:
            x = layer(x, patches)
        return self.norm(x)


class _ResamplerLayer(nn.Module):
    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.norm_latents, self.norm_patches = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width, width, heads, head_width)
        self.feed_forward = _feed_forward(width, 4 * width)

    def forward(self, x: Float[Tensor, "n l d"], patches: Float[Tensor, "n p d"]) -> Float[Tensor, "n l d"]:
        latents = self.norm_latents(x)
        x = x + self.attention(latents, torch.cat([self.norm_patches(patches), latents], 1))
        return x + self.feed_forward(x)


class GatedCrossAttention(nn.Module):
    """Adds to the states of a text what they see in images. The gates are zero at first: nothing is added.

    Args:
        width: Width of the language model's states.
        media: Width of the images' vectors.
        heads, head_width: See `CrossAttention`.
        compress: r, by which attention and feed-forward layer are narrower.
    """

    def __init__(self, width: int, media: int, heads: int, head_width: int, compress: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, media, heads, head_width // compress)
        self.feed_forward = _feed_forward(width, 4 * width // compress)
        self.attention_gate = nn.Parameter(torch.zeros(()))
        self.feed_forward_gate = nn.Parameter(torch.zeros(()))

    def forward(
        self, x: Float[Tensor, "b t d"], media: Float[Tensor, "b s e"], allowed: Bool[Tensor, "b t s"]
    ) -> Float[Tensor, "b t d"]:
        """The states of the text for the next layer of the language model."""
        x = x + self.attention_gate.tanh() * self.attention(self.norm(x), media, allowed)
        return x + self.feed_forward_gate.tanh() * self.feed_forward(x)


class TextPooling(nn.Module):
    """One vector of a text, by a learned query (Yu et al. 2022, CoCa, arXiv 2205.01917).

    Args:
        width: Width of the language model's states.
        heads, head_width: See `CrossAttention`.
    """

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, width))
        self.norm_query, self.norm_states = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width, width, heads, head_width)
        self.feed_forward = _feed_forward(width, 4 * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, states: Float[Tensor, "b t d"], real: Bool[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        """The vector of each text; padding is not read."""
        x = self.query.expand(len(states), -1, -1)
        query = self.norm_query(x)
        read = torch.cat([self.norm_states(states), query], 1)
        allowed = torch.cat([real, real.new_ones(len(real), 1)], 1)[:, None]
        x = x + self.attention(query, read, allowed)
        return self.norm(x + self.feed_forward(x))[:, 0]
