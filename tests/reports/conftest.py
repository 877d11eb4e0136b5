from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import samples

    folder = tmp_path_factory.mktemp("pages")
    builders = {"compare": samples.compare_page, "hostile": samples.hostile_page, "odd": samples.odd_page}
    return {name: build().write(folder / f"{name}.html") for name, build in builders.items()}
