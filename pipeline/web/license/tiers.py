"""Tiers: what a license asks for, in one stated order, and when two names mean the same license."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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

# From what asks least of a corpus builder to what asks most. Government terms ask for attribution too but except third
# parties' rights and some uses, so they come right after it. Share-alike binds what is made of the text;
# no-derivatives may forbid making anything of it; non-commercial forbids the commonest uses of a model; reserved
# allows nothing beyond the law. Nothing known is worse than known limits: it may be anything.
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


@dataclass(frozen=True, slots=True)
class License:
    """A license: its SPDX id (else a LicenseRef), its tier, and what of its name is known.

    `family` is what licenses of all versions share (CC-BY, GFDL), `version` and `detail` (a port, "or-later") are None
    where the page does not say. `conditions` counts what is asked beyond the tier, so that BY-NC-ND outweighs BY-NC.
    """

    identifier: str
    tier: str
    family: str
    version: str | None = None
    detail: str | None = None
    conditions: int = 0

    def agrees(self, other: License) -> bool:
        """Whether both may be names of one license, of which one says less than the other."""
        return (
            self.family == other.family
            and (self.version is None or other.version is None or self.version == other.version)
            and (self.detail is None or other.detail is None or self.detail == other.detail)
        )

    @property
    def is_software(self) -> bool:
        """Whether it is made for software, manuals or data: a plain link to it says nothing of a page."""
        return not self.family.startswith(("CC", "Public-Domain", "PDL", "Standard-Terms"))

    @property
    def precision(self) -> int:
        """How much of the license is named: 0 its family alone, 1 also the version, 2 also the detail."""
        return (self.version is not None) + (self.detail is not None)


def strictest(tiers: Iterable[str]) -> str:
    """The tier that asks most of those given; "unknown" of none.

    Order: public-domain, attribution, government, share-alike, no-derivatives, non-commercial, reserved, unknown.
    Raises KeyError for what is no tier.
    """
    return max(tiers, key=strictness, default="unknown")


def strictness(tier: str) -> int:
    """A tier's place in the order of `strictest`, from 0. Raises KeyError for what is no tier."""
    return _STRICTNESS[tier]
