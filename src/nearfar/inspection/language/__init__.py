"""Inspection of a causal language model: what its states know about the next tokens.

    inspect_language(model, data)    everything below, as a `LanguageInspection`

`pieces` reads documents and cuts them, `reading` passes them through the model once, `layers` compares the states of
each layer with next-token laws, `drafting` trains probes for later tokens; `page` shows the result.
"""

from nearfar.inspection.language.result import LanguageInspection
from nearfar.inspection.language.run import inspect_language

__all__ = ["LanguageInspection", "inspect_language"]
