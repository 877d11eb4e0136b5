"""Encodes a corpus in shards: separate processes, on any machines, each write the vectors of a part of it.

A shard is a contiguous part of the texts, of whole windows, so that its vectors are those of an encoding without
shards, bit for bit on the same kind of machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.data.files import sha256
from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.encoding import BATCH_SIZE, TextOptions
from nearfar.models.encoding_files import check_target, file_facts, stored_beside, text_facts, write_windows
from nearfar.models.encoding_windows import Progress, encode_text_windows, text_windows, window_size
from nearfar.models.fingerprint import fingerprint
from nearfar.models.vector_files import read_vector_windows
from nearfar.writing import file_claimed, write_text

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from typing_extensions import Unpack

__all__ = ["Shard", "encode_shard", "join_shards"]

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")
#: What a manifest contains of the whole encoding, the same in all shards, and how a command sets it.
_COMMON = {
    "model_fingerprint": "the same model",
    "as": "the same --as",
    "prompt": "the same --prompt",
    "normalize": "the same --normalize",
    "max_length": "the same --max-length",
    "batch_size": "the same --batch-size",
    "total": "the same corpus",
}


class Shard(NamedTuple):
    """One of several parts of a corpus.

    Args:
        number: From 1.
        of: The number of parts.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that a text such as `3/8` names.

        Raises:
            InputError: It names none.
        """
        found = _SHARD.fullmatch(text)
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.of:
            problem = f"invalid shard {text!r}: must be a number and a count, such as 1/8 to 8/8"
            raise InputError(problem, field="--shard")
        return shard

    def file(self, out_path: str | Path) -> Path:
        """Where its vectors are, beside the file of all vectors: `vectors.00003-of-00008.npy`."""
        path = Path(out_path)
        return path.with_name(f"{path.stem}.{self.number:05}-of-{self.of:05}{path.suffix}")

    def manifest(self, out_path: str | Path) -> Path:
        """Where its manifest is."""
        return self.file(out_path).with_suffix(".json")

    def windows(self, total: int) -> range:
        """The numbers of its windows out of `total`."""
        return range((self.number - 1) * total // self.of, self.number * total // self.of)


def encode_shard(
    model: SentenceTransformer,
    texts: Sequence[str] | Dataset | TextStream,
    out_path: str | Path,
    shard: Shard,
    *,
    progress: Progress | None = None,
    **options: Unpack[TextOptions],
) -> tuple[dict[str, Any], bool]:
    """Write the vectors of one shard of a corpus, and its manifest; a shard that is complete is not encoded again.

    After an interruption the same call resumes: the vectors of each window of texts are stored beside the file until it
    is complete.

    Args:
        model: The encoder.
        texts: The whole corpus. A stream is read twice: its texts are counted first.
        out_path: The file of all vectors, which `join_shards` writes; see `Shard.file`.
        shard: Which part.
        progress: Called with (texts done, number of texts of the shard) after each window.
        **options: Those of `nearfar.models.encoding.encode`: `batch_size`, `max_length`, `normalize`, `kind`, `prompt`.

    Returns:
        The manifest, and whether the shard was encoded by this call. The manifest contains `shard`, `shards`, `rows`
        (first and last, from 1), `total` (texts of the corpus), `texts_sha256` (of the shard's texts), what all shards
        share (`model_fingerprint`, `as`, `prompt`, `normalize`, `max_length`, `batch_size`), `dimension`, and
        `sha256` of the file.

    Raises:
        InputError: As `encode_file`; or the corpus has too few texts for so many shards.
    """
    file, manifest_file = shard.file(out_path), shard.manifest(out_path)
    check_target(file)
    _require_encoder(model)
    total, size = _count(texts), window_size(options.get("batch_size", BATCH_SIZE))
    most = -(-total // size)
    part = shard.windows(most)
    if shard.of > most:  # refused for each shard, and not only for those that would be empty
        problem = f"expected at most {most:,} shards for {total:,} texts in windows of {size:,}, got {shard.of:,}"
        raise InputError(problem, field="--shard", remedy=f"use 1/{most} to {most}/{most}, or a smaller batch size")
    facts = _facts(model, total, options)
    place = {
        "format": 1,
        "shard": shard.number,
        "shards": shard.of,
        "rows": [part.start * size + 1, min(part.stop * size, total)],
    }
    with file_claimed(manifest_file):
        found = _read_manifest(manifest_file) if manifest_file.is_file() and file.is_file() else {}
        if all(found.get(key) == value for key, value in (facts | place).items()):
            digest = hashlib.sha256()
            for window in text_windows(texts, size, part):
                digest.update(_bytes(window))
            if found.get("texts_sha256") == digest.hexdigest() and found.get("sha256") == sha256(file):
                return found, False
        digest = hashlib.sha256()
        with stored_beside(file, model) as stored:
            windows = encode_text_windows(model, texts, progress=progress, stored=stored, part=part, **options)
            _, dimension = write_windows(file, _hashed(windows, digest), "text", file_facts(model, options))
            results = {"texts_sha256": digest.hexdigest(), "dimension": dimension, "sha256": sha256(file)}
        # Last, when the stored vectors are removed: where a manifest is, nothing is done again.
        manifest = place | facts | results
        write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", manifest_file)
    return manifest, True


def join_shards(
    model: SentenceTransformer,
    texts: Sequence[str] | Dataset | TextStream,
    out_path: str | Path,
    count: int,
    *,
    progress: Progress | None = None,
    **options: Unpack[TextOptions],
) -> tuple[int, int]:
    """Write the file of all vectors from the files of all shards: the same file as `encode_file` writes.

    The files of the shards are kept. Nothing is encoded; the model and the corpus are compared with the manifests.

    Args:
        model: The encoder.
        texts: The corpus.
        out_path: The file to write.
        count: The number of shards.
        progress: Called with (texts done, number of texts) after each window.
        **options: As of `encode_shard`.

    Returns:
        The shape of the matrix, (texts, dimensions).

    Raises:
        InputError: A shard is missing, damaged, or of another model, corpus or option.
    """
    check_target(out_path)
    _require_encoder(model)
    if count < 1:
        raise InputError(f"invalid number of shards {count}: must be 1 or more", field="--join")
    shards = [Shard(number, count) for number in range(1, count + 1)]
    missing = [each for each in shards if not (each.manifest(out_path).is_file() and each.file(out_path).is_file())]
    if missing:
        first = missing[0]
        problem = f"missing {len(missing)} of {count} shards, the first is {first.number}/{count}"
        remedy = f"encode it: --shard {first.number}/{count}"
        raise InputError(problem, file=first.file(out_path), field="--join", remedy=remedy)
    facts = _facts(model, _count(texts), options)
    size = window_size(options.get("batch_size", BATCH_SIZE))
    manifests = [_checked(shard, out_path, facts, size) for shard in shards]
    windows = _joined(texts, shards, manifests, out_path, size, progress)
    return write_windows(out_path, windows, "text", file_facts(model, options))


def _joined(
    texts: Any,
    shards: Sequence[Shard],
    manifests: Sequence[dict[str, Any]],
    out_path: str | Path,
    size: int,
    progress: Progress | None,
) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
    """The texts of the corpus and the vectors of the shards; the texts are compared with the manifests."""
    windows = text_windows(texts, size)
    for shard, manifest in zip(shards, manifests, strict=True):
        digest, (first, last) = hashlib.sha256(), manifest["rows"]
        changed = InputError(
            "was encoded from other texts",
            file=shard.file(out_path),
            remedy=f"encode it again: --shard {shard.number}/{shard.of}",
        )
        done = first - 1
        for vectors in read_vector_windows(shard.file(out_path), size):
            window = next(windows, [])
            if len(window) != len(vectors):
                raise changed
            digest.update(_bytes(window))
            yield window, vectors
            done += len(window)
            if progress is not None:
                progress(done, manifest["total"])
        if digest.hexdigest() != manifest["texts_sha256"] or done != last:
            raise changed


def _checked(shard: Shard, out_path: str | Path, facts: dict[str, Any], size: int) -> dict[str, Any]:
    """The manifest of a shard that belongs to the corpus, model and options.

    Raises:
        InputError: It does not, or its file is damaged.
    """
    file, manifest_file = shard.file(out_path), shard.manifest(out_path)
    manifest = _read_manifest(manifest_file)
    again = f"encode it again: --shard {shard.number}/{shard.of}"
    for key, value in facts.items():
        if manifest.get(key) != value:
            problem = f"expected {_COMMON[key]} as in this command ({value!r}), got {manifest.get(key)!r}"
            raise InputError(problem, file=manifest_file, field=key, remedy=f"use that, or {again}")
    total = facts["total"]
    part = shard.windows(-(-total // size))
    rows = [part.start * size + 1, min(part.stop * size, total)]
    if (manifest.get("shard"), manifest.get("shards"), manifest.get("rows")) != (*shard, rows):
        raise InputError(f"expected rows {rows[0]:,} to {rows[1]:,}", file=manifest_file, field="rows", remedy=again)
    if sha256(file) != manifest.get("sha256"):
        raise InputError("was changed after it was written", file=file, remedy=again)
    return manifest


def _read_manifest(file: Path) -> dict[str, Any]:
    """The manifest in a file; empty if it is damaged, which is then no shard's."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("format") == 1 else {}


def _facts(
    model: SentenceTransformer,
    total: int,
    options: TextOptions,
) -> dict[str, Any]:
    """What the manifests of all shards share."""
    return {
        "total": total,
        "model_fingerprint": fingerprint(model),
        **text_facts(model, options),
        "normalize": options.get("normalize", True),
        "max_length": options.get("max_length"),
        "batch_size": options.get("batch_size", BATCH_SIZE),
    }


def _hashed(windows: Iterator[tuple[list[str], Any]], digest: Any) -> Iterator[tuple[list[str], Any]]:
    for window, vectors in windows:
        digest.update(_bytes(window))
        yield window, vectors


def _bytes(window: list[str]) -> bytes:
    return json.dumps(window).encode()


def _count(texts: Sequence[str] | Dataset | TextStream) -> int:
    total = sum(map(len, texts)) if isinstance(texts, TextStream) else len(texts)
    if total == 0:
        raise InputError("expected at least one text, got none", remedy="pass at least one row")
    return total


def _require_encoder(model: Any) -> None:
    if isinstance(model, Encodes):
        problem = f"expected a text encoder of sentence-transformers, got a {type(model).__name__}"
        raise InputError(problem, field="model", remedy="encode without --shard and --ray")
