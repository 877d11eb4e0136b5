"""Jobs of a comparison in this process, instead of one of their own each, which takes seconds to start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.comparison import runner, search, worker
from nearfar.comparison.jobs import Failed, Job
from nearfar.errors import InputError


def jobs_here(patch: pytest.MonkeyPatch) -> list[Job]:
    """Run all jobs in this process while the patch holds; the list is that of the jobs that were run."""
    ran: list[Job] = []

    def run_job(job: Job, folder: Path, progress: Callable[..., None] | None = None) -> Failed | None:
        ran.append(job)
        try:
            worker.do(job)
        except Exception as error:
            return Failed(str(error), isinstance(error, InputError))
        return None

    for module in (runner, search):
        patch.setattr(module, "run_job", run_job)
    patch.setattr(runner, "wait_for_start", lambda: None)
    return ran
