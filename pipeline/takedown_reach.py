"""What a takedown reaches beside the release: exports and mixes, the run's list and its cache of a model's answers."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from backports import zstd

from pipeline.errors import KamisukiError
from pipeline.progress import Progress
from pipeline.release.derived import registered, take_out
from pipeline.release.derived_record import MIXED
from pipeline.release.of_run import RELEASES, releases_of
from pipeline.release.push.ledger import pushed_to
from pipeline.release.taking_down import MADE_OF_PAGES, OF_PAGES, rows_named
from pipeline.release.tombstones import read_tombstones
from pipeline.release_lock import held
from pipeline.rewrite_run import answers_folder
from pipeline.rewriting.client import RequestCache
from pipeline.run_folder import locked
from pipeline.storage.places import Place, RemotePath, as_place, folder_exists
from pipeline.takedown_list import Request, Takedowns, remember_requests
from pipeline.wording import counted
from pipeline.working import describe_error

# What comes of files that are damaged or out of reach. Such a one is told, and keeps no other from being cleared.
UNREADABLE = (KamisukiError, OSError, EOFError, ValueError, sqlite3.Error, zlib.error, zstd.ZstdError)


@dataclass
class Reached:
    """Lines for a person: what was done, what still holds text that nobody takes out by itself, and what failed."""

    done: list[str] = field(default_factory=list)
    still_there: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def reach(release: Place, out: str | None, requests: Sequence[Request], progress: Progress) -> Reached:
    """Take what was ever removed from a release, and what its requests name in the tables of its run, out of all that
    was made of it; add the requests to the run's list. What cannot be reached is told, and the rest is done."""
    reached = Reached()
    ids = set(read_tombstones(release)["id"].to_pylist())
    if out is None:
        reached.still_there.append(
            f"the run that {release} was made of is not known here: give kamisuki run the list with --takedowns "
            f"{release / '.local' / 'takedowns.jsonl'}"
        )
    else:
        ids |= _reach_run(release, as_place(out), requests, ids, reached, progress)
    _reach_derived(release, frozenset(ids), reached, {str(release)})
    for target in pushed_to(release):
        reached.still_there.append(
            f"{target.repo} at {target.endpoint}, branch {target.branch}, and its older commits: kamisuki push "
            f"{release} --repo {target.repo} --branch {target.branch} --endpoint {target.endpoint} --squash-history"
        )
    return reached


def _reach_derived(place: Place, ids: frozenset[str], reached: Reached, seen: set[str]) -> None:
    """Take rows out of what was made of a release, and of what was made of that."""
    try:
        everything = registered(place)
    except UNREADABLE as error:
        reached.failed.append(f"what was made of {place}: {describe_error(error)}")
        return
    for made in everything:
        if made["place"] in seen:
            continue
        seen.add(made["place"])
        where = as_place(made["place"])
        try:
            if not folder_exists(where):
                reached.failed.append(
                    f"{made['kind']} at {where} is not there: make it reachable; if it was deleted, take its line out "
                    f"of {place / '.local' / 'derived.jsonl'}"
                )
                continue
            # A mix is of several releases, and a takedown of another may be at work in it.
            with held(where) if made["kind"] in MIXED else nullcontext():
                # First what was made of it: of a mix that is not whole nothing is kept, nor what it knows of that.
                _reach_derived(where, ids, reached, seen)
                taken = take_out(where, ids)
            if taken.rows or taken.files:
                gone = f"{counted(taken.rows, 'row')} out of {counted(taken.files, 'file')}"
                reached.done.append(f"{gone} of the {made['kind']} at {where}")
        except UNREADABLE as error:
            reached.failed.append(f"{made['kind']} at {where}: {describe_error(error)}")


def _reach_run(
    release: Place, out: Place, requests: Sequence[Request], ids: set[str], reached: Reached, progress: Progress
) -> set[str]:
    """Add requests to the list of a run, and forget a model's answers about what they name; returns the ids of all
    rows that its tables have of them."""
    try:
        if not folder_exists(out):
            reached.failed.append(
                f'the run {out} is not there: make it reachable; if it was deleted, write "out": null into the '
                "release's .local/origin.json"
            )
            return set()
        with locked(out):
            new = remember_requests(out, requests)
            if new:
                reached.done.append(
                    f"{counted(len(new), 'request')} onto the list of {out}: later runs leave out what they name"
                )
            progress.say(f"takedown: looking through the tables of {out}")
            found = _named_in_run(out, requests, ids)
            for path in sorted(answers_folder(out).glob("*.sqlite")):
                _forget(path, sorted(ids | found), reached)
    except UNREADABLE as error:
        reached.failed.append(f"the run {out}: {describe_error(error)}")
        return set()
    if found:
        reached.still_there.append(
            f"tables of {out} (documents, older corpora and rewritten tables) and the WARC files behind them; "
            f"kamisuki gc {out} --yes removes the older tables once the recipe has run again"
        )
        _name_others(release, out, reached)
    if isinstance(out, RemotePath):
        reached.still_there.append(f"answers of a model on the disks of other machines that worked for {out}")
    return found


def _name_others(release: Place, out: Place, reached: Reached) -> None:
    """Name the other releases of a run, which may hold the rows too."""
    try:
        others = [other for other in releases_of(out) if str(other) != str(release)]
    except UNREADABLE as error:
        reached.failed.append(f"the notes of releases in {out / RELEASES}: {describe_error(error)}")
        return
    reached.still_there += [
        f"perhaps {other}, a release of the same run: kamisuki takedown {other} follows the same list"
        for other in others
    ]


def _forget(path: Path, ids: list[str], reached: Reached) -> None:
    """Take answers about some rows out of a cache. One that is damaged is told and keeps no other from it."""
    try:
        with RequestCache(path) as cache:
            if count := cache.forget_documents(ids):
                reached.done.append(f"{counted(count, 'answer')} of a model out of {path}")
    except UNREADABLE as error:
        reached.failed.append(f"answers of a model in {path}: {describe_error(error)}")


def _named_in_run(out: Place, requests: Sequence[Request], ids: set[str]) -> set[str]:
    """The ids of rows in the tables of a run that requests name, or made of such rows or of those in `ids`."""
    found = rows_named(out, OF_PAGES, Takedowns(requests), dict.fromkeys(ids, 0)).keys() | ids
    return found | rows_named(out, MADE_OF_PAGES, Takedowns(requests), dict.fromkeys(found, 0)).keys()
