"""Japanese charsets decoded: EUC-JP, ISO-2022-JP and CP932 with the vendors' letters, each broken byte at small cost.

Python's codecs for EUC-JP and ISO-2022-JP lack the letters that NEC and IBM added, such as ① ㈱ and 髙. And in EUC-JP
one lost byte shifts the pairs that follow, up to the next ASCII letter; in CP932 a broken one shifts some of them.
"""

import codecs
import re
from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit

REPLACEMENT = "\ufffd"


def _pair_in_cp932(row: int, cell: int) -> bytes:
    """The Shift_JIS bytes of JIS X 0208 row and cell, both counted from 0."""
    lead = 0x81 + row // 2
    trail = cell + (0x9F if row % 2 else 0x40)
    return bytes((lead if lead < 0xA0 else lead + 0x40, trail if row % 2 or trail < 0x7F else trail + 1))


def _vendor_letters() -> dict[bytes, str]:
    """EUC-JP sequences that Python's euc_jp lacks: NEC row 13, NEC's IBM rows 89-92, IBM's letters behind 8F.

    The two-byte ones are CP51932's, the three-byte ones (8F F3 F3 to 8F F4 FE) are eucJP-ms's: IBM's extension in
    its own order, without the letters of JIS X 0212.
    """
    letters = {}
    for row in (12, 88, 89, 90, 91):
        for cell in range(94):
            letter = _pair_in_cp932(row, cell).decode("cp932", "ignore")
            if len(letter) == 1:
                letters[bytes((0xA1 + row, 0xA1 + cell))] = letter
    trails = [*range(0x40, 0x7F), *range(0x80, 0xFD)]
    ibm = bytes(byte for lead in (0xFA, 0xFB) for trail in trails for byte in (lead, trail)).decode("cp932")
    ibm += bytes(byte for trail in range(0x40, 0x4C) for byte in (0xFC, trail)).decode("cp932")
    # eucJP-ms also lacks the NOT and the broken bar here, and keeps the numero sign, which JIS X 0212 has as well.
    missing = [letter for letter in ibm if letter == "№" or not letter.encode("euc_jp", "ignore")]
    missing = [letter for letter in missing if letter not in "￢￤"]
    for index, letter in enumerate(missing):
        row, cell = divmod(0xF3 * 94 + 0xF3 - 0xA1 + index, 94)
        letters[bytes((0x8F, row, 0xA1 + cell))] = letter
    return letters


_VENDOR_LETTERS = _vendor_letters()
_EUC_ERRORS = "kamisuki.euc-jp"


def _euc_jp_error(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: a vendor's letter, or one replacement for the sequence that has no letter."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    sequence = error.object[error.start : error.start + 3]
    length = 3 if sequence[0] == 0x8F else 2
    trails = sequence[1:length]
    # An unassigned but well-formed sequence goes as a whole: half of it would shift every pair that follows.
    if sequence[0] < 0x8F or len(trails) < length - 1 or min(trails) < 0xA1 or max(sequence[:length]) == 0xFF:
        length = 1
    return _VENDOR_LETTERS.get(sequence[:length], REPLACEMENT), error.start + length


codecs.register_error(_EUC_ERRORS, _euc_jp_error)


def _pair_values() -> npt.NDArray[np.int8]:
    """(94, 94) how likely an EUC-JP pair is in Japanese text: kana 3, common kanji and signs 1, rare -1, none -3."""
    values = np.full((94, 94), -1, dtype=np.int8)
    values[15:47] = 1
    values[[0, 2]] = 1
    values[3:5] = 3
    for row in range(94):
        for cell in range(94):
            if bytes((0xA1 + row, 0xA1 + cell)).decode("euc_jp", _EUC_ERRORS) == REPLACEMENT:
                values[row, cell] = -3
    return values


_PAIR_VALUES = _pair_values()
_BROKEN = 0x80
# What a place beside a broken byte or a cut counts more as that of the odd byte: two kana read instead of none.
_BESIDE_DAMAGE = 6
# No pair's value; the byte that stands for broken ones, which CP932 does not assign; how far two readings are compared.
_INVALID, _BROKEN_CP932, _LOOK_AHEAD = -4, 0xFF, 64


@njit(cache=True, nogil=True)
def _realign(
    body: npt.NDArray[np.uint8], values: npt.NDArray[np.int8], cut: bool
) -> npt.NDArray[np.bool_]:  # pragma: no cover - compiled
    """Mark, in place, the bytes that are no pair's in runs of EUC-JP bytes: one of each odd run, where the rest reads
    best, and both ends of a run between two broken bytes that reads better so.

    `cut` says whether the end of the bytes may have been cut off. Returns which bytes stay: the half of a letter whose
    other half is broken does not, so that both are one letter lost.
    """
    kept = np.ones(body.size, np.bool_)
    position = 0
    damage = -2
    while position < body.size:
        byte = body[position]
        if byte == 0x8E:
            position += 2
            continue
        if byte == 0x8F:
            position += 3
            continue
        if byte < 0xA1 or byte == 0xFF:
            if byte >= 0x80:
                damage = position
            position += 1
            continue
        end = position
        while end < body.size and body[end] >= 0xA1 and body[end] != 0xFF:
            end += 1
        if (end - position) % 2:
            # Pairs stand at position + 0, 2, ... before the odd byte, and one further on behind it.
            score = 0
            for at in range(position + 1, end - 1, 2):
                score += values[body[at] - 0xA1, body[at + 1] - 0xA1]
            best, best_score = position, score + (_BESIDE_DAMAGE if damage == position - 1 else 0)
            broken_next = end < body.size and body[end] >= 0x80 and body[end] != 0x8E and body[end] != 0x8F
            before_damage = broken_next or (cut and end == body.size)
            for at in range(position, end - 1, 2):
                score += values[body[at] - 0xA1, body[at + 1] - 0xA1]
                score -= values[body[at + 1] - 0xA1, body[at + 2] - 0xA1]
                here = score + (_BESIDE_DAMAGE if before_damage and at + 3 == end else 0)
                if here > best_score:
                    best, best_score = at + 2, here
            body[best] = _BROKEN
            kept[best] = not ((best == position and damage == position - 1) or (best == end - 1 and broken_next))
        elif damage == position - 1 and end < body.size and body[end] >= 0x80:
            # Between two broken bytes both ends may be halves of letters.
            aligned = shifted = 0
            for at in range(position, end, 2):
                aligned += values[body[at] - 0xA1, body[at + 1] - 0xA1]
            for at in range(position + 1, end - 1, 2):
                shifted += values[body[at] - 0xA1, body[at + 1] - 0xA1]
            if shifted > aligned:
                kept[position] = kept[end - 1] = False
        position = end
    return kept


def decode_euc_jp(body: bytes, cut: bool = True) -> str:
    """Text of EUC-JP bytes with the letters of CP51932 and eucJP-ms; what has no letter is replaced. Never raises.

    `cut` says whether more bytes may have followed.
    """
    text = body.decode("euc_jp", _EUC_ERRORS)
    if REPLACEMENT not in text:
        return text
    # In EUC-JP one broken byte shifts all pairs up to the next ASCII letter, unless the odd byte is found.
    realigned = np.frombuffer(body, dtype=np.uint8).copy()
    kept = _realign(realigned, _PAIR_VALUES, cut)
    return realigned[kept].tobytes().decode("euc_jp", _EUC_ERRORS)


@cache
def _cp932_values() -> npt.NDArray[np.int8]:
    """(256, 256) how likely a CP932 pair in Japanese text, as `_pair_values`; _INVALID where no pair has a letter."""
    values = np.full((256, 256), _INVALID, dtype=np.int8)
    trails = (*range(0x40, 0x7F), *range(0x80, 0xFD))
    for lead in (*range(0x81, 0xA0), *range(0xE0, 0xFD)):
        for trail in trails:
            letter = bytes((lead, trail)).decode("cp932", "replace")
            if len(letter) == 1 and letter != REPLACEMENT:
                kana = (lead == 0x82 and trail >= 0x9F) or (lead == 0x83 and trail <= 0x96)
                values[lead, trail] = 3 if kana else 1 if lead == 0x81 or 0x88 <= lead <= 0x97 else -1
    return values


@njit(cache=True, nogil=True)
def _cp932_step(
    body: npt.NDArray[np.uint8], at: int, values: npt.NDArray[np.int8]
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Bytes and value of what stands at a place: a letter, or one broken byte."""
    byte = body[at]
    if byte < 0x80:
        return 1, 0
    if 0xA1 <= byte <= 0xDF:
        return 1, -2
    if at + 1 < body.size and values[byte, body[at + 1]] != _INVALID:
        return 2, values[byte, body[at + 1]]
    return 1, _INVALID


@njit(cache=True, nogil=True)
def _reads_better_behind(
    body: npt.NDArray[np.uint8], at: int, values: npt.NDArray[np.int8]
) -> bool:  # pragma: no cover - compiled
    """Whether the bytes from at + 1 on read better than those from `at` on, up to where both readings meet."""
    first, second, score = at, at + 1, 0
    while first != second and min(first, second) < body.size and max(first, second) - at < _LOOK_AHEAD:
        if first < second:
            length, value = _cp932_step(body, first, values)
            first, score = first + length, score - value
        else:
            length, value = _cp932_step(body, second, values)
            second, score = second + length, score + value
    return score > 0


@njit(cache=True, nogil=True)
def _realign_cp932(
    body: npt.NDArray[np.uint8], values: npt.NDArray[np.int8]
) -> npt.NDArray[np.bool_]:  # pragma: no cover - compiled
    """Mark broken bytes in place, and return which bytes stay: of a broken letter one does.

    A byte beside a broken one is the other half of its letter where what follows reads better without it. An ASCII
    letter is so only between two Japanese letters, since it may be markup; half-width kana are not beside others.
    """
    kept = np.ones(body.size, np.bool_)
    position, before = 0, 0
    while position < body.size:
        length, value = _cp932_step(body, position, values)
        if value != _INVALID:
            before = length if body[position] >= 0x80 else 0
            position += length
            continue
        body[position] = _BROKEN_CP932
        position += 1
        if position == body.size:
            break
        half = body[position]
        behind = body[position + 1] if position + 1 < body.size else np.uint8(0)
        if half < 0x80:
            is_half = (
                half >= 0x40 and before == 2 and behind >= 0x80 and _cp932_step(body, position + 1, values)[0] == 2
            )
        elif 0xA1 <= half <= 0xDF and (before == 1 or 0xA1 <= behind <= 0xDF):
            is_half = False
        else:
            is_half = _reads_better_behind(body, position, values)
        if is_half:
            kept[position] = False
            position += 1
        before = 0
    return kept


def decode_cp932(body: bytes) -> str:
    """Text of CP932 bytes, Shift_JIS as Windows and the web have it; what has no letter is replaced. Never raises.

    A letter of which one byte is broken is one replacement, as long as what follows shows where its other byte is.
    """
    text = _as_cp932(body)
    if REPLACEMENT not in text and "\x80" not in text:
        return text
    realigned = np.frombuffer(body, dtype=np.uint8).copy()
    kept = _realign_cp932(realigned, _cp932_values())
    return _as_cp932(realigned[kept].tobytes())


def _as_cp932(body: bytes) -> str:
    text = body.decode("cp932", "replace")
    # Python reads the bytes A0, FD, FE and FF, which CP932 does not assign, as these private letters.
    for letter in "\uf8f0\uf8f1\uf8f2\uf8f3":
        text = text.replace(letter, REPLACEMENT)
    return text


_ESCAPE = re.compile(rb"\x1b(\$[@B]|\([BJI]|\$\([@BD])")
_TO_EUC = bytes(byte + 0x80 if 0x21 <= byte <= 0x7E else byte if byte < 0x21 else _BROKEN for byte in range(256))
# JIS X 0201 Roman is ASCII but for these two.
_ROMAN = str.maketrans("\\~", "¥‾")
_LINE_END = re.compile(rb"[\r\n]")


def decode_iso_2022_jp(body: bytes) -> str:
    """Text of ISO-2022-JP bytes with half-width kana, JIS X 0212 and the vendors' letters. Never raises.

    What has no letter is replaced, and so is each byte above 7F.
    """
    marks = list(_ESCAPE.finditer(body))
    texts = [body[: marks[0].start() if marks else None].decode("ascii", "replace")]
    ends = [*(mark.start() for mark in marks[1:]), len(body)]
    for mark, end in zip(marks, ends):
        section, mode = body[mark.end() : end], mark[1]
        if mode == b"(B":
            texts.append(section.decode("ascii", "replace"))
            continue
        if mode == b"(J":
            texts.append(section.decode("ascii", "replace").translate(_ROMAN))
            continue
        # A line ends in ASCII (RFC 1468): where the closing escape is lost, the damage stops there.
        line_end = _LINE_END.search(section)
        cut = line_end.start() if line_end else len(section)
        letters = section[:cut].translate(_TO_EUC)
        if mode == b"(I":
            letters = re.sub(rb"([\xa1-\xdf])", b"\x8e\\1", letters)
        elif mode == b"$(D":
            letters = re.sub(rb"([\xa1-\xfe]{2})", b"\x8f\\1", letters)
        texts.append(decode_euc_jp(letters, cut=mark.end() + cut == len(body)))
        texts.append(section[cut:].decode("ascii", "replace"))
    return "".join(texts)
