"""The language model of a command, its log of calls, and the files that are written with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from nearfar.errors import InputError

Model = Annotated[str, typer.Option(help="Language model: path, hub id, .gguf file or alias.")]
EndpointUrl = Annotated[
    str | None,
    typer.Option(
        "--endpoint", help="URL of an OpenAI-compatible endpoint with MODEL, such as http://localhost:8000/v1."
    ),
]
KeyVariable = Annotated[str, typer.Option("--key-env", help="Environment variable with the key of the endpoint.")]
PerMinute = Annotated[float, typer.Option(help="Rate limit of the endpoint (requests per minute); 0: no limit.", min=0)]
Tries = Annotated[int, typer.Option(help="Maximum number of attempts per request.", min=1)]
BatchSize = Annotated[int, typer.Option(help="Batch size; number of concurrent requests with --endpoint.", min=1)]
Calls = Annotated[
    Path | None, typer.Option("--calls", help="Log of calls; answers in it are reused.", show_default="OUT.calls.jsonl")
]


def generator_of(model: str, endpoint: str | None, batch_size: int, key_env: str, per_minute: float, tries: int) -> Any:
    """The local model, or the one behind an endpoint."""
    if endpoint is None:
        from nearfar.generation.local import LocalModel

        return LocalModel(model, batch_size)
    from nearfar.generation.endpoint import Endpoint

    return Endpoint(endpoint, model, key_env, tries=tries, per_minute=per_minute, workers=batch_size)


def calls_file(calls: Path | None, out: Path) -> Path:
    """The log of calls: the one that is given, or one beside the output file."""
    return calls or out.with_name(out.name + ".calls.jsonl")


@contextmanager
def claimed(
    out: Path, calls: Path | None, dropped: Path | None = None, evaluation: Path | None = None
) -> Iterator[None]:
    """Keep other processes from the files: two would ask a model everything twice."""
    from nearfar.writing import file_claimed

    files = ((out, "--out"), (calls, "--calls"), (dropped, "--dropped"), (evaluation, "--eval-out"))
    with ExitStack() as stack:
        for path, option in files:
            if path is not None:
                stack.enter_context(file_claimed(path, option))
        yield


def check_out(path: Path, option: str = "--out") -> None:
    """Check before the work that rows can be written to a path.

    Raises:
        InputError: It is a folder or not writable, or its name does not end in .jsonl.
    """
    from nearfar.writing import check_writable

    if path.is_dir():
        raise InputError("is a folder", file=path, field=option, remedy="name a file that ends in .jsonl")
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError("expected a file name that ends in .jsonl", file=path, field=option, remedy="rename it")
    check_writable(path.parent, option)


def write(rows: list[Any], path: Path) -> None:
    """Write rows as JSON lines: all or nothing."""
    from nearfar.data import write_jsonl

    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(rows, path)
