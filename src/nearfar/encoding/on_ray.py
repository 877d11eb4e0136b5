"""Encodes a corpus in the workers of Ray Data, on this machine or on a cluster.

Ray replaces workers that are killed, and encodes their windows of texts again. What arrives is stored beside the output
until it is complete, so that the command itself can be interrupted too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.streams import TextStream
from nearfar.encoding.connection import connected
from nearfar.encoding.encoder import Encoder
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.aliases import absolute_name
from nearfar.models.encoding import BATCH_SIZE, TextOptions
from nearfar.models.encoding_files import check_target, encode_file, stored_beside
from nearfar.models.encoding_windows import (
    EncodeWindows,
    Progress,
    encode_text_windows,
    made_from,
    text_windows,
    window_size,
)
from nearfar.models.fingerprint import fingerprint

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from typing_extensions import Self, Unpack

    from nearfar.models.stored_arrays import StoredArrays

__all__ = ["OnRay", "encode_file_on_ray", "require_ray"]


def require_ray() -> None:
    """Raise an InputError that says what to install, if Ray Data is not installed."""
    if find_spec("ray") is None:
        raise InputError("Ray requires the package ray", field="--ray", remedy='pip install "nearfar[ray]"')


class OnRay:
    """Encodes texts in the workers of a Ray, for every function that takes `encode` or `encoding`.

    As a context manager, all that is encoded shares one connection to Ray, made when there is something to encode;
    otherwise each call makes its own.

    Args:
        address: `local` for a Ray of its own on this machine, else the address of a cluster, as for `ray.init`. A
            connection that exists already is used instead.
        workers: Number of processes that encode.
        gpus: GPUs of each of them; a worker without one sees none.

    Raises:
        InputError: Ray is not installed, or the number of workers is invalid.

    Example:
        >>> from nearfar.search import build_index
        >>> with OnRay(workers=8) as ray:  # doctest: +SKIP
        ...     build_index("minilm", texts, "index", encode=ray.of("minilm"))
    """

    def __init__(self, address: str = "local", *, workers: int = 2, gpus: float = 0) -> None:
        require_ray()
        if workers < 1:
            raise InputError(f"invalid number of workers {workers}: must be 1 or more", field="--workers")
        self._address, self._workers, self._gpus = address, workers, gpus
        self._shared: ExitStack | None = None

    def __enter__(self) -> Self:
        self._shared = ExitStack()
        return self

    def __exit__(self, *error: object) -> None:
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def of(self, name: str | Path | None, *, view: str | None = None, max_length: int | None = None) -> EncodeWindows:
        """What encodes texts as `nearfar.models.encoding_windows.encode_windows` does, with a model by its name.

        Args:
            name: A folder, a Hub ID or an alias, by which the workers load the model; every machine of the cluster must
                have it. The loaded model is passed, too, and compared with those of the workers.
            view: Name of a view, of an encoder that has several.
            max_length: Maximum sequence length in tokens that the model was loaded with.

        Raises:
            InputError: When it is called: there is no name, the model is no text encoder of sentence-transformers, or
                the texts are a stream. At the first window: Ray cannot be reached or has too few processors, or the
                model is another one on a worker.
        """

        def encode(
            model: Any,
            texts: Sequence[str] | Dataset | TextStream,
            *,
            column: str = "text",
            size: int | None = None,
            progress: Progress | None = None,
            stored: StoredArrays | None = None,
            **options: Unpack[TextOptions],
        ) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
            if name is None:
                remedy = "pass its folder, its Hub ID or its alias"
                raise InputError("expected the name of a model, got a model in memory", field="model", remedy=remedy)
            if isinstance(model, Encodes):
                problem = f"expected a text encoder of sentence-transformers, got a {type(model).__name__}"
                raise InputError(problem, field="model", remedy="encode without --ray")
            if column != "text":
                raise InputError(f"is for texts, got rows of {column}", field="--ray", remedy="remove it")
            if isinstance(texts, TextStream):
                raise InputError("Ray copies the texts into its object store", field="--stream", remedy="remove it")
            if max_length is not None:
                options["max_length"] = max_length
            # Workers have other working directories.
            arguments = {"model": absolute_name(name), "view": view, "fingerprint": fingerprint(model), **options}
            return self._windows(arguments, model, texts, size, progress, stored, options)

        return encode

    def _windows(
        self,
        arguments: dict[str, Any],
        model: Any,
        texts: Sequence[str] | Dataset,
        size: int | None,
        progress: Progress | None,
        stored: StoredArrays | None,
        options: TextOptions,
    ) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
        """As `encode_windows`; `arguments` are those of the workers' `Encoder`."""
        key = made_from(model, **options)
        length = window_size(options.get("batch_size", BATCH_SIZE)) if size is None else size
        results: Generator[tuple[int, list[str], np.ndarray], None, None] | None = None

        def missing() -> Iterator[tuple[int, list[str]]]:
            for number, window in enumerate(text_windows(texts, length)):
                if stored is None or not stored.contains((*key, *window), rows=len(window)):
                    yield number, window

        with ExitStack() as stack:

            def make(number: int, window: list[str]) -> np.ndarray:
                nonlocal results
                if results is None:
                    last = self._shared or stack
                    last.enter_context(connected(self._address, self._workers, self._gpus))
                    results = _encoded(missing(), arguments, self._workers, self._gpus)
                    # Closed before the connection is, which Ray Data uses once more at the end.
                    for each in (last, stack):
                        each.callback(results.close)
                found, its_texts, vectors = next(results)
                if found != number or its_texts != window:
                    raise RuntimeError(f"expected window {number} of the texts from Ray, got {found}")
                return vectors

            yield from encode_text_windows(
                model, texts, size=size, progress=progress, stored=stored, make=make, **options
            )


def encode_file_on_ray(
    name: str | Path,
    texts: Sequence[str] | Dataset,
    out_path: str | Path,
    *,
    address: str = "local",
    workers: int = 2,
    gpus: float = 0,
    view: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[TextOptions],
) -> tuple[int, int]:
    """Write the vectors of many texts to the same file as `nearfar.models.encoding_files.encode_file`.

    Args:
        name: A folder, a Hub ID or an alias of an encoder; every machine of the cluster must have it.
        texts: A sequence of texts, or a dataset with a column `text`. They are copied into Ray's object store, which
            uses the disk when memory is full.
        out_path: The file to write, `.npy` or `.parquet`.
        address: See `OnRay`, and so for `workers` and `gpus`.
        workers: Number of processes that encode.
        gpus: GPUs of each of them.
        view: Name of a view, of an encoder that has several.
        progress: Called with (texts done, number of texts) after each window.
        **options: Those of `nearfar.models.encoding.encode`: `batch_size`, `max_length`, `normalize`, `kind`, `prompt`.

    Returns:
        The shape of the matrix, (texts, dimensions).

    Raises:
        InputError: As `encode_file` and `OnRay`.
    """
    from nearfar.kinds.loading import load_vectorizer

    ray = OnRay(address, workers=workers, gpus=gpus)
    check_target(out_path)
    model = load_vectorizer(name, max_length=options.get("max_length"), view=view)
    with stored_beside(out_path, model) as stored:
        encode = ray.of(name, view=view)
        return encode_file(model, texts, out_path, encode=encode, progress=progress, stored=stored, **options)


def _encoded(
    windows: Iterator[tuple[int, list[str]]], arguments: dict[str, Any], workers: int, gpus: float
) -> Generator[tuple[int, list[str], np.ndarray], None, None]:
    """The number, texts and vectors of each window, in order."""
    import numpy as np
    import pyarrow as pa
    import ray  # pyright: ignore[reportMissingImports]
    from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

    # One block per window, which a worker takes as a whole: its vectors depend on no other texts.
    blocks: list[Any] = [
        ray.put(pa.table({"window": [number] * len(texts), "text": texts})) for number, texts in windows
    ]
    if not blocks:
        return
    dataset = ray.data.from_arrow_refs(blocks).map_batches(
        Encoder,  # pyright: ignore[reportArgumentType]
        fn_constructor_kwargs=arguments,
        batch_size=None,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=gpus or None,
    )
    try:
        for batch in dataset.iter_batches(batch_size=None, batch_format="numpy"):
            if len(batch["text"]):
                vectors = np.array(batch["vector"], dtype=np.float32)
                yield int(batch["window"][0]), [str(text) for text in batch["text"]], vectors
    except RayError as error:
        found = _input_error(error)
        if found is None:
            raise
        raise InputError(found.problem, file=found.file, field=found.field, remedy=found.remedy) from None


def _input_error(error: BaseException) -> InputError | None:
    """The InputError of a worker."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, InputError):
        found = getattr(found, "cause", None) or found.__cause__
    return found
