"""License: what a page says its text may be used under, as an SPDX id with its evidence and a tier."""

from pipeline.web.license.reader import NO_LICENSE, LicenseFact, find_license, license_from_url
from pipeline.web.license.tiers import TIERS, strictest

__all__ = ["NO_LICENSE", "TIERS", "LicenseFact", "find_license", "license_from_url", "strictest"]
