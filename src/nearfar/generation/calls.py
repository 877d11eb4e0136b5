"""The log of calls: every answer of a generator, kept the moment it is there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from nearfar.errors import InputError
from nearfar.generation.interface import Decoding, Generator, Prompt

#: How every line of a log begins.
_BEGINNING = b'{"prompt": '

Progress = Callable[[int, int], None]


class CallLog:
    """Answers on disk, a JSON object a line, that a killed run finds again.

    A line holds the prompt and the answer, to be read by people, and a key of model, prompt and decoding. A line that a
    kill cut off does not count. Runs may share a log, one after the other.

    Args:
        path: The file; it begins to exist with the first answer.

    Raises:
        InputError: the file is something else.
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
                except ValueError:
                    if _BEGINNING.startswith(line.rstrip()[: len(_BEGINNING)]):
                        continue  # cut off by a kill: this call is made again
                    call = None
                if not isinstance(call, dict) or not all(isinstance(call.get(part), str) for part in ("key", "answer")):
                    remedy = "name another file, or a new one"
                    raise InputError("is no call of a model", file=self.path, line=number, remedy=remedy)
                self._answers[call["key"]] = call["answer"]

    def __len__(self) -> int:
        return len(self._answers)

    def complete(
        self,
        generator: Generator,
        prompts: Sequence[Prompt],
        decoding: Decoding = Decoding(),  # noqa: B008 - immutable
        progress: Progress | None = None,
    ) -> list[str]:
        """One answer a prompt, asking the generator only for what is not in the log.

        Raises:
            InputError: the generator cannot answer. What it answered before is in the log.
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
    # Without contrast, the opposite and its settings decide nothing.
    contrast = [prompt.opposite, decoding.omega, decoding.plausibility] if decoding.omega else None
    deciding = [identity, prompt.text, decoding.max_tokens, contrast]
    return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()
