"""Math markup: formulas of MathML, MathJax, KaTeX and images shown as the TeX that they were written in."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.web.page import Page
from pipeline.web.page.elements import BREAKS_LINE, TAG_TABLES, TAGS, name_code
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.reader import TEXT_NODE, padded_bytes, rows
from pipeline.web.page.references import resolve_references
from pipeline.web.page.stack import FIRST_ATTRIBUTE, FOREIGN, HIDDEN, IN_TEMPLATE, LAST_ATTRIBUTE, TAG
from pipeline.web.page.tokenizer import CODE, REFERENCES, VALUE_END, VALUE_START, is_word, short_code
from pipeline.web.page.tree import AFTER_BREAK, TEXT_HIDDEN, TEXT_IN_TEMPLATE

# Bounds on what one page may ask for: no page that is read has as many formulas, or one as long.
MAX_FORMULAS = 10_000
MAX_TEX_BYTES = 20_000
# Offsets are 32 bits wide, and TeX takes at most as many bytes once more.
MAX_PAGE_BYTES = 2**30
# How far above a formula the element of its program is looked for: KaTeX and MediaWiki nest three deep.
_MOST_LEVELS = 6

_MATH, _SCRIPT, _IMG = (TAGS[name] for name in ("math", "script", "img"))
_TYPE, _CLASS = (short_code(name_code(name)) for name in ("type", "class"))
_PROGRAM_TAGS = frozenset((0, TAGS["span"], TAGS["div"]))
_TEX_ENCODINGS = frozenset(("application/x-tex", "text/x-latex", "text/x-tex", "application/x-latex", "tex", "latex"))
# Classes of the elements that KaTeX, MediaWiki and MathJax 2 and 3 put round a formula and its hidden MathML.
_PROGRAM_CLASS = re.compile(
    r"\A(?:katex|katex-mathml|katex-display|mwe-math-element(?:-inline|-block)?|mwe-math-mathml-[a-z0-9-]+|"
    r"MathJax(?:_SVG|_CHTML|_MathML)?(?:_Display)?|mjx-chtml|MJXc-display|MJX_Assistive_MathML)\Z"
)
_DISPLAY_CLASS = re.compile(
    r"\A(?:katex-display|MathJax_(?:SVG_)?Display|MJXc-display|mwe-math-(?:fallback-image|mathml)-display)\Z"
)
_RENDERING_CLASS = re.compile(
    r"\A(?:MathJax(?:_SVG|_CHTML|_MathML)?(?:_Display)?|MathJax_Preview|mjx-chtml|MJXc-display)\Z"
)
# White space between a rendering and its script, in bytes.
_MOST_SPACE = 200
_IMAGE_CLASS = re.compile(r"\A(?:tex|math|latex|mwe-math-fallback-image-.*)\Z", re.IGNORECASE)
# What an image's alt is if it is no TeX: words, or kana and kanji outside of TeX's commands.
_WORDS = re.compile("[A-Za-z]{4,}|[\u3040-\u30ff\u3400-\u9fff]")
_STYLE = re.compile(r"\{\s*\\(?:displaystyle|textstyle)\s*(?![A-Za-z])(.*)\}", re.DOTALL)
_DELIMITERS = (("$$", "$$", True), (r"\[", r"\]", True), ("$", "$", False), (r"\(", r"\)", False))


@lean_njit
def _may_hold_formulas(
    source: npt.NDArray[np.uint8], elements: npt.NDArray[np.int32], attributes: npt.NDArray[np.int32]
) -> bool:
    """Whether a page has a math element, a script whose type has "mat" in it, or an image whose class has, or "tex".

    One look at all elements, as most pages have none of these; a reference may stand for any letter.
    """
    for element in range(elements.shape[0]):
        tag = elements[element, TAG]
        if tag == _MATH:
            return True
        if tag not in (_SCRIPT, _IMG):
            continue
        code = _TYPE if tag == _SCRIPT else _CLASS
        for index in range(elements[element, FIRST_ATTRIBUTE], elements[element, LAST_ATTRIBUTE]):
            if attributes[index, CODE] != code:
                continue
            if attributes[index, REFERENCES]:
                return True
            for position in range(attributes[index, VALUE_START], attributes[index, VALUE_END] - 2):
                if is_word(source, position, b"mat") or (tag == _IMG and is_word(source, position, b"tex")):
                    return True
    return False


@dataclass(frozen=True, slots=True)
class _Formula:
    """TeX to be shown at the place of the bytes from start to end, whose own texts are left out; its parent element."""

    start: int
    end: int
    parent: int
    tex: str
    display: bool


def _is_whole(group: str) -> bool:
    """Whether a text's braces are balanced and none closes what is before it."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", group, re.DOTALL):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth < 0:
            return False
    return depth == 0


def _tidy(tex: str, display: bool) -> tuple[str, bool]:
    """TeX on one line, without delimiters and {\\displaystyle …} round it; and whether it is displayed."""
    tex = " ".join(tex.split())
    for opening, closing, displays in _DELIMITERS:
        inner = tex[len(opening) : -len(closing)]
        if len(tex) > len(opening) + len(closing) and tex.startswith(opening) and tex.endswith(closing):
            if opening[0] == "$" and "$" in inner.replace("\\$", ""):
                continue
            tex, display = inner.strip(), display or displays
            break
    style = _STYLE.fullmatch(tex)
    if style and _is_whole(style[1]):
        tex = style[1].strip()
    return tex, display


def _classes(page: Page, element: int) -> list[str]:
    return (page.attribute(element, "class") or "").split()


def _anchor(page: Page, element: int, math_starts: npt.NDArray[np.int32]) -> tuple[int, bool]:
    """The outermost of the elements that a program put round a formula, else its own; and whether it is displayed.

    One that holds several formulas is no program's, whatever its name.
    """
    anchor, display = element, False
    for _ in range(_MOST_LEVELS):
        above = page.parent(anchor)
        if above < 0 or page.elements[above]["tag"] not in _PROGRAM_TAGS:
            break
        classes = _classes(page, above)
        row = page.elements[above]
        first, last = math_starts.searchsorted((row["start"], row["end"])).tolist()
        if page.name(above) != "mjx-assistive-mml" and (
            last - first > 1 or not any(_PROGRAM_CLASS.match(name) for name in classes)
        ):
            break
        anchor = above
        display = display or any(_DISPLAY_CLASS.match(name) for name in classes)
    return anchor, display


def _is_shown(page: Page, anchor: int) -> bool:
    """Whether a formula would be seen: what its program hides, or its own element, does not count."""
    parent = page.parent(anchor)
    return parent < 0 or not int(page.elements[parent]["flags"]) & (HIDDEN | IN_TEMPLATE)


def _formula(page: Page, anchor: int, tex: str, display: bool) -> _Formula | None:
    tex, display = _tidy(tex, display)
    if not tex or not _is_shown(page, anchor):
        return None
    row = page.elements[anchor]
    return _Formula(int(row["start"]), int(row["end"]), int(row["parent"]), tex, display)


def _source_text(page: Page, starts: npt.NDArray[np.int32], element: int) -> str:
    """The text of an element that holds TeX, of at most MAX_TEX_BYTES; empty where it has more."""
    row = page.elements[element]
    first, last = (int(starts.searchsorted(int(row[name]))) for name in ("content", "end"))
    if int(row["end"]) - int(row["content"]) > MAX_TEX_BYTES:
        return ""
    raw = page.name(element) == "script"
    parts = (page.source[start:end] for _, start, end, _ in page.texts[first:last].tolist())
    return "".join(part.decode("utf-8", "replace") if raw else resolve_references(part, False) for part in parts)


def _mathml(page: Page, starts: npt.NDArray[np.int32]) -> Iterator[_Formula]:
    """Formulas of math elements with an annotation in TeX."""
    maths = page.find("math")
    if not maths.size:
        return
    math_starts = page.elements["start"][maths]
    ends = page.elements["end"]
    taken = -1
    for element, encoding in page.values("annotation", "encoding", "tex"):
        if encoding.strip().lower() not in _TEX_ENCODINGS:
            continue
        # math elements are not nested in each other, so that the last before the annotation is its own.
        position = int(maths.searchsorted(element)) - 1
        math = int(maths[position]) if position >= 0 else -1
        if math < 0 or math == taken or ends[math] < page.elements[element]["end"]:
            continue
        taken = math
        display = (page.attribute(math, "display") or page.attribute(math, "mode") or "").strip().lower()
        anchor, in_display = _anchor(page, math, math_starts)
        tex = _source_text(page, starts, element)
        formula = _formula(page, anchor, tex, in_display or display in ("block", "display"))
        if formula:
            yield formula


def _scripts(page: Page, starts: npt.NDArray[np.int32]) -> Iterator[_Formula]:
    """Formulas of MathJax's scripts, each with the rendering that stands before it."""
    renderings: list[tuple[int, int]] | None = None
    behind = -1
    for element, kind in page.values("script", "type", "math/tex"):
        name, _, parameters = kind.partition(";")
        if name.strip().lower() != "math/tex":
            continue
        formula = _formula(page, element, _source_text(page, starts, element), "display" in parameters.lower())
        if formula is None:
            continue
        renderings = _renderings(page) if renderings is None else renderings
        start = formula.start
        index = bisect_right(renderings, start, key=lambda rendering: rendering[1]) - 1
        # Each rendering is looked at by the first script behind it alone.
        while index > behind:
            begin, end = renderings[index]
            if start - end > _MOST_SPACE or page.source[end:start].strip():
                break
            start = begin
            index -= 1
        behind = max(behind, index)
        yield replace(formula, start=start)


def _renderings(page: Page) -> list[tuple[int, int]]:
    """Start and end of the outermost elements of MathJax's rendering, in the page's order."""
    found: list[tuple[int, int]] = []
    behind = -1
    places = sorted(
        element
        for tag in ("span", "div", "mjx-container")
        for element, value in page.values(tag, "class", "mathjax mjx")
        if any(_RENDERING_CLASS.match(name) for name in value.split())
    )
    for element in places:
        row = page.elements[element]
        if int(row["start"]) >= behind:
            behind = int(row["end"])
            found.append((int(row["start"]), behind))
    return found


def _is_tex(alt: str, is_program: bool) -> bool:
    return is_program or re.search(r"[\\^_{}]", alt) is not None or not _WORDS.search(alt)


def _images(page: Page) -> Iterator[_Formula]:
    """Formulas of images that a class says are TeX, which stands in their alt."""
    nothing = np.empty(0, dtype=np.int32)
    for element, value in page.values("img", "class", "tex math"):
        names = [name for name in value.split() if _IMAGE_CLASS.match(name)]
        alt = page.attribute(element, "alt") if names else None
        if not alt or not alt.strip() or len(alt) > MAX_TEX_BYTES:
            continue
        if _is_tex(alt, any(name.startswith("mwe-math") for name in names)):
            anchor, display = _anchor(page, element, nothing)
            display = display or any(_DISPLAY_CLASS.match(name) for name in names)
            formula = _formula(page, anchor, alt, display)
            if formula:
                yield formula


def _outermost(formulas: list[_Formula]) -> list[_Formula]:
    """In the page's order, without those within another's place: of equal places the first found holds."""
    found: list[_Formula] = []
    for formula in sorted(formulas, key=lambda item: (item.start, -item.end)):
        if not found or formula.start >= found[-1].end:
            found.append(formula)
    return found


def _breaks(page: Page) -> npt.NDArray[np.int32]:
    """Where elements with lines of their own, and br, begin and end, in order."""
    elements = page.elements[page.elements["flags"] & FOREIGN == 0]
    elements = elements[TAG_TABLES.flags[elements["tag"]] & BREAKS_LINE != 0]
    return np.sort(np.concatenate((elements["start"], elements["end"])))


def _is_break(breaks: npt.NDArray[np.int32], start: int, end: int) -> bool:
    return bool(breaks.searchsorted(start, "left") < breaks.searchsorted(end, "right"))


def show_math(page: Page) -> Page:
    """The page with its formulas as texts: `$tex$`, or `$$tex$$` on a line of its own for those that are displayed.

    Shown are math elements with an annotation in TeX, MathJax's scripts, and images of class tex, math, latex or
    mwe-math-fallback-image with TeX in their alt; the texts of their MathML and of the rendering that a program put
    beside it are left out (TEXT_HIDDEN and TEXT_IN_TEMPLATE). White space in TeX becomes single spaces, and delimiters
    and {\\displaystyle …} round it are removed. The TeX stands behind the end of the page's own bytes in `source`, so
    that `texts` is in the page's order but not in that of its starts: text_of is to be asked of the page as read.
    Without formulas, or above MAX_PAGE_BYTES, the same page is returned. Never raises; time is
    linear, but for sorting.
    """
    if len(page.source) > MAX_PAGE_BYTES:
        return page
    if not _may_hold_formulas(page.padded, rows(page.elements), rows(page.attributes)):
        return page
    formulas: list[_Formula] = []
    starts = np.ascontiguousarray(page.texts["start"])
    for found in (_mathml(page, starts), _scripts(page, starts), _images(page)):
        for formula in found:
            if len(formulas) == MAX_FORMULAS:
                break
            formulas.append(formula)
    formulas = _outermost(formulas)
    if not formulas:
        return page

    texts = page.texts.copy()
    breaks = _breaks(page)
    shown = np.zeros(len(formulas), dtype=TEXT_NODE)
    places = np.empty(len(formulas), dtype=np.int64)
    parts = [page.source]
    position = len(page.source)
    behind = 0
    after_display = False
    for number, formula in enumerate(formulas):
        first, last = (int(starts.searchsorted(offset)) for offset in (formula.start, formula.end))
        texts["flags"][first:last] |= TEXT_HIDDEN | TEXT_IN_TEMPLATE
        mark = "$$" if formula.display else "$"
        written = f"{mark}{formula.tex}{mark}".encode("utf-8", "replace")
        behind = max(behind, int(texts["end"][first - 1]) if first else 0)
        breaks_before = formula.display or after_display or _is_break(breaks, behind, formula.start)
        shown[number] = (formula.parent, position, position + len(written), AFTER_BREAK if breaks_before else 0)
        following = formulas[number + 1].start if number + 1 < len(formulas) else len(page.source)
        after_display = formula.display
        if last < len(texts) and starts[last] < following:
            after_display = False
            breaks_behind = formula.display or _is_break(breaks, formula.end, int(starts[last]))
            # The break that the reader noted may be the one before the formula.
            if breaks_behind:
                texts["flags"][last] |= AFTER_BREAK
            elif breaks_before:
                texts["flags"][last] &= ~AFTER_BREAK
        places[number] = last
        parts.append(written)
        position += len(written)
        behind = formula.end
    source = b"".join(parts)
    return replace(page, source=source, padded=padded_bytes(source), texts=np.insert(texts, places, shown))
