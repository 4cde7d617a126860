"""Notices: sentences that tell a page's license or reserve all rights, and plain links to licenses."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pipeline.web.license.candidates import LICENSE, RESERVED
from pipeline.web.license.known import license_of_url
from pipeline.web.license.names import Mention, mentions_in, normalized
from pipeline.web.license.places import Place, Places
from pipeline.web.license.statements import NOWHERE, Meaning, Scope, meanings
from pipeline.web.license.subjects import ENGLISH_NOUN, EXCEPTION, is_of_other, names_terms, speaks_of_text
from pipeline.web.license.tiers import License
from pipeline.web.page import Page
from pipeline.web.page.references import resolve_references
from pipeline.web.page.tokenizer import HAS_REFERENCES
from pipeline.web.page.tree import AFTER_BREAK, TEXT_HIDDEN

# A notice is a sentence or two: of longer lines what stands near is read.
_LONGEST_LINE_BYTES = 3_000
_LONGEST_NODE_BYTES = 6_000
_LONGEST_RESERVATION = 600
_LONGEST_EVIDENCE = 200

_ENGLISH_RESERVED = re.compile(
    r"all\s+rights?\s+(?:are\s+)?reserved(?!\s*[」\"”』]?\s*(?:と|という|とは|は|を|の|が)|[.。]\s*(?:の|を|という|とは))",
    re.IGNORECASE,
)
_RIGHTS_LINE = re.compile(r"©|\(c\)|copy\s?right|コピーライト|\A\W*all\s+rights", re.IGNORECASE)
_RIGHTS_FIRST = re.compile(r"[^\w©]*(?:©|\(c\)|c\)|copy\s?right|all\s+rights)", re.IGNORECASE)
_NEAR = 150
# What is done with a work alone, and what may be done with anything: a hall is used too, and bread is sold.
_COPYING = "転載|複製|複写|転写|転用|掲載|配布|頒布|コピー|引用|二次利用|改変"
_USING = "使用|利用|販売|借用"
_IS_COPYING = re.compile(_COPYING)
_USE = rf"(?:{_COPYING}|{_USING})"
_FORBIDDEN = (
    r"(?:禁止|禁じ|禁ず|厳禁|お断り|ご遠慮|遠慮|不可|認めません|許可しません|固くお断り|おやめ|お止め|お?控え|"
    r"(?:し|なさら)ないで|でき(?:ない|ません)|出来(?:ない|ません)|許されません|認められません)"
    r"(?:し|いたし|致し|され|られて(?:い|おり)|させていただき|させて頂き|て|ておき|ており)*(?:ます|て?い?ます|ております|です|する|下さい|ください|とします|願います)?"
)
_JAPANESE_RESERVED = re.compile(
    rf"禁無断(?:転載|複製|複写)|"
    rf"(?:無断(?:で|での)?|(?:許可|許諾|承諾)(?:なき|なく|無く|のない|なしに|なしの))[^。「」]{{0,24}}?{_USE}"
    rf"[^。「」]{{0,24}}?(?:は|を|も|、|・)?\s?(?:固く|堅く|かたく|一切|厳に|厳しく|ご)?{_FORBIDDEN}(?=\s*(?:[。.!、,)※|/©]|\Z))|"
    rf"(?:転載|複製){_USE}*[^。]{{0,4}}?(?:は|を)?\s?(?:固く|堅く|一切)?{_FORBIDDEN}(?=\s*(?:[。.!、,)※|/©]|\Z))"
)
_EXCEPTS = re.compile("除|以外|限り|かぎり|場合")
_ALL_RIGHTS_KEPT = re.compile(
    r"(?:すべて|全て|一切|全)の?(?:著作)?権利?を(?:留保|保有|所有)(?:し|いたし|して|いたして)(?:い|おり)?ます|"
    r"(?:すべて|全て|全)の?著作権(?:を)?(?:所有|保有|留保)(?=\s*(?:[。.!©]|\Z))"
)
_NOT_A_STATEMENT = re.compile(
    r"[?]|ますか|でしょう|と書|と記|という|とあ(?:る|り)|(?<!こ)とは|、と[^。、]{1,16}(?:書|記|述べ|言)|この法律|場合|していません|ではあり|ではな|疑い|例えば|たとえば"
)
# What cannot be done is a rule of law as well, unless it is said of the page.
_UNABLE = re.compile(r"(?:でき|出来|許され|認められ)(?:ない|ません)\Z")
_ON_THE_PAGE = re.compile(
    r"[本当弊](?:ウェブ|Web)?(?:サイト|ホームページ|ページ|ブログ|館|社|市|町|村|県|会|学会|誌|書|記事)|掲載",
    re.IGNORECASE,
)
# English prohibitions: a sentence that begins with what is forbidden, or says it of what is shown.
_COPIED = "(?:reproduced|copied|republished|reprinted|redistributed|reposted|transmitted)"
_TO_COPY = "(?:reproduction|republication|copying|duplication|redistribution|reprinting|reposting)"
_WITHOUT = r"without\s+(?:[\w']+\s+){0,5}(?:permission|consent|authori[sz]ation|approval|licen[sc]e)"
_ENGLISH_PROHIBITED = re.compile(
    r"(?:\A|[.!|;)©]\s)\W{0,4}(?:"
    rf"no\s+(?:part|portion|content|text|material|article)s?\b[^.]{{0,80}}\bbe\s+(?:\w+,?\s+){{0,3}}{_COPIED}"
    rf"|no\s+(?:unauthori[sz]ed\s+)?{_TO_COPY}\b[^.]{{0,60}}\b{_WITHOUT}"
    rf"|(?:any\s+|the\s+|all\s+)?(?:unauthori[sz]ed\s+(?:use\b|{_TO_COPY})|{_TO_COPY})[^.]{{0,120}}?\b"
    r"(?:prohibited|forbidden|not\s+(?:permitted|allowed))"
    rf"|[^.]{{0,80}}\b(?:may|must|should)\s+not\s+be\s+(?:\w+,?\s+){{0,3}}{_COPIED}\b[^.]{{0,80}}\b{_WITHOUT})",
    re.IGNORECASE,
)
# Rules for those who write on a page: what is forbidden is to copy others' works into it.
_OF_OTHERS = re.compile(
    r"(?:他人|他者|他社|他サイト|他の(?:サイト|方|人|ブログ|ホームページ)|第三者)(?:の(?!無断|許可|許諾|承諾)|から)|"
    r"コメント欄(?:で|へ|に)|投稿(?:時|の際|する際|に際し|にあたり)"
)


def is_reserved(text: str) -> bool:
    """Whether a normalised line says that all rights are reserved or that its text may not be copied.

    A mere © or "Copyright 2020" does not: the law gives that much to every page.
    """
    return reservation(text) is not None


def reservation(text: str, is_foot: bool = True) -> str | None:
    """The kind of reservation that a normalised line makes: "reserved", "prohibited", or None.

    Outside of a page's foot, rights are reserved by a line that begins with them: others cite another page's.
    """
    line, text = text, EXCEPTION.sub("", text) if _EXCEPTS.search(text) else text
    for match in _JAPANESE_RESERVED.finditer(text):
        begin = max(text.rfind(mark, 0, match.start()) for mark in "。|©") + 1
        end = text.find("。", match.end())
        sentence = text[begin : end if end >= 0 else len(text)]
        if _UNABLE.search(match[0]) and not is_foot and not _ON_THE_PAGE.search(text, 0, match.end()):
            continue
        before = text[begin : match.start()].rstrip("のにを、 ")
        if not _IS_COPYING.search(match[0]) and not (
            speaks_of_text(text[begin : match.end()]) or (is_foot and not before)
        ):
            continue
        is_rule = _OF_OTHERS.search(text, begin, match.end())
        if not is_rule and not _NOT_A_STATEMENT.search(sentence) and not (before and is_of_other(before)):
            return "prohibited"
    text = line
    for match in _ENGLISH_PROHIBITED.finditer(text):
        noun = ENGLISH_NOUN.search(match[0])
        if noun is None or not noun[1]:
            return "prohibited"
    kept = _ALL_RIGHTS_KEPT.search(text)
    if kept is not None and (is_foot or _RIGHTS_FIRST.match(text)) and not _NOT_A_STATEMENT.search(text):
        return "reserved"
    english = _ENGLISH_RESERVED.search(text)
    if english is None:
        return None
    near = text[max(0, english.start() - _NEAR) : english.end() + _NEAR]
    is_line = _RIGHTS_LINE.search(near) if is_foot else _RIGHTS_FIRST.match(text)
    return "reserved" if is_line else None


@dataclass(frozen=True, slots=True)
class Notice:
    """A license that a sentence or link tells (or `reserved`, by what kind), its evidence, and where it stands.

    `is_sentence` is false for a bare link, which need not speak of the text. `position` is an element's number.
    """

    license: License | None
    evidence: str
    source: str
    position: int
    is_sentence: bool
    reserved: str | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    """A line's normalised text, and the spans of links in it: start, end, element."""

    text: str
    spans: tuple[tuple[int, int, int], ...]


class _Lines:
    """Lines of a page's shown text, as breaks part them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.flags = page.texts["flags"]

    def _node(self, index: int) -> str:
        row = self.page.texts[index]
        raw = self.page.source[row["start"] : min(row["end"], row["start"] + _LONGEST_NODE_BYTES)]
        return resolve_references(raw, False) if row["flags"] & HAS_REFERENCES else raw.decode("utf-8", "replace")

    def range_of(self, index: int) -> tuple[int, int]:
        """First and behind last of the text nodes on one line with a node, no further than a notice is long."""
        starts, ends = self.page.texts["start"], self.page.texts["end"]
        first, last = index, index + 1
        here = int(starts[index])
        while first > 0 and not self.flags[first] & AFTER_BREAK and here - int(starts[first]) < _LONGEST_LINE_BYTES:
            first -= 1
        while (
            last < len(self.flags)
            and not self.flags[last] & AFTER_BREAK
            and int(ends[last]) - here < _LONGEST_LINE_BYTES
        ):
            last += 1
        return first, last

    def bytes_of(self, first: int, last: int) -> int:
        """How long a line is, its tags left out."""
        rows = self.page.texts[first:last]
        return int((rows["end"] - rows["start"]).sum())

    def line(self, first: int, last: int, links: list[int], label: str) -> _Line:
        """A label and the line of text nodes first to last - 1 behind it, with the spans of the elements `links`."""
        texts = self.page.texts
        pieces: list[str] = [label] if label else []
        length = len(label)
        places: dict[int, tuple[int, int]] = {}
        for index in range(first, last):
            piece = "" if self.flags[index] & TEXT_HIDDEN else normalized(self._node(index))
            if piece.startswith(" ") and (not pieces or pieces[-1].endswith(" ")):
                piece = piece[1:]
            if piece:
                places[index] = (length, length + len(piece))
                pieces.append(piece)
                length += len(piece)
        spans = []
        for link in links:
            row = self.page.elements[link]
            inside = [places[index] for index in places if row["start"] <= texts[index]["start"] < row["end"]]
            if inside:
                spans.append((inside[0][0], inside[-1][1], link))
            else:
                before = [places[index][1] for index in places if texts[index]["end"] <= row["start"]]
                at = max(before, default=len(label))
                spans.append((at, at, link))
        return _Line("".join(pieces), tuple(sorted(spans)))

    def label_before(self, first: int) -> str:
        """The dt or th that names what stands in the dd or td of a line, with a colon; else nothing."""
        page = self.page
        cell = _cell(page, int(page.texts[first]["element"]), ("dd", "td"))
        if first == 0 or cell < 0:
            return ""
        label = _cell(page, int(page.texts[first - 1]["element"]), ("dt", "th"))
        if label < 0 or page.elements[label]["parent"] != page.elements[cell]["parent"]:
            return ""
        return f"{normalized(page.text_of(label)[:100]).strip()}:"


def _cell(page: Page, element: int, names: tuple[str, ...]) -> int:
    for _ in range(4):
        if element < 0 or page.name(element) in names:
            return element
        element = page.parent(element)
    return -1


def _merged(line: _Line, licenses: dict[int, License]) -> tuple[list[Mention], dict[int, int]]:
    """The mentions of a line, links among them, in order; and by its number the element of each that is a link.

    Where a link's text names a license, the name's span and the link's license count.
    """
    written = mentions_in(line.text)
    mentions: list[tuple[Mention, int | None]] = []
    for start, end, link in line.spans:
        known = licenses[link]
        kind = "government" if known.tier == "government" else "open"
        inside = [mention for mention in written if start <= mention.start and mention.start < end]
        if inside:
            start, end = inside[0].start, inside[-1].end
        written = [mention for mention in written if mention.end <= start or mention.start >= end]
        mentions.append((Mention(start, end, known, kind), link))
    mentions += [(mention, None) for mention in written]
    kept: list[tuple[Mention, int | None]] = []
    for pair in sorted(mentions, key=lambda pair: (pair[0].start, pair[0].end)):
        if not kept or pair[0].start >= kept[-1][0].end:
            kept.append(pair)
    return [mention for mention, _ in kept], {index: link for index, (_, link) in enumerate(kept) if link is not None}


@dataclass
class _Found:
    """What made a line worth reading: the first text node with an anchor (-1: none), of what kind, and links on it."""

    text: int
    kinds: int
    links: list[int]


def _found_lines(
    page: Page, lines: _Lines, texts: list[tuple[int, int]], links: list[int]
) -> dict[tuple[int, int], _Found]:
    """The lines that hold a text with an anchor or a link, by their range; a link without text may be a line itself."""
    found: dict[tuple[int, int], _Found] = {}
    last = (-1, -1)
    for index, kind in texts:
        if not last[0] <= index < last[1]:
            last = lines.range_of(index)
            found.setdefault(last, _Found(index, 0, []))
        found[last].kinds |= kind
    starts = page.texts["start"]
    for link in links:
        row = page.elements[link]
        index = int(np.searchsorted(starts, row["start"]))
        holds_text = index < len(starts) and starts[index] < row["end"]
        if not holds_text and (index == len(starts) or lines.flags[index] & AFTER_BREAK):
            where = (index, index)
        else:
            where = lines.range_of(index)
        found.setdefault(where, _Found(-1, 0, [])).links.append(link)
    return found


def _notice(mention: Mention, url: str | None, meaning: Meaning, text: str, element: int) -> Notice:
    is_sentence = meaning is Meaning.OWN
    if url is None:
        begin = max(0, min(mention.start - 60, len(text) - _LONGEST_EVIDENCE))
        evidence = text[begin : begin + _LONGEST_EVIDENCE].strip()
        return Notice(mention.license, evidence, "notice", element, is_sentence)
    source = "government-link" if mention.kind == "government" else "cc-link"
    return Notice(mention.license, url, source, element, is_sentence)


def _scope(places: Places, element: int, place: Place) -> Scope:
    """What stands over a line: its heading, the name of its row or item, and how the page and its site are named."""
    if place.foot:
        return Scope("", "", places.is_named)
    return Scope(normalized(places.heading_of(element)), normalized(places.item_of(element)), places.is_named)


_OWN_MARKUP = License("", "unknown", "")


def find_notices(
    places: Places, texts: list[tuple[int, int]], links: list[int], claimed: frozenset[int]
) -> tuple[list[Notice], dict[int, Meaning]]:
    """What the lines with these text nodes and links say of the page's text.

    `claimed` are elements whose markup is a claim by itself: they tell nothing here, but what their lines say of them
    is returned beside the notices.
    """
    page = places.page
    lines = _Lines(page)
    urls = {
        link: page.attribute(link, "href") or "" for link in links if link in claimed or not places.is_in_thing(link)
    }
    licenses = {link: known for link, url in urls.items() if (known := license_of_url(url)) and not known.is_software}
    licenses.update((link, _OWN_MARKUP) for link in claimed if link not in licenses)
    notices: list[Notice] = []
    of_claimed: dict[int, Meaning] = {}
    for (first, last), found in _found_lines(page, lines, texts, list(licenses)).items():
        element = found.links[0] if found.links else int(page.texts[found.text]["element"])
        place = places.of(element)
        if place.other and not found.links:
            continue
        is_short = place.foot or lines.bytes_of(first, last) <= _LONGEST_RESERVATION
        may_reserve = found.kinds & RESERVED and is_short and not (place.other or place.beside)
        if not found.links and not found.kinds & LICENSE and not may_reserve:
            continue
        label = lines.label_before(first) if first < last else ""
        line = lines.line(first, last, found.links, label)
        mentions, linked = _merged(line, licenses) if found.links or found.kinds & LICENSE else ([], {})
        scope = _scope(places, element, place) if mentions else NOWHERE
        for index, meaning in enumerate(meanings(line.text, mentions, frozenset(linked), place, scope)):
            mention, link = mentions[index], linked.get(index)
            if meaning is Meaning.BARE and link is not None and not names_terms(page.text_of(link)[:_LONGEST_EVIDENCE]):
                meaning = Meaning.OTHER
            if link in claimed:
                of_claimed[link] = meaning
            elif mention.license is not None and meaning in (Meaning.OWN, Meaning.BARE):
                notices.append(_notice(mention, None if link is None else urls[link], meaning, line.text, element))
        kind = reservation(line.text, place.foot) if may_reserve else None
        if kind is not None:
            notices.append(Notice(None, line.text.strip()[:_LONGEST_EVIDENCE], "notice", element, True, kind))
    return notices, of_claimed
