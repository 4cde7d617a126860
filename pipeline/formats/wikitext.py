"""Wikitext: the plain text of a page as its readers see it, but for what stands in templates.

mwparserfromhell gives the nodes of a page; here is what becomes of each. A line for every paragraph, heading, list item
and row of a table (cells parted by tabs), as the main text of web pages has them; notes, pictures, categories and
readings of ruby are left out. A template's words stand in another page of the wiki: those that only mark up a piece of
text keep it (`_KEPT`), all others go.

Runs in the sandbox, as a file that imports nothing of the project: the parser takes minutes for some pages of 200 kB,
such as a row of opening tags.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import mwparserfromhell
from mwparserfromhell import nodes

# Templates of Japanese Wikipedia that show one of their parameters, and which one: "1" is the first unnamed one, "-1"
# the last. Names in lower case with spaces, as pages write them (https://ja.wikipedia.org/wiki/Category:テンプレート).
_KEPT = {
    **dict.fromkeys(
        "読み仮名 ruby ルビ 補助漢字フォント 拡張漢字 jis2004フォント jis90フォント cp932フォント 補助漢字 unicode "
        "nowrap small big smaller larger nobold nobr 要出典範囲 要検証範囲 独自研究範囲 要説明範囲 いつ範囲 誰範囲 "
        "vanchor 仮リンク ill 日本語版にない記事リンク quote quotation blockquote cquote 引用 "
        "行内引用 ipa ipa2 sub sup strong em mvar math abbr tooltip".split(),
        "1",
    ),
    "visible anchor": "1",
    "lang": "2",
    "color": "-1",
    "fontsize": "-1",
    "font": "-1",
}
_LANGUAGE_TEMPLATE = re.compile(r"(?:lang|llang)-[a-z-]+")
# 紙漉き（かみすき）: the only template of a reading whose reading is text and no ruby.
_READING_AS_TEXT = "読み仮名 ruby不使用"
_BLOCK_TEMPLATES = frozenset({"quote", "quotation", "blockquote", "cquote"})

# Namespaces whose links show no text of the page: pictures, sounds, categories, by their English and Japanese names.
_NO_TEXT_LINK = re.compile(r"\s*(?:file|image|media|category|ファイル|画像|メディア|カテゴリ)\s*:", re.IGNORECASE)
# Links to the same page in another language, as before Wikidata.
_LANGUAGE_LINK = re.compile(r"\s*(?:[a-z]{2,3}|simple|zh-[a-z-]+|[a-z]{2,3}-[a-z]+)\s*:")
_NO_TEXT_TAGS = frozenset(
    "ref references gallery timeline score templatestyles imagemap rt rp rtc style script includeonly inputbox "
    "indicator categorytree maplink mapframe graph hiero section".split()
)
_VERBATIM_TAGS = frozenset("nowiki pre syntaxhighlight source code".split())
_FORMULA_TAGS = frozenset("math chem ce".split())
_LINE_TAGS = frozenset("p div blockquote center ul ol dl li dt dd hr poem caption tr table pre syntaxhighlight".split())
# __NOTOC__, __目次非表示__; not __init__.
_SWITCH = re.compile(r"__(?:[A-Z]{3,}|[ぁ-ヿ一-鿿]{3,})__")
# What is left of brackets whose templates are gone; f() is code.
_EMPTY_BRACKETS = re.compile(r"（[\s、，,;；:：]*）|\(\s*[、，,;；:：][\s、，,;；:：]*\)")
_OPENING_COMMA = re.compile(r"([（(])[\s、，,;；]+")
_BLANKS = re.compile(r"[ \xa0\r\f\v]+")
# Mark a heading with its level, and a line that stays as it is; a dump cannot hold these (XML 1.0, section 2.2).
_HEADING, _VERBATIM = "\x01", "\x02"
_BELOW_ALL_HEADINGS = 7


def plain_text(wikitext: str) -> str:
    """The plain text of a page's wikitext. Raises what the parser raises."""
    return _tidy(_render(mwparserfromhell.parse(wikitext.translate({1: None, 2: None})).nodes))


def extract(page: str, url: str | None, fetched_on: str | None) -> dict[str, Any]:
    """What the sandbox asks for: the text of a page of wikitext, which may be empty."""
    extractor = f"mwparserfromhell {mwparserfromhell.__version__}"
    return {"text": plain_text(page), "title": None, "date": None, "extractor": extractor}


def _render(found: Iterable[Any]) -> str:
    return "".join(_node(node) for node in found)


def _node(node: Any) -> str:
    if isinstance(node, nodes.Text):
        return str(node.value)
    render = next((render for kind, render in _RENDERERS if isinstance(node, kind)), None)
    return render(node) if render else ""


def _content(code: Any) -> str:
    return _render(code.nodes) if code is not None else ""


def _heading(node: Any) -> str:
    return f"\n{_HEADING}{node.level}{_one_line(_content(node.title))}\n"


def _entity(node: Any) -> str:
    try:
        return str(node.normalize())
    except (ValueError, OverflowError):
        # A number that is no character.
        return str(node)


def _wikilink(node: Any) -> str:
    title = str(node.title)
    if _NO_TEXT_LINK.match(title) or (node.text is None and _LANGUAGE_LINK.match(title)):
        return ""
    return _content(node.text) if node.text is not None else title.strip().removeprefix(":")


def _external_link(node: Any) -> str:
    if node.title is not None:
        return _content(node.title)
    # A bracketed address without words shows as a number.
    return "" if node.brackets else str(node.url)


def _template(node: Any) -> str:
    name = " ".join(str(node.name).replace("_", " ").split()).lower()
    unnamed = [parameter for parameter in node.params if _is_number(parameter.name)]
    if name == _READING_AS_TEXT and len(unnamed) > 1:
        return f"{_content(unnamed[0].value)}（{_content(unnamed[1].value)}）"
    which = _KEPT.get(name, "1" if _LANGUAGE_TEMPLATE.fullmatch(name) else None)
    if which is None or not unnamed:
        return ""
    place = int(which)
    index = place - 1 if place > 0 else place
    if index >= len(unnamed):
        return ""
    text = _content(unnamed[index].value).strip()
    return f"\n{text}\n" if name in _BLOCK_TEMPLATES else text


def _is_number(name: Any) -> bool:
    text = str(name).strip()
    return text.isascii() and text.isdigit()


def _tag(node: Any) -> str:
    name = str(node.tag).strip().lower()
    if name in _NO_TEXT_TAGS:
        return ""
    if name in _FORMULA_TAGS:
        return f"${str(node.contents).strip()}$"
    if name == "br":
        return "\n"
    if name in ("td", "th"):
        text = _one_line(_content(node.contents))
        # The parser takes a caption for a cell.
        return f"\n{text[1:].strip()}\n" if node.wiki_markup and text.startswith("+") else f"{text}\t"
    if name == "tr":
        return "\n" + _content(node.contents).strip("\n").rstrip("\t") + "\n"
    text = str(node.contents or "") if name in _VERBATIM_TAGS else _content(node.contents)
    if name in ("pre", "syntaxhighlight"):
        text = "\n".join(_VERBATIM + line for line in text.strip("\n").split("\n"))
    if name in _LINE_TAGS:
        # An item's text stands behind its sign, not in it.
        return "" if node.wiki_markup and name in ("li", "dt", "dd") else f"\n{text}\n"
    return text


_RENDERERS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (nodes.Wikilink, _wikilink),
    (nodes.Template, _template),
    (nodes.Tag, _tag),
    (nodes.ExternalLink, _external_link),
    (nodes.Heading, _heading),
    (nodes.HTMLEntity, _entity),
)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tidy(text: str) -> str:
    """Lines without blanks at their ends, none empty, and no heading over nothing."""
    kept: list[str] = []
    # From the end: a heading stays if what follows is text, or a heading below it that stays.
    deepest = 0
    for line in reversed(text.split("\n")):
        if not line.startswith(_VERBATIM):
            line = _OPENING_COMMA.sub(r"\1", _EMPTY_BRACKETS.sub("", _SWITCH.sub("", line)))
        if line.startswith(_HEADING):
            level = int(line[1])
            if level < deepest and line[2:]:
                kept.append(line[2:])
                deepest = level
            continue
        if line.startswith(_VERBATIM):
            line = line[1:].rstrip()
        else:
            line = "\t".join(_BLANKS.sub(" ", cell).strip() for cell in line.split("\t")).strip("\t")
            if not line:
                continue
        kept.append(line)
        deepest = _BELOW_ALL_HEADINGS
    return "\n".join(reversed(kept)).strip("\n")
