"""Reader: what a page says of itself, from its sources in order of trust."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.web.metadata.dates import EARLIEST, LATEST, read_date, url_date
from pipeline.web.metadata.elements import (
    ABBR,
    HTML,
    ITEMPROP,
    TIME,
    Elements,
    find_elements,
    first_of,
    naming,
    words_of,
)
from pipeline.web.metadata.lines import MAX_DESCRIPTION, MAX_LANGUAGE, as_key, as_line
from pipeline.web.metadata.names import AUTHORS, SITES, join_authors, names_in, shown_authors, site_names_of
from pipeline.web.metadata.shown import MODIFIED_CLASSES, OTHER_CLASSES, Texts, shown_days
from pipeline.web.metadata.titles import TITLES, choose_title
from pipeline.web.metadata.urls import find_canonical_url
from pipeline.web.page import Page
from pipeline.web.structured_data import article_of, page_of, plain_line, read_structured_data
from pipeline.web.urls import host

# Names of meta elements, in lower case, in order of trust: Open Graph, Google Scholar, Dublin Core, Parse.ly, Cxense,
# Sailthru, microdata's itemprop, and those of no vocabulary.
_PUBLISHED = (
    "article:published_time",
    "og:article:published_time",
    "og:published_time",
    "datepublished",
    "parsely-pub-date",
    "cxenseparse:publishtime",
    "cxenseparse:recs:publishtime",
    "sailthru.date",
    "citation_online_date",
    "citation_publication_date",
    "citation_date",
    "dcterms.issued",
    "dc.date.issued",
    "dcterms.created",
    "dc.date.created",
    "dc.date",
    "dcterms.date",
    "pubdate",
    "publishdate",
    "publish_date",
    "publish-date",
    "release_date",
    "date",
)
_MODIFIED = (
    "article:modified_time",
    "og:article:modified_time",
    "og:updated_time",
    "datemodified",
    "dcterms.modified",
    "dc.date.modified",
    "last-modified",
    "lastmod",
    "revised",
)
_DESCRIPTIONS = ("description", "og:description")
_WANTED = frozenset((*TITLES, *SITES, *AUTHORS, *_PUBLISHED, *_MODIFIED, *_DESCRIPTIONS, "og:title", "og:url"))
_PUBLISHED_CLASSES = frozenset(("published", "pubdate", "entry", "post", "posted", "article"))


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a page says of itself; None where it says nothing that can be trusted.

    title (without the site's name), author (names joined by ", "), site_name, description: the page's own letters on
    one line; published_at and modified_at: days as the page writes them, in its own time zone; canonical_url: absolute,
    http or https; declared_language: as written.
    """

    title: str | None
    author: str | None
    site_name: str | None
    published_at: date | None
    modified_at: date | None
    description: str | None
    canonical_url: str | None
    declared_language: str | None


def _marked_dates(
    page: Page, elements: Elements, has_microdata: bool, name: str, classes: frozenset[str]
) -> Iterator[str]:
    """Dates of time elements by itemprop, pubdate or class, of abbr elements of the hAtom format, and of microdata."""
    wanted = name.lower()
    classed: list[str] = []
    marked = [(attributes, attributes.get("datetime")) for _, attributes in elements.get(TIME, ())]
    marked += [(attributes, attributes.get("title")) for _, attributes in elements.get(ABBR, ())]
    for attributes, value in marked:
        if value is None:
            continue
        words = words_of(attributes.get("class", ""))
        if wanted in attributes.get("itemprop", "").lower().split():
            yield value
        elif words & OTHER_CLASSES:
            continue
        elif "pubdate" in attributes and name == "datePublished":
            yield value
        elif words & classes and ("published" in words or not words & MODIFIED_CLASSES) is (name == "datePublished"):
            classed.append(value)
    if has_microdata:
        for element, index in naming(page, wanted.encode(), wanted.encode()):
            if int(page.attributes[index]["code"]) == ITEMPROP:
                yield page.attribute(element, "content") or page.attribute(element, "datetime") or ""
    yield from classed[:1]


def declared_language(page: Page) -> str | None:
    """The lang or xml:lang of the html element, as the page wrote it, at most MAX_LANGUAGE characters."""
    for element in page.find("html")[:1].tolist():
        return _language({name: page.attribute(element, name) or "" for name in ("lang", "xml:lang")})
    return None


def _language(attributes: dict[str, str]) -> str | None:
    value = attributes.get("lang") or attributes.get("xml:lang")
    return value.strip()[:MAX_LANGUAGE] or None if value else None


def read_metadata(page: Page, url: str | None, fetched_on: date | None) -> Metadata:
    """What a page, as `read_page` gave it, says of itself; of equal kinds of evidence the first holds.

    title: og:title, JSON-LD's headline, other meta elements, the title element. site_name: og:site_name, JSON-LD's
    WebSite and publisher, application-name. author: JSON-LD, meta elements, what is shown by rel, itemprop or class.
    Dates: JSON-LD, meta elements, time elements and microdata, the URL's path (published), dates shown near the
    headline beside a word (公開, 更新) or in an element named for dates; from EARLIEST to the day after `fetched_on`.
    canonical_url: link rel=canonical, og:url; relative ones from base and `url`. Never raises.
    """
    elements, meta, has_microdata = find_elements(page, _WANTED)
    objects = read_structured_data(page)
    article = (article_of(objects) or page_of(objects) or {}) if objects else {}
    latest = min(fetched_on, LATEST) + timedelta(days=1) if fetched_on else LATEST

    def first_day(values: Iterable[str | None]) -> date | None:
        days = (read_date(value) for value in values if value)
        return next((day for day in days if day is not None and EARLIEST <= day <= latest), None)

    site_names = site_names_of(meta, objects, article)
    hosts = [name for name in ((host(url) if url else None),) if name]
    sites = {as_key(name) for name in (*site_names, *hosts, *(name.removeprefix("www.") for name in hosts))}
    named = [plain_line(article.get(name)) for name in ("headline", "name")]
    title = choose_title(page, elements, meta, named, sites)

    stated = [plain_line(article.get(name)) for name in ("datePublished", "dateCreated")]
    published = first_day((*stated, *first_of(meta, _PUBLISHED)))
    modified = first_day((plain_line(article.get("dateModified")), *first_of(meta, _MODIFIED)))
    published = published or first_day(
        _marked_dates(page, elements, has_microdata, "datePublished", _PUBLISHED_CLASSES)
    )
    modified = modified or first_day(_marked_dates(page, elements, has_microdata, "dateModified", MODIFIED_CLASSES))
    if published is None and url and (day := url_date(url)) and EARLIEST <= day <= latest:
        published = day
    texts = Texts(page)
    kinds = [kind for kind, day in (("published", published), ("modified", modified)) if day is None]
    if kinds:
        shown = shown_days(texts, elements, title, lambda day: EARLIEST <= day <= latest, kinds)
        published, modified = published or shown.get("published"), modified or shown.get("modified")

    author = join_authors(names_in(article.get("author"), objects)) or join_authors(
        content for name in AUTHORS for content in meta.get(name, ())[:50]
    )
    described = (*first_of(meta, _DESCRIPTIONS), plain_line(article.get("description")) or "")
    return Metadata(
        title=title,
        author=author or next((names for text in shown_authors(page, texts) if (names := join_authors((text,)))), None),
        site_name=next(iter(site_names), None),
        published_at=published,
        modified_at=modified,
        description=next((line for text in described if (line := as_line(text, MAX_DESCRIPTION))), None),
        canonical_url=find_canonical_url(elements, meta, url),
        declared_language=_language(elements[HTML][0][1]) if HTML in elements else None,
    )
