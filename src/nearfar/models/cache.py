"""Where files that cost time to make are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """The folder of this user's cached files: $NEARFAR_CACHE, or `nearfar` in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("NEARFAR_CACHE") or base / "nearfar")
