"""Recordings out of files that nobody vouches for."""

from __future__ import annotations

from contextlib import contextmanager
from math import gcd
from typing import IO, TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from jaxtyping import Float

#: Seconds of a recording that are read where a model does not say how much it hears.
MAX_SECONDS = 60
#: Samples a second that a recording may have.
RATES = (1_000, 384_000)
_CHANNELS = 64


def read_recording(file: Path | IO[bytes], rate: int, seconds: float | None = None) -> Float[np.ndarray, " samples"]:
    """The beginning of a recording: one channel (their mean), float32 in about [-1, 1].

    Args:
        file: What libsndfile reads: WAV, FLAC, OGG, MP3, AIFF and others.
        rate: Samples a second to give; another rate in the file is resampled.
        seconds: How much to read at most; `MAX_SECONDS` when None.

    Raises:
        ValueError: it is no recording, holds no sound, or is damaged; the text says so in a few words.
    """
    import numpy as np

    with _opened(file) as sound:
        samples = sound.read(int((seconds or MAX_SECONDS) * sound.samplerate) or 1, dtype="float32", always_2d=True)
        own = sound.samplerate
    return resampled(_checked(np.ascontiguousarray(samples.mean(axis=1))), own, rate)


def resampled(samples: Float[np.ndarray, " n"], own: int, rate: int) -> Float[np.ndarray, " m"]:
    """The same sound at `rate` samples a second."""
    import numpy as np
    from scipy.signal import resample_poly

    if own == rate:
        return samples
    common = gcd(own, rate)
    return resample_poly(samples, rate // common, own // common).astype(np.float32)


def check_recording(file: Path | IO[bytes]) -> None:
    """Look at the head of a recording alone.

    Raises:
        ValueError: see `read_recording`.
    """
    with _opened(file):
        pass


@contextmanager
def _opened(file: Any) -> Iterator[Any]:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise InputError("recordings need soundfile", remedy='pip install "nearfar[audio]"') from error
    try:
        with soundfile.SoundFile(file) as sound:
            if not RATES[0] <= sound.samplerate <= RATES[1]:
                raise ValueError(f"has {sound.samplerate} samples a second, and {RATES[0]} to {RATES[1]} are read")
            if sound.channels > _CHANNELS:
                raise ValueError(f"has {sound.channels} channels, and at most {_CHANNELS} are read")
            if not sound.frames:
                raise ValueError("holds no sound")
            yield sound
    except (soundfile.LibsndfileError, RuntimeError, TypeError, OSError) as error:
        reason = getattr(error, "error_string", None) or next(iter(str(error).splitlines()), "no reason given")
        raise ValueError(f"is no sound recording ({reason:.80})") from error


def _checked(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    import numpy as np

    if not len(samples):
        raise ValueError("is cut short: its head promises sound, and none is there")
    if not np.isfinite(samples).all():
        raise ValueError("holds samples that are NaN or infinite")
    return samples
