"""Models by name: a folder, a Hub ID, or an alias for weights in a Python package."""

from nearfar.models.aliases import ALIASES
from nearfar.models.fingerprint import fingerprint
from nearfar.models.loading import load

__all__ = ["ALIASES", "fingerprint", "load"]
