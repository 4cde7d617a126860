"""Record fields: where the fields of use of a sound WARC record stand, in one compiled pass over its two headers.

Only what is written as crawlers write it is read here. Where anything is odd the answer is OTHER, and the record is
read by `pipeline.web.warc_record` and `pipeline.web.http_response`, to the same end in ten times the time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.blocks import find_high, find_letter
from pipeline.web.headers import MAX_HEADER_BYTES
from pipeline.web.page.lean import lean_njit

# Kinds of records that are read here, and OTHER for all else.
OTHER, REQUEST, METADATA, RESPONSE = range(4)
_KINDS = (b"request", b"metadata", b"response")

# Fields by their numbers. Of each the start and the end of its value stand at twice its number; 0 and 0 where it is not
# there. Of a field that comes several times the first counts, of HTTP's Content-Type the last that is a type.
_WARC_NAMES = (
    b"warc-type",
    b"content-length",
    b"warc-record-id",
    b"warc-concurrent-to",
    b"warc-target-uri",
    b"warc-date",
    b"warc-payload-digest",
    b"warc-truncated",
    b"content-type",
)
_HTTP_NAMES = (b"content-type", b"content-language", b"content-encoding", b"transfer-encoding")
_TYPE, _LENGTH, RECORD_ID, CONCURRENT_TO, URL, DATE, DIGEST, TRUNCATED, _BLOCK_TYPE = range(9)
HTTP_TYPE, HTTP_LANGUAGE, _HTTP_ENCODING, _HTTP_TRANSFER = range(9, 13)
# Behind them: where the record's block and the HTTP body begin and both end, and the status.
BLOCK_START, BODY_START, BLOCK_END, STATUS = range(26, 30)
PLACES = 30

_LONGEST_NAME = 20
_LINE_FEED, _RETURN, _SPACE, _COLON, _SLASH = b"\n\r :/"
_HTTP_BLOCK = np.frombuffer(b"application/http", dtype=np.uint8)


def _table(names: tuple[bytes, ...]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    letters = np.zeros((len(names), _LONGEST_NAME), dtype=np.uint8)
    for index, name in enumerate(names):
        letters[index, : len(name)] = np.frombuffer(name, dtype=np.uint8)
    return letters, np.array([len(name) for name in names], dtype=np.int64)


_WARC_LETTERS, _WARC_LENGTHS = _table(_WARC_NAMES)
_HTTP_LETTERS, _HTTP_LENGTHS = _table(_HTTP_NAMES)
_KIND_LETTERS, _KIND_LENGTHS = _table(_KINDS)


@lean_njit
def _index_of(source, start, end, letters, lengths):  # type: ignore[no-untyped-def]
    """Which of the names, given in lower case, source[start:end] is in any case; -1 if none."""
    length = end - start
    for index in range(lengths.shape[0]):
        if lengths[index] != length:
            continue
        # Names of one length differ at their ends.
        last = length - 1
        while last >= 0:
            letter = source[start + last]
            if 0x41 <= letter <= 0x5A:
                letter |= 0x20
            if letter != letters[index, last]:
                break
            last -= 1
        if last < 0:
            return index
    return -1


@lean_njit
def _is_blank(letter: int) -> bool:
    """Whether `bytes.strip` takes a byte away."""
    return letter == _SPACE or 0x09 <= letter <= 0x0D


@lean_njit
def _read_fields(source, start, end, letters, lengths, first_field, places):  # type: ignore[no-untyped-def]
    """Fill `places` from the lines of a header behind its first; returns where the empty line ends, or -1.

    -1 where there is none before `end`, or a line carries on the one before it.
    """
    position = find_letter(source, start, end, _LINE_FEED) + 1
    while position < end:
        stop = find_letter(source, position, end, _LINE_FEED)
        if stop == end or source[position] == _SPACE or source[position] == 0x09:
            return -1
        if stop == position or (stop == position + 1 and source[position] == _RETURN):
            return stop + 1
        colon = position
        while colon < stop and source[colon] != _COLON:
            colon += 1
        if colon < stop:
            name_start, name_end = position, colon
            while name_start < name_end and _is_blank(source[name_start]):
                name_start += 1
            while name_end > name_start and _is_blank(source[name_end - 1]):
                name_end -= 1
            field = _index_of(source, name_start, name_end, letters, lengths)
            if field >= 0:
                field += first_field
                value_start, value_end = colon + 1, stop
                while value_start < value_end and _is_blank(source[value_start]):
                    value_start += 1
                while value_end > value_start and _is_blank(source[value_end - 1]):
                    value_end -= 1
                is_better = places[2 * field] == 0
                if field == HTTP_TYPE:
                    is_better = find_letter(source, value_start, value_end, _SLASH) < value_end
                if is_better:
                    places[2 * field], places[2 * field + 1] = value_start, value_end
        position = stop + 1
    return -1


@lean_njit
def _number(source, start, end):  # type: ignore[no-untyped-def]
    """The number that a value is, at most fifteen digits long; -1 if it is none."""
    if start == end or end - start > 15:
        return -1
    number = 0
    for position in range(start, end):
        digit = np.int64(source[position]) - 0x30
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
    return number


@lean_njit
def _status(source, start, end):  # type: ignore[no-untyped-def]
    """The status of a response that begins as HTTP/1.1 200 or HTTP/2 200; -1 if it does not."""
    if end - start < 13 or not (
        source[start] == 0x48
        and source[start + 1] == 0x54
        and source[start + 2] == 0x54
        and source[start + 3] == 0x50
        and source[start + 4] == _SLASH
        and 0x30 <= source[start + 5] <= 0x39
    ):
        return -1
    position = start + 6
    if source[position] == 0x2E:
        position += 2
        if not 0x30 <= source[position - 1] <= 0x39:
            return -1
    if source[position] != _SPACE or 0x30 <= source[position + 4] <= 0x39:
        return -1
    return _number(source, position + 1, position + 4)


@lean_njit
def find_fields(member, max_body_bytes, places):  # type: ignore[no-untyped-def]
    """The kind of a gzip member's one record, and in `places` (int64, PLACES) where its fields of use stand.

    `member` is all of it, inflated. OTHER where it is no sound record of a kind that is read here, its body is above
    `max_body_bytes`, or one of its headers is written in an odd way or asks for the body to be decoded.
    """
    places[:] = 0
    size = member.shape[0]
    if size < 5 or not (
        member[0] == 0x57 and member[1] == 0x41 and member[2] == 0x52 and member[3] == 0x43 and member[4] == _SLASH
    ):
        return OTHER
    start = _read_fields(member, 0, min(size, MAX_HEADER_BYTES), _WARC_LETTERS, _WARC_LENGTHS, 0, places)
    length = _number(member, places[2 * _LENGTH], places[2 * _LENGTH + 1])
    if start < 0 or length < 0 or start + length + 4 != size:
        return OTHER
    end = start + length
    if not (
        member[end] == _RETURN
        and member[end + 1] == _LINE_FEED
        and member[end + 2] == _RETURN
        and member[end + 3] == _LINE_FEED
    ):
        return OTHER
    places[BLOCK_START], places[BLOCK_END] = start, end
    kind = _index_of(member, places[2 * _TYPE], places[2 * _TYPE + 1], _KIND_LETTERS, _KIND_LENGTHS) + 1
    if kind != RESPONSE:
        return kind
    type_start = places[2 * _BLOCK_TYPE]
    if places[2 * _BLOCK_TYPE + 1] - type_start < _HTTP_BLOCK.shape[0]:
        if places[2 * _BLOCK_TYPE + 1] > type_start:
            return OTHER
    else:
        for index in range(_HTTP_BLOCK.shape[0]):
            letter = member[type_start + index]
            if 0x41 <= letter <= 0x5A:
                letter |= 0x20
            if letter != _HTTP_BLOCK[index]:
                return OTHER
    places[STATUS] = _status(member, start, end)
    body = _read_fields(
        member, start, min(end, start + MAX_HEADER_BYTES), _HTTP_LETTERS, _HTTP_LENGTHS, HTTP_TYPE, places
    )
    places[BODY_START] = body
    if places[STATUS] < 0 or body < 0 or end - body > max_body_bytes or find_high(member, start, body) < body:
        return OTHER
    # An empty line too many, and encodings to be undone.
    if (body + 1 < end and member[body] == _RETURN and member[body + 1] == _LINE_FEED) or (
        places[2 * _HTTP_ENCODING] or places[2 * _HTTP_TRANSFER]
    ):
        return OTHER
    return RESPONSE
