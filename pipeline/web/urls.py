"""URLs as strings: the host of one, and the form in which two captures of one page compare equal."""

import re

# RFC 3986, appendix B, with the backslash ending an authority too, as the WHATWG URL standard has it for http.
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://([^/?#\\]*))?([^?#]*)(\?[^#]*)?", re.DOTALL)
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_WEB_SCHEMES = ("http", "https")
# Both are dropped under either scheme, since the two schemes are one here.
_DEFAULT_PORTS = ("", "80", "443")
_NOT_IN_HOST = re.compile(r"[\s\x00-\x20\x7f<>\"^`{|}%]")


def _split_authority(authority: str) -> tuple[str, str]:
    """Host and port, each possibly empty, of an authority; credentials are dropped."""
    address = authority.rpartition("@")[2]
    name, colon, port = address.rpartition(":")
    if colon and "]" not in port and (":" not in name or name.endswith("]")):
        return name, port
    return address, ""


def host(url: str) -> str | None:
    """The host of a URL in lower case, without port, credentials and final dot; None where there is none.

    Punycode and Unicode names are kept as they are, an IPv6 address keeps its brackets. Never raises.
    """
    match = _PARTS.match(url.strip())
    if match is None or match[2] is None:
        return None
    name = _split_authority(match[2])[0].lower().removesuffix(".")
    if not name or _NOT_IN_HOST.search(name) or (":" in name and not name.startswith("[")):
        return None
    return name


def normalize_url(url: str) -> str:
    """The form of a URL under which two captures of one page compare equal; for comparison, never for display.

    Scheme and host in lower case, http written as https, and without the ports 80 and 443, fragment, an empty
    query and surrounding white space; percent-escapes in upper case (RFC 3986, 6.2.2.1); an empty path is "/".
    Query, path and credentials stay otherwise, since servers may tell them apart. Idempotent; of text that is no
    URL only the fragment, the outer white space and the case of escapes are treated. Never raises.
    """
    text = _PERCENT.sub(lambda escape: escape[0].upper(), url.partition("#")[0].strip())
    match = _PARTS.match(text)
    if match is None:
        return text
    scheme, authority, path, query = match[1].lower(), match[2], match[3], match[4] or ""
    if query == "?":
        query = ""
    if scheme not in _WEB_SCHEMES or authority is None:
        return f"{scheme}:{'' if authority is None else '//' + authority}{path}{query}".rstrip()
    credentials, at, _ = authority.rpartition("@")
    name, port = _split_authority(authority)
    suffix = "" if port in _DEFAULT_PORTS else f":{port}"
    return f"https://{credentials}{at}{name.lower()}{suffix}{path or '/'}{query}".rstrip()


# What a URL without a port means (RFC 9110, 4.2).
PORTS = {"http": 80, "https": 443}


def site(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a web URL, that is what one robots.txt speaks for; None of others. Never raises."""
    match = _PARTS.match(url.strip())
    name = host(url)
    if match is None or name is None or match[1].lower() not in _WEB_SCHEMES:
        return None
    scheme, port = match[1].lower(), _split_authority(match[2])[1]
    if not port:
        return scheme, name, PORTS[scheme]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        return None
    return scheme, name, int(port)


def path_and_query(url: str) -> str:
    """What a server is asked for: the path, at least `/`, and the query, without the fragment. Never raises."""
    match = _PARTS.match(url.strip())
    if match is None:
        return "/"
    path = match[3].replace("\\", "/")
    return (path if path.startswith("/") else f"/{path}") + (match[4] or "")
