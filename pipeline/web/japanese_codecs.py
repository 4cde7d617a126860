"""Japanese charsets decoded: EUC-JP, ISO-2022-JP and CP932 with the vendors' letters, each broken byte at small cost.

Python's codecs for EUC-JP and ISO-2022-JP lack the letters that NEC and IBM added, such as ① ㈱ and 髙. And in EUC-JP
one lost byte shifts the pairs that follow, up to the next ASCII letter.
"""

import codecs
import re

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


@njit(cache=True, nogil=True)
def _realign(
    body: npt.NDArray[np.uint8], values: npt.NDArray[np.int8], cut: bool
) -> None:  # pragma: no cover - compiled
    """Mark, in place, the bytes that are no pair's in runs of EUC-JP bytes: one of each odd run, where the rest reads
    best, and both ends of a run between two broken bytes that reads better so.

    `cut` says whether the end of the bytes may have been cut off.
    """
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
            before_damage = cut if end == body.size else body[end] >= 0x80 and body[end] != 0x8E and body[end] != 0x8F
            for at in range(position, end - 1, 2):
                score += values[body[at] - 0xA1, body[at + 1] - 0xA1]
                score -= values[body[at + 1] - 0xA1, body[at + 2] - 0xA1]
                here = score + (_BESIDE_DAMAGE if before_damage and at + 3 == end else 0)
                if here > best_score:
                    best, best_score = at + 2, here
            body[best] = _BROKEN
        elif damage == position - 1 and end < body.size and body[end] >= 0x80:
            # Between two broken bytes both ends may be halves of letters.
            aligned = shifted = 0
            for at in range(position, end, 2):
                aligned += values[body[at] - 0xA1, body[at + 1] - 0xA1]
            for at in range(position + 1, end - 1, 2):
                shifted += values[body[at] - 0xA1, body[at + 1] - 0xA1]
            if shifted > aligned:
                body[position] = body[end - 1] = _BROKEN
        position = end


def decode_euc_jp(body: bytes, cut: bool = True) -> str:
    """Text of EUC-JP bytes with the letters of CP51932 and eucJP-ms; what has no letter is replaced. Never raises.

    `cut` says whether more bytes may have followed.
    """
    text = body.decode("euc_jp", _EUC_ERRORS)
    if REPLACEMENT not in text:
        return text
    # In EUC-JP one broken byte shifts all pairs up to the next ASCII letter, unless the odd byte is found.
    realigned = np.frombuffer(body, dtype=np.uint8).copy()
    _realign(realigned, _PAIR_VALUES, cut)
    return realigned.tobytes().decode("euc_jp", _EUC_ERRORS)


def decode_cp932(body: bytes) -> str:
    """Text of CP932 bytes, Shift_JIS as Windows and the web have it; what has no letter is replaced. Never raises."""
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
