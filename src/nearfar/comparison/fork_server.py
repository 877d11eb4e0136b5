"""The process that forks the workers of a comparison: `python -m nearfar.comparison.fork_server FD FOLDER`.

It imports once what every job needs, which would take each job several seconds, and then forks a worker for each job,
one at a time. FD is its end of a socket, on which it says 0 when it has imported. A message is the path of a job's
description, with the files that become the worker's stdin, stdout and stderr; it answers with the process id of the
worker, and then with its exit code. It ends when the other end is closed. FOLDER is the comparison's folder, for those
who read what `ps` prints.
"""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import socket
import sys
import warnings
from contextlib import suppress

from nearfar.comparison import worker

#: Longest description's path in bytes.
_LONGEST = 65_536
_FILES = 3
#: What a worker imports, except for the model's own code and the recipe.
_IMPORTED = (
    "sentence_transformers",
    "nearfar.comparison.general",
    "nearfar.evaluation.rows",
    "nearfar.evaluation.tasks.retrieval",
    "nearfar.training.run",
)


def main(control: socket.socket) -> int:
    """Fork workers until the other end is closed. In a worker, it returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the comparison and its worker
    _import()
    _say(control, 0)
    while True:
        message, files, _, _ = socket.recv_fds(control, _LONGEST, _FILES)
        if not message:
            return 0
        child = os.fork()
        if child == 0:
            control.close()
            return _work(message.decode(), files)
        for each in files:
            os.close(each)
        _say(control, child)
        _, status = os.waitpid(child, 0)
        _say(control, os.waitstatus_to_exitcode(status))


def _say(control: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):  # the comparison was killed, which its worker notices, too
        control.send(str(number).encode())


def _import() -> None:
    """Import what every job needs."""
    with suppress(Exception):  # a worker imports it again, and its log says what is wrong
        for name in _IMPORTED:
            importlib.import_module(name)
    # What is here now is shared by all workers: their garbage collections need not write to it.
    gc.collect()
    gc.freeze()
    # Libraries of linear algebra have threads, which they stop before a fork by themselves.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def _work(description: str, files: list[int]) -> int:
    """What a worker does that was just forked."""
    for standard, each in enumerate(files):
        os.dup2(each, standard)
        os.close(each)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    return worker.main(description)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as control_:
        code = main(control_)
    sys.exit(code)
