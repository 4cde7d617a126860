"""Header lines, which WARC records and HTTP responses write alike."""

import re

# Real WARC and HTTP headers are below 16 kB; servers refuse longer ones (Apache: 8 kB a field, nginx: 32 kB in all).
MAX_HEADER_BYTES = 65_536
HEADER_END = re.compile(rb"\r?\n\r?\n")


def header_pairs(header: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of the lines after a header's first; a line that begins with white space carries on the last."""
    pairs: list[tuple[bytes, bytes]] = []
    folded: list[bytes] = []
    for line in header.split(b"\n")[1:]:
        if line[:1] in (b" ", b"\t") and pairs:
            folded.append(line.strip())
            continue
        if folded:
            pairs[-1] = (pairs[-1][0], b" ".join([pairs[-1][1], *folded]))
            folded = []
        name, colon, value = line.partition(b":")
        if colon:
            pairs.append((name.strip(), value.strip()))
    if folded:
        pairs[-1] = (pairs[-1][0], b" ".join([pairs[-1][1], *folded]))
    return pairs


def header_end(block: bytes, limit: int) -> tuple[int, int] | None:
    """Where the first empty line within `limit` bytes begins and ends, as HEADER_END finds it in ten times its time."""
    end = block.find(b"\n\r\n", 0, limit)
    bare = block.find(b"\n\n", 0, end + 1 if end >= 0 else limit)
    start, stop = (bare, bare + 2) if bare >= 0 else (end, end + 3)
    if start < 0:
        return None
    return (start - 1 if start and block[start - 1] == 0x0D else start), stop


# What `bytes.strip` takes away; `str.strip` would take more.
_BLANKS = " \t\n\r\v\f"


def http_fields(header: bytes) -> dict[str, list[str]]:
    """Fields of an HTTP header: names in lower case, all their values in order, as UTF-8 or else Latin-1."""
    fields: dict[str, list[str]] = {}
    if header.isascii() and b"\n " not in header and b"\n\t" not in header:
        for line in header.decode("ascii").split("\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip(_BLANKS).lower()
                if name in fields:
                    fields[name].append(value.strip(_BLANKS))
                else:
                    fields[name] = [value.strip(_BLANKS)]
        return fields
    for raw_name, raw_value in header_pairs(header):
        fields.setdefault(raw_name.decode("latin-1").lower(), []).append(_decode_value(raw_value))
    return fields


def _decode_value(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


# As all crawlers write the names of WARC 1.0 and 1.1: looking them up takes a third of the time of lowering them.
LOWER_NAMES = {
    name.encode(): name.lower().encode()
    for name in (
        "WARC-Type WARC-Record-ID WARC-Date WARC-Concurrent-To WARC-Block-Digest WARC-Payload-Digest WARC-IP-Address "
        "WARC-Refers-To WARC-Refers-To-Target-URI WARC-Refers-To-Date WARC-Target-URI WARC-Truncated WARC-Warcinfo-ID "
        "WARC-Filename WARC-Profile WARC-Identified-Payload-Type WARC-Protocol WARC-Cipher-Suite WARC-Segment-Number "
        "WARC-Segment-Origin-ID WARC-Segment-Total-Length Content-Length Content-Type"
    ).split()
}


def first_values(pairs: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    """Fields by their names in lower case; of a field that comes several times the first."""
    fields = {LOWER_NAMES.get(name, b""): value for name, value in pairs}
    if len(fields) == len(pairs) and b"" not in fields:
        return fields
    return {name.lower(): value for name, value in reversed(pairs)}
