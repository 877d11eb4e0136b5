"""`nearfar generate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import Amateur, Columns, Json, MaxText, Seed, check_amateur, parsed
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.decoding.texts import Continuation, Writer


def command(
    model: Annotated[
        str,
        typer.Argument(help="Language model: path, hub id, .gguf file, or smollm2.", show_default=False),
    ],
    prompt: Annotated[list[str] | None, typer.Option(help="Prompt text (repeatable).", show_default=False)] = None,
    prompts: Annotated[
        str | None, typer.Option(help="File of prompts: rows with a column text.", show_default=False)
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            help="Decoding method: greedy, contrastive-search, beam, nucleus; for fewer hallucinations lol, icd, dola, "
            "cad. By default contrastive-search, for a sequence-to-sequence model greedy.",
            show_default=False,
        ),
    ] = None,
    amateur: Amateur = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Prefix that the model's training recorded, such as predict or explain of qcrd: prompts get it.",
            show_default=False,
        ),
    ] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Format prompts by the model's chat template.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Override a setting of the decoding method, e.g. top_k=4 (repeatable).", metavar="KEY=VALUE"
        ),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Maximum new tokens.", min=1)] = 64,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Output file, .jsonl; an interrupted run is resumed.")] = None,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number of prompts, from the start.", min=1)] = None,
    batch_size: Annotated[int, typer.Option(help="Batch size; nucleus sampling depends on it.", min=1)] = 8,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Continue prompts with a language model, or answer them."""
    mapping = parsed(columns)
    if chat and prefix is not None:
        problem = "expected --chat or --prefix, got both"
        raise InputError(problem, field="--chat", remedy="remove --chat: --prefix uses the format of training")
    from nearfar.decoding import methods
    from nearfar.kinds.loading import class_of
    from nearfar.models.abilities import Conditions, Continues
    from nearfar.settings import parse_settings, with_settings

    kind = class_of(model)
    if not issubclass(kind, Conditions):
        raise InputError(f"expected a language model, got {kind.words}", field="MODEL", remedy="pass a language model")
    method = methods.get(decoding or ("contrastive-search" if issubclass(kind, Continues) else "greedy"))
    options = with_settings(method.options(), parse_settings(settings or ()))
    check_amateur(amateur, method, options)
    if out is not None:
        _check_out(out)
    from nearfar.decoding.amateur import load_amateur
    from nearfar.decoding.texts import Writer
    from nearfar.writing import file_claimed

    with nullcontext() if out is None else file_claimed(out):
        texts = _texts(prompt, prompts, mapping, limit)
        loaded: Any = kind.load(model)
        worse = None
        if amateur is not None:
            worse = load_amateur(amateur, loaded.model, loaded.tokenizer, model, options.amateur_prompt)
        writer = Writer(
            loaded,
            method,
            options,
            max_new_tokens=max_new_tokens,
            seed=seed,
            batch_size=batch_size,
            name=model,
            amateur=worse,
            chat=chat,
            prefix=prefix,
        )
        between = "" if writer.continues else "\n"
        alone = len(texts) == 1 and out is None and not json_
        watch = _typed if alone and method.streams and sys.stdout.isatty() else None
        if watch is not None:
            watch(texts[0] + between)
        started = time.monotonic()
        # Only a run that can be resumed is identified: that reads all weights.
        run = {} if out is None else _run(writer, texts, options, model, amateur)
        found = _all(writer, texts, out, watch, run)
        seconds = time.monotonic() - started
        rows = [{"prompt": prompt, **each._asdict()} for prompt, each in zip(texts, found, strict=True)]
        tokens = sum(each.tokens for each in found)
        if out is not None:
            from nearfar.data import write_jsonl

            write_jsonl(rows, out)
            _unfinished(out).unlink(missing_ok=True)
    if json_:
        summary = {"model": model, "decoding": method.name, "settings": vars(options), "seed": seed, "tokens": tokens}
        given = {"amateur": amateur, "prefix": prefix}
        summary |= {name: value for name, value in given.items() if value is not None}
        texts_ = {"texts": rows} if out is None else {"out": str(out), "prompts": len(rows)}
        print_json({**summary, "seconds": round(seconds, 3), **texts_})
    elif out is not None:
        print(f"{len(rows):,} texts of {tokens:,} tokens in {out}")
    elif watch is not None:
        print()
    else:
        print("\n\n".join(_shown(prompt + between + each.text) for prompt, each in zip(texts, found, strict=True)))


def _all(
    writer: Writer, texts: list[str], out: Path | None, watch: Callable[[str], None] | None, run: dict[str, Any]
) -> list[Continuation]:
    """The continuations in the order of the prompts; with `out`, batches of an interrupted run are reused."""
    found: dict[int, Continuation] = {}
    if watch is not None:
        return [each for _, batch in writer.batches(texts, watch=watch) for each in batch]
    kept, done = None, 0
    if out is not None:
        from nearfar.decoding.texts import Unfinished

        kept = Unfinished(_unfinished(out), run)
        for batch in kept.batches():
            found.update(zip(*batch, strict=True))
            done += 1
        if found:
            say(f"resuming: {len(found):,} of {len(texts):,} texts already exist")
    with progress("generate") as update:
        for batch in writer.batches(texts, done=done):
            if kept is not None:
                kept.add(batch)
            found.update(zip(*batch, strict=True))
            update(len(found), len(texts))
    return [found[number] for number in range(len(texts))]


def _run(writer: Writer, texts: list[str], options: Any, model: str, amateur: str | None) -> dict[str, Any]:
    """Everything that determines the texts."""
    from importlib.metadata import version

    from nearfar.decoding.amateur import PROMPT
    from nearfar.models.language import weights_hash

    return {
        "model": weights_hash(model),
        "amateur": amateur if amateur in (None, PROMPT) else weights_hash(amateur),
        "decoding": writer.method.name,
        "settings": vars(options),
        "prompts": texts,
        "chat": writer.chat,
        "prefix": writer.prefix,
        "numbers": [writer.max_new_tokens, writer.seed, writer.batch_size],
        "versions": [version(name) for name in ("nearfar", "torch", "transformers")],
    }


def _texts(prompt: list[str] | None, prompts: str | None, mapping: Any, limit: int | None) -> list[str]:
    if prompt is None and prompts is None:
        problem = "expected a prompt, got none"
        raise InputError(problem, field="--prompt", remedy="add --prompt TEXT or --prompts FILE")
    if prompts is None:
        return (prompt or [])[:limit]
    if prompt is not None:
        raise InputError("expected --prompt or --prompts, got both", field="--prompt", remedy="remove one of them")
    from nearfar.data import load

    rows: Any = load(prompts, columns=mapping, schema="sentences", limit=limit)
    return list(rows["text"])


def _check_out(path: Path) -> None:
    from nearfar.writing import check_writable

    if path.is_dir():
        raise InputError("is a folder", file=path, field="--out", remedy="name a file that ends in .jsonl")
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError("expected a file name that ends in .jsonl", file=path, field="--out", remedy="rename it")
    check_writable(path.absolute().parent)


def _unfinished(out: Path) -> Path:
    return out.with_name(f".{out.name}.unfinished")


def _typed(text: str) -> None:
    print(_shown(text), end="", flush=True)


def _shown(text: str) -> str:
    """Remove control characters, which could manipulate the terminal."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))
