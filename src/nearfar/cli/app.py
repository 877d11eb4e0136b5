"""The entry point: which commands there are, and how they end.

Exit codes: 0 done; 1 the work failed; 2 the user's input is wrong, with one line that says where and what to do;
130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import typer

from nearfar import __version__
from nearfar.cli import demo, encode, evaluate, recipes, search, train
from nearfar.cli.output import error_line
from nearfar.errors import InputError

app = typer.Typer(
    name="nearfar",
    help="Contrastive learning on language: train, evaluate and use embedding models on your own data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("recipes")(recipes.command)
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)
app.command("encode")(encode.command)
app.command("search")(search.command)
app.command("demo")(demo.command)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        typer.echo(f"nearfar {__version__}")
        raise typer.Exit()


def main() -> None:
    """Run the command line."""
    _quiet_libraries()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    import click

    try:
        return app(args=arguments, standalone_mode=False) or 0
    except InputError as error:
        return _failed(error, arguments, 2)
    except click.UsageError as error:
        return _failed(InputError(error.format_message().rstrip("."), remedy="see nearfar --help"), arguments, 2)
    except (click.exceptions.Abort, KeyboardInterrupt):
        error_line("interrupted; what was finished is kept, and train goes on with --resume")
        return 130
    except OSError as error:
        return _failed(_of_system(error), arguments, 2)
    except Exception as error:
        if os.environ.get("NEARFAR_DEBUG"):
            traceback.print_exc()
        first = next(iter(str(error).splitlines()), "")
        return _failed(f"{type(error).__name__}: {first}; set NEARFAR_DEBUG=1 for the traceback", arguments, 1)


def _failed(error: InputError | str, arguments: list[str], code: int) -> int:
    error_line(str(error))
    if "--json" in arguments:
        print(json.dumps({"error": str(error), "exit_code": code}))
    return code


def _of_system(error: OSError) -> InputError:
    from nearfar.training.folder import unwritable

    return unwritable(error, Path(str(error.filename or "the output")))


def _quiet_libraries() -> None:
    """Progress is ours to show; the libraries' own bars and notes would run through it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if not os.environ.get("NEARFAR_DEBUG"):
        import warnings

        warnings.filterwarnings("ignore")
