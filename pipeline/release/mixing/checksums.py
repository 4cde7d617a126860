"""The digests of all files of a mix or a pack, as `sha256sum -c` reads them."""

from __future__ import annotations

from pipeline.files import atomic_file
from pipeline.release.derived_record import Derived
from pipeline.storage.places import Place

CHECKSUMS = "SHA256SUMS"


def checksum_lines(record: Derived) -> list[bytes]:
    """The lines of SHA256SUMS: all files but the card, the record and itself."""
    parts = {file.path: file.sha256 for file in record.files} | {part.path: part.sha256 for part in record.others}
    return [f"{digest}  {path}\n".encode() for path, digest in sorted(parts.items())]


def write_checksums(place: Place, record: Derived) -> None:
    """Write SHA256SUMS."""
    with atomic_file(place / CHECKSUMS) as file:
        file.writelines(checksum_lines(record))
