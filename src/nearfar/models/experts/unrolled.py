"""An encoder with domain experts as separate dense encoders, which loads without this package and its code.

SentenceTransformer(path).encode(texts, task="banking")
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router

from nearfar.models.experts.domains import NO_DOMAIN, DomainExperts

__all__ = ["save_unrolled", "unrolled"]


def unrolled(encoder: SentenceTransformer) -> SentenceTransformer:
    """A copy made of sentence-transformers modules: a `Router` over one dense encoder per domain.

    `encode(texts, task=domain)` returns the same vectors as `encoder`. Shared weights are repeated for each domain: on
    disk and in memory there are N dense encoders, and one more for `"mean-of-experts"`.

    Raises:
        ValueError: `encoder` has no `DomainExperts`.
    """
    experts = encoder[0]
    if not isinstance(experts, DomainExperts):
        raise ValueError(f"expected DomainExperts as first module, got {type(experts).__name__}")
    number = len(experts.domains)
    routes: dict[str, list[Any]] = {f"domain_{k}": [experts.specialist(k)] for k in range(number)}
    # Mapped, because the name of a route becomes a folder name, and a domain can have any name.
    mappings: dict[tuple[str | None, Any], str] = {
        (name, None): f"domain_{k}" for k, name in enumerate(experts.domains)
    }
    default = None
    if experts.on_unknown == "mean-of-experts":
        default = "unknown"
        routes[default] = [experts.specialist(number)]
        mappings = {**{(task, None): default for task in NO_DOMAIN}, **mappings}
    router = Router(routes, default_route=default, allow_empty_key=False, route_mappings=mappings)
    return SentenceTransformer(
        modules=[router, *(copy.deepcopy(module) for module in list(encoder)[1:])],
        prompts={name: prompt or "" for name, prompt in encoder.prompts.items()},
        default_prompt_name=encoder.default_prompt_name,
        similarity_fn_name=encoder.similarity_fn_name,
        truncate_dim=encoder.truncate_dim,
        device=str(encoder.device),
    ).eval()


def save_unrolled(encoder: SentenceTransformer, folder: Path) -> None:
    """Write `unrolled(encoder)` into `folder` and replace its contents; an existing model card is kept and extended."""
    card = folder / "README.md"
    text = card.read_text("utf-8") if card.exists() else ""
    shutil.rmtree(folder, ignore_errors=True)
    unrolled(encoder).save_pretrained(str(folder), create_model_card=False)
    experts = encoder[0]
    assert isinstance(experts, DomainExperts)
    rest = {
        "mean-of-experts": "A text without a domain (no `task`) is encoded with the mean of the experts.",
        "error": "A text without a domain (no `task`) is an error.",
    }[experts.on_unknown]
    names = ", ".join(f"`{name}`" for name in experts.domains)
    example = f"model.encode(texts, task={experts.domains[0]!r})"
    text += f"\n## Domains\n\n{names}\n\n```python\n{example}\n```\n\n{rest} Compare vectors within a domain.\n"
    card.write_text(text, "utf-8")
