"""Weak and strong views of audio: volume, a shift in time, noise."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


@dataclass(frozen=True)
class AudioViews:
    """Views of decoded audio, `{"array", "sampling_rate"}`.

    Args:
        gain: Maximum change of the volume, in dB.
        shift: Maximum shift of a strong view, as a fraction of the duration; what leaves one end enters at the other.
        noise: Maximum standard deviation of the noise of a strong view, relative to that of the audio.
    """

    gain: float = 6.0
    shift: float = 0.1
    noise: float = 0.1

    def weak(self, audio: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        """Another volume."""
        return {**audio, "array": self._louder(audio["array"], rng)}

    def strong(self, audio: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        """Another volume, a shift and noise."""
        import numpy as np

        array = self._louder(audio["array"], rng)
        array = np.roll(array, round(rng.uniform(-self.shift, self.shift) * len(array)))
        spread = rng.uniform(0, self.noise) * float(array.std())
        noise = np.random.default_rng(rng.getrandbits(64)).normal(0, spread, array.shape)
        return {**audio, "array": (array + noise).astype(array.dtype)}

    def _louder(self, array: Float[np.ndarray, " t"], rng: random.Random) -> Float[np.ndarray, " t"]:
        return array * array.dtype.type(10 ** (rng.uniform(-self.gain, self.gain) / 20))
