from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from nearfar.inspection.language import drafting


@pytest.fixture(scope="module")
def quick_probes() -> Iterator[None]:
    """Probes that are trained for a moment: no test depends on how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafting, "PROBE", replace(drafting.PROBE, hidden=16, steps=10, batch_size=32))
        yield
