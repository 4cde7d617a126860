"""Tokenizer: HTML's tokens from a page's UTF-8 bytes, each byte looked at a bounded number of times.

The rules are those of the WHATWG HTML standard, 13.2.5 Tokenization. A page stands in an array of bytes with at least
PADDING zeros behind it, so that a look ahead needs no test.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.words import find_byte, find_either, skip_spaces

PADDING = 16
# What a token is. NOTHING is what leaves no trace in a page: doctype, "</>", and a tag that the page's end cuts.
TEXT, START_TAG, END_TAG, COMMENT, CDATA, NOTHING = range(6)
# Columns of an attribute; the code is the low half of the name's mixed code, see `short_code`.
NAME_START, NAME_END, VALUE_START, VALUE_END, CODE, REFERENCES = range(6)
ATTRIBUTE_COLUMNS = 6
# Bits of a text and of a tag.
HAS_REFERENCES, BLANK = 1, 2
SELF_CLOSING, ATTRIBUTES_CUT = 1, 2

# Classes of bytes: white space (13.2.5: tab, LF, FF, CR, space), and what may end a name in a tag. NUL may be the
# padding, so it is looked at closely everywhere.
_SPACE, _ENDS_TAG_NAME, _ENDS_ATTRIBUTE_NAME, _ENDS_UNQUOTED = 1, 2, 4, 8
_CLASSES = np.zeros(256, dtype=np.uint8)
_CLASSES[[0x09, 0x0A, 0x0C, 0x0D, 0x20]] = _SPACE | _ENDS_TAG_NAME | _ENDS_ATTRIBUTE_NAME | _ENDS_UNQUOTED
_CLASSES[0x00] = _CLASSES[0x3E] = _ENDS_TAG_NAME | _ENDS_ATTRIBUTE_NAME | _ENDS_UNQUOTED
_CLASSES[0x2F] = _ENDS_TAG_NAME | _ENDS_ATTRIBUTE_NAME
_CLASSES[0x3D] = _ENDS_ATTRIBUTE_NAME
_CLASSES[0x26] = _ENDS_UNQUOTED


def short_code(code: int) -> int:
    """The 32 bits of a name's 64-bit code that stand in an attribute's row, as a signed number."""
    mixed = (code ^ code >> 32) & 0xFFFFFFFF
    return mixed - (1 << 32) if mixed >> 31 else mixed


@lean_njit
def is_space(letter: int) -> bool:
    """Whether a byte is HTML's white space."""
    return _CLASSES[letter] & _SPACE != 0


@lean_njit
def _is_letter(letter: int) -> bool:
    return 0x61 <= letter | 0x20 <= 0x7A


@inlined_njit
def _text(source: npt.NDArray[np.uint8], size: int, position: int) -> tuple[int, int]:
    """Where the text that begins at `position` ends, and its bits; a "<" that begins no markup is text."""
    blank_end = skip_spaces(source, size, position)
    while is_space(source[blank_end]):
        blank_end += 1
    flags = 0
    end = blank_end
    while True:
        if flags & HAS_REFERENCES:
            end = find_byte(source, size, end, 0x3C)
        else:
            end = find_either(source, size, end, 0x3C, 0x26)
        if end >= size:
            end = size
            break
        if source[end] == 0x26:
            flags |= HAS_REFERENCES
            end += 1
            continue
        following = source[end + 1]
        if _is_letter(following) or following == 0x21 or following == 0x3F:
            break
        if following == 0x2F and end + 2 < size:
            break
        end += 1
    if blank_end >= end:
        flags |= BLANK
    return end, flags


@inlined_njit
def read_name(source: npt.NDArray[np.uint8], size: int, position: int) -> tuple[int, np.uint64]:
    """End of the tag's name that begins at `position`, and its code in lower case."""
    code = np.uint64(0)
    while True:
        letter = source[position]
        if _CLASSES[letter] & _ENDS_TAG_NAME and (letter != 0 or position >= size):
            return position, code
        folded = np.uint64(letter)
        if 0x41 <= letter <= 0x5A:
            folded |= np.uint64(0x20)
        code = ((code << np.uint64(8)) | (code >> np.uint64(56))) ^ folded
        position += 1


@inlined_njit
def _attributes(
    source: npt.NDArray[np.uint8],
    size: int,
    position: int,
    attributes: npt.NDArray[np.int32],
    used: int,
) -> tuple[int, int, int]:
    """Read a tag from behind its name. Returns the position behind it, the attributes' new number and the tag's bits.

    The position is size + 1 where the page ends within the tag. Rows are written to `attributes` as far as it goes.
    """
    flags = 0
    room = attributes.shape[0]
    while True:
        letter = source[position]
        if is_space(letter):
            position += 1
            continue
        if letter == 0x3E:
            return position + 1, used, flags
        if letter == 0x2F:
            position += 1
            if source[position] == 0x3E:
                return position + 1, used, flags | SELF_CLOSING
            continue
        if letter == 0 and position >= size:
            return size + 1, used, flags
        # A name's first letter may be anything else, "=" too.
        name_start = position
        code = np.uint64(0)
        while True:
            folded = np.uint64(letter)
            if 0x41 <= letter <= 0x5A:
                folded |= np.uint64(0x20)
            code = ((code << np.uint64(8)) | (code >> np.uint64(56))) ^ folded
            position += 1
            letter = source[position]
            if _CLASSES[letter] & _ENDS_ATTRIBUTE_NAME and (letter != 0 or position >= size):
                break
        name_end = position
        while is_space(source[position]):
            position += 1
        value_start = value_end = name_end
        references = 0
        if source[position] == 0x3D:
            position += 1
            while is_space(source[position]):
                position += 1
            letter = source[position]
            if letter == 0x22 or letter == 0x27:
                quote = letter
                position += 1
                value_start = position
                position = find_either(source, size, position, quote, 0x26)
                if source[position] == 0x26:
                    references = 1
                    position = find_byte(source, size, position, quote)
                if position >= size:
                    return size + 1, used, flags
                value_end = position
                position += 1
            else:
                value_start = position
                while True:
                    letter = source[position]
                    if _CLASSES[letter] & _ENDS_UNQUOTED:
                        if letter == 0x26:
                            references = 1
                        elif letter == 0:
                            if position >= size:
                                return size + 1, used, flags
                        else:
                            break
                    position += 1
                value_end = position
        if used < room:
            attributes[used, NAME_START] = name_start
            attributes[used, NAME_END] = name_end
            attributes[used, VALUE_START] = value_start
            attributes[used, VALUE_END] = value_end
            attributes[used, CODE] = np.int32((code ^ (code >> np.uint64(32))) & np.uint64(0xFFFFFFFF))
            attributes[used, REFERENCES] = references
            used += 1
        else:
            flags |= ATTRIBUTES_CUT


@lean_njit
def is_word(source: npt.NDArray[np.uint8], position: int, word: bytes) -> bool:
    """Whether a word in lower case stands at `position`, in any case."""
    for index in range(len(word)):
        letter = source[position + index]
        if letter != word[index] and not (0x41 <= letter <= 0x5A and letter | 0x20 == word[index]):
            return False
    return True


@lean_njit
def _comment(source: npt.NDArray[np.uint8], size: int, start: int) -> tuple[int, int]:
    """End of the data of the comment whose data begins at `start`, and the position behind the comment."""
    if source[start] == 0x3E:
        return start, start + 1
    if source[start] == 0x2D and source[start + 1] == 0x3E:
        return start, start + 2
    position = start
    while True:
        position = find_byte(source, size, position, 0x3E)
        if position >= size:
            break
        if position >= start + 2 and source[position - 1] == 0x2D and source[position - 2] == 0x2D:
            return position - 2, position + 1
        if (
            position >= start + 3
            and source[position - 1] == 0x21
            and source[position - 2] == 0x2D
            and source[position - 3] == 0x2D
        ):
            return position - 3, position + 1
        position += 1
    # Dashes before the page's end could have begun the comment's end, and are no data.
    end = size
    if end >= start + 3 and source[end - 1] == 0x21 and source[end - 2] == 0x2D and source[end - 3] == 0x2D:
        end -= 3
    else:
        for _ in range(2):
            if end > start and source[end - 1] == 0x2D:
                end -= 1
    return end, size


@lean_njit
def _cdata(source: npt.NDArray[np.uint8], size: int, start: int) -> tuple[int, int]:
    """End of the text of the CDATA section whose text begins at `start`, and the position behind the section."""
    position = start
    while True:
        position = find_byte(source, size, position, 0x3E)
        if position >= size:
            return size, size
        if position >= start + 2 and source[position - 1] == 0x5D and source[position - 2] == 0x5D:
            return position - 2, position + 1
        position += 1


@inlined_njit
def next_token(
    source: npt.NDArray[np.uint8],
    size: int,
    position: int,
    foreign: bool,
    attributes: npt.NDArray[np.int32],
    used: int,
) -> tuple[int, int, int, int, int, np.uint64, int]:
    """The token at `position` (less than `size`) in the data state: (kind, end, start, stop, flags, code, used).

    `end` is where the next token begins. start and stop are the range of the text, the comment's data or the tag's
    name; `code` is the name's. `used` is how many rows of `attributes` are taken when a start tag's are written;
    `foreign` whether a CDATA section may stand here.
    """
    none = np.uint64(0)
    if source[position] == 0x3C:
        following = source[position + 1]
        if _is_letter(following):
            name_end, code = read_name(source, size, position + 1)
            end, now_used, flags = _attributes(source, size, name_end, attributes, used)
            if end > size:
                return NOTHING, size, position, position, 0, none, used
            return START_TAG, end, position + 1, name_end, flags, code, now_used
        if following == 0x2F and position + 2 < size:
            third = source[position + 2]
            if _is_letter(third):
                name_end, code = read_name(source, size, position + 2)
                end, _, flags = _attributes(source, size, name_end, attributes, used)
                if end > size:
                    return NOTHING, size, position, position, 0, none, used
                return END_TAG, end, position + 2, name_end, flags, code, used
            if third == 0x3E:
                return NOTHING, position + 3, position, position, 0, none, used
            stop = find_byte(source, size, position + 2, 0x3E)
            return COMMENT, min(stop + 1, size), position + 2, stop, 0, none, used
        if following == 0x21:
            if source[position + 2] == 0x2D and source[position + 3] == 0x2D:
                stop, end = _comment(source, size, position + 4)
                return COMMENT, end, position + 4, stop, 0, none, used
            if foreign and _is_cdata(source, position + 2):
                stop, end = _cdata(source, size, position + 9)
                return CDATA, end, position + 9, stop, 0, none, used
            stop = find_byte(source, size, position + 2, 0x3E)
            # Whatever a doctype holds, quoted or not, the first ">" ends it.
            kind = NOTHING if is_word(source, position + 2, b"doctype") else COMMENT
            return kind, min(stop + 1, size), position + 2, stop, 0, none, used
        if following == 0x3F:
            stop = find_byte(source, size, position + 1, 0x3E)
            return COMMENT, min(stop + 1, size), position + 1, stop, 0, none, used
    end, flags = _text(source, size, position)
    return TEXT, end, position, end, flags, none, used


@lean_njit
def _is_cdata(source: npt.NDArray[np.uint8], position: int) -> bool:
    word = b"[CDATA["
    equal = 0
    while equal < len(word) and source[position + equal] == word[equal]:
        equal += 1
    return equal == len(word)


@lean_njit
def _ends_name(source: npt.NDArray[np.uint8], size: int, position: int) -> bool:
    """Whether a tag's name ends before `position`, which the page must reach."""
    letter = source[position]
    return position < size and (is_space(letter) or letter == 0x2F or letter == 0x3E)


@lean_njit
def _is_tag_of(source: npt.NDArray[np.uint8], size: int, position: int, name_start: int, name_end: int) -> bool:
    """Whether the name source[name_start:name_end] stands at `position`, in any case, and ends there."""
    for index in range(name_end - name_start):
        letter, wanted = source[position + index], source[name_start + index]
        if letter != wanted and not (_is_letter(letter) and letter | 0x20 == wanted | 0x20):
            return False
    return _ends_name(source, size, position + name_end - name_start)


@lean_njit
def ends_noscript(source: npt.NDArray[np.uint8], size: int, position: int) -> bool:
    """Whether </noscript stands at `position`, where "</" does, in any case, and ends there."""
    return is_word(source, position + 2, b"noscript") and _ends_name(source, size, position + 10)


@lean_njit
def raw_text_end(
    source: npt.NDArray[np.uint8],
    size: int,
    position: int,
    name_start: int,
    name_end: int,
    in_noscript: bool,
) -> int:
    """Where the text of a raw element that begins at `position` ends: at its own end tag, or the page's end.

    source[name_start:name_end] is the element's name. In noscript its end tag ends the text, too: browsers that run
    scripts see no element in noscript, and many pages hold an <iframe /> there that nothing else would end.
    """
    while True:
        position = find_byte(source, size, position, 0x3C)
        if position >= size:
            return size
        if source[position + 1] == 0x2F:
            if _is_tag_of(source, size, position + 2, name_start, name_end):
                return position
            if in_noscript and ends_noscript(source, size, position):
                return position
        position += 1


@lean_njit
def script_end(
    source: npt.NDArray[np.uint8],
    size: int,
    position: int,
    name_start: int,
    name_end: int,
    in_noscript: bool,
) -> int:
    """The same for script, whose end tag does not count between "<!-- <script" and the next "</script" or "-->"."""
    escaped = double = False
    dashes_from = position
    while True:
        if escaped:
            position = find_either(source, size, position, 0x3C, 0x3E)
        else:
            position = find_byte(source, size, position, 0x3C)
        if position >= size:
            return size
        if source[position] == 0x3E:
            if position >= dashes_from + 2 and source[position - 1] == 0x2D and source[position - 2] == 0x2D:
                escaped = double = False
        elif source[position + 1] == 0x2F:
            if _is_tag_of(source, size, position + 2, name_start, name_end):
                if not double:
                    return position
                double = False
            elif in_noscript and ends_noscript(source, size, position):
                return position
        elif not escaped:
            if source[position + 1] == 0x21 and source[position + 2] == 0x2D and source[position + 3] == 0x2D:
                escaped = True
                dashes_from = position + 2
                position += 3
        elif not double and _is_tag_of(source, size, position + 1, name_start, name_end):
            double = True
        position += 1
