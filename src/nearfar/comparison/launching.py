"""Starts the processes of a comparison through a scheduler, such as srun or `ray job submit`."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from nearfar.errors import InputError

__all__ = ["FIELD", "Launcher"]

FIELD = "--launcher"
#: What stands for the command of one process.
PLACE = "{}"


@dataclass(frozen=True)
class Launcher:
    """A command that starts another one, waits for it, and ends with its exit code. No shell reads it.

    Args:
        words: Its words. `{}` stands for the words of the started command; within a longer word, such as that of
            `bash -c "cd /work && {}"`, for the same as one text, quoted for a shell.
        texts: Places of the words `{}` that stand for such a text, too, because they were in quotes, as in
            `sbatch --wait --wrap "{}"`.

    Example:
        >>> Launcher.of("srun --gres=gpu:1 {}").command(["python", "-m", "module"])
        ['srun', '--gres=gpu:1', 'python', '-m', 'module']
    """

    words: tuple[str, ...]
    texts: frozenset[int] = frozenset()

    @classmethod
    def of(cls, text: str) -> Launcher:
        """Read a launcher.

        Raises:
            InputError: A quote is not closed, `{}` is missing, or the program does not exist.
        """
        try:
            words, texts = _split(text)
        except ValueError as error:
            raise InputError(f"invalid command {text!r}: {error}", field=FIELD, remedy="close the quote") from error
        if not any(PLACE in word for word in words):
            problem = f"expected {PLACE} where the command of a training belongs, got {text!r}"
            raise InputError(problem, field=FIELD, remedy=f'write e.g. "srun --gres=gpu:1 {PLACE}"')
        if words[0] != PLACE and shutil.which(words[0]) is None:
            raise InputError(
                f"the program {words[0]!r} does not exist", field=FIELD, remedy="install it, or fix the path"
            )
        return cls(words, texts)

    def command(self, started: Sequence[str]) -> list[str]:
        """The words of the launcher with those of the command that it starts."""
        found: list[str] = []
        for place, word in enumerate(self.words):
            alone = word == PLACE and place not in self.texts
            found += started if alone else [word.replace(PLACE, shlex.join(started))]
        return found


def _split(text: str) -> tuple[tuple[str, ...], frozenset[int]]:
    """The words of a command as `shlex.split` gives them, and the places of those that are `{}` in quotes."""
    source = StringIO(text)
    lexer = shlex.shlex(source, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    quoted, start = set(), 0
    while (word := lexer.get_token()) is not None:
        written, start = text[start : source.tell()].strip(), source.tell()
        if word == PLACE and written != PLACE:
            quoted.add(len(words))
        words.append(word)
    return tuple(words), frozenset(quoted)
