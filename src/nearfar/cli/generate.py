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
    from nearfar.decoding.image_prompts import ImageWriter
    from nearfar.decoding.texts import Continuation, Writer


def command(
    model: Annotated[
        str,
        typer.Argument(help="Language model: path, hub id, .gguf file, or smollm2.", show_default=False),
    ],
    prompt: Annotated[list[str] | None, typer.Option(help="Prompt text (repeatable).", show_default=False)] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="Image before each prompt, for a model that reads images (repeatable).", show_default=False),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="File of prompts: rows with a column text; for a model that reads images also image, or parts.",
            show_default=False,
        ),
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            help="Decoding method: greedy, contrastive-search, beam, nucleus; for fewer hallucinations lol, icd, dola, "
            "cad. By default contrastive-search, or greedy for models that read images or have an encoder.",
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
    """Continue prompts with a language model, answer them, or describe images."""
    mapping = parsed(columns)
    if chat and prefix is not None:
        problem = "expected --chat or --prefix, got both"
        raise InputError(problem, field="--chat", remedy="remove --chat: --prefix uses the format of training")
    from nearfar.decoding import methods
    from nearfar.kinds.loading import class_of
    from nearfar.models.abilities import Conditions, Continues, Describes
    from nearfar.settings import parse_settings, with_settings

    if out is not None:
        _check_out(out)
    from nearfar.writing import file_claimed

    with nullcontext() if out is None else file_claimed(out):
        kind = class_of(model)
        reads_images = issubclass(kind, Describes)
        if not reads_images and not issubclass(kind, Conditions):
            problem = f"expected a language model, got {kind.words}"
            raise InputError(problem, field="MODEL", remedy="pass a language model")
        if image and not reads_images:
            problem = f"{kind.words} does not read images"
            raise InputError(problem, field="--image", remedy="use a model that `nearfar train cosmo` has made")
        method = methods.get(decoding or ("contrastive-search" if issubclass(kind, Continues) else "greedy"))
        options = with_settings(method.options(), parse_settings(settings or ()))
        check_amateur(amateur, method, options)
        texts: Any = (
            _documents(prompt, image, prompts, mapping, limit)
            if reads_images
            else _texts(prompt, prompts, mapping, limit)
        )
        loaded: Any = kind.load(model)
        how: dict[str, Any] = {"max_new_tokens": max_new_tokens, "seed": seed, "batch_size": batch_size, "name": model}
        if reads_images:
            writer: Any = _image_writer(loaded, method, options, how, {"--prefix": prefix, "--chat": chat or None})
        else:
            writer = _writer(loaded, method, options, {**how, "chat": chat, "prefix": prefix}, amateur)
        alone = len(texts) == 1 and out is None and not json_
        watch = _typed if alone and method.streams and writer.streams and sys.stdout.isatty() else None
        if watch is not None:
            watch(writer.shown(texts[0]))
        started = time.monotonic()
        # Only a run that can be resumed is identified: that reads all weights.
        run = {} if out is None else _run(writer, texts, options, loaded.fingerprint(model), amateur)
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
        pairs = zip(texts, found, strict=True)
        print("\n\n".join(_shown(writer.shown(prompt) + each.text) for prompt, each in pairs))


def _writer(loaded: Any, method: Any, options: Any, how: dict[str, Any], amateur: str | None) -> Writer:
    from nearfar.decoding.amateur import load_amateur
    from nearfar.decoding.texts import Writer

    worse = None
    if amateur is not None:
        worse = load_amateur(amateur, loaded.model, loaded.tokenizer, how["name"], options.amateur_prompt)
    return Writer(loaded, method, options, amateur=worse, **how)


def _image_writer(loaded: Any, method: Any, options: Any, how: dict[str, Any], other: dict[str, Any]) -> ImageWriter:
    from nearfar.decoding.image_prompts import ImageWriter

    for name, value in other.items():
        if value is not None:
            problem = "does not go with a model that reads images"
            raise InputError(problem, field=name, remedy=f"remove {name}")
    return ImageWriter(loaded, method, options, **how)


def _all(
    writer: Any, texts: list[Any], out: Path | None, watch: Callable[[str], None] | None, run: dict[str, Any]
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


def _run(writer: Any, texts: list[Any], options: Any, weights: str | None, amateur: str | None) -> dict[str, Any]:
    """Everything that determines the texts."""
    from importlib.metadata import version

    from nearfar.decoding.amateur import PROMPT
    from nearfar.models.language import weights_hash

    return {
        "model": weights,
        "amateur": amateur if amateur in (None, PROMPT) else weights_hash(amateur),
        "decoding": writer.method.name,
        "settings": vars(options),
        "prompts": texts,
        **writer.recorded(texts),
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


def _documents(
    prompt: list[str] | None, images: list[str] | None, prompts: str | None, mapping: Any, limit: int | None
) -> list[list[dict[str, str]]]:
    """Prompts of texts and images: the images before each text, or what a file says."""
    if prompts is None:
        if not images and prompt is None:
            problem = "expected an image or a prompt, got none"
            raise InputError(problem, field="--image", remedy="add --image FILE, --prompt TEXT or --prompts FILE")
        before = [{"image": image} for image in images or []]
        return [[*before, *([{"text": text}] if text else [])] for text in (prompt or [""])][:limit]
    if prompt is not None or images:
        field = "--image" if images else "--prompt"
        raise InputError(f"expected {field} or --prompts, got both", field=field, remedy="remove one of them")
    from nearfar.data import load

    rows: Any = load(prompts, columns=mapping, limit=limit)
    columns = rows.column_names
    if "parts" in columns:
        return [[{k: v for k, v in part.items() if v is not None} for part in parts] for parts in rows["parts"]]
    if "image" in columns:
        return [[{"image": image}] for image in rows["image"]]
    if "text" in columns:
        return [[{"text": text}] for text in rows["text"]]
    raise InputError("expected a column parts, image or text", file=prompts, remedy="map one with --columns")


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
