"""Known: the licenses that have a name here, with their SPDX ids and tiers, and the URLs that stand for them."""

from __future__ import annotations

import re

from pipeline.web.license.tiers import License

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

CC0 = License("CC0-1.0", "public-domain", "CC0")
PUBLIC_DOMAIN = License("LicenseRef-Public-Domain", "public-domain", "Public-Domain")
_PUBLIC_DOMAIN_MARK = License("CC-PDM-1.0", "public-domain", "Public-Domain", detail="mark")
_PUBLIC_DOMAIN_DEDICATION = License("CC-PDDC", "public-domain", "Public-Domain", detail="dedication")

# The Public Data License 1.0 (Digital Agency, July 2024) and the Government Standard Terms of Use 2.0 (December 2015)
# say of themselves that they are compatible with CC BY 4.0; version 1.0 of the latter (2014) does not.
PUBLIC_DATA_LICENSE = License("LicenseRef-PDL-1.0", "government", "PDL", "1.0")
COMPATIBLE_WITH_CC_BY = frozenset(("LicenseRef-PDL-1.0", "LicenseRef-Japanese-Government-Standard-Terms-2.0"))

# SPDX ids of licenses made for software, manuals and data, by tier. None of them is told by a plain link.
_BY_TIER = {
    "public-domain": "Unlicense 0BSD MIT-0 WTFPL PDDL-1.0",
    "attribution": "MIT Apache-2.0 BSD-2-Clause BSD-3-Clause BSD-4-Clause "
    "ISC Zlib PSF-2.0 Artistic-2.0 BSL-1.0 ODC-By-1.0 "
    "FreeBSD-DOC",
    "share-alike": "MPL-1.1 MPL-2.0 EPL-1.0 EPL-2.0 EUPL-1.2 ODbL-1.0 OFL-1.1 LAL-1.3 CDDL-1.0",
}
_NAMED = {name.lower(): License(name, tier, name) for tier, names in _BY_TIER.items() for name in names.split()}
_GNU_VERSIONS = {
    "GFDL": ("1.1", "1.2", "1.3"),
    "GPL": ("1.0", "2.0", "3.0"),
    "LGPL": ("2.0", "2.1", "3.0"),
    "AGPL": ("1.0", "3.0"),
}

_CREATIVE_COMMONS = re.compile(
    r"(?:https?:)?//(?:[\w-]+\.)?creativecommons\.(?:org|jp)/(licenses|publicdomain)/([a-z+-]+)"
    r"(?:/(\d\.\d))?(?:/([a-z]{2,8})(?![a-z.-]))?(?=[/?#.]|\Z)",
    re.IGNORECASE | re.ASCII,
)
_PUBLIC_DATA_URL = re.compile(
    r"(?:https?:)?//(?:www\.)?digital\.go\.jp/(?:en/)?resources/open_data/public_data_license_v1\.0(?=[/?#]|\Z)",
    re.IGNORECASE,
)
_STANDARD_TERMS_URL = re.compile(
    r"(?:https?:)?//(?:www\.)?kantei\.go\.jp/jp/singi/it2/densi/kettei/gl2_betten_1\.pdf", re.IGNORECASE
)
_GNU_URL = re.compile(
    r"(?:https?:)?//(?:www\.)?gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?(fdl|gpl|lgpl|agpl)(?:-(\d\.\d))?"
    r"(?:[.-][a-z-]+)*(?=[/?#]|\Z)",
    re.IGNORECASE,
)
_SPDX_URL = re.compile(
    r"(?:https?:)?//(?:www\.)?(?:spdx\.org/licenses|opensource\.org/licenses?|choosealicense\.com/licenses)/"
    r"([a-z0-9.-]+?)(?:\.(?:html|php|txt|json))?/?(?=[?#]|\Z)",
    re.IGNORECASE,
)
_OTHER_URLS = (
    (re.compile(r"(?:https?:)?//(?:www\.)?apache\.org/licenses/LICENSE-2\.0", re.IGNORECASE), "apache-2.0"),
    (re.compile(r"(?:https?:)?//(?:www\.)?mozilla\.org/(?:[a-zA-Z-]+/)?MPL/2\.0", re.IGNORECASE), "mpl-2.0"),
    (re.compile(r"(?:https?:)?//(?:www\.)?unlicense\.org(?=[/?#]|\Z)", re.IGNORECASE), "unlicense"),
    (re.compile(r"(?:https?:)?//(?:www\.)?artlibre\.org/licen[cs]e/lal(?=[/?#]|\Z)", re.IGNORECASE), "lal-1.3"),
    (re.compile(r"(?:https?:)?//(?:www\.)?opendatacommons\.org/licenses/odbl\b", re.IGNORECASE), "odbl-1.0"),
    (re.compile(r"(?:https?:)?//(?:www\.)?opendatacommons\.org/licenses/by\b", re.IGNORECASE), "odc-by-1.0"),
    (re.compile(r"(?:https?:)?//(?:www\.)?opendatacommons\.org/licenses/pddl\b", re.IGNORECASE), "pddl-1.0"),
)


def creative_commons(elements: str, version: str | None, port: str | None) -> License | None:
    """The license for the parts of its URL or name, as "by-nc", "2.1" and "jp"; None where there is none."""
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
    identifier = unported
    if port is not None:
        known = port.upper() in _SPDX_PORTS.get(unported, ())
        identifier = f"{unported}-{port.upper()}"
    else:
        # Without the BY element there were licenses in version 1.0 only, of which SPDX has one.
        known = (version in _SPDX_VERSIONS and "BY" in parts) or unported == "SA-1.0"
    conditions = int(tier == "non-commercial" and ("SA" in parts or "ND" in parts))
    return License(
        f"CC-{identifier}" if known else f"LicenseRef-CC-{identifier}",
        tier,
        f"CC-{name}",
        version,
        port.upper() if port else None,
        conditions,
    )


def gnu_license(family: str, version: str | None, or_later: bool) -> License:
    """GFDL, GPL, LGPL or AGPL. SPDX has no id for one without version, and calls one without "or later" only."""
    if version not in _GNU_VERSIONS[family]:
        return License(f"LicenseRef-{family}", "share-alike", family)
    detail = "or-later" if or_later else None
    return License(f"{family}-{version}-{detail or 'only'}", "share-alike", family, version, detail)


def standard_terms(version: str | None) -> License:
    """The Japanese Government Standard Terms of Use of a version."""
    name = "LicenseRef-Japanese-Government-Standard-Terms"
    return License(f"{name}-{version}" if version else name, "government", "Standard-Terms", version)


def named_license(name: str) -> License | None:
    """The license of an SPDX id in any case, of those in this module's table or of the GNU family."""
    name = name.strip().lower()
    match = re.fullmatch(r"(gfdl|gpl|lgpl|agpl)-(\d\.\d)(-or-later|-only|\+)?", name)
    if match is not None and match[2] in _GNU_VERSIONS[match[1].upper()]:
        return gnu_license(match[1].upper(), match[2], match[3] in ("-or-later", "+"))
    return _NAMED.get(name) or _NAMED.get(name.removesuffix("-license"))


def license_of_url(url: str) -> License | None:
    """The license that a URL stands for, or None if it is not one that is known.

    Creative Commons in all versions and ports, with deed and legalcode pages in any language, the Japanese
    government's terms, GNU's licenses, and the commonest others at opensource.org, SPDX and their own homes.
    """
    url = url.strip()
    match = _CREATIVE_COMMONS.match(url)
    if match is not None:
        kind, elements, version, port = match[1].lower(), match[2].lower(), match[3], match[4]
        if port is not None and port.lower() in ("deed", "legalcode", "rdf"):
            port = None
        if kind == "licenses":
            if elements == "publicdomain":
                return _PUBLIC_DOMAIN_DEDICATION
            return creative_commons(elements, version, port)
        return {"zero": CC0, "mark": _PUBLIC_DOMAIN_MARK}.get(elements)
    if _PUBLIC_DATA_URL.match(url):
        return PUBLIC_DATA_LICENSE
    if _STANDARD_TERMS_URL.match(url):
        return standard_terms("2.0")
    match = _GNU_URL.match(url)
    if match is not None:
        family = "GFDL" if match[1].lower() == "fdl" else match[1].upper()
        return gnu_license(family, match[2], False)
    match = _SPDX_URL.match(url)
    if match is not None:
        return named_license(match[1])
    return next((_NAMED[name] for pattern, name in _OTHER_URLS if pattern.match(url)), None)
