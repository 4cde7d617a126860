"""Whether a release is what its manifest says: files, rows, card and configs, in one reading."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline import __version__
from pipeline.release.card import card
from pipeline.release.derived_record import derived_at
from pipeline.release.manifest import CARD, MANIFEST, TOMBSTONES, Manifest, read_manifest
from pipeline.release.unfinished import refuse_unfinished
from pipeline.release.verify.configs import check_configs
from pipeline.release.verify.findings import CHECKS, SHOWN, Check, Findings
from pipeline.release.verify.listed import check_bytes, check_names
from pipeline.release.verify.mixed import verify_derived
from pipeline.release.verify.rows import RowChecks
from pipeline.storage.places import Place, local_copy, read_bytes, tree_sizes

__all__ = ["CHECKS", "SHOWN", "Check", "Findings", "verify"]


def verify(release: Place) -> Findings:
    """Check a release, or what was made of one. Raises UsageError where there is neither.

    Every file is read once; memory holds a batch of rows, the ids of tombstones, and a 256th of the rows' hashes.
    """
    record = derived_at(release)
    if record is not None:
        return verify_derived(release, record)
    manifest = read_manifest(release)
    refuse_unfinished(release)
    found = Findings()
    there = tree_sizes(release)
    wanted = {MANIFEST, CARD, *(file.path for file in manifest.files)}
    check_names(wanted, there, {TOMBSTONES}, "manifest", found)
    with tempfile.TemporaryDirectory(prefix="kamisuki-verify-") as scratch:
        rows = RowChecks(release, manifest, Path(scratch), found)
        for number, file in enumerate(manifest.files):
            if file.path not in there:
                continue
            with local_copy(release / file.path) as path:
                check_bytes(file, path, "manifest", found)
                rows.file(number, file, path)
        rows.finish()
    _card(release, manifest, there, found)
    return found


def _card(release: Place, manifest: Manifest, there: dict[str, int], found: Findings) -> None:
    if CARD not in there:
        return
    text = read_bytes(release / CARD)
    if manifest.kamisuki == __version__:
        found["card"].looked_at = 1
        if text != card(manifest).encode():
            found["card"].fail(f"{CARD}: is not what the manifest makes: it was edited, or the manifest was")
    wanted: dict[tuple[str, str], set[str]] = {}
    for known in manifest.configs:
        for split in {file.split for file in manifest.files if file.config in known.cells}:
            wanted[known.name, split] = {file.path for file in manifest.files_of(known, split)}
    check_configs(text, there, wanted, found)
    lost = {file.path for file in manifest.files} - set().union(*wanted.values())
    for path in sorted(lost):
        found["configs"].fail(f"{path}: no config finds it")
