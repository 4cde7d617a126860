"""Lines: a text of a page on one line, the form in which two of them compare equal, and how long each may be."""

from __future__ import annotations

import re
import unicodedata

MAX_TITLE, MAX_SITE_NAME, MAX_AUTHOR, MAX_DESCRIPTION, MAX_URL = 500, 200, 200, 1_000, 2_000
# BCP 47, 4.4.1: the longest tag that is well-formed without extensions.
MAX_LANGUAGE = 35

_SPACES = re.compile(r"[^\S\u3000]+")
CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


def as_line(text: str, most: int) -> str | None:
    """A text on one line without control characters, cut to so many characters; None where nothing is left."""
    # Cut before, as a value may be the whole page.
    text = CONTROLS.sub("", text[: 4 * most])
    return _SPACES.sub(" ", text).strip()[:most].rstrip() or None


def as_key(text: str) -> str:
    """The form in which two names or titles compare equal."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
