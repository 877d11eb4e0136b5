"""Rows of any schema with images as documents of texts and images in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nearfar.data.media import undecoded
from nearfar.models.vision_language.documents import described, pieces

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = ["documents"]


def documents(rows: Dataset | DatasetDict, max_images: int) -> Dataset:
    """Rows with `parts`, and `pair`: whether it is an image with its caption.

    Args:
        rows: Columns `image` and `text`, or `parts`; or several such datasets.
        max_images: A document with more images becomes several.
    """
    from datasets import concatenate_datasets

    if isinstance(rows, Mapping):
        return concatenate_datasets([documents(each, max_images) for each in rows.values()])
    pair = "image" in rows.column_names
    if pair:
        rows = undecoded(rows, "image")

    def parts(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if pair:
            found = [[described(image, text)] for image, text in zip(batch["image"], batch["text"], strict=True)]
        else:
            found = [pieces(each, max_images) for each in batch["parts"]]
        flat = [piece for each in found for piece in each]
        return {"parts": [[_part(part) for part in piece] for piece in flat], "pair": [pair] * len(flat)}

    return rows.map(
        parts, batched=True, remove_columns=rows.column_names, features=_features(), load_from_cache_file=False
    )


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part with the same keys whatever it is: images from the Hub come as bytes, others as paths."""
    image = part.get("image")
    if isinstance(image, str):
        image = {"bytes": None, "path": image}
    return {"text": part.get("text"), "image": image}


def _features() -> Any:
    from datasets import Features, List, Value

    image = {"bytes": Value("binary"), "path": Value("string")}
    return Features({"parts": List({"text": Value("string"), "image": image}), "pair": Value("bool")})
