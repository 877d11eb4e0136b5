"""`nearfar verify`: is a run what its files say? Files, data, and figures measured again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.kind_files import FILE as KIND
from nearfar.models.sums import FILE as SUMS
from nearfar.models.sums import changes
from nearfar.serving.recorded import after_of, read_settings, request_of, sets_of
from nearfar.serving.result import Check, Verified
from nearfar.training.folder import RECORDED, RunFolder

if TYPE_CHECKING:
    from nearfar.training.held_out import HeldOut
    from nearfar.training.request import Request

__all__ = ["TOLERANCE", "verify"]

#: How far a figure may be from the recorded one: another machine rounds otherwise, which can exchange two ranks.
TOLERANCE = 1e-3


def verify(
    folder: str | Path,
    *,
    figures: bool = True,
    tolerance: float = TOLERANCE,
    progress: Callable[[str], None] | None = None,
) -> Verified:
    """Compare a run with what was recorded when it was finished.

    Of a run, also as `push` uploads it: the SHA-256 of each file; the rows of the training and evaluation data, read
    again, with their recorded hashes; and the figures after training, measured again with the saved model on the same
    held-out rows. The hash of rows is that of the values in the columns that were used. Of another folder of a model
    that nearfar has written (exported, distilled, fused): the SHA-256 of each file.

    Args:
        folder: The run folder, or the folder of a model.
        figures: Whether to measure again, which takes as long as an evaluation.
        tolerance: How far a figure may be from the recorded one, in its own unit or as a share of it.
        progress: Called with what is done next.

    Raises:
        InputError: The folder contains neither a finished run nor recorded hashes.

    Example:
        >>> nearfar.verify("runs/infonce").equal  # doctest: +SKIP
        True
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f"invalid value {tolerance}: must be 0 or more", field="--tolerance")
    path = Path(folder)
    run = RunFolder(path)
    if not path.is_dir():
        raise InputError("does not exist", file=path, remedy="pass a run folder such as runs/infonce")
    if not run.configuration.is_file() and not (path / SUMS).is_file():
        raise InputError(f"contains neither run.yaml nor {SUMS}", file=path, remedy="pass a run folder")
    say = progress or (lambda _: None)
    say("comparing files")
    files = _files(path, None if _uploaded(run) or not run.configuration.is_file() else RECORDED)
    of_run = _of_run(run, figures, tolerance, say, whole=files.equal is True) if run.configuration.is_file() else ()
    return Verified(path, (files, *of_run))


def _uploaded(run: RunFolder) -> bool:
    """Whether the model is beside the records, as `push` writes it; such a folder has no rows."""
    at_top = any((run.path / name).is_file() for name in (KIND, "modules.json", "config.json"))
    return run.configuration.is_file() and at_top and not run.model.is_dir()


def _files(folder: Path, recorded: Iterable[str] | None) -> Check:
    if not (folder / SUMS).is_file():
        # Whoever changes a file can remove the record, so that without it nothing can be called equal.
        return Check("files", False, f"{SUMS} is missing: files cannot be compared with what was written")
    try:
        number, found = changes(folder, recorded)
    except InputError as error:
        return Check("files", False, f"cannot be compared: {error}")
    return Check("files", not found, "; ".join(found) or f"{number} files")


def _of_run(
    run: RunFolder, figures: bool, tolerance: float, say: Callable[[str], None], *, whole: bool
) -> Iterator[Check]:
    if not run.metrics.is_file():
        raise InputError("the run is not finished", file=run.path, remedy="finish it with train --resume")
    say("reading data")
    uploaded = _uploaded(run)
    try:
        recorded = read_settings(run.configuration)
    except InputError as error:
        yield Check("settings", False, f"{error}; data and figures cannot be compared")
        return
    try:
        request = request_of(recorded)
    except InputError as error:
        gone = uploaded and _is_gone(recorded.get("recipe_file"))
        yield Check("recipe", None if gone else False, str(error))
        return
    if recorded.get("recipe_sha256") != request.recipe.recorded().get("recipe_sha256"):
        yield Check("recipe", False, f"{recorded.get('recipe_file')} has changed")
    rows = None
    if (reason := _in_memory(recorded["data"])) is not None:
        yield Check("data", None, reason)
    else:
        rows, check = _rows(request, recorded["data"])
        # Rows are not uploaded: that they are not here is no difference.
        gone = uploaded and any(_is_gone(each["source"]) for each in sets_of(recorded["data"]).values())
        yield replace(check, equal=None) if gone and rows is None else check
    held_out, check = _held_out(request, recorded, rows)
    if check is not None:
        gone = uploaded and _is_gone(recorded["evaluation"])
        yield replace(check, equal=None) if gone and held_out is None else check
    if not figures:
        return
    try:
        after = after_of(run.metrics)
    except InputError as error:
        yield Check("figures", False, f"cannot be compared: {error}")
        return
    if after is None:
        yield Check("figures", None, "the run was not evaluated")
    elif held_out is None:
        yield Check("figures", None, "the rows that they were measured on cannot be read")
    else:
        say("measuring again")
        yield _figures(run, request, rows, held_out, after, tolerance, whole=whole)


def _is_gone(source: str | None) -> bool:
    """Whether no file has this name; several names are one text, with commas."""
    return source is not None and not all(Path(each).exists() for each in source.split(", "))


def _in_memory(data: Mapping[str, Any]) -> str | None:
    sources = [each["source"] for each in sets_of(data).values()]
    found = next((source for source in sources if source.startswith("in memory")), None)
    return None if found is None else f"the rows were passed {found}"


def _rows(request: Request, recorded: Mapping[str, Any]) -> tuple[Any, Check]:
    from nearfar.training.rows import described, rows_for

    try:
        how: dict[str, Any] = {"weights": request.weights, "skip_broken": request.skip_broken}
        rows = rows_for(request.recipe, request.data, request.columns, **how)
    except InputError as error:
        return None, Check("data", False, f"cannot be read: {error}")
    found = described(request.data, rows)
    expected, actual = sets_of(recorded), sets_of(found)
    differing = [
        name or recorded["source"]
        for name, each in expected.items()
        if each["sha256"] != actual.get(name, {}).get("sha256")
    ]
    detail = f"the rows of {', '.join(differing)} have changed" if differing else f"{found['rows']:,} rows"
    return rows, Check("data", not differing, detail)


def _held_out(request: Request, recorded: Mapping[str, Any], rows: Any) -> tuple[HeldOut | None, Check | None]:
    """The rows that the figures are measured on, and whether they are the recorded ones."""
    from nearfar.data.fingerprint import fingerprint
    from nearfar.training.held_out import HeldOut, read_held_out, split_documents

    what = "evaluation data"
    if request.evaluation is None:
        if rows is None or not request.splits_documents:
            return None, None
        # Part of the training data, whose hash was compared.
        documents = split_documents(rows, request.options.held_out, request.seed)[1]  # pyright: ignore[reportAttributeAccessIssue]
        return (None if documents is None else HeldOut(documents, {})), None
    if str(request.evaluation).startswith("in memory"):
        return None, Check(what, None, f"the rows were passed {request.evaluation}")
    try:
        held_out = read_held_out(request)
    except InputError as error:
        return None, Check(what, False, f"cannot be read: {error}")
    assert held_out is not None
    if "evaluation_sha256" not in recorded:
        return held_out, Check(what, None, "an earlier version recorded no hash")
    same = fingerprint(held_out.rows) == recorded["evaluation_sha256"]
    detail = f"{held_out.size:,} rows" if same else f"the rows of {request.evaluation} have changed"
    return held_out, Check(what, same, detail)


def _figures(
    run: RunFolder,
    request: Request,
    rows: Any,
    held_out: HeldOut,
    recorded: Mapping[str, float | None],
    tolerance: float,
    *,
    whole: bool,
) -> Check:
    from nearfar.kinds.loading import load_kind
    from nearfar.models.abilities import Classifies
    from nearfar.training.rows import STREAM

    try:
        model = load_kind(run.path if _uploaded(run) else run.model)
        if request.recipe.roles == (STREAM,) and isinstance(model, Classifies) and rows is not None:
            held_out = held_out.by_labels_of(rows)
        measured = held_out.measure(model, request.seed).metrics
    except InputError as error:
        return Check("figures", False, f"cannot be measured: {error}")
    except Exception as error:
        # Libraries raise anything for a changed file; where no file has changed, it is a fault of code.
        if whole:
            raise
        line = " ".join(f"{type(error).__name__}: {error}".split())
        return Check("figures", False, f"cannot be measured: {line:.200}")
    differing = [
        f"{name}: expected {was}, got {measured.get(name)}"
        for name, was in recorded.items()
        if not _close(was, measured.get(name), tolerance)
    ]
    most = max((_distance(was, measured.get(name)) for name, was in recorded.items()), default=0.0)
    equal = f"{len(recorded)} metrics, greatest difference {most:.1g}"
    return Check("figures", not differing, "; ".join(differing) or equal)


def _distance(was: float | None, now: float | None) -> float:
    return 0.0 if was is None or now is None or math.isnan(now) else abs(now - was)


def _close(was: float | None, now: float | None, tolerance: float) -> bool:
    """An undefined metric is recorded as None."""
    if was is None or now is None or math.isnan(now):
        return was is None and now is not None and math.isnan(now)
    return math.isclose(was, now, rel_tol=tolerance, abs_tol=tolerance)
