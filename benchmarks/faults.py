"""Every command that writes, killed at random moments and out of disk: is the old whole, the new whole, or resumable?

    python benchmarks/faults.py [--minutes 20] [--at-least 1] [--seed 0] [--command NAME]... [--out FILE]

Commands run on tiny models and small files. A fault is a signal (SIGKILL, SIGTERM, Ctrl-C) at a random time or right
before a random change of a file, a full disk, a folder that may only be read, or the same command twice at once. Then:

- of what can be replaced, each part is the old one or the new one, to the byte;
- the command, run again or resumed, ends with what it writes when nothing happens, to the byte;
- no lock and no half-written file is left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _faults import Ended, Running, Trap, enter_own_mounts, nearfar, read_only, small_disk

OUT = Path(__file__).with_name("results") / "faults.json"
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
FAULTS = (*SIGNALS, "full disk", "read-only folder", "two at once")
NOUNS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card", "mat", "grass", "sky", "sea"]

Look = dict[str, str]


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Args:
        new: Its arguments.
        look: What it writes, in parts that are each replaced as one: name -> digest of those that are there.
        old: Arguments of the run before it, whose output it replaces; None: it starts afresh.
        other: Arguments of the one that runs beside it.
        again: Arguments after a fault.
        change: Called between the old run and the new one.
    """

    new: list[str]
    look: Callable[[Path], Look]
    old: list[str] | None = None
    other: list[str] | None = None
    again: Callable[[Path], list[str]] | None = None
    change: Callable[[Path], None] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--at-least", type=int, default=1, help="faults for each command, however long they take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=list(commands()))
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    mounts = enter_own_mounts()
    load_libraries()
    with tempfile.TemporaryDirectory(prefix="faults-") as work:
        found = Trials(Path(work).resolve(), asked.seed, mounts).run(
            asked.command or list(commands()), asked.minutes, asked.at_least
        )
    found["command"] = f"python benchmarks/faults.py --minutes {asked.minutes:g} --seed {asked.seed}"
    asked.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(f"{found['survived']:,} of {found['tried']:,} survived; {asked.out}")
    sys.exit(found["survived"] < found["tried"])


def load_libraries() -> None:
    """Once, before processes are forked off."""
    from nearfar.cli.app import _quiet_libraries

    _quiet_libraries()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import datasets
    import sentence_transformers
    import torch
    import transformers  # noqa: F401

    import nearfar.comparison
    import nearfar.dialogue.vectors
    import nearfar.inspection
    import nearfar.search
    import nearfar.training.run

    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    del sentence_transformers
    nearfar.dialogue.vectors.WINDOW = 16  # a small log fills several files of a store too


class Trials:
    """Faults, one after another, each in a copy of the same folder.

    Args:
        work: For all files.
        seed: Decides commands, faults and moments.
        mounts: Whether folders can be mounted here; otherwise no disk is full and no folder read-only for root.
    """

    def __init__(self, work: Path, seed: int, mounts: bool) -> None:
        self.work, self.seed, self.mounts = work, seed, mounts
        self.random = random.Random(seed)
        self.counts: dict[str, dict[str, list[int]]] = {}
        self.failures: list[dict[str, Any]] = []

    def run(self, names: list[str], minutes: float, at_least: int = 1) -> dict[str, Any]:
        """Try faults for so many minutes, and so many for each command at least. The result, as JSON types."""
        started = time.monotonic()
        write_inputs(self.work / "inputs")
        faults = [fault for fault in FAULTS if self.mounts or fault != "read-only folder"]
        spent, cases, queue = dict.fromkeys(names, 0.0), {}, {name: list[str]() for name in names}
        told = 0
        while True:
            behind = [name for name in names if self.tried(name) < at_least]
            if not behind and time.monotonic() - started > 60 * minutes:
                break
            # Each command gets the same time: one that takes long meets fewer faults.
            name = min(behind or names, key=lambda each: spent[each])
            begun = time.monotonic()
            if name not in cases:
                cases[name] = self.reference(name)
            if not queue[name]:
                queue[name] = self.random.sample(faults, len(faults))
            fault = queue[name].pop()
            problem, how = self.attempt(cases[name], fault)
            of = self.counts.setdefault(name, {}).setdefault(fault, [0, 0])
            of[0] += 1
            of[1] += problem is None
            spent[name] += time.monotonic() - begun
            if problem is not None:
                self.failures.append({"command": name, "fault": fault, "how": how, "problem": problem})
                print(f"FAILED {name}, {fault} ({how}): {problem}", flush=True)
            tried, survived = self.totals()
            if tried >= told + 10:
                told = tried
                print(f"{time.monotonic() - started:,.0f} s: {survived:,} of {tried:,} survived", flush=True)
        tried, survived = self.totals()
        return {
            "what": "commands that meet a fault and are run again",
            "tried": tried,
            "survived": survived,
            "by_command": {
                name: {
                    fault: dict(zip(("tried", "survived"), of[fault], strict=True)) for fault in faults if fault in of
                }
                for name, of in self.counts.items()
            },
            "failures": self.failures,
            "skipped": [] if self.mounts else ["read-only folder"],
            "full_disk": "a small tmpfs" if self.mounts else "a limit on the size of a file (RLIMIT_FSIZE)",
            "seed": self.seed,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "versions": {name: version(name) for name in ("nearfar", "torch", "transformers")},
        }

    def tried(self, name: str) -> int:
        """Faults of one command so far."""
        return sum(tried for tried, _ in self.counts.get(name, {}).values())

    def totals(self) -> tuple[int, int]:
        """Tried and survived so far."""
        all_ = [each for of in self.counts.values() for each in of.values()]
        return sum(tried for tried, _ in all_), sum(survived for _, survived in all_)

    def reference(self, name: str) -> Case:
        """What a command writes when nothing happens, and how long it takes; twice, for it must be the same."""
        command = commands()[name]
        start = self.work / f"{name} start"
        place = Path(shutil.copytree(self.work / "inputs", self.fresh()))
        if command.old is not None:
            _whole(nearfar(command.old, place), command.old)
        if command.change is not None:
            command.change(place)
        place.rename(start)
        looks, more = [], 0
        with self.copy(start) as folder:
            before = _bytes(folder)
            ended = _whole(nearfar(command.new, folder), command.new)
            looks.append(command.look(folder))
            more = max(_bytes(folder) - before, 1 << 16)
        for arguments in (command.new, command.other):
            if arguments is not None:
                with self.copy(start) as folder:
                    _whole(nearfar(arguments, folder), arguments)
                    looks.append(command.look(folder))
        if looks[0] != looks[1]:
            sys.exit(f"{name} does not write the same twice: {_difference(looks[0], looks[1])}")
        print(f"{name}: {ended.seconds:.1f} s, {ended.changes} changes of files", flush=True)
        return Case(command, start, command.look(start), looks[0], looks[-1], ended.seconds, ended.changes, more)

    def attempt(self, case: Case, fault: str) -> tuple[str | None, str]:
        """One fault: what is wrong afterwards (None: nothing), and when it came."""
        if fault == "two at once":
            return self.two_at_once(case)
        if fault == "full disk":
            return self.full_disk(case)
        command = case.command
        with self.copy(case.start) as folder:
            if fault == "read-only folder":
                how = "all the time"
                with read_only(folder):
                    ended = nearfar(command.new, folder)
                problem = None if ended.code == 2 else f"exit code {ended.code}: {ended.said[-300:]}"
                if problem is None and command.look(folder) != case.old:
                    problem = "something was written"
            else:
                trap = self.trap(SIGNALS[fault], case)
                how = f"change {trap.change} of {case.changes}" if trap.change else f"after {trap.seconds:.2f} s"
                ended = nearfar(command.new, folder, trap)
                expected = (0, 130) if fault == "Ctrl-C" else (0, -SIGNALS[fault])
                problem = None if ended.code in expected else f"exit code {ended.code}: {ended.said[-300:]}"
            return problem or self.look_and_run_again(case, folder), how

    def full_disk(self, case: Case) -> tuple[str | None, str]:
        """Fewer bytes are free than the command needs."""
        free = self.random.randrange(case.bytes)
        how = f"{free:,} of {case.bytes:,} bytes free"
        if not self.mounts:
            limit = self.random.randrange(1 << 17)
            with self.copy(case.start) as folder:
                ended = nearfar(case.command.new, folder, limit=limit)
                problem = None if ended.code in (0, 1, 2) else f"exit code {ended.code}: {ended.said[-300:]}"
                return problem or self.look_and_run_again(case, folder), f"files up to {limit:,} bytes"
        folder = self.fresh()

        def fill(place: Path) -> None:
            shutil.copytree(case.start, place, dirs_exist_ok=True)

        with small_disk(folder, free, fill) as give_space:
            ended = nearfar(case.command.new, folder)
            problem = None if ended.code in (0, 2) else f"exit code {ended.code}: {ended.said[-300:]}"
            # What is no more than a byte short of an old file's place is a matter of how the system counts.
            give_space()
            return problem or self.look_and_run_again(case, folder), how

    def two_at_once(self, case: Case) -> tuple[str | None, str]:
        """One of two works, the other is told so; or one comes after the other."""
        command = case.command
        delay = self.random.uniform(0, case.seconds) if self.random.random() < 0.5 else 0.0
        how = f"the second {delay:.2f} s later"
        with self.copy(case.start) as folder:
            first = Running(command.new, folder)
            time.sleep(delay)
            second = Running(command.other or command.new, folder)
            ended = first.end(), second.end()
            codes = [each.code for each in ended]
            if 0 not in codes or not set(codes) <= {0, 2}:
                return f"exit codes {codes}: {ended[0].said[-200:]} | {ended[1].said[-200:]}", how
            for each in ended:
                refused = "another process is at work here" in each.said or "already" in each.said
                if each.code == 2 and not refused:
                    return f"refused for another reason: {each.said[-300:]}", how
            possible = [look for look, code in zip((case.new, case.other), codes, strict=True) if code == 0]
            found = command.look(folder)
            if found not in possible:
                return f"neither the one nor the other: {_difference(found, possible[0])}", how
            return _litter(folder), how

    def trap(self, signal_: int, case: Case) -> Trap:
        """Half of the signals come at any time, half right before a change of a file."""
        if self.random.random() < 0.5:
            return Trap(signal_, seconds=self.random.uniform(0, case.seconds))
        return Trap(signal_, change=self.random.randint(1, max(1, case.changes)))

    def look_and_run_again(self, case: Case, folder: Path) -> str | None:
        """What is wrong with what a fault left, or with what becomes of it."""
        command = case.command
        for part, digest in {**dict.fromkeys(case.old, ""), **command.look(folder)}.items():
            if digest not in (case.old.get(part), case.new.get(part)):
                return f"{part} is {'gone' if not digest else 'neither the old one nor the new one'}"
        arguments = command.new if command.again is None else command.again(folder)
        again = nearfar(arguments, folder)
        if again.code != 0 and "already" in again.said and command.look(folder) == case.new:
            return _litter(folder)  # it had been finished
        if again.code != 0:
            return f"run again: exit code {again.code}: {again.said[-300:]}"
        found = command.look(folder)
        if found != case.new:
            return f"run again it ends otherwise: {_difference(found, case.new)}"
        return _litter(folder)

    @contextmanager
    def copy(self, start: Path) -> Iterator[Path]:
        """A copy of a folder for one command."""
        folder = self.fresh()
        shutil.copytree(start, folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def fresh(self) -> Path:
        """Where nothing is yet; always the same, since some outputs name it."""
        return self.work / "place"


@dataclass(frozen=True)
class Case:
    """A command, the folder in which it starts, and what it writes (`other`: the one beside it) when nothing happens.

    Args:
        seconds, changes, bytes: How long it takes, how often it changes a file, how much more disk it needs.
    """

    command: Command
    start: Path
    old: Look
    new: Look
    other: Look
    seconds: float
    changes: int
    bytes: int


def commands() -> dict[str, Command]:
    """All that are tried, by name."""
    quick = ["--model", "tiny", "--set", "batch_size=8", "--set", "save_steps=2", "--set", "learning_rate=0.001"]
    train = ["train", "infonce", "--data", "pairs.jsonl", "--eval", "held.jsonl", "--out", "run", *quick]
    steps, more = ["--set", "max_steps=5"], ["--set", "max_steps=8", "--resume"]
    compare = ["compare", "infonce", "--data", "pairs.jsonl", "--eval", "held.jsonl", "--seeds", "1", "--out", "out"]
    compare += ["--set", "max_steps=2", "--set", "batch_size=8", "--model", "tiny"]
    encode = ["encode", "tiny", "texts.jsonl", "--batch-size", "2"]
    predict = ["predict", "classifier", "texts.jsonl", "--batch-size", "1", "--out", "found.jsonl"]
    search = ["search", "tiny", "corpus.jsonl", "the dog"]
    flow = ["flow", "calls.jsonl", "--out", "flow.html", "--export", "flow.json", "--store", "store", "--model", "tiny"]
    generate = ["refine", "generate", "texts.jsonl", "--out", "triplets.jsonl", "--model", "lm", "--batch-size", "2"]
    rationales = ["refine", "rationales", "questions.jsonl", "--out", "rationales.jsonl", "--model", "explainer"]
    rationales += ["--samples", "2", "--batch-size", "2"]
    filter_ = ["refine", "filter", "pairs.jsonl", "--columns", "negative=other", "--out", "kept.jsonl"]
    filter_ += ["--dropped", "gone.jsonl", "--encoder", "tiny", "--gamma", "0"]
    inspect = ["inspect", "tiny", "--data", "pairs.jsonl", "--out", "out"]
    evaluate = ["evaluate", "tiny", "--data", "held.jsonl", "--layers", "1,2", "--report", "sizes.html"]
    continued = ["generate", "lm", "--prompts", "texts.jsonl", "--out", "texts-out.jsonl", "--batch-size", "2"]
    sweep = ["sweep", "infonce", "--data", "pairs.jsonl", "--eval", "labelled.jsonl", "--temperatures", "0.05,1"]
    sweep += ["--eval-columns", "text=text", "--out", "out", "--set", "max_steps=2", *quick]
    demo = ["demo", "--model", "tiny", "--out", "out", "--set", "max_steps=2", "--set", "batch_size=8"]
    return {
        "train": Command(
            [*train, *steps], _run, other=[*train, *steps, "--seed", "1"], again=_resumed([*train, *steps], "run.yaml")
        ),
        "train longer": Command([*train, *more], _run, old=[*train, *steps]),
        "compare": Command(compare, _comparison, again=_resumed(compare, "compare.yaml")),
        "encode": Command(
            [*encode, "--out", "v.npy"],
            _files("v.npy"),
            old=["encode", "other", "texts.jsonl", "--out", "v.npy"],
            other=["encode", "other", "texts.jsonl", "--out", "v.npy"],
        ),
        "predict": Command([*predict, "--top", "2"], _files("found.jsonl"), old=[*predict, "--top", "1"]),
        "search": Command(search, _index, old=search, change=_another_corpus),
        "flow": Command([*flow, "--actions", "3"], _files("flow.html", "flow.json"), old=[*flow, "--actions", "2"]),
        "refine generate": Command(
            [*generate, "--max-tokens", "4"], _files("triplets.jsonl"), old=[*generate, "--max-tokens", "3"]
        ),
        "refine rationales": Command(
            [*rationales, "--max-tokens", "12"], _files("rationales.jsonl"), old=[*rationales, "--max-tokens", "8"]
        ),
        "refine filter": Command(
            [*filter_, "--alpha", "1"], _files("kept.jsonl", "gone.jsonl"), old=[*filter_, "--alpha", "4.9"]
        ),
        "fuse": Command(["fuse", "tiny", "tiny", "other", "--out", "fused"], _tree("fused")),
        "inspect": Command(
            [*inspect, "--seed", "1"], _files("out/inspect.json", "out/report.html"), old=[*inspect, "--rows", "20"]
        ),
        "evaluate": Command([*evaluate, "--dims", "8,32"], _page("sizes.html"), old=[*evaluate, "--dims", "16,32"]),
        "generate": Command(
            [*continued, "--max-new-tokens", "6"], _files("texts-out.jsonl"), old=[*continued, "--max-new-tokens", "4"]
        ),
        "sweep": Command(
            sweep, _models("out/infonce-0.05", "out/infonce-1"), again=_resumed(sweep, "infonce-0.05/run.yaml")
        ),
        "demo": Command(demo, _models("out/run"), again=_resumed(demo, "data")),
    }


def _resumed(arguments: list[str], claim: str) -> Callable[[Path], list[str]]:
    folder = arguments[arguments.index("--out") + 1]
    return lambda work: [*arguments, *(["--resume"] if (work / folder / claim).exists() else [])]


def _another_corpus(folder: Path) -> None:
    _write_jsonl(folder / "corpus.jsonl", [{"_id": noun, "text": f"a {noun} by the sea"} for noun in NOUNS])


def _files(*names: str) -> Callable[[Path], Look]:
    return lambda work: {name: _sha256(work / name) for name in names if (work / name).exists()}


def _tree(name: str) -> Callable[[Path], Look]:
    """A folder as one part."""

    def look(work: Path) -> Look:
        files = sorted(path for path in (work / name).rglob("*") if path.is_file())
        listed = "\n".join(f"{path.relative_to(work)} {_sha256(path)}" for path in files)
        return {name: hashlib.sha256(listed.encode()).hexdigest()} if (work / name).exists() else {}

    return look


def _run(work: Path) -> Look:
    """The model of a run, to the byte; the figures, which are in place when it is finished."""
    found = {}
    weights = work / "run" / "model" / "model.safetensors"
    if (work / "run" / "model").exists():
        found["model"] = _sha256(weights) if weights.exists() else "no weights"
    return found


def _page(name: str) -> Callable[[Path], Look]:
    """A page that shows how long things took: it is whole, and of the old or of the new run."""

    def look(work: Path) -> Look:
        if not (work / name).exists():
            return {}
        text = (work / name).read_text("utf-8")
        dims = re.findall(r"<t[hd][^>]*>\s*(8|16|32)\s*<", text)
        return {name: f"whole, {sorted(set(dims))}" if text.rstrip().endswith("</html>") else "cut"}

    return look


def _models(*runs: str) -> Callable[[Path], Look]:
    """The models of several runs."""

    def look(work: Path) -> Look:
        weights = {run: work / run / "model" / "model.safetensors" for run in runs}
        return {
            run: _sha256(path) if path.exists() else "no weights"
            for run, path in weights.items()
            if path.parent.exists()
        }

    return look


def _comparison(work: Path) -> Look:
    metrics = work / "out" / "metrics.json"
    if not metrics.exists():
        return {}
    of = json.loads(metrics.read_text("utf-8"))
    return {"ranking": json.dumps([[row["name"], row["score"]] for row in of["ranking"]])}


def _index(work: Path) -> Look:
    """An index whose files belong together."""
    import yaml

    folder = work / "corpus.jsonl.index"
    if not folder.exists():
        return {}
    metadata = yaml.safe_load((folder / "index.yaml").read_text("utf-8"))
    sums = {name: _sha256(folder / name) for name in ("vectors.usearch", "texts.arrow")}
    return {"index": sums["texts.arrow"] if sums == metadata["sha256"] else f"mixed: {sums}"}


def _whole(ended: Ended, arguments: list[str]) -> Ended:
    if ended.code != 0:
        sys.exit(f"nearfar {' '.join(arguments)} ends with {ended.code} when nothing happens: {ended.said[-800:]}")
    return ended


def _litter(folder: Path) -> str | None:
    left = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return f"left behind: {', '.join(left)}" if left else None


def _difference(found: Look, expected: Look) -> str:
    return ", ".join(part for part in {**found, **expected} if found.get(part) != expected.get(part))


def _sha256(path: Path) -> str:
    content = path.read_bytes()
    if path.name == "inspect.json":
        content = re.sub(rb'"seconds": [0-9.e-]+', b"", content)
    return hashlib.sha256(content).hexdigest()


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_inputs(folder: Path) -> None:
    """Rows of each kind, two tiny encoders, a classifier, a tiny language model, and one that writes answers."""
    folder.mkdir()
    pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b]

    def jsonl(name: str, rows: list[dict[str, Any]]) -> None:
        _write_jsonl(folder / name, rows)

    jsonl("pairs.jsonl", [_triplet(a, b) for a, b in pairs[:40]])
    jsonl("held.jsonl", [_triplet(a, b) for a, b in pairs[60:80]])
    jsonl("labelled.jsonl", [{"text": f"the {a} near {b}", "label": a} for a, b in pairs[20:60]])
    jsonl("texts.jsonl", [{"text": f"the {a} and a {b}"} for a, b in pairs[:8]])
    jsonl("questions.jsonl", [{"question": f"the {a} or the {b}", "answer": a} for a, b in pairs[:5]])
    turns = [[("user", f"a {a} please"), ("agent", f"the {a} by the {b}"), ("user", f"no {b}")] for a, b in pairs[:12]]
    rows = [
        {"dialogue_id": str(number), "turns": [{"speaker": who, "text": text} for who, text in each]}
        for number, each in enumerate(turns)
    ]
    jsonl("calls.jsonl", rows)
    jsonl("corpus.jsonl", [{"_id": f"{a}-{b}", "text": f"the {a} under a {b}"} for a, b in pairs[:60]])
    for name, seed in (("tiny", 0), ("other", 1)):
        _encoder(folder / name, seed)
    _classifier(folder / "classifier", folder / "tiny")
    _language_model(folder / "lm")
    _explainer(folder / "explainer")


def _write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _triplet(a: str, b: str) -> dict[str, Any]:
    return {"anchor": f"the {a} sits by a {b}", "positive": f"a {a} near the {b}", "other": f"the {b}"}


def _tokenizer(tokens: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *tokens]
    made = Tokenizer(models.WordLevel({name: row for row, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=128, eos_token="[SEP]", **special)


WORDS = [*NOUNS, *["the", "a", "and", "by", "near", "sits", "under", "please", "no", "user", "agent"]]
ANSWER = ["the", "answer", "is"]


def _encoder(folder: Path, seed: int) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    plain = folder.with_name(f"{folder.name}-plain")
    tokenizer = _tokenizer(WORDS)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **sizes)).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=64)
    SentenceTransformer(modules=[transformer, Pooling(32, "mean")], device="cpu").save_pretrained(str(folder))
    shutil.rmtree(plain)


def _classifier(folder: Path, encoder: Path) -> None:
    import torch

    from nearfar.kinds.classifier import Classifier
    from nearfar.models import load
    from nearfar.models.label_vectors import LabelVectors

    model = load(encoder, device="cpu")
    head = LabelVectors(int(model.get_embedding_dimension() or 0), temperature=0.1)
    torch.manual_seed(0)
    head.add(NOUNS, torch.randn(len(NOUNS), head.vectors.shape[1]))
    Classifier(model, head).save(folder)


def _language_model(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(2)
    tokenizer = _tokenizer(WORDS)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=1024, eos_token_id=3, bos_token_id=2, **sizes
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _explainer(folder: Path) -> None:
    """A language model that writes nouns, then "the answer is", then nouns: the next token depends on the last one."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    tokenizer = _tokenizer([*WORDS, *ANSWER[1:]])
    size = len(tokenizer)
    width = size + size % 2
    config = LlamaConfig(
        vocab_size=size, max_position_embeddings=1024, eos_token_id=3, bos_token_id=2, hidden_size=width,
        num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    nouns, (the, answer, is_) = (tokenizer.convert_tokens_to_ids(words) for words in (NOUNS, ANSWER))
    follows = torch.full((size, size), -1.0)
    follows[:, [*nouns, the]] = 1.0
    follows[the], follows[answer], follows[is_] = -1.0, -1.0, -1.0
    follows[the, answer], follows[answer, is_] = 1.0, 1.0
    follows[is_, nouns] = 1.0
    with torch.no_grad():
        layer = model.model.layers[0]
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size, width))
        model.lm_head.weight[:, :size] = follows.T
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
