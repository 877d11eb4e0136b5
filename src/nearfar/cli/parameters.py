"""Options that several commands share, under one name each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfar.errors import InputError, renamed

if TYPE_CHECKING:
    from nearfar.decoding.method import Method
    from nearfar.models.encoding_windows import EncodingOf

Model = Annotated[str, typer.Argument(help="Model: path, Hub ID or alias such as minilm.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
# 32 bits: what numpy takes.
Amateur = Annotated[
    str | None,
    typer.Option(
        help="Worse model for lol and icd: path, hub id, adapter of the model (as written by nearfar train lol), "
        "or prompt for the model itself with an instruction to answer falsely.",
        metavar="MODEL|FOLDER|prompt",
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0, max=2**32 - 1)]
BatchSize = Annotated[int, typer.Option(help="Batch size.", min=1)]
Columns = Annotated[
    str | None, typer.Option(help="Column mapping, e.g. anchor=question,positive=answer.", metavar="NAME=COLUMN,...")
]

SkipBroken = Annotated[
    bool,
    typer.Option(
        "--skip-broken",
        help="Skip rows whose image or audio file is missing or damaged, and turns without text.",
    ),
]


def _limit_texts(context: typer.Context, size: int | None) -> None:
    """Set the limit for this command and the processes that it starts, and put the earlier one back at its end."""
    if size is None:
        return
    from nearfar.data.limits import VARIABLE

    earlier = os.environ.get(VARIABLE)

    def restore() -> None:
        if earlier is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = earlier

    os.environ[VARIABLE] = str(size)
    context.call_on_close(restore)


Weights = Annotated[
    str | None,
    typer.Option(
        help="How often the training rows of each --data count, e.g. 2,0.5 (default: once).", metavar="WEIGHT,..."
    ),
]

TrainerArgs = Annotated[
    Path | None,
    typer.Option(
        help="YAML or JSON file of further arguments of the Hugging Face trainer, e.g. report_to: tensorboard.",
        metavar="FILE",
    ),
]

Stream = Annotated[
    bool,
    typer.Option(
        "--stream",
        help="Texts read as a stream: none is copied to the disk first, Hub datasets are not downloaded. Run again to "
        "resume.",
    ),
]

Ray = Annotated[
    str | None,
    typer.Option(help="Ray to encode texts on: local, or the address of a cluster.", metavar="local|ADDRESS"),
]
Workers = Annotated[int, typer.Option(help="Number of processes that encode, with --ray.", min=1)]
GpusPerWorker = Annotated[float, typer.Option(help="Number of GPUs of each worker, with --ray.", min=0)]

#: Takes effect when it is parsed; no command passes it on.
MaxText = Annotated[
    int | None,
    typer.Option(
        help="Maximum size of a text in bytes (default: 1 MiB, or NEARFAR_MAX_TEXT).",
        metavar="BYTES",
        min=1,
        show_default=False,
        callback=_limit_texts,
        expose_value=False,
    ),
]


def parsed(columns: str | None, option: str = "--columns") -> dict[str, str] | None:
    """The mapping of `--columns`, or of another option."""
    from nearfar.data import parse_columns

    with renamed(columns=option):
        return None if columns is None else parse_columns(columns)


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option was written on the command line, even with its default value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_given(context: typer.Context, names: Iterable[str], problem: str, *, needed: str | None = None) -> None:
    """Refuse options that would be ignored.

    Args:
        context: What was given.
        names: Parameters of the command.
        problem: Why the options have no effect.
        needed: The option that gives them one; None: nothing does.

    Raises:
        InputError: One of them was given.
    """
    for name in names:
        if was_given(context, name):
            option = f"--{name.rstrip('_').replace('_', '-')}"
            remedy = f"remove {option}" if needed is None else f"add {needed}, or remove {option}"
            raise InputError(problem, field=option, remedy=remedy)


def check_ray(context: typer.Context, ray: str | None) -> None:
    """Refuse options of Ray's workers without Ray.

    Raises:
        InputError: One was given.
    """
    if ray is None:
        refuse_given(context, ("workers", "gpus_per_worker"), "is only for --ray", needed="--ray local|ADDRESS")


@contextmanager
def encoding_on(ray: str | None, workers: int, gpus_per_worker: float, *, stream: bool = False) -> Iterator[EncodingOf]:
    """What encodes texts until the context ends: this process, or the workers of `--ray`.

    Raises:
        InputError: Ray is not installed, or the texts are a stream.
    """
    if ray is None:
        from nearfar.models.encoding_windows import in_this_process

        yield in_this_process
        return
    from nearfar.encoding import OnRay

    found = OnRay(ray, workers=workers, gpus=gpus_per_worker)
    if stream:
        raise InputError("Ray copies the texts into its object store", field="--stream", remedy="remove it")
    # Ray prints on stdout when it replaces a worker.
    with redirect_stdout(sys.stderr), found:
        yield found.of


def check_amateur(amateur: str | None, method: Method, options: Any) -> None:
    """Check that an amateur is given exactly if the decoding method uses one.

    Raises:
        InputError: It is missing, or is not used.
    """
    used = method.amateur and options.amateur_weight > 0
    if used and amateur is None:
        remedy = "add --amateur MODEL, or `--amateur prompt` for the model itself with an instruction to answer falsely"
        raise InputError(f"expected an amateur for {method.name}, got none", field="--amateur", remedy=remedy)
    if amateur is not None and not used:
        problem = "the decoding uses no amateur"
        raise InputError(problem, field="--amateur", remedy="use --decoding lol or icd, or remove --amateur")
