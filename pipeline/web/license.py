"""License: what a page says it may be used under, as an SPDX id with its source and a tier.

Read are rel=license on links and anchors, meta elements, the HTTP Link header and, where all of these are silent,
plain links to Creative Commons or to the terms of the Japanese government. A plain link may be about a picture, so it
is the weaker evidence and its source says so.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.web.page import Page

TIERS = (
    "public-domain",
    "attribution",
    "share-alike",
    "no-derivatives",
    "non-commercial",
    "government",
    "reserved",
    "unknown",
)

# From what asks least of a corpus builder to what asks most. Government terms ask for attribution too (both Japanese
# ones call themselves compatible with CC BY 4.0) but except third parties' rights and some uses, so they come right
# after it. Share-alike binds what is made of the text; no-derivatives may forbid making anything of it;
# non-commercial forbids the commonest uses of a model. Nothing known is worse than known limits: it may be anything.
_STRICTNESS = {
    tier: rank
    for rank, tier in enumerate(
        (
            "public-domain",
            "attribution",
            "government",
            "share-alike",
            "no-derivatives",
            "non-commercial",
            "reserved",
            "unknown",
        )
    )
}

# The SPDX license list 3.27 has these ports; all others become LicenseRef ids.
_SPDX_PORTS: dict[str, tuple[str, ...]] = {
    "BY-2.5": ("AU",),
    "BY-3.0": ("AT", "AU", "DE", "IGO", "NL", "US"),
    "BY-NC-3.0": ("DE",),
    "BY-NC-ND-3.0": ("DE", "IGO"),
    "BY-NC-SA-2.0": ("DE", "FR", "UK"),
    "BY-NC-SA-3.0": ("DE", "IGO"),
    "BY-ND-3.0": ("DE",),
    "BY-SA-2.0": ("UK",),
    "BY-SA-2.1": ("JP",),
    "BY-SA-3.0": ("AT", "DE", "IGO"),
}
_SPDX_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
_CREATIVE_COMMONS = re.compile(
    r"(?:https?:)?//(?:[\w-]+\.)?creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)"
    r"(?:/(\d\.\d))?(?:/([a-z]{2,8})(?![a-z.-]))?(?=[/?#.]|\Z)",
    re.IGNORECASE | re.ASCII,
)
# The Digital Agency's Public Data License 1.0 (July 2024) and the Government Standard Terms of Use 2.0 (December 2015).
_GOVERNMENT = (
    (
        re.compile(
            r"(?:https?:)?//(?:www\.)?digital\.go\.jp/(?:en/)?resources/open_data/public_data_license_v1\.0(?=[/?#]|\Z)",
            re.IGNORECASE,
        ),
        "LicenseRef-PDL-1.0",
    ),
    (
        re.compile(
            r"(?:https?:)?//(?:www\.)?kantei\.go\.jp/jp/singi/it2/densi/kettei/gl2_betten_1\.pdf", re.IGNORECASE
        ),
        "LicenseRef-Japanese-Government-Standard-Terms-2.0",
    ),
)
# Every URL that is known names one of these hosts.
_LICENSE_HOSTS = "creativecommons.org digital.go.jp kantei.go.jp"
# How people write a Creative Commons license in a meta element: "CC BY-SA 4.0", "CC-BY-4.0", "CC0".
_WRITTEN = re.compile(
    r"(?:SPDX:)?CC[ -](BY(?:-(?:NC|ND|SA)){0,2})[ -](\d\.\d)(?:[ -](?:International|Unported|DEED))?", re.IGNORECASE
)
_WRITTEN_ZERO = re.compile(r"CC0(?:[ -]1\.0)?(?: Universal)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LicenseFact:
    """A page's license: SPDX id, the URL (or text) that says so, the kind of evidence, and the tier.

    `source` is "rel-license-a", "rel-license-link", "meta", "http-link", "cc-link" (a plain link to Creative
    Commons) or "government-link" (a plain link to Japanese government terms). A license that is declared but not
    recognised has a URL and a source, no id, and the tier "unknown".
    """

    license: str | None
    url: str | None
    source: str | None
    tier: str


NO_LICENSE = LicenseFact(None, None, None, "unknown")


def strictest(tiers: Iterable[str]) -> str:
    """The tier that asks most of those given; "unknown" of none.

    Order: public-domain, attribution, government, share-alike, no-derivatives, non-commercial, reserved, unknown.
    Raises KeyError for what is no tier.
    """
    return max(tiers, key=_STRICTNESS.__getitem__, default="unknown")


def _creative_commons(elements: str, version: str | None, port: str | None) -> tuple[str, str] | None:
    """SPDX id and tier for the parts of a license URL, as "by-nc", "2.1" and "jp"."""
    parts = elements.upper().split("-")
    if elements.upper() in ("SAMPLING", "SAMPLING+", "NC-SAMPLING+"):
        name = elements.upper().replace("+", "-PLUS")
    elif set(parts) <= {"BY", "NC", "ND", "SA"}:
        # Version 1.0 wrote by-nd-nc; ids have one order.
        name = "-".join(part for part in ("BY", "NC", "ND", "SA") if part in parts)
    else:
        return None
    if "SAMPLING" in name or "NC" in parts:
        tier = "non-commercial"
    elif "ND" in parts:
        tier = "no-derivatives"
    else:
        tier = "share-alike" if "SA" in parts else "attribution"
    unported = "-".join(filter(None, (name, version)))
    if port is not None:
        known = port.upper() in _SPDX_PORTS.get(unported, ())
        unported = f"{unported}-{port.upper()}"
    else:
        # Without the BY element there were licenses in version 1.0 only, of which SPDX has one.
        known = (version in _SPDX_VERSIONS and "BY" in parts) or unported == "SA-1.0"
    return f"CC-{unported}" if known else f"LicenseRef-CC-{unported}", tier


def license_from_url(url: str) -> tuple[str, str] | None:
    """SPDX id (else a LicenseRef) and tier for a license's URL, or None if it is not one that is known.

    Creative Commons in all versions and ports, with deed and legalcode pages in any language, and the Japanese
    government's terms. A URL without version ("/licenses/by/") gives an id without one.
    """
    url = url.strip()
    match = _CREATIVE_COMMONS.match(url)
    if match is not None:
        kind, elements, version, port = match[1].lower(), match[2].lower(), match[3], match[4]
        if port is not None and port.lower() in ("deed", "legalcode", "rdf"):
            port = None
        if kind == "licenses":
            if elements == "publicdomain":
                return "CC-PDDC", "public-domain"
            return _creative_commons(elements, version, port)
        return {"zero": ("CC0-1.0", "public-domain"), "mark": ("CC-PDM-1.0", "public-domain")}.get(elements)
    for pattern, identifier in _GOVERNMENT:
        if pattern.match(url):
            return identifier, "government"
    return None


def _license_from_value(value: str) -> tuple[str, str] | None:
    """The license that a meta element's content names: a URL, or the license's own name and nothing else."""
    known = license_from_url(value)
    if known is not None:
        return known
    if _WRITTEN_ZERO.fullmatch(value.strip()):
        return "CC0-1.0", "public-domain"
    match = _WRITTEN.fullmatch(value.strip())
    return _creative_commons(match[1], match[2], None) if match else None


_META_LICENSE = frozenset(
    ("license", "dc.license", "dc.rights.license", "dcterms.license", "dct:license", "og:license")
)
# Statements of rights, which need not name a license: those that do not are no claim at all.
_META_RIGHTS = frozenset(("dc.rights", "dcterms.rights", "dc:rights", "dct:rights", "dcterms.rights.license"))
_LINK_HEADER = re.compile(r"<([^<>]*)>((?:[^,\"<]|\"[^\"]*\")*)")
_REL_LICENSE = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?license(?:\s[^\"]*)?\"|license(?![^\s;,]))", re.IGNORECASE)
_LONGEST_URL = 2_000


def _fact(value: str, known: tuple[str, str] | None, source: str) -> LicenseFact:
    identifier, tier = known or (None, "unknown")
    return LicenseFact(identifier, value.strip()[:_LONGEST_URL], source, tier)


def _rel_licenses(page: Page, tag: str) -> Iterator[tuple[int, LicenseFact]]:
    """(element, what it claims) of every a or link with rel=license."""
    for element, relation in page.values(tag, "rel", "license"):
        url = page.attribute(element, "href") or ""
        if url.strip() and "license" in relation.lower().split():
            yield element, _fact(url, license_from_url(url), f"rel-license-{tag}")


def _meta_licenses(page: Page) -> Iterator[tuple[int, LicenseFact]]:
    """(element, what it claims) of every meta element about license or rights."""
    names = {
        element: name
        for element, name in page.values("meta", "property", "license rights")
        if not page.attribute(element, "name")
    }
    names.update(page.values("meta", "name", "license rights"))
    for element, name in names.items():
        name = name.strip().lower()
        content = (page.attribute(element, "content") or "") if name in _META_LICENSE | _META_RIGHTS else ""
        if content.strip():
            known = _license_from_value(content)
            if known is not None or name in _META_LICENSE:
                yield element, _fact(content, known, "meta")


def _claims(page: Page, http_headers: Mapping[str, list[str]]) -> Iterator[LicenseFact]:
    """What response and page say outright about their license, recognised or not, in the page's order."""
    for header in http_headers.get("link", ()):
        for url, parameters in _LINK_HEADER.findall(header):
            if url.strip() and _REL_LICENSE.search(parameters):
                yield _fact(url, license_from_url(url), "http-link")
    claims = [*_rel_licenses(page, "a"), *_rel_licenses(page, "link"), *_meta_licenses(page)]
    for _, fact in sorted(claims, key=lambda claim: claim[0]):
        yield fact


def _plain_links(page: Page) -> Iterator[LicenseFact]:
    for _, url in page.values("a", "href", _LICENSE_HOSTS):
        known = license_from_url(url)
        if known is not None:
            yield _fact(url, known, "government-link" if known[1] == "government" else "cc-link")


def _strictness(fact: LicenseFact) -> tuple[int, int]:
    """Tier first; then the number of conditions, so that BY-NC-ND outweighs BY-NC."""
    return _STRICTNESS[fact.tier], len((fact.license or "").split("-"))


def find_license(page: Page, http_headers: Mapping[str, list[str]]) -> LicenseFact:
    """A page's license from its a, link and meta elements and its HTTP headers (names in lower case).

    Of several different ones the strictest holds, of equals the first; a claim that is not recognised counts as
    "unknown", the strictest of all, and is never upgraded by another. Plain links count only where nothing is claimed.
    """
    facts = list(_claims(page, http_headers)) or _plain_links(page)
    return max(facts, key=_strictness, default=NO_LICENSE)
