"""`nearfar push`: the model of a run on the Hugging Face Hub, with its card, figures and report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from nearfar.errors import InputError
from nearfar.models.adapter_base import base_of
from nearfar.models.adapters import CONFIGURATION
from nearfar.models.sums import write_sums
from nearfar.serving.result import Pushed
from nearfar.training.folder import RunFolder, read_configuration
from nearfar.writing import check_free, check_writable, file_claimed, replace_folder

__all__ = ["push"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
CARD = "README.md"
#: Files of text, in which paths of this machine are looked for.
_TEXTS = {".json", ".yaml", ".md", ".html", ".txt", ".jinja"}
#: Larger files are vocabularies.
_MOST = 4 << 20


def push(
    run: str | Path,
    to: str,
    *,
    public: bool = False,
    dry_run: str | Path | None = None,
    api: Any = None,
) -> Pushed:
    """Upload the model of a finished run to the Hugging Face Hub.

    The repository contains the files of `model/` with the card as its README, and `metrics.json`, `report.html`,
    `run.yaml` and `SHA256SUMS`. Checkpoints and rows stay here. Paths of this machine are replaced by the names of
    files, and the command line is left out.

    Args:
        run: The run folder.
        to: The repository, such as `user/name`; it is created if it does not exist.
        public: Whether everybody can read it; by default only its owner.
        dry_run: A folder for exactly what would be uploaded; nothing is sent.
        api: A `huggingface_hub.HfApi`; by default one with the token of `hf auth login` or `HF_TOKEN`.

    Raises:
        InputError: The run is not finished, a file still names a path of this machine, there is no token, or the Hub
            refuses.

    Example:
        >>> nearfar.push("runs/infonce", "me/search", dry_run="upload").files  # doctest: +SKIP
    """
    folder = RunFolder(Path(run))
    _check(folder, to)
    if dry_run is not None:
        target = Path(dry_run)
        check_free(target, "--dry-run")
        check_writable(target)
        notes: list[str] = []
        with file_claimed(target, "--dry-run"):
            check_free(target, "--dry-run")  # once more: another process may just have finished
            replace_folder(target, lambda part: notes.extend(_gather(folder, part)))
        return Pushed(to, None, target, not public, _names(target), tuple(notes))
    api = _api() if api is None else api
    with TemporaryDirectory() as place:
        part = Path(place, "upload")
        notes = _gather(folder, part)
        url = _upload(api, part, to, public)
        return Pushed(to, url, None, not public, _names(part), tuple(notes))


def _check(run: RunFolder, to: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if not _REPOSITORY.fullmatch(to):
        raise InputError(f"invalid repository {to!r}: must be user/name", field="--to")
    try:
        validate_repo_id(to)
    except HFValidationError as error:
        raise InputError(f"invalid repository {to!r} ({error})", field="--to", remedy="choose another name") from error
    if not run.configuration.is_file():
        raise InputError("contains no run.yaml", file=run.path, remedy="pass a run folder such as runs/infonce")
    if not run.metrics.is_file() or not run.model.is_dir():
        raise InputError("the run is not finished", file=run.path, remedy="finish it with train --resume")


def _api() -> Any:
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise InputError("there is no token for the Hub", remedy="run `hf auth login`, or set HF_TOKEN")
    return HfApi()


def _upload(api: Any, part: Path, to: str, public: bool) -> str:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        url = api.create_repo(to, private=not public, exist_ok=True)
        # One that exists stays as it is: nothing becomes public because it was forgotten that it was.
        if not public and api.repo_info(to).private is False:
            raise InputError("the repository is public", field="--to", remedy="add --public, or choose another name")
        api.upload_folder(repo_id=to, folder_path=str(part), commit_message="Upload by nearfar push")
    except InputError:
        raise
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"the Hub refuses or cannot be reached ({line})", field="--to") from error
    return str(url)


def _gather(run: RunFolder, part: Path) -> list[str]:
    """Write what is uploaded into a new folder, and say what was changed.

    Raises:
        InputError: A file names a path of this machine that cannot be replaced.
    """
    recorded = read_configuration(run.configuration)
    _check_base(run.model)
    # Hidden files are locks; what is not listed here is not uploaded.
    shutil.copytree(run.model, part, ignore=shutil.ignore_patterns(".*", "*.bin", "*.pt", "*.pkl"))
    for file in (run.metrics, run.report):
        if file.is_file():
            shutil.copyfile(file, part / file.name)
    found = {*_paths(recorded), str(run.path.absolute()), str(run.path)}
    # The longest first; a name without a folder says nothing of this machine.
    plain = {
        path: PurePath(path).name for path in sorted(found, key=len, reverse=True) if len(PurePath(path).parts) > 1
    }
    recorded.pop("command", None)
    written = yaml.safe_dump(_without_paths(recorded, plain), sort_keys=False, allow_unicode=True)
    (part / run.configuration.name).write_text(written, "utf-8")
    changed = [run.configuration.name] if any(path in run.configuration.read_text("utf-8") for path in plain) else []
    for file in _texts(part):
        text = file.read_text("utf-8")
        less = text
        of_run = file.name in (run.metrics.name, run.report.name, CARD)
        for path, name in plain.items():
            # In files of the model only as whole values: a vocabulary may contain the same letters.
            less = less.replace(path, name) if of_run else less.replace(json.dumps(path), json.dumps(name))
        if less != text:
            file.write_text(less, "utf-8")
            changed.append(file.relative_to(part).as_posix())
    _refuse_paths(part)
    write_sums(part)
    notes = ["the command line of the training is left out"]
    if changed:
        notes.append(f"paths of this machine were replaced by names in {', '.join(sorted(set(changed)))}")
    return notes


def _refuse_paths(part: Path) -> None:
    """Refuse to upload a text with the home or working folder of this machine."""
    own = {str(Path.home()), str(Path.cwd())} - {"/"}
    for file in _texts(part):
        text = file.read_text("utf-8")
        for path in own:
            if f"{path}/" in text or f"{path}\\" in text:
                where = file.relative_to(part).as_posix()
                problem = "names a path of this machine"
                raise InputError(problem, file=where, remedy=f"remove {path} from the file in the run's folder")


def _check_base(model: Path) -> None:
    """Refuse an adapter whose base model only this machine has."""
    base = base_of(model)
    if base is not None and (PurePath(base).is_absolute() or Path(base).is_dir()):
        problem = "the base model of the adapter is in a folder of this machine, so nobody else can load it"
        raise InputError(problem, file=model / CONFIGURATION, remedy="train it from a Hub ID")


def _paths(value: Any) -> Iterable[str]:
    """The absolute paths in settings; several sources are one text, with commas."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _paths(each)
    elif isinstance(value, str):
        yield from (each for each in {value, *value.split(", ")} if PurePath(each).is_absolute())


def _without_paths(value: Any, plain: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(each, plain) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_paths(each, plain) for each in value]
    if isinstance(value, str):
        return ", ".join(PurePath(each).name if PurePath(each).is_absolute() else each for each in value.split(", "))
    return value


def _texts(part: Path) -> list[Path]:
    found = (file for file in part.rglob("*") if file.suffix in _TEXTS and file.is_file())
    return sorted(file for file in found if file.stat().st_size <= _MOST)


def _names(part: Path) -> tuple[str, ...]:
    return tuple(sorted(file.relative_to(part).as_posix() for file in part.rglob("*") if file.is_file()))
