"""`nearfar refine questions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

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
from nearfar.cli.parameters import Columns, Json, MaxText, Seed, parsed
from nearfar.errors import InputError


def command(
    corpus: Annotated[
        str,
        typer.Argument(
            help="Rows with a column text, a corpus.jsonl in BEIR format, or plain text.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output file with the questions and their passages, .jsonl.")],
    model: Model = "smollm2",
    endpoint: EndpointUrl = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            help="Kinds of questions, of question, search, claim and topic.",
            metavar="KIND,...",
            show_default="all, or none with --instruction",
        ),
    ] = None,
    instruction: Annotated[
        list[str] | None, typer.Option(help="Instruction of your own, a further kind (repeatable).", metavar="TEXT")
    ] = None,
    per_passage: Annotated[int, typer.Option(help="Number of questions for each passage.", min=1)] = 2,
    passages: Annotated[
        int, typer.Option(help="Maximum number of passages with questions, sampled; 0: all.", min=0)
    ] = 0,
    encoder: Annotated[str, typer.Option(help="Sentence encoder that looks for the passages.")] = "minilm",
    rank: Annotated[int, typer.Option(help="Maximum rank of the passage in a search with its question.", min=1)] = 3,
    max_copied: Annotated[
        float,
        typer.Option(
            help="Maximum fraction of a question's words that stand in the passage without a gap.", min=0, max=1
        ),
    ] = 0.7,
    max_passage: Annotated[
        int, typer.Option(help="Characters after which a passage is truncated for the language model.", min=1)
    ] = 2000,
    held_out: Annotated[
        float, typer.Option(help="Fraction of the documents whose questions are held out.", metavar="SHARE", min=0)
    ] = 0.1,
    negatives: Annotated[
        int,
        typer.Option(help="Number of hard negatives of each question, mined in the corpus with the encoder.", min=0),
    ] = 0,
    eval_out: Annotated[
        Path | None,
        typer.Option(
            help="Output file with the questions of held-out documents, .jsonl.",
            show_default="OUT with .eval before .jsonl",
        ),
    ] = None,
    dropped: Annotated[
        Path | None, typer.Option(help="Output file with the dropped questions and the reasons, .jsonl.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0: greedy.", min=0)] = 0.7,
    max_tokens: Annotated[int, typer.Option(help="Maximum new tokens.")] = 48,
    seed: Seed = 0,
    columns: Columns = None,
    batch_size: BatchSize = 16,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    calls: Calls = None,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Write questions for the passages of a corpus, and keep those that find their passage. Run again to resume."""
    from nearfar.generation.interface import Decoding
    from nearfar.generation.question_kinds import KINDS
    from nearfar.generation.questions import Questions

    named = [name.strip() for name in kinds.split(",")] if kinds else [] if instruction else list(KINDS)
    how = Questions(
        kinds=named,
        instructions=instruction or (),
        per_passage=per_passage,
        passages=passages,
        rank=rank,
        max_copied=max_copied,
        max_passage=max_passage,
        held_out=held_out,
        negatives=negatives,
        seed=seed,
        decoding=Decoding(max_tokens, temperature=temperature),
    )
    mapping = parsed(columns)
    check_out(out)
    evaluation = eval_out or _beside(out)
    for path, option in ((evaluation, "--eval-out"), (dropped, "--dropped")):
        if path is not None:
            check_out(path, option)
    if len({path for path in (out, evaluation, dropped) if path is not None}) < 2 + (dropped is not None):
        raise InputError("is another output file, too", file=evaluation, field="--eval-out", remedy="use other names")
    from nearfar.data.passages import load_passages
    from nearfar.generation import CallLog
    from nearfar.generation.questions import write_questions
    from nearfar.models import load

    with claimed(out, calls_file(calls, out), dropped, evaluation if held_out else None):
        found = load_passages(corpus, mapping)
        generator = generator_of(model, endpoint, batch_size, key_env, per_minute, tries)
        log = CallLog(calls_file(calls, out))
        with _bars() as bar:
            rows = write_questions(
                found.rows, generator, log, load(encoder), how, writing=bar("write"), checking=bar("check")
            )
        write(rows.kept, out)
        if held_out:
            write(rows.held_out, evaluation)
        if dropped is not None:
            write(rows.dropped, dropped)
    counts = rows.counts
    if json_:
        files = {"out": str(out), "eval": str(evaluation) if held_out else None, "calls": str(log.path)}
        print_json({**files, **counts, "documents_by": found.named_by})
        return
    print(f"{counts['kept']:,} questions for {counts['asked']:,} passages in {out}")
    if held_out:
        documents = f"{counts['held_out_documents']:,} of {counts['documents']:,} documents ({found.named_by})"
        print(f"{counts['held_out']:,} questions of held-out documents, {documents}, in {evaluation}")
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in counts["dropped"].items())
    say(f"{counts['written']:,} questions written, {sum(counts['dropped'].values()):,} dropped: {reasons or 'none'}")
    for name, of_kind in counts["kinds"].items():
        say(f"  {name}: {of_kind['kept']:,} of {of_kind['written']:,} kept")
    if counts["truncated"]:
        say(f"{counts['truncated']:,} passages have more than {max_passage:,} characters and were truncated")
    if rows.kept:
        say(f"Next: nearfar train infonce --data {out}" + f" --eval {evaluation}" * bool(rows.held_out))
    else:
        say("See the questions with --dropped FILE; another language model or a higher --rank may keep more.")


@contextmanager
def _bars() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Progress bars by label, one after the other: a terminal shows one at a time."""
    shown: dict[str, Callable[..., None]] = {}
    with ExitStack() as stack:

        def bar(label: str) -> Callable[[int, int], None]:
            def update(done: int, total: int) -> None:
                if label not in shown:
                    stack.close()
                    shown[label] = stack.enter_context(progress(label))
                shown[label](done, total)

            return update

        yield bar


def _beside(out: Path) -> Path:
    name = out.name.removesuffix(".gz")
    return out.with_name(f"{name.removesuffix('.jsonl')}.eval.jsonl" + ".gz" * out.name.endswith(".gz"))
