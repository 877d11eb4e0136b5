"""Text from language models, local or behind an endpoint: triplets, rationales and questions made with them."""

from nearfar.generation.calls import CallLog
from nearfar.generation.interface import Decoding, Generator, Prompt

__all__ = ["CallLog", "Decoding", "Generator", "Prompt"]
