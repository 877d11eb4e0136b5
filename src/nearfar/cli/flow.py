"""`nearfar flow`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import BatchSize, Columns, Json, Seed, SkipBroken, parsed
from nearfar.errors import InputError


def command(
    dialogues: Annotated[
        str,
        typer.Argument(
            help="Rows with dialogue_id, speaker, text, or dialogue_id, turns; or a folder of .txt transcripts.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The page, as .html; or .json, .mmd (Mermaid), .dot (Graphviz).")],
    export: Annotated[list[Path] | None, typer.Option(help="A further file to write; repeatable.")] = None,
    model: Annotated[str, typer.Option(help="A text encoder: a folder, a hub id, or an alias.")] = "minilm",
    actions: Annotated[
        str, typer.Option(help="Actions of each speaker: a number, user=20,agent=15, or auto.")
    ] = "auto",
    speakers: Annotated[
        str | None, typer.Option(help="Whose turns count: user,agent or user=Caller|Customer,agent=* (all others).")
    ] = None,
    namer: Annotated[str | None, typer.Option(help="A language model that names the actions, such as smollm2.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible address, such as http://localhost:8000/v1, that has NAMER.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Make one action of those of a speaker that NAMER gives the same name.")
    ] = False,
    key_env: Annotated[str, typer.Option(help="The environment variable with the endpoint's key.")] = "OPENAI_API_KEY",
    weigh: Annotated[str, typer.Option(help="An edge's weight: prob-out, max-out or max.")] = "prob-out",
    edge_threshold: Annotated[float, typer.Option(help="Least weight of an edge, 0 to 1.")] = 0.1,
    node_threshold: Annotated[
        float, typer.Option(help="Least count of an action, as a part of the most frequent one's.")
    ] = 0.023,
    sample: Annotated[int | None, typer.Option(help="At most so many dialogues, drawn at random.", min=1)] = None,
    linkage: Annotated[str, typer.Option(help="How utterances are clustered: ward or average.")] = "ward",
    columns: Columns = None,
    max_length: Annotated[int, typer.Option(help="Tokens after which an utterance is cut.", min=1)] = 64,
    batch_size: BatchSize = 64,
    store: Annotated[
        Path | None, typer.Option(help="Where vectors are kept for the next run.", show_default="OUT.vectors")
    ] = None,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    json_: Json = False,
) -> None:
    """Read the workflow off dialogue logs: which actions there are, which follows on which, as a page to explore."""
    mapping = parsed(columns)
    number = _number(actions)
    from nearfar.dialogue.exports import check_target
    from nearfar.dialogue.graph import Rules

    rules = Rules(_one_of(weigh, ("prob-out", "max-out", "max"), "--weigh"), edge_threshold, node_threshold)
    how = _one_of(linkage, ("ward", "average"), "--linkage")
    files = [(out, "--out"), *((path, "--export") for path in export or ())]
    for path, option in files:
        check_target(path, option)
    if merge and namer is None:
        raise InputError("merges actions by their names", field="--merge", remedy="give --namer NAME, or leave it out")
    generator = _namer(namer, endpoint, key_env)
    kept = store or out.with_name(out.name + ".vectors")
    from nearfar.dialogue import flow, write

    with _Bars() as bars:
        found = flow(
            dialogues,
            model=model,
            actions=number,
            rules=rules,
            columns=mapping,
            speakers=speakers,
            sample=sample,
            linkage=how,
            namer=generator,
            names=out.with_name(out.name + ".names.jsonl"),
            merge=merge,
            max_length=max_length,
            batch_size=batch_size,
            seed=seed,
            store=kept,
            skip_broken=skip_broken,
            progress=bars,
        )
    for path, _ in files:
        write(found, path)
    graph = found.graph()
    written = [str(path) for path, _ in files]
    if json_:
        about = {"dialogues": len(found.log), "turns": found.log.turns, "texts": len(found.log.texts)}
        size = {"actions": len(found.actions), "shown_actions": len(graph.actions), "shown_steps": len(graph.counts)}
        print_json({"out": str(out), "files": written, **about, "speakers": found.log.speakers, **size})
        return
    print(
        f"{len(found.actions):,} actions in {found.log.turns:,} turns of {len(found.log):,} dialogues; "
        f"{len(graph.actions):,} actions and {len(graph.counts):,} steps above the thresholds, in {', '.join(written)}"
    )
    if kept.is_dir():
        say(f"The vectors stay in {kept}: other options are quick to try with them.")
    if not graph.actions:
        say("Nothing is above the thresholds: lower --edge-threshold or --node-threshold.")


class _Bars:
    """A bar for each stage, one after the other."""

    def __init__(self) -> None:
        self.stack, self.stage, self.update = ExitStack(), "", None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def __call__(self, stage: str, done: int, whole: int) -> None:
        if stage != self.stage:
            self.stack.close()
            self.stage, self.update = stage, self.stack.enter_context(progress(stage))
        assert self.update is not None
        self.update(done, whole)


def _number(text: str) -> Any:
    if text.strip() == "auto":
        return "auto"
    try:
        if "=" not in text:
            return int(text)
        parts = [part.rpartition("=") for part in text.split(",")]
        found = {name.strip(): int(k) for name, _, k in parts}
    except ValueError:
        problem = f"{text!r} is no number of actions"
        raise InputError(problem, field="--actions", remedy="write auto, 20, or user=20,agent=15") from None
    if len(found) < len(parts):
        raise InputError(f"a speaker stands twice in {text!r}", field="--actions", remedy="name each once")
    return found


def _one_of(value: str, known: tuple[str, ...], option: str) -> Any:
    if value not in known:
        raise InputError(f"{value!r} is none of {', '.join(known)}", field=option, remedy=f"write {known[0]}")
    return value


def _namer(name: str | None, endpoint: str | None, key_env: str) -> Any:
    if name is None:
        if endpoint is not None:
            raise InputError("does not say which model names there", field="--endpoint", remedy="give --namer NAME")
        return None
    if endpoint is None:
        from nearfar.generation.local import LocalModel

        return LocalModel(name)
    from nearfar.generation.endpoint import Endpoint

    return Endpoint(endpoint, name, key_env)
