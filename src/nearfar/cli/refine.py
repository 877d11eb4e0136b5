"""`nearfar refine`: triplets from a language model, and the better ones of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import Columns, Json, parsed
from nearfar.errors import InputError

app = typer.Typer(
    help="Have a language model write triplets to train on, and keep the good ones.", no_args_is_help=True
)

Model = Annotated[str, typer.Option(help="A language model: a folder, a hub id, a .gguf file, an alias.")]
EndpointUrl = Annotated[
    str | None,
    typer.Option("--endpoint", help="An OpenAI-compatible address, such as http://localhost:8000/v1, that has MODEL."),
]
KeyVariable = Annotated[str, typer.Option("--key-env", help="The environment variable with the endpoint's key.")]
PerMinute = Annotated[float, typer.Option(help="Most calls of the endpoint in a minute; 0: no limit.", min=0)]
Tries = Annotated[int, typer.Option(help="How often a call of the endpoint is tried.", min=1)]
BatchSize = Annotated[int, typer.Option(help="Prompts in one forward pass, or calls under way at once.", min=1)]
Calls = Annotated[
    Path | None, typer.Option("--calls", help="The log of calls, which is asked first.", show_default="OUT.calls.jsonl")
]


@app.command("generate")
def generate(
    sentences: Annotated[str, typer.Argument(help="Rows with a column text.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The triplets, as .jsonl.")],
    model: Model = "smollm2",
    endpoint: EndpointUrl = None,
    omega: Annotated[float, typer.Option(help="How much the opposite instruction counts against a token.")] = 0.0,
    plausibility: Annotated[
        float, typer.Option(help="Least part of the likeliest token's probability, with omega.")
    ] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 48,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(help="Take this many rows from the start.", min=1)] = None,
    batch_size: BatchSize = 16,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    calls: Calls = None,
    json_: Json = False,
) -> None:
    """For each sentence, write one that follows from it and one that contradicts it. Run again to go on."""
    from nearfar.generation import Decoding

    mapping, decoding = parsed(columns), Decoding(max_tokens, omega, plausibility)
    if omega and endpoint is not None:
        problem = "an endpoint gives no logits to contrast"
        raise InputError(problem, field="--omega", remedy="leave it out, or use a local model")
    _check_out(out)
    from nearfar.data import load
    from nearfar.generation import triplets

    texts: Any = load(sentences, columns=mapping, schema="sentences", limit=limit)["text"]
    texts = list(dict.fromkeys(texts))
    generator = _generator(model, endpoint, batch_size, key_env, per_minute, tries)
    log = _log(calls, out)
    with progress("generate") as update:
        rows = triplets.generate(texts, generator, log, decoding, update)
    _write(rows, out)
    if json_:
        print_json({"out": str(out), "sentences": len(texts), "triplets": len(rows), "calls": str(log.path)})
    else:
        print(f"{len(rows):,} triplets from {len(texts):,} sentences in {out}")
        say(f"Next: nearfar refine filter {out} --out refined.jsonl")


@app.command("filter")
def filter_(
    rows: Annotated[str, typer.Argument(metavar="TRIPLETS", help="Rows with anchor, positive, negative.")],
    out: Annotated[Path, typer.Option(help="The triplets that stay, with their scores, as .jsonl.")],
    encoder: Annotated[str, typer.Option(help="Score by five times the cosine of this sentence encoder.")] = "minilm",
    model: Annotated[
        str | None,
        typer.Option(help="Ask this language model for the scores instead; small ones score all pairs alike."),
    ] = None,
    endpoint: EndpointUrl = None,
    alpha: Annotated[float, typer.Option(help="Least score of a positive, 0 to 5.")] = 3.0,
    beta: Annotated[float, typer.Option(help="Highest score of a negative.")] = 3.0,
    gamma: Annotated[float, typer.Option(help="Least distance between the two.")] = 1.0,
    swap: Annotated[bool, typer.Option(help="Let a negative that scores higher be the positive.")] = True,
    dropped: Annotated[Path | None, typer.Option(help="Where to write the triplets that go, and why.")] = None,
    columns: Columns = None,
    batch_size: BatchSize = 16,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    calls: Calls = None,
    json_: Json = False,
) -> None:
    """Score every triplet and keep those whose parts are what they should be. Other limits later cost no new calls."""
    from nearfar.generation.triplets import Rule, curate, encoder_scores, generated_scores, score

    mapping, rule = parsed(columns), Rule(alpha, beta, gamma, swap)
    _check_out(out)
    if dropped is not None:
        _check_out(dropped, "--dropped")
    if endpoint is not None and model is None:
        raise InputError("does not say which model scores there", field="--endpoint", remedy="give --model NAME")
    from nearfar.data import load

    table: Any = load(rows, columns=mapping, schema="pairs")
    if "negative" not in table.column_names:
        problem = "the rows have no column 'negative'"
        raise InputError(problem, file=rows, remedy="give triplets, or map it: --columns negative=COLUMN")
    table = table.to_list()
    log_path = None
    if model is None:
        from nearfar.models import load as load_encoder

        scores = score(table, encoder_scores(load_encoder(encoder)))
    else:
        generator, log = _generator(model, endpoint, batch_size, key_env, per_minute, tries), _log(calls, out)
        log_path = str(log.path)
        with progress("score") as update:
            scores = score(table, generated_scores(generator, log, update))
    kept, gone = curate(table, scores, rule)
    _write(kept, out)
    if dropped is not None:
        _write(gone, dropped)
    answers = [value for pair in scores for value in pair]
    parsed_part = sum(value is not None for value in answers) / max(1, len(answers))
    if json_:
        found = {"out": str(out), "triplets": len(table), "kept": len(kept), "scores_parsed": parsed_part}
        print_json({**found, "calls": log_path})
        return
    print(f"{len(kept):,} of {len(table):,} triplets stay, in {out}")
    if parsed_part < 1:
        say(f"{parsed_part:.1%} of the answers were scores; triplets without are dropped")
    if kept:
        say(f"Next: nearfar train multicsr --data {out}")
    else:
        say("Look at the scores with --dropped FILE; other limits, or another scorer, may keep more.")


def _generator(model: str, endpoint: str | None, batch_size: int, key_env: str, per_minute: float, tries: int) -> Any:
    if endpoint is None:
        from nearfar.generation.local import LocalModel

        return LocalModel(model, batch_size)
    from nearfar.generation.endpoint import Endpoint

    return Endpoint(endpoint, model, key_env, tries=tries, per_minute=per_minute, workers=batch_size)


def _log(calls: Path | None, out: Path) -> Any:
    from nearfar.generation import CallLog

    return CallLog(calls or out.with_name(out.name + ".calls.jsonl"))


def _check_out(path: Path, option: str = "--out") -> None:
    from nearfar.writing import check_writable

    if path.is_dir():
        raise InputError("is a folder", file=path, field=option, remedy="name a file that ends in .jsonl")
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError("is not the name of JSON lines", file=path, field=option, remedy="end it in .jsonl")
    check_writable(path.parent, option)


def _write(rows: list[Any], path: Path) -> None:
    from nearfar.data import write_jsonl

    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(rows, path)
