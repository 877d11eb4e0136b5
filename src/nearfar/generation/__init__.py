"""Text written by language models: local ones by name, or an endpoint; and triplets made and refined with them."""

from nearfar.generation.calls import CallLog
from nearfar.generation.interface import Decoding, Generator, Prompt

__all__ = ["CallLog", "Decoding", "Generator", "Prompt"]
