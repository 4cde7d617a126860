"""Claims: what a page's markup, its structured data and its HTTP header say outright about its license."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.web.license.known import license_of_url
from pipeline.web.license.names import license_of_value, mentions_in, normalized
from pipeline.web.license.notices import is_reserved
from pipeline.web.license.places import TEXT_TYPES, Place, Places
from pipeline.web.license.statements import Meaning, is_talk, meanings
from pipeline.web.license.tiers import License
from pipeline.web.page import Page
from pipeline.web.structured_data import article_of, members, page_of, raw_text, read_structured_data, types_of

_META_LICENSE = frozenset(
    ("license", "dc.license", "dc.rights.license", "dcterms.license", "dct:license", "dcterms:license", "og:license")
)
# Statements of rights, which need not name a license: those that do not are no claim at all.
_META_RIGHTS = frozenset(
    (
        "dc.rights",
        "dcterms.rights",
        "dc:rights",
        "dct:rights",
        "dcterms:rights",
        "dcterms.rights.license",
        "rights",
        "copyright",
    )
)
# https://creativecommons.org/ns, https://www.dublincore.org/specifications/dublin-core/dcmi-terms/,
# https://www.w3.org/1999/xhtml/vocab, https://schema.org/license; and DCMI's names for HTML's meta and link.
_RDFA_LICENSE = frozenset(
    (
        "cc:license",
        "dc:license",
        "dct:license",
        "dcterms:license",
        "xhv:license",
        "schema:license",
        "dc.license",
        "dcterms.license",
        "http://creativecommons.org/ns#license",
        "http://web.resource.org/cc/license",
        "http://purl.org/dc/terms/license",
        "http://www.w3.org/1999/xhtml/vocab#license",
        "http://schema.org/license",
        "https://schema.org/license",
    )
)
_RDFA_RIGHTS = frozenset(("dc:rights", "dct:rights", "dcterms:rights", "dc.rights", "dcterms.rights"))
_LINKING = frozenset(("a", "area", "link"))
_LINK_HEADER = re.compile(r"<([^<>]*)>((?:[^,\"<]|\"[^\"]*\")*)")
_REL_LICENSE = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?license(?:\s[^\"]*)?\"|license(?![^\s;,]))", re.IGNORECASE)
_ANCHOR = re.compile(r";\s*anchor\s*=\s*(?:\"([^\"]*)\"|([^\s;,]*))", re.IGNORECASE)
_JSON_SITES = frozenset(("WebSite", "Blog"))
_LONGEST_URL = 2_000
_LONGEST_HEADER = 100_000


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: the license (None where it is not known), the URL or text, the kind of evidence and its place.

    `position` orders claims as the page does. `strength` is 2 for what markup says outright, 1 for a sentence, 0 for a
    bare link. `reserved` is true where all rights are reserved.
    """

    license: License | None
    evidence: str
    source: str
    position: int
    strength: int = 2
    reserved: bool = False


def _claim(license: License | None, value: str, source: str, position: int, reserved: bool = False) -> Claim:
    return Claim(license, value.strip()[:_LONGEST_URL], source, position, reserved=reserved)


def header_claims(http_headers: Mapping[str, list[str]], places: Places) -> Iterator[Claim]:
    """What rel=license in Link headers names for this page (RFC 8288: an anchor means another one)."""
    for header in http_headers.get("link", ()):
        for url, parameters in _LINK_HEADER.findall(header[:_LONGEST_HEADER]):
            if url.strip() and _REL_LICENSE.search(parameters):
                anchor = _ANCHOR.search(parameters)
                if anchor is None or places.is_this_page(anchor[1] or anchor[2] or ""):
                    yield _claim(license_of_url(url), url, "http-link", -1)


def _rights_in(value: str) -> tuple[License | None, bool]:
    """The license in a statement of rights, and whether it reserves all."""
    known = license_of_value(value)
    if known is not None:
        return known, False
    text = normalized(value[:_LONGEST_URL])
    if is_talk(text):
        return None, False
    mentions = mentions_in(text)
    found = zip(mentions, meanings(text, mentions, frozenset(), Place(foot=True)))
    licenses = [
        mention.license for mention, meaning in found if mention.license is not None and meaning is not Meaning.THING
    ]
    if licenses and all(licenses[0].agrees(other) for other in licenses):
        return licenses[0], False
    return None, not licenses and is_reserved(text)


def _meta_claim(page: Page, element: int) -> Claim | None:
    attributes = page.attributes_of(element)
    name = (attributes.get("name") or attributes.get("property") or "").strip().lower()
    content = attributes.get("content", "")
    if not content.strip():
        return None
    if name in _META_LICENSE:
        return _claim(license_of_value(content), content, "meta", element)
    if name in _META_RIGHTS:
        known, reserved = _rights_in(content)
        if known is not None or reserved:
            return _claim(known, content, "meta", element, reserved)
    return None


def _value_of(page: Page, element: int, attributes: dict[str, str], is_property: bool) -> str:
    """The object of an element's property or relation, by RDFa's and microdata's order of attributes."""
    for name in ("content", "resource", "href", "src") if is_property else ("resource", "href", "src"):
        if attributes.get(name, "").strip():
            return attributes[name]
    return page.text_of(element)[:_LONGEST_URL] if is_property else ""


def _has_vocabulary(page: Page, element: int) -> bool:
    while element >= 0:
        if page.attribute(element, "vocab") or page.attribute(element, "typeof"):
            return True
        element = page.parent(element)
    return False


def _rdfa_claim(page: Page, element: int, attributes: dict[str, str]) -> Claim | None:
    properties = frozenset(attributes.get("property", "").lower().split())
    relations = frozenset(attributes.get("rel", "").lower().split())
    is_property = bool(properties & (_RDFA_LICENSE | _RDFA_RIGHTS)) or (
        "license" in properties and _has_vocabulary(page, element)
    )
    if not is_property and not relations & (_RDFA_LICENSE | _RDFA_RIGHTS):
        return None
    value = _value_of(page, element, attributes, is_property)
    if not value.strip():
        return None
    if (properties | relations) & (_RDFA_LICENSE | {"license"}):
        return _claim(license_of_value(value), value, "rdfa", element)
    known, reserved = _rights_in(value)
    return _claim(known, value, "rdfa", element, reserved) if known is not None or reserved else None


def markup_claim(places: Places, element: int) -> Claim | None:
    """What an element's rel, property, itemprop or name claims for the page; None where it claims nothing for it.

    Where rel=license leads to a page that is not known, the license that the link's own text names counts.
    """
    page = places.page
    tag = page.name(element)
    if tag == "meta" and page.attribute(element, "itemprop") is None:
        return _meta_claim(page, element)
    attributes = page.attributes_of(element)
    if "license" in attributes.get("itemprop", "").lower().split():
        if not places.item_is_text(element) or places.of(element).other:
            return None
        value = attributes.get("content") or attributes.get("href") or page.text_of(element)[:_LONGEST_URL]
        return _claim(license_of_value(value), value, "microdata", element) if value.strip() else None
    if not places.speaks_of_page(element):
        return None
    relation = attributes.get("rel", "").lower().split()
    if tag in _LINKING and "license" in relation:
        url = attributes.get("href", "")
        if not url.strip() or not places.work_is_text(element):
            return None
        known = license_of_url(url)
        if known is None:
            known = license_of_value(attributes.get("title", "") or page.text_of(element)[:_LONGEST_URL])
        return _claim(known, url, f"rel-license-{tag}", element)
    return _rdfa_claim(page, element, attributes)


def _json_values(value: Any, by_id: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The URLs and names that a license property holds: strings, and objects by url, @id or name."""
    for item in members(value)[:20]:
        if isinstance(item, dict):
            target = by_id.get(str(item.get("@id")), item) if set(item) <= {"@id", "@type"} else item
            known = [
                text for name in ("url", "@id", "sameAs", "name", "@value") if isinstance(text := target.get(name), str)
            ]
            item = next((text for text in known if license_of_value(text) is not None), known[0] if known else None)
        if isinstance(item, str) and item.strip():
            yield item


def _main_objects(objects: tuple[dict[str, Any], ...]) -> Iterator[dict[str, Any]]:
    """What the page is about, the page, its site, and what these name as their page or whole."""
    site = next((value for value in objects if types_of(value) & _JSON_SITES), None)
    about = article_of(objects)
    if about is None or not types_of(about) & TEXT_TYPES:
        texts = TEXT_TYPES - _JSON_SITES
        about = next((value for value in objects if types_of(value) & texts), None)
    found: list[dict[str, Any]] = []
    for value in (about, page_of(objects), site):
        if value is not None and not any(value is other for other in found):
            found.append(value)
    for value in found:
        yield value
        for name in ("isPartOf", "mainEntityOfPage"):
            for item in members(value.get(name))[:5]:
                if isinstance(item, dict) and types_of(item) & TEXT_TYPES:
                    yield item


def json_claims(page: Page) -> Iterator[Claim]:
    """What JSON-LD claims for what the page is about, for the page and for its site; not for pictures and the like."""
    scripts = [
        element
        for element, _ in page.values("script", "type", "ld+json")
        if b"license" in (text := raw_text(page, element, 2_000_000)) or b"usageInfo" in text
    ]
    if not scripts:
        return
    objects = read_structured_data(page)
    by_id = {identifier: value for value in objects if isinstance(identifier := value.get("@id"), str)}
    for value in _main_objects(objects):
        for name in _json_values(value.get("license"), by_id):
            yield _claim(license_of_value(name), name, "json-ld", scripts[0])
        for name in _json_values(value.get("usageInfo"), by_id):
            known = license_of_value(name)
            if known is not None:
                yield _claim(known, name, "json-ld", scripts[0])
