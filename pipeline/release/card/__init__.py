"""The card of a release: its README.md, made from the manifest alone."""

from __future__ import annotations

from pipeline.files import atomic_file
from pipeline.release.card.page import card
from pipeline.release.manifest import CARD, Manifest
from pipeline.storage.places import Place

__all__ = ["card", "write_card"]


def write_card(release: Place, manifest: Manifest) -> None:
    """Write the README.md of a release: the same manifest gives the same bytes."""
    with atomic_file(release / CARD) as file:
        file.write(card(manifest).encode())
