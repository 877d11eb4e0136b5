"""Every command that writes, killed at random moments and out of disk: is the old whole, the new whole, or resumable?

    python benchmarks/faults.py [--minutes 20] [--at-least 1] [--seed 0] [--command NAME]... [--out FILE]

A run of some commands replaces their counts in FILE, and keeps those of the others. `runs` in it lists the runs whose
counts it contains.

Commands run on tiny models and small files. A fault is a signal (SIGKILL, SIGTERM, Ctrl-C) at a random time or right
before a random change of a file, a full disk, a folder that may only be read, or the same command twice at once. Then:

- of what can be replaced, each part is the old one or the new one, to the byte;
- the command, run again or resumed, ends with what it writes when nothing happens, to the byte;
- no lock and no half-written file is left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _fault_commands import Command, Look, commands
from _fault_inputs import write_inputs
from _faults import Ended, Running, Trap, enter_own_mounts, nearfar, read_only, small_disk

OUT = Path(__file__).with_name("results") / "faults.json"
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
FAULTS = (*SIGNALS, "full disk", "read-only folder", "two at once")


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
    before = json.loads(asked.out.read_text("utf-8")) if asked.out.exists() else None
    said = shlex.join(["python", "benchmarks/faults.py", *_without_out(sys.argv[1:])])

    def save(found: dict[str, Any]) -> None:
        found["runs"][0]["command"] = said
        found = found if before is None else merged(before, found)
        asked.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")

    with tempfile.TemporaryDirectory(prefix="faults-") as work:
        trials = Trials(Path(work).resolve(), asked.seed, mounts)
        trials.run(asked.command or list(commands()), save, asked.minutes, asked.at_least)
    tried, survived = trials.totals()
    print(f"{survived:,} of {tried:,} survived; {asked.out}")
    sys.exit(survived < tried)


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The counts of `now`, and those of `before` for commands that were not tried now and still exist."""
    kept = [name for name in before["by_command"] if name not in now["by_command"] and name in commands()]
    by_command = {**{name: before["by_command"][name] for name in kept}, **now["by_command"]}
    runs = [{**run, "commands": [name for name in run["commands"] if name in kept]} for run in before["runs"]]
    counts = [of for faults in by_command.values() for of in faults.values()]
    return {
        **now,
        "tried": sum(of["tried"] for of in counts),
        "survived": sum(of["survived"] for of in counts),
        "by_command": by_command,
        "failures": [each for each in before["failures"] if each["command"] in kept] + now["failures"],
        "runs": [run for run in runs if run["commands"]] + now["runs"],
    }


def _without_out(arguments: list[str]) -> list[str]:
    """The arguments without the file that is written."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--out")
    return parser.parse_known_args(arguments)[1]


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

    def run(self, names: list[str], save: Callable[[dict[str, Any]], None], minutes: float, at_least: int = 1) -> None:
        """Try faults for so many minutes, and so many for each command at least.

        `save` is called with the result so far, as JSON types, after each.
        """
        self.started = started = time.monotonic()
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
            save(self.result(faults))

    def result(self, faults: list[str]) -> dict[str, Any]:
        """The counts so far, as JSON types."""
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
            "runs": [
                {
                    "date": date.today().isoformat(),
                    "seed": self.seed,
                    "minutes": round((time.monotonic() - self.started) / 60, 1),
                    "full_disk": "a small tmpfs" if self.mounts else "a limit on the size of a file (RLIMIT_FSIZE)",
                    "skipped": [] if self.mounts else ["read-only folder"],
                    "versions": {name: version(name) for name in ("nearfar", "torch", "transformers")},
                    "commands": list(self.counts),
                }
            ],
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
        for arguments in (*command.first, command.old):
            if arguments is not None:
                _whole(nearfar(arguments, place), arguments)
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


def _whole(ended: Ended, arguments: list[str]) -> Ended:
    if ended.code != 0:
        sys.exit(f"nearfar {' '.join(arguments)} ends with {ended.code} when nothing happens: {ended.said[-800:]}")
    return ended


def _litter(folder: Path) -> str | None:
    left = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return f"left behind: {', '.join(left)}" if left else None


def _difference(found: Look, expected: Look) -> str:
    return ", ".join(part for part in {**found, **expected} if found.get(part) != expected.get(part))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
