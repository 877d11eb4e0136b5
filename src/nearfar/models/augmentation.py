"""Random views of a batch of images or audio, made from a model's input features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

__all__ = ["augmented"]

#: Maximum rotation in radians, and shift as a fraction of half the image.
ROTATION, SHIFT = 0.2, 0.3
#: Range of the scale of an image, and of the gain of any input; standard deviation of the noise.
SCALE, GAIN, NOISE = (0.75, 1.15), (0.7, 1.3), 0.05
#: Maximum fraction of the frames by which audio is shifted, and of the bands that are removed.
TIME, BANDS = 0.1, 0.15


def augmented(features: dict[str, Any]) -> dict[str, Any]:
    """The features of a random view of each row: images turned, scaled and shifted; audio shifted, a band removed.

    Both get a random gain and noise. Texts are unchanged: dropout makes their views.
    """
    if "pixel_values" in features:
        return {**features, "pixel_values": _noisy(_moved(features["pixel_values"]))}
    if "input_features" in features:
        return {**features, "input_features": _noisy(_shifted(features["input_features"]))}
    return features


def _moved(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    n = len(images)
    angle, size = _uniform(images, n, -ROTATION, ROTATION), _uniform(images, n, *SCALE)
    shift = _uniform(images, 2 * n, -SHIFT, SHIFT).view(n, 2)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2) / size[:, None, None]
    grid = F.affine_grid(torch.cat([turn, shift[:, :, None]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _shifted(audio: Float[Tensor, "n bands frames"]) -> Float[Tensor, "n bands frames"]:
    n, bands, frames = audio.shape
    by = _uniform(audio, n, -TIME, TIME).mul(frames).long()
    at = (torch.arange(frames, device=audio.device) + by[:, None]) % frames
    moved = audio.gather(2, at[:, None].expand(-1, bands, -1))
    width = max(1, int(BANDS * bands))
    start = _uniform(audio, n, 0, bands - width + 1).long()[:, None]
    band = torch.arange(bands, device=audio.device)
    return moved.masked_fill(((band >= start) & (band < start + width))[:, :, None], float(audio.mean()))


def _noisy(x: Tensor) -> Tensor:
    gain = _uniform(x, len(x), *GAIN).view(-1, *[1] * (x.ndim - 1))
    return x * gain + NOISE * torch.randn_like(x)


def _uniform(like: Tensor, count: int, low: float, high: float) -> Float[Tensor, " count"]:
    return torch.empty(count, device=like.device, dtype=like.dtype).uniform_(low, high)
