"""The process that forks the workers of a comparison: `python -m nearfar.comparison.fork_server FD FOLDER`.

It imports once what every job needs, which would take each job several seconds, and then forks a worker for each job,
one at a time. FD is its end of a socket, on which it says 0 when it has imported. A message is the path of a job's
description, with four files: the worker's stdin, stdout and stderr, and a socket on which the server says the process
id of the worker and then its exit code. It ends when the other end of FD is closed. FOLDER is the comparison's folder,
for those who read what `ps` prints.
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
_FILES = 4
#: What a worker imports, except for the model's own code and the recipe.
IMPORTED = (
    "sentence_transformers",
    "nearfar.comparison.general",
    "nearfar.evaluation.rows",
    "nearfar.evaluation.tasks.retrieval",
    "nearfar.training.run",
)


def main(control: socket.socket) -> int:
    """Fork workers until the other end is closed. In a worker, it returns the exit code."""
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the comparison and its worker
    _import()
    _say(control, 0)
    while True:
        try:
            message, files, _, _ = socket.recv_fds(control, _LONGEST, _FILES)
        except ConnectionError:  # the comparison was killed
            return 0
        if not message:
            return 0
        child = os.fork()
        if child == 0:
            control.close()
            os.close(files.pop())
            signal.signal(signal.SIGINT, interrupt)
            return _work(message.decode(), files)
        with socket.socket(fileno=files.pop()) as status:
            for each in files:
                os.close(each)
            _say(status, child)
            # Its process id stays its own until its end has been said.
            ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            _say(status, ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
        os.waitpid(child, 0)


def _say(to: socket.socket, number: int) -> None:
    with suppress(ConnectionError):  # the comparison was killed, which its worker notices, too
        to.send(str(number).encode())


def _import() -> None:
    """Import what every job needs."""
    for name in IMPORTED:
        with suppress(Exception):  # a worker imports it again, and its log says what is wrong
            importlib.import_module(name)
    # What is here now is shared by all workers: their garbage collections need not write to it.
    gc.collect()
    gc.freeze()
    # The threads of libraries, such as those of linear algebra and of allocators, are ready for a fork.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def _work(description: str, files: list[int]) -> int:
    """What a worker does that was just forked."""
    for standard, each in enumerate(files):
        os.dup2(each, standard)
        os.close(each)
    _seed()
    code = worker.main(description)
    gc.unfreeze()  # or libraries would report at exit that it was never freed
    return code


def _seed() -> None:
    """Give each worker random numbers of its own, as a process has that was started anew."""
    import numpy as np
    import torch
    from datasets import fingerprint

    random.seed()
    np.random.seed()  # the generator that libraries use
    torch.seed()
    # Names files for functions that cannot be hashed: with the same names, a worker would read another's rows.
    fingerprint.fingerprint_rng.seed()  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as control_:
        code = main(control_)
    sys.exit(code)
