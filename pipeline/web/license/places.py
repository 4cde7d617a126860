"""Places: where on a page an element stands, and of what its statements therefore speak."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urljoin

import numpy as np
import numpy.typing as npt

from pipeline.web.license.subjects import is_japanese
from pipeline.web.page import Page
from pipeline.web.page.elements import TAG_NAMES
from pipeline.web.page.references import resolve_references
from pipeline.web.page.stack import TAG
from pipeline.web.page.tree import TEXT_HIDDEN
from pipeline.web.urls import host

# What stands in these is another's, or is about another thing: a picture, a quotation, a sample of code.
_OTHER_TAGS = frozenset(
    "figure figcaption blockquote q pre code iframe object video audio picture caption "
    "select option label button".split()
)
_BESIDE_TAGS = frozenset(("aside", "nav"))
_OTHER_WORDS = frozenset(
    "comment comments commentlist commentbody reply replies trackback disqus caption captions figcaption figure photo "
    "photos gallery galleries thumb thumbs thumbnail thumbnails slideshow "
    "image images img picture pictures video videos player map maps leaflet slider carousel lightbox "
    "embed embedded oembed "
    "tweet twitter flickr instagram youtube vimeo blockquote quote quotation related recommend recommended recommends "
    "ranking advertisement ads adsense blogcard linkcard".split()
)
_BESIDE_WORDS = frozenset("sidebar side sidemenu aside widget widgets nav navi navigation menu".split())
_FOOT_WORDS = frozenset("foot footer footers".split())
_NOTICE_WORDS = frozenset(
    "copyright copyrights copy license licence licenses creativecommons cc colophon legal".split()
)
# "has-sidebar", "no-comments" say how a page is laid out, not what an element is.
_LAYOUT_WORDS = frozenset("has have with without no not open closed is single".split())
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_NOT_CONTAINERS = frozenset(("body", "html", "main"))
_LONGEST_CLASS = 300
_ITEM_TAGS = frozenset(("tr", "li"))
_ITEM_WORDS = frozenset("card cards item items result results product tile".split())
_DEEPEST_ITEM = 6
_LONGEST_AROUND = 20_000
_MOST_TEXTS = 20
_LONGEST_TEXT = 500
_LONGEST_NAME = 100
_MOST_HEADINGS = 50
_MARKS = re.compile(r"[\W_]+")
# A part that holds more of the page's text than this is the page itself, whatever its class says.
_LARGEST_PART = 0.5

# https://schema.org: what is text, or the page or site that holds it.
TEXT_TYPES = frozenset(
    "Article NewsArticle BlogPosting TechArticle ScholarlyArticle MedicalScholarlyArticle Report SocialMediaPosting "
    "LiveBlogPosting APIReference SatiricalArticle AnalysisNewsArticle OpinionNewsArticle ReportageNewsArticle "
    "BackgroundNewsArticle AskPublicNewsArticle AdvertiserContentArticle "
    "ReviewNewsArticle CreativeWork WebPage ItemPage "
    "AboutPage FAQPage QAPage CollectionPage MedicalWebPage WebSite Blog Question DiscussionForumPosting Book Chapter "
    "Recipe HowTo Course LearningResource Thesis Guide DigitalDocument "
    "TextDigitalDocument Review ShortStory Legislation "
    "Document Text Manuscript Quiz DefinedTerm DefinedTermSet WPFooter WebPageElement".split()
)
_THING_TYPES = frozenset(
    "ImageObject Photograph ImageGallery VideoObject AudioObject "
    "MediaObject MusicRecording Comment SoftwareApplication "
    "WebApplication MobileApplication SoftwareSourceCode Dataset DataDownload 3DModel Painting Sculpture Map Movie "
    "Image StillImage MovingImage Sound".split()
)
# Properties by which an item belongs to another without being its text.
_SIDE_PROPERTIES = frozenset(
    "image photo video audio comment thumbnail associatedMedia encoding citation isBasedOn about mentions hasPart "
    "itemListElement review suggestedAnswer publisher author logo primaryImageOfPage".split()
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element stands. `other` in what is about another thing, `beside` in a side column, `foot` in the part
    where a page speaks of itself.
    """

    other: bool = False
    beside: bool = False
    foot: bool = False


def _class_words(value: str) -> frozenset[str]:
    words: set[str] = set()
    for token in value[:_LONGEST_CLASS].split():
        parts = {word.lower() for word in _WORDS.findall(token)}
        if not parts & _LAYOUT_WORDS:
            words |= parts
    return frozenset(words)


def type_names(value: str) -> set[str]:
    """Types without their vocabulary: "Article" of "https://schema.org/Article" or "schema:Article"."""
    return {re.split("[/:#]", name)[-1] for name in value[:_LONGEST_CLASS].split()}


class Places:
    """Answers about the elements of one page, each found once."""

    def __init__(self, page: Page, url: str | None) -> None:
        self.page = page
        self.url = url
        self._known: dict[int, Place] = {-1: Place()}
        self._subjects: dict[int, bool] = {-1: True}

    @cached_property
    def _lengths(self) -> npt.NDArray[np.int64]:
        """(texts + 1) bytes of visible text before each text node."""
        texts = self.page.texts
        sizes = np.where(texts["flags"] & TEXT_HIDDEN, 0, texts["end"] - texts["start"])
        return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))

    @cached_property
    def _has_items(self) -> bool:
        return self.page.may_hold("itemscope")

    @cached_property
    def _has_subjects(self) -> bool:
        return self.page.may_hold("about") or self.page.may_hold("typeof")

    def share(self, element: int) -> float:
        """What part of the page's visible text an element holds."""
        row = self.page.elements[element]
        first, last = np.searchsorted(self.page.texts["start"], (row["start"], row["end"]))
        return float(self._lengths[last] - self._lengths[first]) / max(float(self._lengths[-1]), 1.0)

    def of(self, element: int) -> Place:
        """The place that an element's ancestors and its own tag and class make; -1 is the page itself."""
        chain = []
        while element not in self._known:
            chain.append(element)
            element = self.page.parent(element)
        place = self._known[element]
        for element in reversed(chain):
            place = self._known[element] = self._inner(place, element)
        return place

    def _inner(self, outer: Place, element: int) -> Place:
        tag = TAG_NAMES[self.page.elements.item(element)[TAG]]
        if tag in _OTHER_TAGS:
            return Place(True, outer.beside, outer.foot)
        if tag in _NOT_CONTAINERS:
            return outer
        words = frozenset(
            word
            for name in ("class", "id")
            if (value := self.page.attribute(element, name))
            for word in _class_words(value)
        )
        # Some pages stand in a form as a whole; else what a form holds is there to be chosen.
        other, beside = tag == "form" or bool(words & _OTHER_WORDS), tag in _BESIDE_TAGS or bool(words & _BESIDE_WORDS)
        foot = tag == "footer" or bool(words & _FOOT_WORDS)
        notice = foot or tag == "address" or bool(words & _NOTICE_WORDS)
        if (other or beside or notice) and tag != "footer" and self.share(element) > _LARGEST_PART:
            other = beside = foot = notice = False
        # A page's foot may be a nav, and hold some.
        beside = outer.beside or (beside and not foot and not (outer.foot and not outer.beside))
        return Place(outer.other or other, beside, outer.foot or notice)

    def is_this_page(self, about: str) -> bool:
        """Whether a URL means this page, or a site or folder that holds it."""
        about = about.strip()
        if about in ("", "#", "./") or self.url is None:
            return about in ("", "#", "./")
        try:
            meant = urljoin(self.url, about)
        except ValueError:
            return False
        here, meant = (re.sub(r"^https?:", "", url.partition("#")[0]) for url in (self.url, meant))
        return meant.rstrip("/") == here.rstrip("/") or (meant.endswith("/") and here.startswith(meant))

    def speaks_of_page(self, element: int) -> bool:
        """Whether RDFa's about, resource and typeof on the way to an element leave the page itself as the subject."""
        if not self._has_subjects:
            return True
        chain = []
        while element not in self._subjects:
            chain.append(element)
            element = self.page.parent(element)
        verdict = self._subjects[element]
        for element in reversed(chain):
            verdict = self._subjects[element] = self._subject(element, verdict)
        return verdict

    def _subject(self, element: int, outer: bool) -> bool:
        about = self.page.attribute(element, "about")
        kind = self.page.attribute(element, "typeof")
        if kind is not None and not type_names(kind) & (TEXT_TYPES | {"Work"}):
            return False
        return outer if about is None else self.is_this_page(about)

    @cached_property
    def _headings(self) -> npt.NDArray[np.int64]:
        """The page's headings of parts, by their numbers; h1 is of the page."""
        return np.sort(np.concatenate([self.page.find(name) for name in ("h2", "h3", "h4", "h5", "h6")]))

    def heading_of(self, element: int) -> str:
        """The text of the nearest heading before an element in a part of the page that holds both; else nothing."""
        row = self.page.elements
        if element < 0:
            return ""
        before = self._headings[: np.searchsorted(self._headings, element)]
        for heading in before[: -_MOST_HEADINGS - 1 : -1].tolist():
            part = self.page.parent(heading)
            if part < 0 or row[part]["end"] >= row[element]["end"]:
                return self.page.text_of(heading)[:_LONGEST_NAME]
        return ""

    def item_of(self, element: int) -> str:
        """The name of the work or thing in a list whose row or item an element is in; nothing where it is in none.

        It is the first cell of a row, or the first text of an item; of a first cell it is what stands behind it.
        """
        page = self.page
        if element < 0:
            return ""
        start, end = page.elements[element]["start"], page.elements[element]["end"]
        for _ in range(_DEEPEST_ITEM):
            if element < 0:
                return ""
            is_card = bool(_class_words(page.attribute(element, "class") or "") & _ITEM_WORDS)
            if (page.name(element) in _ITEM_TAGS or is_card) and self.share(element) <= _LARGEST_PART:
                name = self._first_text(page.elements[element]["start"], start)
                if name or page.name(element) != "tr":
                    return name
                return self._first_text(end, page.elements[element]["end"])
            element = page.parent(element)
        return ""

    def _first_text(self, begin: int, end: int) -> str:
        """The first text between two places of the page that is not blank; of many the first _MOST_TEXTS are read."""
        texts = self.page.texts
        first, last = np.searchsorted(texts["start"], (begin, end))
        for _, start, stop, flags in texts[first : min(last, first + _MOST_TEXTS)].tolist():
            text = self.page.source[start : min(stop, start + _LONGEST_TEXT)]
            if not flags & TEXT_HIDDEN and (name := resolve_references(text, False).strip()):
                return name[:_LONGEST_NAME]
        return ""

    @cached_property
    def _host(self) -> str:
        return (host(self.url) if self.url else None) or ""

    @cached_property
    def _names(self) -> str:
        """The page's title and its host, in lower case and without blanks and marks."""
        title = " ".join(self.page.text_of(int(element)) for element in self.page.find("title")[:1])
        return _MARKS.sub("", f"{title} {self._host}".lower())

    def is_named(self, name: str) -> bool:
        """Whether a name is one of this page's site: it stands in the title or the host; or the host is a government's,
        or not known, where the name is a public body's in Japanese.
        """
        if _MARKS.sub("", name.lower()) in self._names:
            return True
        is_public = not self._host or self._host.endswith((".go.jp", ".lg.jp")) or ".pref." in self._host
        return is_public and is_japanese(name)

    def _item(self, element: int) -> tuple[set[str], set[str]] | None:
        """Types of the microdata item that an element's property belongs to, and what that item is to others."""
        if not self._has_items:
            return None
        element = self.page.parent(element)
        while element >= 0:
            if self.page.attribute(element, "itemscope") is not None:
                kinds = type_names(self.page.attribute(element, "itemtype") or "")
                return kinds, set((self.page.attribute(element, "itemprop") or "").split())
            element = self.page.parent(element)
        return None

    def item_is_text(self, element: int) -> bool:
        """Whether an element's property belongs to a microdata item that is the page's text, its page or its site."""
        item = self._item(element)
        return item is not None and bool(item[0] & TEXT_TYPES) and not item[1] & _SIDE_PROPERTIES

    def is_in_thing(self, element: int) -> bool:
        """Whether markup says that an element is part of a picture, a comment or the like, or of another page."""
        item = self._item(element)
        in_thing = item is not None and (bool(item[0] & _THING_TYPES) or bool(item[1] & _SIDE_PROPERTIES))
        if item is not None and item[0] and not item[0] & TEXT_TYPES:
            # What a product, a person or an event is licensed under is not what the page is.
            in_thing = in_thing or "license" in (self.page.attribute(element, "itemprop") or "").lower().split()
        return in_thing or not self.speaks_of_page(element) or not self.work_is_text(element)

    def work_is_text(self, element: int) -> bool:
        """Whether the work that a link's surroundings declare by rel=dct:type is text, or nothing is declared.

        The license chooser of Creative Commons writes a span with the type of the work beside the link to the license.
        """
        parent = self.page.parent(element)
        if parent < 0:
            return True
        row = self.page.elements[parent]
        around = self.page.source[row["start"] : min(row["end"], row["start"] + _LONGEST_AROUND)]
        kinds = re.findall(rb"purl\.org/dc/dcmitype/(\w+)", around)
        return not kinds or any(kind in (b"Text", b"InteractiveResource", b"Collection") for kind in kinds)
