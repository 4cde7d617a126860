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


def first_values(pairs: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    """Fields by their names in lower case; of a field that comes several times the first."""
    return {name.lower(): value for name, value in reversed(pairs)}
