"""Reading audio files that nobody vouches for."""

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

#: Seconds of audio that are read unless the model sets a limit.
MAX_SECONDS = 60
#: Minimum and maximum sampling rate in Hz.
RATES = (1_000, 384_000)
_MAX_CHANNELS = 64


def read_audio(file: Path | IO[bytes], rate: int, seconds: float | None = None) -> Float[np.ndarray, " samples"]:
    """Decode the first seconds of an audio file: mono (the mean of its channels), float32 in about [-1, 1].

    Args:
        file: Any format of libsndfile: WAV, FLAC, OGG, MP3, AIFF and others.
        rate: Sampling rate of the result in Hz; audio at another rate is resampled.
        seconds: Maximum duration; `MAX_SECONDS` when None.

    Raises:
        ValueError: The file is not audio, contains no samples, or is corrupted. The message is short.
    """
    import numpy as np

    with _opened(file) as audio:
        samples = audio.read(int((seconds or MAX_SECONDS) * audio.samplerate) or 1, dtype="float32", always_2d=True)
        own = audio.samplerate
    return resampled(_checked(np.ascontiguousarray(samples.mean(axis=1))), own, rate)


def resampled(samples: Float[np.ndarray, " n"], own: int, rate: int) -> Float[np.ndarray, " m"]:
    """The same signal at another sampling rate (polyphase filtering).

    Args:
        samples: One channel.
        own: Its sampling rate in Hz.
        rate: The rate of the result in Hz.
    """
    import numpy as np
    from scipy.signal import resample_poly

    if own == rate:
        return samples
    common = gcd(own, rate)
    return resample_poly(samples, rate // common, own // common).astype(np.float32)


def check_audio(file: Path | IO[bytes]) -> None:
    """Check the header of an audio file without decoding it.

    Raises:
        ValueError: As for `read_audio`.
    """
    with _opened(file):
        pass


@contextmanager
def _opened(file: Any) -> Iterator[Any]:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise InputError("audio requires soundfile", remedy='pip install "nearfar[audio]"') from error
    try:
        with soundfile.SoundFile(file) as audio:
            if not RATES[0] <= audio.samplerate <= RATES[1]:
                raise ValueError(f"has a sampling rate of {audio.samplerate} Hz: must be {RATES[0]} to {RATES[1]} Hz")
            if audio.channels > _MAX_CHANNELS:
                raise ValueError(f"has {audio.channels} channels: must be {_MAX_CHANNELS} or fewer")
            if not audio.frames:
                raise ValueError("contains no audio samples")
            yield audio
    except (soundfile.LibsndfileError, RuntimeError, TypeError, OSError) as error:
        reason = getattr(error, "error_string", None) or next(iter(str(error).splitlines()), "no reason given")
        raise ValueError(f"is not a valid audio file ({reason:.80})") from error


def _checked(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    import numpy as np

    if not len(samples):
        raise ValueError("is truncated: the header announces samples, and there are none")
    if not np.isfinite(samples).all():
        raise ValueError("contains samples that are NaN or infinite")
    return samples
