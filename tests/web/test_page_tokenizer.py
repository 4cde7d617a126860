"""What must hold of the page's tokenizer: html5lib's cases, from the states that a page can reach."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.web.page.references import REFERENCE_TABLES, resolve, room
from pipeline.web.page.tokenizer import (
    ATTRIBUTE_COLUMNS,
    CDATA,
    COMMENT,
    END_TAG,
    HAS_REFERENCES,
    PADDING,
    SELF_CLOSING,
    START_TAG,
    TEXT,
    next_token,
    raw_text_end,
    script_end,
)

CASES = Path(__file__).parents[3] / "shared" / "data" / "html5lib-tests" / "tokenizer"

# Files that do not concern the reader. Of the cases in the others only doctype tokens are not compared: a doctype
# leaves no trace in a page, but where it ends does.
NOT_READ = {"xmlViolation": "coercions for XML trees, which are no part of HTML's tokenization"}


def padded(html: str) -> tuple[np.ndarray, int]:
    data = html.encode("utf-8", "surrogatepass")
    return np.frombuffer(data + bytes(PADDING), dtype=np.uint8), len(data)


def resolved(source: np.ndarray, start: int, end: int, in_attribute: bool, references: bool, keep_nul: bool) -> str:
    out = np.empty(room(end - start, True), dtype=np.uint8)
    stop = resolve(source, start, end, in_attribute, references, keep_nul, out, 0, REFERENCE_TABLES)
    return out[:stop].tobytes().decode("utf-8", "surrogatepass")


def tokens(html: str, state: str, last_start_tag: str) -> list[list[Any]]:
    """html5lib's form of the tokens that the reader sees in a state, the start tag of the element put in front."""
    prefix = f"<{last_start_tag}>"
    source, size = padded(prefix + html)
    attributes = np.empty((size, ATTRIBUTE_COLUMNS), dtype=np.int32)
    found: list[list[Any]] = []

    def add_text(text: str) -> None:
        if text and found and found[-1][0] == "Character":
            found[-1][1] += text
        elif text:
            found.append(["Character", text])

    def name(start: int, end: int) -> str:
        raw = source[start:end].tobytes().lower().decode("utf-8", "surrogatepass")
        return raw.replace("\0", "\ufffd")

    def parts(start: int, stop: int) -> list[tuple[int, int]]:
        """Ranges between NULs, which the tokenizer passes on and the reader drops from text."""
        ends = [start + index for index in np.flatnonzero(source[start:stop] == 0)]
        return list(zip([start, *(end + 1 for end in ends)], [*ends, stop]))

    position = len(prefix)
    name_range = (1, position - 1)
    if state == "PLAINTEXT state":
        add_text(resolved(source, position, size, False, False, True))
        return found
    if state in ("RCDATA state", "RAWTEXT state", "Script data state"):
        end_of = script_end if state == "Script data state" else raw_text_end
        end = end_of(source, size, position, *name_range, False)
        add_text(resolved(source, position, end, False, state == "RCDATA state", True))
        position = end
    elif state == "CDATA section state":
        source, size = padded("<![CDATA[" + html)
        position = 0
    while position < size:
        foreign = state == "CDATA section state"
        kind, position, start, stop, bits, _, used = next_token(source, size, position, foreign, attributes, 0)
        if kind == TEXT:
            references = bits & HAS_REFERENCES != 0
            add_text("\0".join(resolved(source, *part, False, references, False) for part in parts(start, stop)))
        elif kind == CDATA:
            add_text(source[start:stop].tobytes().decode("utf-8", "surrogatepass"))
        elif kind == START_TAG:
            values: dict[str, str] = {}
            for name_start, name_end, value_start, value_end, _, references in attributes[:used].tolist():
                value = resolved(source, value_start, value_end, True, bool(references), True)
                values.setdefault(name(name_start, name_end), value)
            found.append(["StartTag", name(start, stop), values] + ([True] if bits & SELF_CLOSING else []))
        elif kind == END_TAG:
            found.append(["EndTag", name(start, stop)])
        elif kind == COMMENT:
            found.append(["Comment", resolved(source, start, stop, False, False, True)])
    return found


def unescaped(value: Any) -> Any:
    if isinstance(value, str):
        parts = value.split("\\u")
        return parts[0] + "".join(chr(int(part[:4], 16)) + part[4:] for part in parts[1:])
    if isinstance(value, list):
        return [unescaped(part) for part in value]
    if isinstance(value, dict):
        return {unescaped(name): unescaped(part) for name, part in value.items()}
    return value


def cases(path: Path) -> Iterator[tuple[str, str, str, str, list[list[Any]]]]:
    """(description, state, last start tag, input, expected tokens without doctypes, which leave no trace)."""
    for case in json.loads(path.read_text(encoding="utf-8")).get("tests", []):
        html, output = case["input"], case["output"]
        if case.get("doubleEscaped"):
            html, output = unescaped(html), unescaped(output)
        expected: list[list[Any]] = []
        for token in output:
            if token[0] == "Character" and expected and expected[-1][0] == "Character":
                expected[-1] = ["Character", expected[-1][1] + token[1]]
            elif token[0] != "DOCTYPE":
                expected.append(token)
        for state in case.get("initialStates", ["Data state"]):
            default = {"Script data state": "script", "RCDATA state": "title"}.get(state, "xmp")
            yield case["description"], state, case.get("lastStartTag", default), html, expected


@pytest.mark.skipif(not CASES.is_dir(), reason="html5lib's tokenizer cases are not beside the project")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.test")), ids=lambda path: path.stem)
def test_html5libs_cases(path: Path) -> None:
    if path.stem in NOT_READ:
        pytest.skip(NOT_READ[path.stem])
    differences = [
        (description, state, html, expected, found)
        for description, state, last, html, expected in cases(path)
        if (found := tokens(html, state, last)) != expected
    ]
    assert differences == []
