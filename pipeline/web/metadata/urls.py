"""URLs: which one a page says that it stands at."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from pipeline.web.metadata.elements import BASE, LINK, Elements
from pipeline.web.metadata.lines import CONTROLS, MAX_URL
from pipeline.web.urls import host

_WEB = re.compile("https?://", re.IGNORECASE)


def _joined(base: str | None, written: str) -> str | None:
    """A reference as an absolute URL of http or https of at most MAX_URL characters; None where it makes none."""
    written = re.sub(r"[\t\n\r]", "", written[: 2 * MAX_URL]).strip()
    if len(written) > MAX_URL or not written:
        return None
    try:
        url = written if _WEB.match(written) or not base else urljoin(base, written)
        if "[" in url:
            urlsplit(url)
    except ValueError:
        # A bracket in the host that makes no IPv6 address: no URL.
        return None
    return url if _WEB.match(url) and len(url) <= MAX_URL and host(url) and not CONTROLS.search(url) else None


def find_canonical_url(elements: Elements, meta: dict[str, list[str]], url: str | None) -> str | None:
    """The first reference that makes a URL, of link rel=canonical and og:url, resolved against base and `url`."""
    bases = [attributes["href"] for _, attributes in elements.get(BASE, ()) if "href" in attributes]
    base = (_joined(url, bases[0]) or url) if bases else url
    links = [attributes for _, attributes in elements.get(LINK, ()) if "canonical" in attributes["rel"].lower().split()]
    for reference in (*(link.get("href", "") for link in links[:5]), *meta.get("og:url", ())[:1]):
        found = _joined(base, reference)
        if found:
            return found
    return None
