"""The log of calls: every answer of a generator is stored as soon as it arrives."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from nearfar.errors import InputError
from nearfar.generation.interface import Decoding, Generator, Prompt, first_line

#: The beginning of every line of a log.
_BEGINNING = b'{"prompt": '

Progress = Callable[[int, int], None]


class CallLog:
    """Answers on disk, one JSON object per line, so that an interrupted run can be resumed.

    A line contains the prompt and the answer, for people to read, and a key of model, prompt and decoding. A truncated
    line is ignored. Several runs may use the same log, one after the other.

    Args:
        path: The file; it is created with the first answer.

    Raises:
        InputError: The file is not a log of calls.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._answers: dict[str, str] = {}
        self._ends_whole = True
        if self.path.is_dir():
            raise InputError("is a folder, not a log of calls", file=self.path, remedy="name a file")
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                self._ends_whole = line.endswith(b"\n")
                try:
                    call = json.loads(line)
                except (ValueError, RecursionError):
                    if _BEGINNING.startswith(line.rstrip()[: len(_BEGINNING)]):
                        continue  # truncated when the run was killed: this call is repeated
                    call = None
                if not isinstance(call, dict) or not all(isinstance(call.get(part), str) for part in ("key", "answer")):
                    remedy = "name another file"
                    raise InputError("is not a log of calls", file=self.path, line=number, remedy=remedy)
                self._answers[call["key"]] = first_line(call["answer"])

    def __len__(self) -> int:
        return len(self._answers)

    def complete(
        self,
        generator: Generator,
        prompts: Sequence[Prompt],
        decoding: Decoding = Decoding(),  # noqa: B008 - immutable
        progress: Progress | None = None,
    ) -> list[str]:
        """One answer per prompt; the generator is called only for answers that are not in the log.

        Raises:
            InputError: The generator failed. Earlier answers are in the log.
        """
        keys = [_key(generator.identity, prompt, decoding) for prompt in prompts]
        missing = {key: number for number, key in enumerate(keys) if key not in self._answers}
        asked = list(missing.values())
        done = len(keys) - len(asked)
        if progress is not None and done:
            progress(done, len(keys))
        if asked:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as log:
                if not self._ends_whole:
                    log.write(b"\n")
                    self._ends_whole = True
                for number, answer in generator.answers([prompts[i] for i in asked], decoding):
                    prompt, key = prompts[asked[number]], keys[asked[number]]
                    call = {"prompt": prompt.text, "answer": answer, "model": generator.identity, **asdict(decoding)}
                    log.write(json.dumps({**call, "key": key}, ensure_ascii=False).encode(errors="replace") + b"\n")
                    log.flush()
                    self._answers[key] = answer
                    done += 1
                    if progress is not None:
                        progress(done, len(keys))
                os.fsync(log.fileno())
        return [self._answers[key] for key in keys]


def _key(identity: str, prompt: Prompt, decoding: Decoding) -> str:
    # Without contrast, the opposite prompt and its settings have no effect.
    contrast = [prompt.opposite, decoding.omega, decoding.plausibility] if decoding.omega else None
    deciding: list[object] = [identity, prompt.text, decoding.max_tokens, contrast]
    if decoding.temperature:
        deciding += [decoding.temperature, prompt.sample]
    return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()
