"""Tags: the few start tags that license and consent need, in one linear pass over the page's text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import numpy as np
import numpy.typing as npt
from numba import njit

# A page with more tags of the wanted kinds is a list of links; what it says of itself stands before them.
MAX_TAGS = 20_000
_ANCHOR_TEXT_LENGTH = 200
# How far an anchor's text is looked for: 200 letters with generous markup between them.
_ANCHOR_WINDOW = 1_000


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag: lower-case name, attributes, offset of its "<" in the page's text, and the text of an anchor.

    Attribute names are in lower case, of equal ones the first counts, and references in values are resolved.
    """

    name: str
    attributes: dict[str, str]
    offset: int
    text: str


def _name_code(name: str) -> int:
    """A number for an ASCII name in lower case; different names of up to 16 letters rarely share one."""
    code = 0
    for letter in name:
        code = (code * 131 + ord(letter)) & 0xFFFFFFFF
    return code


# Elements whose content is text to HTML's tokenizer, whatever it looks like.
_RAW_CODES = np.array(
    [_name_code(name) for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")],
    dtype=np.int64,
)
_TEMPLATE_CODE = _name_code("template")


@njit(cache=True, nogil=True)
def _is_space(letter: int) -> bool:
    return letter == 0x20 or 0x09 <= letter <= 0x0D


@njit(cache=True, nogil=True)
def _name_end_and_code(text: npt.NDArray[np.uint32], start: int) -> tuple[int, int]:
    """End of the tag name that begins at `start`, and its code."""
    code = 0
    position = start
    while position < text.size:
        letter = int(text[position])
        if letter == 0x3E or letter == 0x2F or _is_space(letter):
            break
        code = (code * 131 + letter + (32 if 0x41 <= letter <= 0x5A else 0)) & 0xFFFFFFFF
        position += 1
    return position, code


@njit(cache=True, nogil=True)
def _tag_end(text: npt.NDArray[np.uint32], start: int) -> int:
    """Index of the ">" that ends a tag, from behind its name; the text's size if there is none.

    A quote opens a value only right after "=": elsewhere, as in a name, it is a letter.
    """
    before_value = False
    position = start
    while position < text.size:
        letter = int(text[position])
        if letter == 0x3E:
            return position
        if before_value and (letter == 0x22 or letter == 0x27):
            position += 1
            while position < text.size and text[position] != letter:
                position += 1
            before_value = False
        elif letter == 0x3D and not before_value:
            before_value = True
        elif not _is_space(letter):
            if before_value:
                # An unquoted value ends at white space or ">" only, and may hold "=" and quotes.
                while position + 1 < text.size and text[position + 1] != 0x3E and not _is_space(text[position + 1]):
                    position += 1
            before_value = False
        position += 1
    return position


@njit(cache=True, nogil=True)
def _find_wanted(
    text: npt.NDArray[np.uint32], wanted: npt.NDArray[np.int64], raw: npt.NDArray[np.int64], template: int, limit: int
) -> npt.NDArray[np.int64]:
    """(n, 3) offset of "<", end of name, index of ">" for start tags whose name has a wanted code."""
    found = np.empty((limit, 3), dtype=np.int64)
    number = 0
    templates = 0
    position = 0
    size = text.size
    while position + 1 < size and number < limit:
        if text[position] != 0x3C:
            position += 1
            continue
        start = position
        following = text[position + 1]
        if following == 0x21 and position + 3 < size and text[position + 2] == 0x2D and text[position + 3] == 0x2D:
            # The two dashes may be the closing ones as well: "<!-->" is a whole comment.
            position += 4
            dashes = 2
            while position < size:
                letter = text[position]
                position += 1
                if letter == 0x2D:
                    dashes += 1
                elif letter == 0x3E and dashes >= 2:
                    break
                elif not (letter == 0x21 and dashes >= 2):
                    dashes = 0
            continue
        closing = following == 0x2F
        name_start = position + 2 if closing else position + 1
        if name_start >= size or not 0x61 <= text[name_start] | 0x20 <= 0x7A:
            if following == 0x21 or following == 0x3F or closing:
                while position < size and text[position] != 0x3E:
                    position += 1
            position += 1
            continue
        name_end, code = _name_end_and_code(text, name_start)
        end = _tag_end(text, name_end)
        if end >= size:
            break
        position = end + 1
        if code == template:
            if closing:
                templates = max(0, templates - 1)
            else:
                templates += 1
        if closing:
            continue
        if templates == 0:
            for index in range(wanted.size):
                if wanted[index] == code:
                    found[number] = (start, name_end, end)
                    number += 1
                    break
        for index in range(raw.size):
            if raw[index] == code:
                while position + 1 < size:
                    if text[position] == 0x3C and text[position + 1] == 0x2F:
                        raw_end, raw_code = _name_end_and_code(text, position + 2)
                        if raw_code == code:
                            break
                        position = raw_end
                    else:
                        position += 1
                break
    return found[:number].copy()


_ATTRIBUTE = re.compile(
    r"""([^\s/>=][^\s/>=]*+)  (?: \s*+=\s*+ (?: "([^"]*+)" | '([^']*+)' | ([^\s>]++) ) )?""", re.VERBOSE
)
_MARKUP = re.compile(r"<[^<>]*>")
_ANCHOR_TAG = re.compile(r"</?[aA](?![A-Za-z0-9-])")


def _attributes(markup: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(markup):
        value = double or single or bare
        attributes.setdefault(name.lower(), unescape(value) if "&" in value else value)
    return attributes


def _anchor_text(html: str, start: int) -> str:
    """The first 200 letters of the text from `start` to the next <a> or </a>, white space collapsed."""
    end = _ANCHOR_TAG.search(html, start, start + _ANCHOR_WINDOW)
    content = html[start : end.start() if end else start + _ANCHOR_WINDOW]
    if "<" in content:
        content = _MARKUP.sub("", content)
    return " ".join(unescape(content).split())[:_ANCHOR_TEXT_LENGTH]


def find_tags(html: str, names: frozenset[str]) -> Iterator[Tag]:
    """The start tags of the named elements (lower-case ASCII names), in the page's order, 20,000 at most.

    Tags in comments, in template, and in elements of raw text (script, style, textarea, title and their kin) do not
    count; a ">" within quotes does not end a tag. A tag, comment or raw element that never ends swallows the rest, as
    in browsers. Linear time, any text is taken.
    """
    text = np.frombuffer(html.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    wanted = np.array([_name_code(name) for name in sorted(names)], dtype=np.int64)
    for start, name_end, end in _find_wanted(text, wanted, _RAW_CODES, _TEMPLATE_CODE, MAX_TAGS).tolist():
        name = html[start + 1 : name_end].lower()
        if name in names:
            anchor_text = _anchor_text(html, end + 1) if name == "a" else ""
            yield Tag(name, _attributes(html[name_end:end]), start, anchor_text)
