"""A part of the matrix of benchmarks/charset_matrix.py, on the project's own pages: text right, main text unchanged."""

import random
from pathlib import Path

import pytest

from benchmarks.charset_matrix import (
    CODECS,
    DECLARATIONS,
    STATES,
    Cell,
    feed_is_right,
    feeds,
    is_right,
    main_text,
    make_cell,
    plain,
)
from pipeline.web.charset import decode
from training.score import score

PAGES = [path.read_text("utf-8") for path in sorted(Path(__file__).with_name("main_text").rglob("*.html"))[:8]]
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("charset", CODECS)
def test_all_text_outside_the_damage_is_right(charset: str, state: str) -> None:
    assert len(PAGES) >= 5
    for number, html in enumerate(PAGES):
        page = plain(html, charset)
        for declaration in DECLARATIONS:
            cell = make_cell(page, charset, state, declaration, random.Random(number))
            found = decode(cell.body, cell.header)
            assert is_right(found.text, cell)
            assert (state == "clean") <= (found.replacements == 0)
            if state in ("clean", "vendor letters"):
                assert main_text(found.text) == main_text(cell.text)
            elif declaration == "missing":
                assert score(main_text(found.text), main_text(page)).f1 >= 0.9


def test_damage_beyond_the_broken_letters_is_noticed() -> None:
    text = "".join(chr(0x4E00 + place) for place in range(200))
    cell = Cell(b"", None, text, (50, 120))
    assert is_right(text, cell) and is_right(text[:50] + "?" + text[51:120] + text[122:], cell)
    assert not is_right(text[:49] + "?" + text[50:], cell)
    assert not is_right(text[:70] + "?" + text[71:], cell)
    assert not is_right(text[:180] + "?" + text[181:], cell)
    assert not is_right(text[:100], cell)
    assert not is_right(text + "?", Cell(b"", None, text, ()))


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is absent")
def test_the_real_feeds_lose_no_letter() -> None:
    given = list(feeds(DATA))
    assert len(given) == 24
    for name, body, charset in given:
        assert feed_is_right(body, charset), name
