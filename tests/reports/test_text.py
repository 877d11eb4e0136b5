from __future__ import annotations

from nearfar.reports.text import escaped, plain, shorten, text_width, wrap


def test_characters_that_cannot_be_written_are_replaced():
    assert plain("a\0b\ud800c\r\nd") == "a\ufffdb\ufffdc\nd"


def test_markup_of_a_caller_is_escaped():
    from markupsafe import Markup

    assert escaped(Markup("<b>")) == "&lt;b&gt;"
    assert type(plain(Markup("<b>"))) is str


def test_shortened_text_fits():
    text = "a name that goes on and on"
    assert shorten(text, 1000, 13) == text
    cut = shorten(text, 80, 13)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 80


def test_wrapped_text_fits_and_keeps_its_words():
    lines = wrap("Product questions, English and German", 150, 13, 2)
    assert len(lines) == 2
    assert all(text_width(line, 13) <= 150 for line in lines)
    assert wrap("", 100, 13, 2) == []
