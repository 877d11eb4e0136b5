"""`nearfar flow`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nearfar.cli.language_model import KeyVariable
from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import BatchSize, Columns, Json, MaxText, Seed, SkipBroken, parsed
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.dialogue.clustering import Linkage
    from nearfar.dialogue.graph import Weighing
    from nearfar.dialogue.result import Flow


def command(
    dialogues: Annotated[
        str,
        typer.Argument(
            help="Table with dialogue_id, speaker, text, or dialogue_id, turns; or file or folder of transcripts: "
            "lines Name: text, WhatsApp, Zoom, WebVTT, SRT, Slack, Discord, Rasa.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Output file: .html (a page to explore), .json, .mmd (Mermaid), .dot (Graphviz), .bpmn, .rasa.yml "
            "(Rasa 3), .safetensors (for --update), or all turns as an event log: .xes, .events.csv."
        ),
    ],
    export: Annotated[list[Path] | None, typer.Option(help="Additional output file (repeatable).")] = None,
    model: Annotated[str, typer.Option(help="Text encoder: path, Hub ID or alias (actions, minilm).")] = "actions",
    actions: Annotated[
        str, typer.Option(help="Number of actions per speaker: auto, a number, or user=20,agent=15.")
    ] = "auto",
    speakers: Annotated[
        str | None, typer.Option(help="Speakers to include: user,agent or user=Caller|Customer,agent=* (all others).")
    ] = None,
    namer: Annotated[str | None, typer.Option(help="Language model that names the actions, such as smollm2.")] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible endpoint that serves NAMER, such as http://localhost:8000/v1."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge actions of one speaker to which NAMER gives the same name.")
    ] = False,
    key_env: KeyVariable = "OPENAI_API_KEY",
    weigh: Annotated[str, typer.Option(help="Weight of an edge: prob-out, max-out or max.")] = "prob-out",
    edge_threshold: Annotated[float, typer.Option(help="Minimum edge weight, 0 to 1.")] = 0.1,
    node_threshold: Annotated[
        float, typer.Option(help="Minimum count of an action, as a fraction of the most frequent one's, 0 to 1.")
    ] = 0.023,
    sample: Annotated[
        int | None, typer.Option(help="Maximum number of dialogues; larger logs are sampled.", min=1)
    ] = None,
    slots: Annotated[
        bool,
        typer.Option(
            "--slots/--no-slots", help="Replace numbers, names, times, dates, amounts and codes before the clustering."
        ),
    ] = True,
    linkage: Annotated[str, typer.Option(help="Linkage of the clustering: ward or average.")] = "ward",
    columns: Columns = None,
    max_length: Annotated[
        int, typer.Option(help="Maximum sequence length in tokens; longer utterances are truncated.", min=1)
    ] = 64,
    batch_size: BatchSize = 64,
    store: Annotated[
        Path | None, typer.Option(help="Folder for vectors, which later runs reuse.", show_default="OUT.vectors")
    ] = None,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    edits: Annotated[
        Path | None, typer.Option(help="File of edits from the page: actions to rename, merge or split.")
    ] = None,
    update: Annotated[
        Path | None,
        typer.Option(help="Earlier flow (.html or .json) whose actions are used; new ones are added, and drift shown."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Second log, such as from after a release: what changed from DIALOGUES to it.")
    ] = None,
    json_: Json = False,
) -> None:
    """Extract the workflow of dialogue logs: which actions there are and which follows which, as a page to explore."""
    from nearfar.dialogue.change.state import beside
    from nearfar.dialogue.exports import check_target
    from nearfar.dialogue.graph import Rules
    from nearfar.dialogue.options import FlowOptions

    rules = Rules(cast("Weighing", weigh), edge_threshold, node_threshold)  # checks the values
    kept = store or out.with_name(out.name + ".vectors")
    files = [(out, "--out"), *((path, "--export") for path in export or ())]
    for path, option in files:
        check_target(path, option)
    options = FlowOptions(
        model=model,
        actions=_number(actions),
        rules=rules,
        columns=parsed(columns),
        speakers=speakers,
        sample=sample,
        skip_broken=skip_broken,
        slots=slots,
        linkage=cast("Linkage", linkage),
        namer=_namer(namer, endpoint, key_env),
        names=out.with_name(out.name + ".names.jsonl"),
        merge=merge,
        max_length=max_length,
        batch_size=batch_size,
        seed=seed,
        store=kept,
        edits=edits,
        update=update,
        against=against,
    )
    from nearfar.dialogue import flow
    from nearfar.writing import file_claimed, folder_claimed

    with ExitStack() as claims:
        for path, option in dict(files).items():
            claims.enter_context(file_claimed(path, option))
        if store is not None:
            claims.enter_context(folder_claimed(store, "--store"))
        with _Bars() as bars:
            found = flow(dialogues, options, progress=bars)
        for path, _ in files:
            found.write(path)
        if found.known is not None and out.suffix.lower() in (".html", ".json"):
            found.write(beside(out))  # for --update
    _report(found, [path for path, _ in files], kept, as_json=json_)


def _report(found: Flow, files: list[Path], store: Path, *, as_json: bool) -> None:
    from nearfar.dialogue.exports import quality
    from nearfar.dialogue.quality_text import quality_line

    graph = found.graph()
    written = [str(path) for path in files]
    changed: dict[str, int] = {}
    if found.change is not None:
        steps = sum(rate.target is not None for rate in found.change.significant)
        changed = {"changed_actions": len(found.change.significant) - steps, "changed_steps": steps}
    if as_json:
        about = {"dialogues": len(found.log), "turns": found.log.turns, "texts": len(found.log.texts)}
        size = {"actions": len(found.actions), "shown_actions": len(graph.actions), "shown_steps": len(graph.counts)}
        print_json(
            {
                "out": written[0],
                "files": written,
                **about,
                "speakers": found.log.speakers,
                **size,
                **changed,
                "quality": quality(found),
                "notes": list(found.log.notes),
            }
        )
        return
    print(
        f"{len(found.actions):,} actions in {found.log.turns:,} turns of {len(found.log):,} dialogues; "
        f"{len(graph.actions):,} actions and {len(graph.counts):,} steps above the thresholds, in {', '.join(written)}"
    )
    if changed:
        print(f"Changed significantly: actions {changed['changed_actions']:,}, steps {changed['changed_steps']:,}")
    print(quality_line(found))
    if store.is_dir():
        say(f"The vectors are kept in {store}: runs with other options will reuse them.")
    if not graph.actions:
        say("No action is above the thresholds: lower --edge-threshold or --node-threshold.")


class _Bars:
    """One progress bar per stage, one after the other."""

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
        problem = f"expected a number of actions, got {text!r}"
        raise InputError(problem, field="--actions", remedy="for example auto, 20, or user=20,agent=15") from None
    if len(found) < len(parts):
        raise InputError(f"a speaker is listed twice in {text!r}", field="--actions", remedy="remove one")
    return found


def _namer(name: str | None, endpoint: str | None, key_env: str) -> Any:
    if name is None:
        if endpoint is not None:
            raise InputError("requires the name of a model", field="--endpoint", remedy="add --namer NAME")
        return None
    if endpoint is None:
        from nearfar.generation.local import LocalModel

        return LocalModel(name)
    from nearfar.generation.endpoint import Endpoint

    return Endpoint(endpoint, name, key_env)
