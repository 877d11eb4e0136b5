"""Models with views: several vectors for each input, such as one for what two datasets share and one for what differs.

A model with views is a SentenceTransformer whose only module is a `Router` with a route for each view. `encode(inputs)`
returns the vectors of the first view, `encode(inputs, task=NAME)` those of another. In the model's folder, that of each
view is a plain model too: `SentenceTransformer(folder / NAME)`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.media import MEDIA
from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["one_view", "views_of", "with_views", "write_views"]

#: File of a model's own settings.
_SETTINGS = "config_sentence_transformers.json"
#: Routes that are towers, see `nearfar.models.towers`.
_TOWERS = {"text", *MEDIA, "query", "document"}


def with_views(views: Mapping[str, list[Any]], like: SentenceTransformer | None = None) -> SentenceTransformer:
    """A model with views.

    Args:
        views: The modules of each view by name, the default view first. Views may share their first modules.
        like: A model whose prompts and device it gets.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    first = next(iter(views))
    # Prompts are for queries and documents, but both are encoded with the first view.
    routes: dict[Any, str] = {(task, None): first for task in ("query", "document")}
    router = Router(dict(views), default_route=first, route_mappings=routes)
    return SentenceTransformer(modules=[router], **_settings(like))


def views_of(model: SentenceTransformer) -> tuple[str, ...]:
    """The names of a model's views, the default view first; empty for other models."""
    from sentence_transformers.base.modules import Router

    modules = list(model)
    if len(modules) != 1 or not isinstance(router := modules[0], Router) or _TOWERS & set(router.sub_modules):
        return ()
    first = router.default_route
    return tuple(sorted(router.sub_modules, key=lambda name: name != first))


def one_view(model: SentenceTransformer, view: str) -> SentenceTransformer:
    """One view as a model with a single space. Its modules are used, not copied.

    Raises:
        InputError: The model has no such view, or no views.
    """
    from sentence_transformers import SentenceTransformer

    views = views_of(model)
    if not views:
        raise InputError("the model has no views", field="--view", remedy="remove --view")
    if view not in views:
        remedy = f"choose from {', '.join(views)}"
        raise InputError(f"the model has no view {view!r}", field="--view", remedy=remedy)
    router: Any = model[0]
    found = SentenceTransformer(modules=list(router.sub_modules[view]), **_settings(model))
    return found.train(model.training)


def write_views(model: SentenceTransformer, folder: Path) -> None:
    """Write a model with views: each view into a folder with its name, and the files that join them.

    A module that several views share is loaded from the folder of the first one, so that it stays shared; the folders
    of the others have a copy of it.
    """
    views = views_of(model)
    router: Any = model[0]
    names: dict[int, str] = {}
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for view in views:
        one_view(model, view).save_pretrained(str(folder / view), create_model_card=False)
        listed = json.loads((folder / view / "modules.json").read_text("utf-8"))
        for module, entry in zip(router.sub_modules[view], listed, strict=True):
            name = names.setdefault(id(module), "/".join(filter(None, (view, entry["path"]))))
            types.setdefault(name, entry["type"])
            structure.setdefault(view, []).append(name)
    of_router = f"{type(router).__module__}.{type(router).__name__}"
    _write(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": of_router}])
    parameters = router.get_config_dict()
    # JSON has no tuples as keys; the library reads them back from text.
    parameters["route_mappings"] = {str(key): route for key, route in parameters["route_mappings"].items()}
    _write(folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters})
    shutil.copyfile(folder / views[0] / _SETTINGS, folder / _SETTINGS)


def _write(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1) + "\n", "utf-8")


def _settings(like: SentenceTransformer | None) -> dict[str, Any]:
    if like is None:
        return {}
    return {"device": str(like.device), "prompts": like.prompts, "default_prompt_name": like.default_prompt_name}
