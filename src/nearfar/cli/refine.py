"""`nearfar refine`: triplets, rationales and questions from a language model, and a filter for triplets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nearfar.cli import refine_questions
from nearfar.cli.language_model import (
    BatchSize,
    Calls,
    EndpointUrl,
    KeyVariable,
    Model,
    PerMinute,
    Tries,
    calls_file,
    check_out,
    claimed,
    generator_of,
    write,
)
from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import Columns, Json, MaxText, parsed
from nearfar.errors import InputError

app = typer.Typer(
    name="refine",
    help="Generate training triplets, rationales or questions with a language model, and filter triplets.",
    add_completion=False,
)
app.command("questions")(refine_questions.command)


@app.command("generate")
def generate(
    sentences: Annotated[str, typer.Argument(help="Rows with a column text.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Output file, .jsonl.")],
    model: Model = "smollm2",
    endpoint: EndpointUrl = None,
    omega: Annotated[float, typer.Option(help="Weight of the opposite instruction in contrastive decoding.")] = 0.0,
    plausibility: Annotated[
        float, typer.Option(help="Plausibility threshold (fraction of the top token's probability), with --omega.")
    ] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="Maximum new tokens.")] = 48,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number of rows, from the start.", min=1)] = None,
    batch_size: BatchSize = 16,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    calls: Calls = None,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Generate an entailed and a contradicting sentence for each sentence. Run again to resume."""
    from nearfar.generation import Decoding

    mapping, decoding = parsed(columns), Decoding(max_tokens, omega, plausibility)
    if omega and endpoint is not None:
        problem = "an endpoint returns no logits, which --omega requires"
        raise InputError(problem, field="--omega", remedy="remove --omega, or use a local model")
    check_out(out)
    from nearfar.data import load
    from nearfar.generation import CallLog, triplets

    with claimed(out, calls_file(calls, out)):
        texts: Any = load(sentences, columns=mapping, schema="sentences", limit=limit)["text"]
        texts = list(dict.fromkeys(texts))
        generator = generator_of(model, endpoint, batch_size, key_env, per_minute, tries)
        log = CallLog(calls_file(calls, out))
        with progress("generate") as update:
            rows = triplets.generate(texts, generator, log, decoding, update)
        write(rows, out)
    if json_:
        print_json({"out": str(out), "sentences": len(texts), "triplets": len(rows), "calls": str(log.path)})
    else:
        print(f"{len(rows):,} triplets from {len(texts):,} sentences in {out}")
        say(f"Next: nearfar refine filter {out} --out refined.jsonl")


@app.command("filter")
def filter_(
    rows: Annotated[str, typer.Argument(metavar="TRIPLETS", help="Rows with anchor, positive, negative.")],
    out: Annotated[Path, typer.Option(help="Output file with the kept triplets and their scores, .jsonl.")],
    encoder: Annotated[str, typer.Option(help="Sentence encoder for the scores (five times the cosine).")] = "minilm",
    model: Annotated[
        str | None,
        typer.Option(
            help="Language model for the scores, instead of --encoder; small models do not distinguish pairs."
        ),
    ] = None,
    endpoint: EndpointUrl = None,
    alpha: Annotated[float, typer.Option(help="Minimum score of a positive, 0 to 5.")] = 3.0,
    beta: Annotated[float, typer.Option(help="Maximum score of a negative, 0 to 5.")] = 3.0,
    gamma: Annotated[float, typer.Option(help="Minimum difference of the two scores.")] = 1.0,
    swap: Annotated[bool, typer.Option(help="Swap positive and negative if the negative has the higher score.")] = True,
    dropped: Annotated[
        Path | None, typer.Option(help="Output file with the dropped triplets and the reasons, .jsonl.")
    ] = None,
    columns: Columns = None,
    batch_size: BatchSize = 16,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    calls: Calls = None,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Score triplets and keep those within the limits. Running again with other limits makes no new calls."""
    from nearfar.generation.triplets import Rule, curate, encoder_scores, generated_scores, score

    mapping, rule = parsed(columns), Rule(alpha, beta, gamma, swap)
    check_out(out)
    if dropped is not None:
        check_out(dropped, "--dropped")
    if endpoint is not None and model is None:
        raise InputError("requires the name of a model", field="--endpoint", remedy="add --model NAME")
    from nearfar.data import load

    with claimed(out, None if model is None else calls_file(calls, out), dropped):
        table: Any = load(rows, columns=mapping, schema="pairs")
        if "negative" not in table.column_names:
            problem = "the column 'negative' is missing"
            raise InputError(problem, file=rows, remedy="use triplets, or map a column: --columns negative=COLUMN")
        table = table.to_list()
        log_path = None
        if model is None:
            from nearfar.models import load as load_encoder

            scores = score(table, encoder_scores(load_encoder(encoder)))
        else:
            from nearfar.generation import CallLog

            generator = generator_of(model, endpoint, batch_size, key_env, per_minute, tries)
            log = CallLog(calls_file(calls, out))
            log_path = str(log.path)
            with progress("score") as update:
                scores = score(table, generated_scores(generator, log, update))
        kept, gone = curate(table, scores, rule)
        write(kept, out)
        if dropped is not None:
            write(gone, dropped)
    answers = [value for pair in scores for value in pair]
    parsed_part = sum(value is not None for value in answers) / max(1, len(answers))
    if json_:
        found = {"out": str(out), "triplets": len(table), "kept": len(kept), "scores_parsed": parsed_part}
        print_json({**found, "calls": log_path})
        return
    print(f"{len(kept):,} of {len(table):,} triplets kept in {out}")
    if parsed_part < 1:
        say(f"{parsed_part:.1%} of the answers are scores; triplets without a score are dropped")
    if kept:
        say(f"Next: nearfar train multicsr --data {out}")
    else:
        say("See the scores with --dropped FILE; other limits or another scorer may keep more.")


@app.command("rationales")
def rationales(
    questions: Annotated[str, typer.Argument(help="Rows with a column question, and answer if known.")],
    out: Annotated[Path, typer.Option(help="Output file, .jsonl.")],
    model: Model = "smollm2",
    endpoint: EndpointUrl = None,
    samples: Annotated[int, typer.Option(help="Number of rationales for each question.", min=1)] = 5,
    temperature: Annotated[float, typer.Option(help="Sampling temperature.", min=0.01)] = 0.7,
    max_tokens: Annotated[int, typer.Option(help="Maximum new tokens.")] = 160,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number of rows, from the start.", min=1)] = None,
    batch_size: BatchSize = 16,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    calls: Calls = None,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Sample rationales for questions, each with the answer it reaches. Run again to resume."""
    from nearfar.generation import Decoding

    mapping, decoding = parsed(columns), Decoding(max_tokens, temperature=temperature)
    check_out(out)
    from nearfar.data import load
    from nearfar.generation import CallLog
    from nearfar.generation.rationales import explain, with_rationales

    with claimed(out, calls_file(calls, out)):
        table: Any = load(questions, columns=mapping, schema="questions", limit=limit).to_list()
        generator = generator_of(model, endpoint, batch_size, key_env, per_minute, tries)
        log = CallLog(calls_file(calls, out))
        with progress("rationales") as update:
            found = explain([row["question"] for row in table], generator, log, samples, decoding, update)
        rows, counts = with_rationales(table, found)
        write(rows, out)
    if json_:
        print_json({"out": str(out), "questions": len(table), **counts, "calls": str(log.path)})
        return
    print(f"{counts['rationales']:,} rationales for {len(rows):,} of {len(table):,} questions in {out}")
    say(f"{counts['rationales']:,} of {len(table) * samples:,} answers contain a rationale and its answer")
    say(f"{counts['agree']:,} rationales agree with most others of their question")
    if counts["known"]:
        say(f"{counts['right']:,} of {counts['known']:,} majority answers equal the given answer")
    if rows:
        say(f"Next: nearfar train qcrd --data {out} --model MODEL")
