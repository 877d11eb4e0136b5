"""The quality in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flows import booking_flow
from nearfar.dialogue.quality.held_out import held_out_quality
from nearfar.dialogue.quality_text import quality_line, quality_rows


def test_figures_are_in_the_line_and_the_rows():
    flow = booking_flow(30)
    vectors = np.random.default_rng(0).normal(size=(len(flow.log.texts), 8)).astype(np.float16)
    measured = replace(flow, held_out=held_out_quality(flow.log, vectors, flow.actions, flow.rules))
    assert measured.held_out is not None
    share = f"{100 * flow.explained().steps:.1f}%"
    perplexity = f"{measured.held_out.perplexity.mean:.1f} ["
    for text in (quality_line(measured), str(quality_rows(measured))):
        assert share in text
        assert perplexity in text
    assert share in quality_line(flow)
    assert len(quality_rows(flow)) < len(quality_rows(measured))
