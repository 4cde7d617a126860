"""Reader: the license of a page's text, from all that the page and its response say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.web.license.candidates import find_candidates
from pipeline.web.license.claims import Claim, header_claims, json_claims, markup_claim
from pipeline.web.license.known import COMPATIBLE_WITH_CC_BY, license_of_url
from pipeline.web.license.notices import Notice, find_notices
from pipeline.web.license.places import Places
from pipeline.web.license.statements import Meaning
from pipeline.web.license.tiers import strictness
from pipeline.web.page import Page

# A page with plain links to more licenses than this lists or explains them.
_MOST_PLAIN_LICENSES = 2
_MOST_IN_DISAGREEMENT = 5
_RESERVED, _UNRECOGNISED = "reserved", "unrecognised"


@dataclass(frozen=True, slots=True)
class LicenseFact:
    """A page's license: SPDX id, the URL (or text) that says so, the kind of evidence, and the tier.

    `source` is "http-link", "rel-license-link", "rel-license-a", "rel-license-area", "meta", "json-ld", "microdata",
    "rdfa", "cc-link" or "government-link" (a link without such a mark), or "notice" (a sentence). A license that is
    declared but not recognised has a URL and a source, no id, and the tier "unknown"; a reservation of all rights has
    no id and the tier "reserved". `disagreement` names what is declared for the text where it is not one license, in
    the page's order. `compatible_with` is the license that the license itself says it is compatible with.
    """

    license: str | None
    url: str | None
    source: str | None
    tier: str
    disagreement: str | None = None
    compatible_with: str | None = None


NO_LICENSE = LicenseFact(None, None, None, "unknown")


def license_from_url(url: str) -> tuple[str, str] | None:
    """SPDX id (else a LicenseRef) and tier for a license's URL, or None if it is not one that is known.

    A URL without version ("/licenses/by/") gives an id without one.
    """
    known = license_of_url(url)
    return (known.identifier, known.tier) if known is not None else None


def _tier(claim: Claim) -> str:
    if claim.reserved:
        return "reserved"
    return claim.license.tier if claim.license is not None else "unknown"


def _name(claim: Claim) -> str:
    if claim.reserved:
        return _RESERVED
    return claim.license.identifier if claim.license is not None else _UNRECOGNISED


def _same(one: Claim, other: Claim) -> bool:
    if one.license is None or other.license is None:
        return one.license is other.license and one.reserved == other.reserved
    return one.license.agrees(other.license)


def _precision(claim: Claim) -> int:
    return claim.license.precision if claim.license is not None else 0


def _distinct(claims: Iterable[Claim]) -> list[Claim]:
    """One claim for each license, in the page's order: its fullest name; of equal names the strongest evidence."""
    kept: list[Claim] = []
    for claim in claims:
        for index, other in enumerate(kept):
            if _same(claim, other):
                if (_precision(claim), claim.strength) > (_precision(other), other.strength):
                    kept[index] = claim
                break
        else:
            kept.append(claim)
    return kept


def _strictness(claim: Claim) -> tuple[int, int]:
    """Tier first; then the number of conditions, so that BY-NC-ND outweighs BY-NC."""
    return strictness(_tier(claim)), claim.license.conditions if claim.license is not None else 0


def _fact(claims: list[Claim]) -> LicenseFact:
    """The strictest of the claims, of equals the first."""
    distinct = _distinct(sorted(claims, key=lambda claim: claim.position))
    if not distinct:
        return NO_LICENSE
    chosen = max(distinct, key=_strictness)
    names = [_name(claim) for claim in distinct]
    more = [f"{len(names) - _MOST_IN_DISAGREEMENT} more"] if len(names) > _MOST_IN_DISAGREEMENT else []
    identifier = chosen.license.identifier if chosen.license is not None else None
    return LicenseFact(
        identifier,
        chosen.evidence,
        chosen.source,
        _tier(chosen),
        ", ".join(names[:_MOST_IN_DISAGREEMENT] + more) if len(names) > 1 else None,
        "CC-BY-4.0" if identifier in COMPATIBLE_WITH_CC_BY else None,
    )


def _as_claim(notice: Notice) -> Claim:
    return Claim(
        notice.license,
        notice.evidence,
        notice.source,
        notice.position,
        int(notice.is_sentence),
        notice.reserved is not None,
    )


def _holds(places: Places, claim: Claim, meaning: Meaning | None) -> bool:
    """Whether markup's claim is one for the page: by where it stands and by what its line speaks of."""
    place = places.of(claim.position)
    if place.other or meaning is Meaning.THING:
        return False
    return not place.beside or meaning is Meaning.OWN


def find_license(page: Page, http_headers: Mapping[str, list[str]], url: str | None = None) -> LicenseFact:
    """The license of a page's text, from the page, its HTTP headers (names in lower case) and its address.

    What is declared outright (markup, JSON-LD, header) and sentences about the page's text count alike: of several
    different licenses the strictest holds, and a declared one that is not recognised is the strictest of all. Plain
    links count only where nothing is declared. A reservation of all rights counts where no license is declared for
    the text; beside a license, a prohibition to copy is recorded as a disagreement. Never raises; time grows linearly.
    """
    found = find_candidates(page)
    places = Places(page, url)
    claims = list(header_claims(http_headers, places))
    by_element = {element: claim for element in found.claims if (claim := markup_claim(places, element)) is not None}
    claims += json_claims(page)
    notices: list[Notice] = []
    if found.texts or found.links or by_element:
        in_text = frozenset(
            element
            for element, claim in by_element.items()
            if claim.source in ("rel-license-a", "rdfa", "rel-license-area")
        )
        links = {element for element in found.links if page.name(element) in ("a", "area")}
        notices, meanings = find_notices(places, found.texts, sorted(links | in_text), in_text)
        claims += [claim for element, claim in by_element.items() if _holds(places, claim, meanings.get(element))]
    sentences = [_as_claim(notice) for notice in notices if notice.is_sentence and notice.reserved is None]
    reserved = [notice for notice in notices if notice.reserved is not None]
    declared = [*(claim for claim in claims if not claim.reserved), *sentences]
    if declared:
        prohibited = [] if any(_tier(claim) == "unknown" for claim in declared) else _prohibitions(reserved)
        fact = _fact(declared)
        return _with_prohibition(fact, [*declared, *prohibited]) if prohibited else fact
    plain = [_as_claim(notice) for notice in notices if not notice.is_sentence]
    if len(_distinct(plain)) > _MOST_PLAIN_LICENSES:
        plain = []
    return _fact([*plain, *(claim for claim in claims if claim.reserved), *map(_as_claim, reserved)])


def _prohibitions(reserved: list[Notice]) -> list[Claim]:
    return [_as_claim(notice) for notice in reserved if notice.reserved == "prohibited"]


def _with_prohibition(fact: LicenseFact, claims: list[Claim]) -> LicenseFact:
    names = [_name(claim) for claim in _distinct(sorted(claims, key=lambda claim: claim.position))]
    return LicenseFact(
        fact.license, fact.url, fact.source, fact.tier, ", ".join(names[:_MOST_IN_DISAGREEMENT]), fact.compatible_with
    )
