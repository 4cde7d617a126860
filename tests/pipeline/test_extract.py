"""What must hold of the language that a page declares."""

import pytest

from pipeline.extract import declared_language
from pipeline.web.page import read_page


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<html lang=ja>", "ja"),
        ("<!DOCTYPE html><!-- x --><HTML LANG=' ja-JP '>", "ja-JP"),
        ("<html xmlns='http://www.w3.org/1999/xhtml' xml:lang='ja' lang=''>", "ja"),
        ("<html xml:lang='en' lang='ja'>", "ja"),
        ("<html lang=' '>", None),
        ("<html><html lang=ja>", None),
        ("<body lang=ja>", None),
        ("<!-- <html lang=ja> -->", None),
        ("", None),
        (f"<html lang='{'x' * 100}'>", "x" * 35),
    ],
)
def test_the_html_element_declares_it_as_written(html: str, expected: str | None) -> None:
    assert declared_language(read_page(html)) == expected
