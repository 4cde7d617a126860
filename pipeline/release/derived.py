"""Taking rows out of what was made of a release.

Files are made again beside the others first, then put in their places, and a list of them written between the two says
how far it came: a run that was killed is finished or begun anew by the next one, never left in the middle.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import UsageError
from pipeline.files import LOCK, TEMPORARY_SUFFIX, atomic_file
from pipeline.release.derived_record import (
    DERIVED,
    MIXED,
    Derived,
    DerivedFile,
    companion,
    publish,
    read_derived,
    register,
    registered,
    write_derived,
)
from pipeline.release.exports import jsonl, parquet, text, tokens
from pipeline.release.exports.making import remove_leftovers, workshop
from pipeline.release.exports.sidecar import SUFFIX as IDS
from pipeline.release.exports.sidecar import read_places
from pipeline.release.json_record import InnerPath, Part
from pipeline.release.manifest import LOCAL
from pipeline.release.mixing.card import write_mix_card
from pipeline.release.mixing.checksums import write_checksums
from pipeline.release.mixing.tally import tally_of
from pipeline.storage.places import (
    Place,
    delete,
    folder_exists,
    local_copy,
    read_bytes,
    remove_empty_folders,
    tree_sizes,
)

__all__ = ["DERIVED", "TakenOut", "read_derived", "register", "registered", "take_out"]

STAGED = ".taking-out"
READY = "ready.json"
# Of a place with an unfinished record these are kept: they hold no rows.
_NO_ROWS = (DERIVED, f"{LOCAL}/{LOCK}")


class Ready(Part):
    """What is left to do of a change: the new record, files to be put in their places, and files to be deleted."""

    record: Derived
    put: list[InnerPath]
    gone: list[InnerPath]


@dataclass(frozen=True)
class TakenOut:
    """What was done: data files made again (or removed, where no row was left), and rows that went."""

    files: int
    rows: int


def take_out(place: Place, ids: frozenset[str]) -> TakenOut:
    """Take the rows of some ids out of an export, a mix or a pack.

    Only files that hold one of them are touched; the others stay as they are to the byte. Samples and budgets
    are not filled up again. What an unfinished export has written is removed: it is made anew by the next try. A place
    that is no longer there gives nothing. Raises UsageError where files lie in a place without a record of them.
    """
    record = read_derived(place)
    if record is None:
        if not folder_exists(place) or not tree_sizes(place):
            return TakenOut(0, 0)
        raise UsageError(
            f"{place} has no {DERIVED}, so that rows cannot be taken out of it: delete it and make it again"
        )
    _remove_leftovers(place)
    if not record.finished:
        return _clear(place, record)
    _finish(place)
    record = read_derived(place) or record
    changed: dict[str, DerivedFile | None] = {}
    for file in record.files:
        with _local(place, file) as here:
            if _holds(here / _name(file.path), ids):
                changed[file.path] = _staged(place, record, file, here, ids)
    if not changed:
        return TakenOut(0, 0)
    left = [changed.get(file.path, file) for file in record.files]
    kept = [file for file in left if file is not None]
    rows = sum(file.rows for file in record.files) - sum(file.rows for file in kept)
    _commit(
        place,
        record.model_copy(update={"files": kept, "taken_out": record.taken_out + rows}),
        put=[path for file in changed.values() if file is not None for path in _paths(file)],
        gone=[path for file in record.files if changed.get(file.path, file) is None for path in _paths(file)],
    )
    _finish(place)
    return TakenOut(len(changed), rows)


def _remove_leftovers(place: Place) -> None:
    """Remove what killed writers left here or in this machine's scratch: it may hold rows too."""
    if isinstance(place, Path):
        for path in place.rglob(f".*{TEMPORARY_SUFFIX}"):
            path.unlink(missing_ok=True)
    remove_leftovers(place)


def _staged(place: Place, record: Derived, file: DerivedFile, here: Path, ids: frozenset[str]) -> DerivedFile | None:
    """Make a data file again below the staging folder."""
    if isinstance(place, Path):
        made = (place / STAGED / file.path).parent
        made.mkdir(parents=True, exist_ok=True)
        return _without(record, file, here, made, ids)
    with workshop(place) as folder:
        again = _without(record, file, here, folder, ids)
        for path in _paths(again) if again is not None else []:
            publish(folder / _name(path), place / STAGED / path)
        return again


def _paths(file: DerivedFile) -> list[str]:
    return [file.path, *(part.path for part in file.beside)]


def _clear(place: Place, record: Derived) -> TakenOut:
    """Remove what an unfinished export has written; how many rows that were only a finished one knows."""
    leftovers = [path for path in tree_sizes(place) if path not in _NO_ROWS]
    write_derived(place, record.model_copy(update={"files": [], "others": []}))
    for path in leftovers:
        delete(place / path)
    return TakenOut(len(leftovers), sum(file.rows for file in record.files))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


@contextmanager
def _local(place: Place, file: DerivedFile) -> Iterator[Path]:
    """A local folder with a data file and what lies beside it; of a local place its own folder."""
    if isinstance(place, Path):
        yield (place / file.path).parent
        return
    with workshop(place) as folder:
        for path in _paths(file):
            with local_copy(place / path) as copy:
                shutil.copyfile(copy, folder / _name(path))
        yield folder


def _ids_of(path: Path) -> Path:
    stem = tokens.stem_of(path) if path.name.endswith(tokens.SUFFIXES) else path.name.removesuffix(text.SUFFIX)
    return path.with_name(stem + IDS)


def _holds(path: Path, ids: frozenset[str]) -> bool:
    if path.name.endswith(jsonl.SUFFIX):
        return any(json.loads(line)["meta"]["id"] in ids for line in jsonl.read_lines(path))
    if path.name.endswith(parquet.SUFFIX):
        return parquet.holds(path, ids)
    return any(identity in ids for identity, _, _ in read_places(_ids_of(path)))


def _without(record: Derived, file: DerivedFile, here: Path, made: Path, ids: frozenset[str]) -> DerivedFile | None:
    """A data file and what lies beside it, made again in a folder; None where no row is left."""
    name = _name(file.path)
    source, target = here / name, made / name
    if name.endswith(jsonl.SUFFIX):
        removed = jsonl.without(source, ids, target)
    elif name.endswith(parquet.SUFFIX):
        removed = parquet.without(source, ids, target)
    elif name.endswith(text.SUFFIX):
        removed = text.without(source, ids, target)
    else:
        size, tokenizer = record.settings["token_size"], record.settings["tokenizer"]
        removed = tokens.without(source, ids, target, size, tokenizer)
    rows = file.rows - removed
    # A budget of a mix that has no row left is still loaded by its files.
    if rows == 0 and not file.tally:
        return None
    tally = tally_of(target) if file.tally else []
    counted = file.tokens
    if file.tally:
        counted = sum(line.tokens for line in tally)
    elif counted is not None:
        counted = sum(length for _, _, length in read_places(_ids_of(target)))
    folder = file.path.removesuffix(name)
    facts = companion(made, name)
    return DerivedFile(
        path=file.path,
        rows=rows,
        tokens=counted,
        bytes=facts.bytes,
        sha256=facts.sha256,
        origin=file.origin,
        tally=tally,
        beside=[
            companion(made, _name(part.path)).model_copy(update={"path": folder + _name(part.path)})
            for part in file.beside
        ],
    )


def _commit(place: Place, record: Derived, put: list[str], gone: list[str]) -> None:
    """From here on the change is made, now or by the next run."""
    ready = Ready(record=record, put=put, gone=gone)
    with atomic_file(place / STAGED / READY) as file:
        file.write(ready.model_dump_json(by_alias=True).encode("utf-8", "surrogatepass"))


def _read_ready(place: Place) -> Ready | None:
    """A change that was ready to be made. Raises UsageError for one that is damaged or leads out of the place."""
    path = place / STAGED / READY
    try:
        return Ready.model_validate_json(read_bytes(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path} is damaged: {where}: {first['msg']}: delete {place} and make it again: its files may be half of "
            "one state and half of another"
        ) from None


def _finish(place: Place) -> None:
    """Put staged files in their places if all are there; remove those of a try that did not come so far."""
    ready = _read_ready(place)
    if ready is not None:
        record = ready.record
        for path in ready.put:
            with local_copy(place / STAGED / path) as staged:
                publish(staged, place / path)
        for path in ready.gone:
            delete(place / path)
        if record.kind in MIXED:
            write_checksums(place, record)
            write_mix_card(place, record)
        write_derived(place, record)
        # Without this file the staged ones are leftovers that any later run removes.
        delete(place / STAGED / READY)
    for path in tree_sizes(place / STAGED):
        delete(place / STAGED / path)
    if isinstance(place, Path):
        remove_empty_folders(place / STAGED)
