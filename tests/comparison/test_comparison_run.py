"""Which recipes take part in a comparison."""

from __future__ import annotations

import pytest

from nearfar.comparison.fitting import Fit
from nearfar.comparison.request import Request
from nearfar.comparison.run import _compatible
from nearfar.errors import InputError

BASE = Fit("base")


def test_who_takes_part() -> None:
    fits = [Fit("infonce"), Fit("dse", "needs scores"), Fit("simcse", on_texts=True)]
    assert _compatible(Request([], "rows.jsonl"), fits, BASE) == ["infonce", "simcse"]
    for baseline in ("simcse", "base"):
        assert _compatible(Request([], "rows.jsonl", baseline=baseline), fits, BASE) == ["infonce", "simcse"]
    with pytest.raises(InputError) as caught:
        _compatible(Request([], "rows.jsonl", baseline="dse"), fits, BASE)
    assert caught.value.field == "--baseline"
    variants = [Fit("infonce", variant="mined"), Fit("dse", variant="mined"), Fit("simcse", "needs", variant="mined")]
    assert _compatible(Request([], "rows.jsonl"), [*fits, *variants], BASE) == ["infonce", "simcse", "dse"]
    for baseline in ("infonce+mined", "simcse"):
        _compatible(Request([], "rows.jsonl", baseline=baseline), [*fits, *variants], BASE)
    for baseline in ("simcse+mined", "infonce+other"):
        with pytest.raises(InputError) as caught:
            _compatible(Request([], "rows.jsonl", baseline=baseline), [*fits, *variants], BASE)
        assert caught.value.field == "--baseline"
    with pytest.raises(InputError, match="mined") as caught:
        _compatible(Request([], "rows.jsonl"), [*fits, variants[2]], BASE)
    assert caught.value.field == "RECIPE"
    with pytest.raises(InputError) as caught:
        _compatible(Request([], "rows.jsonl"), fits[1:2], BASE)
    assert caught.value.field == "RECIPE"
    assert "needs scores" in str(caught.value)
    with pytest.raises(InputError) as caught:
        _compatible(Request([], "rows.jsonl", baseline="base"), fits, Fit("base", "cannot read images"))
    assert caught.value.field == "--baseline"
