"""Models by name: a folder, a hub id, or an alias for weights that a package ships."""

from nearfar.models.aliases import ALIASES
from nearfar.models.fingerprint import fingerprint
from nearfar.models.loading import load

__all__ = ["ALIASES", "fingerprint", "load"]
