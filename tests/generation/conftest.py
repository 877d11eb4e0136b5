from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_endpoint import FakeServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fake = FakeServer()
    yield fake
    fake.close()
