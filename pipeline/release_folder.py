"""The folder of a release while it is built: what lies below `.local`, whose it is, and whether all of it stands."""

from __future__ import annotations

from typing import Any

from pipeline.errors import UsageError
from pipeline.files import read_json, write_json
from pipeline.release.manifest import CARD, DATA, LOCAL, MANIFEST, Manifest, read_manifest
from pipeline.release.unfinished import PLAN, taking_down
from pipeline.storage.places import Place, delete, delete_tree, exists, first_other, folder_exists, tree_sizes

ORIGIN = "origin.json"
# While a release is built: what must not come in, as its tasks read it.
LISTED = "listed"
# What a folder may hold before a release is built in it: the clone of a repository of the Hub, or what fetched it.
BEFORE = frozenset({LOCAL, ".git", ".gitattributes", ".cache"})
EXCHANGE, LEDGER = "exchange", "ledger"


def begin(release: Place, out: Place, identity: dict[str, Any], replace: bool) -> Manifest | None:
    """Make a folder the own one of the release that `identity` tells from others; its manifest where all of it stands
    already. Raises UsageError where another release, or something else, is in it, unless `replace`.
    """
    path = release / LOCAL / ORIGIN
    try:
        known = dict(read_json(path))
    except FileNotFoundError:
        known = {}
    except ValueError:
        if not replace:
            raise UsageError(f"{path} is damaged: give --replace to build the release anew") from None
        known = {}
    stands = exists(release / MANIFEST)
    if not known and not stands and not replace:
        _refuse_others(release)
    unfinished = taking_down(release)
    if folder_exists(unfinished):
        # Its files may be of before and of after it: none of them is kept.
        known = {**known, "settings": None}
    if {key: known.get(key) for key in identity} == identity:
        return _whole(release) if stands else None
    if (known or stands or folder_exists(release / DATA)) and not replace:
        changed = [key for key in identity if known.get(key) != identity[key]] if known else []
        if changed == ["requests"]:
            raise UsageError(
                f"{release} may hold rows that are on the list of takedowns by now: kamisuki takedown "
                f"{release} takes them out; or give --replace to build the release anew"
            )
        what = f"another release (other {', '.join(changed)})" if changed else "a release that was not built here"
        raise UsageError(
            f"{release} holds {what}: give another folder with --to, or --replace to build this one in its place"
        )
    kept = {key: known.get(key) for key in ("name", "contact")} | {"takedowns": known.get("takedowns", [])}
    if stands:
        before = read_manifest(release).model_dump(mode="json")
        kept = {key: before[key] for key in ("name", "contact", "takedowns")}
    # What was taken down, and who is asked for it, stay on record when a build in its place is cut off.
    write_json(path, {**known, "settings": None, **kept})
    for file in (MANIFEST, CARD):
        delete(release / file)
    for folder in (release / DATA, release / LOCAL / LEDGER, release / LOCAL / EXCHANGE):
        if folder_exists(folder):
            delete_tree(folder)
    for name in tree_sizes(unfinished):
        # What was found is of files that are gone. The takedown itself still has to reach what was made of them.
        if name != PLAN:
            delete(unfinished / name)
    write_json(path, {"out": str(out), **identity, **kept})
    return None


def _refuse_others(release: Place) -> None:
    """Raise UsageError where the folder holds what is of no release."""
    other = first_other(release, BEFORE)
    if other is not None:
        raise UsageError(
            f"{release} holds {other}, which is of no release: give a new or empty folder with --to; or "
            f"--replace, which puts {DATA}, {CARD} and {MANIFEST} in the place of what has these names"
        )


def _whole(release: Place) -> Manifest | None:
    """The manifest of the release that stands here, None where a file of it is missing."""
    manifest = read_manifest(release)
    there = tree_sizes(release / DATA)
    if all(there.get(file.path.removeprefix(f"{DATA}/")) == file.bytes for file in manifest.files):
        return manifest
    return None
