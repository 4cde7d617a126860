"""Names: how licenses are written in running text, in Japanese and English, and in values that name one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.web.license.known import (
    CC0,
    PUBLIC_DATA_LICENSE,
    PUBLIC_DOMAIN,
    creative_commons,
    gnu_license,
    license_of_url,
    named_license,
    standard_terms,
)
from pipeline.web.license.tiers import License

_HYPHENS = re.compile(
    "[\u2010-\u2015\u2212\u30fc](?=\\s*(?:非営利|改変|派生|継承|同一|NC|ND|SA|\\d))|[\u2010-\u2015\u2212]"
)
# NFKC would make bare letters of these, which stand for ©.
_CIRCLED = str.maketrans("ⓒⒸ", "©©")
_SPACES = re.compile(r"\s+")
# The Japanese names of the elements, and those of before 2007 (帰属, 派生禁止, 同一条件許諾).
_ELEMENTS = {
    "表示": "BY",
    "帰属": "BY",
    "非営利": "NC",
    "改変禁止": "ND",
    "派生禁止": "ND",
    "継承": "SA",
    "同一条件許諾": "SA",
}
_PORTS = {"日本": "JP", "japan": "JP", "jp": "JP", "米国": "US", "united states": "US", "us": "US", "igo": "IGO"}
_PLACE = r"(?:[\s-]*(日本|国際|非移植|米国|International|Unported|Generic|Japan\b|United States|IGO\b|JP\b|US\b))?"
_VERSION = r"(?:[\s,-]*(?:v\.?|ver\.?|version)?[\s]*([1-4]\.\d))?"
_JAPANESE_ELEMENTS = (
    r"((?:表示|帰属)(?:[\s・-]*(?:非営利|改変禁止|派生禁止|継承|同一条件許諾)){0,3})" + _VERSION + _PLACE
)
_CREATIVE = r"クリエイティブ[\s・]*コモンズ"
_LATER = r"[^。.]{0,16}?(?:or (?:any )?later|それ以降|以降|以後)"
_SOFTWARE_VERSION = r"(?:[\s,]*(?:version|バージョン|ver\.?|v\.?|第)?\s*(\d(?:\.\d)?)(?![\d.]*\d))?"
_FAMILIES = {"free documentation": "GFDL", "lesser general public": "LGPL", "affero general public": "AGPL"}


@dataclass(frozen=True, slots=True)
class Mention:
    """A license's name in a text, from `start` to `end`. `license` is None where only its makers are named.

    `kind` is "open" (Creative Commons, public domain), "government", "software" or "waiver" (a sentence that gives up
    copyright).
    """

    start: int
    end: int
    license: License | None
    kind: str


def _cc_japanese(match: re.Match[str]) -> License | None:
    elements = "-".join(dict.fromkeys(_ELEMENTS[name] for name in re.findall("|".join(_ELEMENTS), match[1])))
    return creative_commons(elements, match[2], _PORTS.get((match[3] or "").lower()))


def _cc_short(match: re.Match[str]) -> License | None:
    elements = "-".join(re.findall("BY|NC|ND|SA", match[1].upper()))
    return creative_commons(elements, match[2], _PORTS.get((match[3] or "").lower()))


def _cc_english(match: re.Match[str]) -> License | None:
    written = match[1].lower()
    elements = "BY"
    for word, element in (("commercial", "NC"), ("deriv", "ND"), ("share", "SA")):
        if word in written:
            elements += f"-{element}"
    return creative_commons(elements, match[2], _PORTS.get((match[3] or "").lower()))


def _gnu(match: re.Match[str]) -> License | None:
    written = match[1].lower()
    family = next((name for words, name in _FAMILIES.items() if words in _SPACES.sub(" ", written)), None)
    if family is None:
        family = "GFDL" if "gfdl" in written or "文書" in written else "GPL"
        family = written.upper() if written in ("lgpl", "agpl") else family
    version = match[2] if match[2] is None or "." in match[2] else f"{match[2]}.0"
    return gnu_license(family, version, match[3] is not None)


def _bsd(match: re.Match[str]) -> License | None:
    written = match[0].lower()
    if re.search("修正|三条項|3|new|modified", written):
        return named_license("bsd-3-clause")
    if re.search("二条項|2|simplified", written):
        return named_license("bsd-2-clause")
    return License("LicenseRef-BSD", "attribution", "BSD")


def _named(name: str) -> Callable[[re.Match[str]], License | None]:
    found = named_license(name)
    return lambda match: found


# An address as text, with its scheme or without; what follows it in the sentence is no part of it.
ADDRESS = re.compile(
    r"(?<![\w/.])(?:https?:)?(?://)?((?:www\.)?creativecommons\.(?:org|jp)/(?:licenses|publicdomain)/[\w.+/-]*[\w/])",
    re.IGNORECASE | re.ASCII,
)
# Each with what its groups make. Letters' case counts where a short name is a common word in another case.
_WAYS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], License | None]], ...] = (
    ("open", ADDRESS, lambda match: license_of_url(f"//{match[1]}")),
    (
        "open",
        re.compile(
            _CREATIVE + r"(?:[\s・]*(?:の|パブリック)?[\s・]*ライセンス)?[\s・:の,「『(\[\-]*" + _JAPANESE_ELEMENTS,
            re.IGNORECASE,
        ),
        _cc_japanese,
    ),
    ("open", re.compile(r"(?<![A-Za-z0-9])CC[\s:-]?\s*" + _JAPANESE_ELEMENTS, re.IGNORECASE), _cc_japanese),
    (
        "open",
        re.compile(
            r"(?<![A-Za-z0-9])(?:CC|cc(?=-))[\s-]?\s?((?:BY|by)(?:\s*[-/ ]\s*(?:NC|ND|SA|nc|nd|sa)(?![A-Za-z])){0,2})"
            r"(?![A-Za-z])" + _VERSION.replace("v\\.?", "[vV]\\.?") + _PLACE
        ),
        _cc_short,
    ),
    (
        "open",
        re.compile(
            r"Creative\s*Commons(?:\s+licen[sc]e)?[\s\-:,(]*(?:CC\s+)?"
            r"(Attribution(?:[\s-]*(?:Non-?\s?Commercial|Share-?\s?Alike|"
            r"No-?\s?Deriv(?:ative|ative Work|ative work)?s?)){0,2})"
            r"(?:\s+Licen[sc]e)?" + _VERSION + _PLACE,
            re.IGNORECASE,
        ),
        _cc_english,
    ),
    (
        "open",
        re.compile(r"(?<![A-Za-z0-9])CC[\s-]?(?:0|Zero)(?:[\s-]*v?1\.0)?(?![A-Za-z0-9])", re.IGNORECASE),
        lambda _: CC0,
    ),
    (
        "waiver",
        re.compile(
            r"著作権[をは](?:すべて|全て|一切|完全に)?放棄(?:(?:して|いたして)(?:います|おります|いる)|し(?:ます|ました)|いたし(?:ます|ました)|する)(?=[。.!\s)]|\Z)"
        ),
        lambda _: PUBLIC_DOMAIN,
    ),
    (
        "open",
        re.compile(r"パブリック[\s・]*ドメイン|(?<![A-Za-z])public domain(?![A-Za-z])", re.IGNORECASE),
        lambda _: PUBLIC_DOMAIN,
    ),
    (
        "open",
        re.compile(_CREATIVE + r"[\s・]*(?:の)?(?:ライセンス)?|Creative\s*Commons", re.IGNORECASE),
        lambda _: None,
    ),
    (
        "government",
        re.compile(
            r"公共データ利用規約(?:\s*[(「]?(?:第?\s*1\.0\s*版?|PDL\s*-?1\.0)[)」]?)*|(?<![A-Za-z])PDL\s*-?1\.0"
            r"|Public Data License(?:\s*\(?(?:Version|v)\s*1\.0\)?)?",
            re.IGNORECASE,
        ),
        lambda _: PUBLIC_DATA_LICENSE,
    ),
    (
        "government",
        re.compile(
            r"(?:日本国?)?政府標準利用規約\s*[(「]?(?:\s*第?\s*(\d\.\d)\s*版)?[)」]?"
            r"|Government of Japan Standard Terms of Use(?:\s*\(?(?:Version|Ver\.?)\s*(\d\.\d)\)?)?",
            re.IGNORECASE,
        ),
        lambda match: standard_terms(match[1] or match[2]),
    ),
    (
        "software",
        re.compile(
            r"((?:GNU\s+)?(?:Free\s+Documentation|(?:Lesser\s+|Affero\s+)?General\s+Public)\s+Licen[sc]e"
            r"|GNU\s*(?:フリー|自由)文書(?:利用)?(?:許諾契約書|ライセンス)|(?<![A-Za-z])(?:GFDL|[LA]?GPL)(?=v?\d|[^A-Za-z]|\Z))"
            + _SOFTWARE_VERSION
            + rf"(?:({_LATER}))?",
            re.IGNORECASE,
        ),
        _gnu,
    ),
    ("software", re.compile(r"(?<![A-Za-z])MIT\s*(?:Licen[sc]e|ライセンス)", re.IGNORECASE), _named("MIT")),
    (
        "software",
        re.compile(
            r"(?<![A-Za-z])Apache(?:\s*(?:Software\s*)?(?:Licen[sc]e|ライセンス))?[\s,-]*(?:Version|バージョン|v)?\s*2\.0",
            re.IGNORECASE,
        ),
        _named("Apache-2.0"),
    ),
    (
        "software",
        re.compile(
            r"(?:(?:修正|[23三二]条項|New|Modified|Simplified|[23]-Clause)\s*)?BSD(?:[\s-]*[23]-Clause)?\s*(?:Licen[sc]e|ライセンス)"
            r"(?:\s*\([23三二]条項\))?",
            re.IGNORECASE,
        ),
        _bsd,
    ),
    ("software", re.compile(r"(?<![A-Za-z])ISC\s*(?:Licen[sc]e|ライセンス)", re.IGNORECASE), _named("ISC")),
    (
        "software",
        re.compile(
            r"Mozilla\s+Public\s+Licen[sc]e[\s,]*(?:version|v)?\s*2\.0|(?<![A-Za-z])MPL[\s-]?2\.0", re.IGNORECASE
        ),
        _named("MPL-2.0"),
    ),
    ("software", re.compile(r"SIL\s+Open\s+Font\s+Licen[sc]e", re.IGNORECASE), _named("OFL-1.1")),
)


def normalized(text: str) -> str:
    """Text as names are looked for in it: NFKC, hyphens of all kinds as "-", one space for any white space."""
    return _SPACES.sub(" ", _HYPHENS.sub("-", unicodedata.normalize("NFKC", text.translate(_CIRCLED))))


def mentions_in(text: str) -> list[Mention]:
    """The licenses named in a normalised text, in its order; of names that overlap the first, then the longest."""
    found = [
        Mention(match.start(), match.end(), make(match), kind)
        for kind, pattern, make in _WAYS
        for match in pattern.finditer(text)
    ]
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda item: (item.start, -item.end)):
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


_LONGEST_NAME = 500
_NAME_REST = re.compile(
    r"[\s()「」『』,.・:/-]*(?:(?:the|a|an|licen[sc]e|ライセンス|deed|universal|全世界|国際|international|spdx)[\s()「」,.:-]*)*",
    re.IGNORECASE,
)


def _licenses_named(value: str) -> Iterator[tuple[License, str]]:
    """The one license that a value names, with the rest of the value; none where it names several."""
    text = normalized(value[:_LONGEST_NAME]).strip()
    by_id = named_license(text.removeprefix("SPDX:"))
    if by_id is not None:
        yield by_id, ""
        return
    found = [mention for mention in mentions_in(text) if mention.license is not None]
    licenses = [mention.license for mention in found if mention.license is not None]
    if licenses and all(licenses[0].agrees(other) for other in licenses):
        rest = "".join(text[a:b] for a, b in zip([0, *(m.end for m in found)], [*(m.start for m in found), len(text)]))
        yield max(licenses, key=lambda item: item.precision), rest


def license_of_value(value: str) -> License | None:
    """The license that a value stands for: a URL, an SPDX id, or a license's name and nothing else."""
    address = ADDRESS.match(value.strip())
    known = license_of_url(value) or (license_of_url(f"//{address[1]}") if address is not None else None)
    if known is not None:
        return known
    return next((found for found, rest in _licenses_named(value) if _NAME_REST.fullmatch(rest)), None)
