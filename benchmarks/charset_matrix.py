"""Japanese pages in every charset, damaged and declared wrongly: whether all text outside the damage is right, and F1.

    make bench-charset DATA=folder

Each page of DATA/dev/pages/ja is written in four charsets, in five states (clean, with vendors' letters, one broken
byte, two, cut within its last Japanese letter) and under three declarations (right, missing, wrong, in meta and HTTP
header alike): 60 cells. Letters that a charset lacks are left out of the page beforehand. A page is right when the
decoded text is the page's own but for SYNC letters from each broken byte on. F1 is of the main text against the gold
text; beside it that of the page with U+FFFD for the broken letters alone, and that of the clean page, both as UTF-8: a
lost letter takes five 5-grams with it, whatever reads the page. The 24 real feeds in Shift_JIS and EUC-JP follow. Exits
with 1 where a text is not right, or F1 differs by more than MOST_LESS from the clean page's.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.web.charset import decode
from pipeline.web.main_text import extract
from pipeline.web.page import read_page
from training.score import score

CODECS = {"cp932": "cp932", "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp", "utf-8": "utf-8"}
STATES = ("clean", "vendor letters", "one broken byte", "two broken bytes", "cut at the end")
DECLARATIONS = ("right", "missing", "wrong")
LABELS = {"cp932": "Shift_JIS", "euc-jp": "EUC-JP", "iso-2022-jp": "ISO-2022-JP", "utf-8": "UTF-8"}
WRONG = {"cp932": "euc-jp", "euc-jp": "shift_jis", "iso-2022-jp": "utf-8", "utf-8": "shift_jis"}
VENDOR_LETTERS = "①㈱髙Ⅲ"
# As CP51932 and CP50220 write them: NEC row 13, and the taller 高 among NEC's rows of IBM letters.
VENDOR_EUC = bytes.fromhex("ada1 adea fce2 adb7")
VENDOR_JIS = b"\x1b$B" + bytes(byte - 0x80 for byte in VENDOR_EUC) + b"\x1b(B"
VENDOR_BYTES = {"euc-jp": VENDOR_EUC, "iso-2022-jp": VENDOR_JIS, "cp932": VENDOR_LETTERS.encode("cp932")}
VENDOR_BYTES["utf-8"] = VENDOR_LETTERS.encode()
# Trail bytes can be lead bytes too: so many letters from a broken byte on may be wrong before the rest is right again.
SYNC = 8
MOST_LESS = 0.005
_PLACE = "\x11"
_DECLARATION = re.compile(r"<\?xml[^>]*\?>|<meta\b[^>]*charset[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cell:
    """A page as a server would send it: its bytes, the header's charset, the right text, and the letters broken."""

    body: bytes
    header: str | None
    text: str
    broken: tuple[int, ...]


def plain(html: str, charset: str) -> str:
    """The page without declarations and without what the charset lacks."""
    codec = CODECS[charset]
    return _DECLARATION.sub("", html).replace(_PLACE, "").encode(codec, "ignore").decode(codec)


def make_cell(html: str, charset: str, state: str, declaration: str, chance: random.Random) -> Cell:
    """The page of a cell; `html` is what `plain` gave. Broken bytes give way to FF or 80 at places left to chance."""
    label = {"right": LABELS[charset], "missing": None, "wrong": WRONG[charset]}[declaration]
    text = (f'<meta charset="{label}">' if label else "") + html
    codec = CODECS[charset]
    if state == "vendor letters":
        marked = text.replace("。", "。" + _PLACE)
        body = marked.encode(codec).replace(_PLACE.encode(), VENDOR_BYTES[charset])
        return Cell(body, label, marked.replace(_PLACE, VENDOR_LETTERS), ())
    body = text.encode(codec)
    letters = [place for place, letter in enumerate(text) if ord(letter) > 0x7F]
    if state == "clean" or not letters:
        return Cell(body, label, text, ())
    if state == "cut at the end":
        return Cell(body[: _last_byte(text, letters[-1], codec)], label, text[: letters[-1]], (letters[-1],))
    broken = sorted(chance.sample(letters, 1 if state == "one broken byte" else min(2, len(letters))))
    damaged = bytearray(body)
    for place in reversed(broken):
        at = _last_byte(text, place, codec) - chance.randrange(2)
        damaged[at : at + 1] = chance.choice((b"\xff", b"\x80"))
    return Cell(bytes(damaged), label, text, tuple(broken))


def _last_byte(text: str, place: int, codec: str) -> int:
    """Position of the last byte of a letter; ISO-2022-JP's escape back to ASCII comes behind it."""
    return len(text[: place + 1].encode(codec)) - (4 if codec == "iso2022_jp" else 1)


def is_right(found: str, cell: Cell) -> bool:
    """Whether the text is the cell's own but for SYNC letters from each broken one on."""
    position = start = 0
    for place in cell.broken:
        kept = cell.text[start:place]
        at = found.find(kept, position, position + 2 * SYNC + len(kept))
        if at < 0 or (start == 0 and at):
            return False
        position, start = at + len(kept), min(len(cell.text), place + SYNC)
    rest = cell.text[start:]
    if not cell.broken:
        return found == rest
    return found.endswith(rest) and len(found) - len(rest) - position <= 2 * SYNC


def as_broken(cell: Cell) -> str:
    """The cell's text with U+FFFD for each broken letter."""
    letters = list(cell.text)
    for place in cell.broken:
        letters[place : place + 1] = "\ufffd"
    return "".join(letters)


def main_text(html: str) -> str:
    return extract(read_page(html)).text


def pages(data: Path) -> Iterator[tuple[str, str, str | None]]:
    """Name, HTML and gold text of each Japanese page."""
    for path in sorted((data / "dev/pages/ja").glob("*.html")):
        gold = path.with_suffix(".txt")
        yield path.name, decode(path.read_bytes()).text, gold.read_text("utf-8") if gold.exists() else None


def feeds(data: Path) -> Iterator[tuple[str, bytes, str]]:
    for folder, charset in (("CP932", "cp932"), ("SHIFT_JIS", "cp932"), ("EUC-JP", "euc-jp")):
        for path in sorted((data / "dev/charset" / folder).iterdir()):
            yield path.name, path.read_bytes(), charset


def feed_is_right(body: bytes, charset: str) -> bool:
    """Whether a feed is read without a letter lost, as it is and with declarations missing or wrong."""
    undeclared = re.sub(rb"(?:encoding|charset)\s*=\s*[\"']?[\w-]+[\"']?", b"", body)
    variants = ((body, None), (undeclared, None), (undeclared, "utf-8"), (undeclared, WRONG[charset]), (body, "gb2312"))
    found = [decode(variant, header) for variant, header in variants]
    return all((one.charset, one.replacements) == (charset, 0) for one in found)


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    given = list(pages(data))
    print(f"{len(given)} pages, {sum(gold is not None for _, _, gold in given)} with gold text\n")
    print(
        "| charset | state | declaration | right texts | charset named | F1 | with these letters lost | of clean page |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|")
    kept, far = True, 0
    for charset in CODECS:
        plains = [(name, plain(html, charset), gold) for name, html, gold in given]
        for state in STATES:
            for declaration in DECLARATIONS:
                chance = random.Random(1)
                right = named = 0
                scores: list[list[float]] = []
                for name, html, gold in plains:
                    cell = make_cell(html, charset, state, declaration, chance)
                    found = decode(cell.body, cell.header)
                    named += found.charset == charset
                    if is_right(found.text, cell):
                        right += 1
                    else:
                        print(f"not right: {name} as {charset}, {state}, {declaration}", file=sys.stderr)
                    if gold is not None:
                        versions = (found.text, as_broken(cell), cell.text if state == "vendor letters" else html)
                        scores.append([score(main_text(version), gold).f1 for version in versions])
                f1, broken, clean = (sum(values) / max(1, len(scores)) for values in zip(*scores))
                kept = kept and right == len(plains)
                far += abs(clean - f1) > MOST_LESS
                print(
                    f"| {charset} | {state} | {declaration} | {right} of {len(plains)} | {named} | {f1:.4f} "
                    f"| {broken:.4f} | {clean:.4f} |"
                )
    print(f"\ncells whose F1 is more than {MOST_LESS} from the clean page's: {far}")
    all_feeds = list(feeds(data))
    right = sum(feed_is_right(body, charset) for _, body, charset in all_feeds)
    print(f"\nreal feeds in Shift_JIS and EUC-JP: {len(all_feeds)}, read without a letter lost: {right}")
    return kept and not far and right == len(all_feeds)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
