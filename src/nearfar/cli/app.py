"""The entry point: how a command is run, and how it ends.

Exit codes: 0 done; 1 the work failed; 2 the user's input is wrong, with one line that says where and what to do;
130 interrupted.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import typer

from nearfar import __version__
from nearfar.cli.commands import Commands
from nearfar.cli.library_notes import note_libraries
from nearfar.cli.option_names import of_option
from nearfar.cli.output import NOTES, error_line, print_json
from nearfar.errors import InputError

# typer's parser says what is wrong with the arguments by this exception; where it lives differs between versions.
_UsageError: Any = typer.BadParameter.__mro__[1]

INTERRUPTED = "interrupted; what was finished is kept; train and compare go on by --resume"

app = typer.Typer(
    name="nearfar",
    cls=Commands,
    help="Contrastive learning on language: train, evaluate and use embedding models on your own data.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and leave.")
) -> None:
    if version:
        typer.echo(f"nearfar {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line."""
    _quiet_libraries()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would flush once more when it leaves, and fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Who closes a pipe early has seen enough; a command that failed has said so.
        if error.errno != errno.EPIPE and code == 0:
            error_line(f"the output cannot be written: {error.strerror}")
            code = 2
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    with NOTES.of(logging.getLogger("nearfar")):
        try:
            code = app(args=arguments, prog_name="nearfar", standalone_mode=False) or 0
        except (typer.Abort, KeyboardInterrupt):
            code = 130
        except InputError as error:
            return _failed(str(of_option(error, lambda: typer.main.get_command(app), arguments)), arguments, 2)
        except _UsageError as error:
            return _failed(_of_usage(error), arguments, 2)
        except Exception as error:
            if system := _of_system(error):
                return _failed(str(system), arguments, 2)
            if os.environ.get("NEARFAR_DEBUG"):
                traceback.print_exc()
            return _failed(_of_code(error), arguments, 1)
        # typer itself turns Ctrl-C into this code, without a word.
        if code == 130:
            return _failed(INTERRUPTED, arguments, 130)
        NOTES.show()
        return code


def _failed(line: str, arguments: list[str], code: int) -> int:
    error_line(line)
    if "--json" in arguments:
        print_json({"error": line, "exit_code": code})
    return code


def _of_usage(error: Any) -> str:
    command = "nearfar" if error.ctx is None else error.ctx.command_path
    problem, _, hint = error.format_message().strip().rstrip(".").partition(". Did you mean")
    remedy = f"did you mean{hint}" if hint else f"see {command} --help"
    return str(InputError(f"{problem[:1].lower()}{problem[1:]}", remedy=remedy))


def _of_code(error: BaseException) -> str:
    """The one line for an exception of code, which may be that of the user's own recipe."""
    from nearfar.recipes import place_in_file

    file, line = place_in_file(error) or (None, None)
    first = next(iter(str(error).splitlines()), "")
    problem = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return str(InputError(problem, file=file, line=line, remedy="set NEARFAR_DEBUG=1 for the traceback"))


def _of_system(error: BaseException) -> InputError | None:
    """The one line for a disk that is full and for a file that may not be touched; None for anything else."""
    for each in _causes(error):
        code, file = getattr(each, "errno", None), getattr(each, "filename", None)
        # Weights and checkpoints are written by libraries that pass on the text alone.
        if code in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(each):
            remedy = "free some space, or name a place on another disk"
            return InputError("no space left on the disk", file=file, remedy=remedy)
        if isinstance(each, OSError) and code in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "name a place that you may read and write"
            return InputError(f"{each.strerror}".lower(), file=file, remedy=remedy)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _quiet_libraries() -> None:
    """Progress is ours to show; the libraries' own bars and notes would run through it."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if not os.environ.get("NEARFAR_DEBUG"):
        note_libraries(NOTES)
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        # A logger without any handler writes its warnings to stderr.
        logging.getLogger().addHandler(logging.NullHandler())
