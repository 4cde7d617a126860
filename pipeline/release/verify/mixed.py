"""Whether a mix, a pack or an export is what its record says: files, rows, budgets, and none that was taken down."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from pipeline.errors import KamisukiError, UsageError
from pipeline.release.derived_record import DERIVED, MADE_OF, MIXED, Companion, Derived, DerivedFile
from pipeline.release.manifest import CARD, LOCAL
from pipeline.release.mixing.card import mix_card
from pipeline.release.mixing.checksums import CHECKSUMS, checksum_lines
from pipeline.release.mixing.report import Budget, budgets_of
from pipeline.release.mixing.rows import SCHEMA
from pipeline.release.mixing.tally import Counted, add_to, tally_lines
from pipeline.release.tombstones import buried, listed_for
from pipeline.release.verify.configs import check_configs
from pipeline.release.verify.findings import Findings
from pipeline.release.verify.listed import check_bytes, check_names
from pipeline.release.verify.spool import Spool
from pipeline.storage.places import Place, as_place, folder_exists, local_copy, read_bytes, tree_sizes
from pipeline.takedown_list import Takedowns, together
from pipeline.wording import counted

ROWS_AT_ONCE = 2048
# What no row of a mix is without.
COUNTED = ("source", "epoch", "tokens")
# Shares are kept as floating numbers in the record; a token is far more than their error.
A_TOKEN = 1

OF_EXPORTS = {
    "files": "every file of the record is there, and no other",
    "checksums": "bytes and SHA-256 of every file are those of the record, and SHA256SUMS says the same",
}
OF_MIXES = OF_EXPORTS | {
    "schema": "all data files have the columns of a mix, of the same types",
    "counts": "rows and tokens of every file, by source, epoch, language and license, are those of the record",
    "text": "every text is valid UTF-8 and not empty",
    "ids": "no row of a source is there twice in one epoch",
    "budgets": "each budget holds of each source its share of the tokens, and less than a row more",
    "epochs": "no source is gone through more often than it may be",
    "takedowns": "no row that was taken down in its release is there",
    "configs": "every config of the card finds its files, and every file is found",
    "card": "README.md is what the record makes",
}


class _Step(BaseModel):
    corpus: str
    budget: str
    tokens: int
    folder: str


class _Source(BaseModel):
    name: str
    share: float
    tokens: int = Field(gt=0)
    max_epochs: float


class _Settings(BaseModel):
    """What is relied on of the settings of a mix, which its record takes as they are."""

    sources: list[_Source]
    steps: list[_Step]
    forced: bool

    @classmethod
    def of(cls, place: Place, record: Derived) -> _Settings:
        """Raises UsageError where they are not whole, or its files hold rows of other sources."""
        wrong = ""
        try:
            settings = cls.model_validate(record.settings)
            counted = {line.source for file in record.files for line in file.tally}
            unknown = sorted(counted - {source.name for source in settings.sources})
            if not unknown:
                return settings
            wrong = f"files: {unknown[0]} is none of its sources"
        except ValidationError as error:
            first = error.errors()[0]
            wrong = f"settings.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise UsageError(
            f"{place / DERIVED} is damaged: {wrong}: bring it back from a copy, or make the {record.kind} anew"
        )


def verify_derived(place: Place, record: Derived) -> Findings:
    """Check what was made of releases. Raises UsageError where its making has not ended.

    Every file is read once; memory holds a batch of rows, and a 256th of the rows' hashes.
    """
    if not record.finished:
        raise UsageError(f"the {record.kind} at {place} is not whole: give the command that makes it again")
    settings = _Settings.of(place, record) if record.kind in MIXED else None
    found = Findings(OF_MIXES if record.kind in MIXED else OF_EXPORTS)
    there = tree_sizes(place)
    _files(place, record, there, found)
    with tempfile.TemporaryDirectory(prefix="kamisuki-verify-") as scratch:
        rows = None if settings is None else _Rows(place, record, settings, Path(scratch), found)
        for number, file in enumerate(record.files):
            if file.path in there:
                with local_copy(place / file.path) as path:
                    check_bytes(file, path, "record", found)
                    if rows is not None:
                        rows.file(number, file, path)
        for part in _beside(record):
            if part.path in there:
                with local_copy(place / part.path) as path:
                    check_bytes(part, path, "record", found)
        if rows is not None and settings is not None:
            rows.finish()
            _budgets(record, settings, rows.longest, found)
            _card(place, record, there, found)
    return found


def _files(place: Place, record: Derived, there: dict[str, int], found: Findings) -> None:
    wanted = {DERIVED, *(file.path for file in record.files), *(part.path for part in _beside(record))}
    if record.kind in MIXED:
        wanted |= {CARD, CHECKSUMS}
        if CHECKSUMS in there and read_bytes(place / CHECKSUMS) != b"".join(checksum_lines(record)):
            found["checksums"].fail(f"{CHECKSUMS}: is not what the record says")
    check_names(wanted, there, set(), "record", found)


def _beside(record: Derived) -> list[Companion]:
    """The files that hold no rows of their own."""
    return [part for file in record.files for part in file.beside] + record.others


def takedowns_of(place: Place) -> dict[str, Takedowns]:
    """By the name of a source what was taken down in its release, of those whose release this machine can reach."""
    path = place / LOCAL / MADE_OF
    try:
        places = TypeAdapter(dict[str, str]).validate_json(read_bytes(path))
    except FileNotFoundError:
        return {}
    except ValidationError:
        raise UsageError(f"{path} is damaged: delete it, and takedowns of the releases are not looked for") from None
    found = {}
    for source, release in ((source, as_place(where)) for source, where in places.items()):
        try:
            if folder_exists(release):
                found[source] = Takedowns(together(listed_for(release, None), buried(release)))
        except (OSError, KamisukiError) as error:
            raise UsageError(f"the release {release} that {place} was made of cannot be read: {error}") from None
    return found


class _Rows:
    """The checks of rows, file after file; `finish` finds what is there twice. `longest` are the most tokens that a row
    of a source has."""

    def __init__(self, place: Place, record: Derived, settings: _Settings, scratch: Path, found: Findings) -> None:
        self.place = place
        self.record = record
        self.found = found
        self.longest: Counter[str] = Counter()
        self._ids = Spool(scratch / "ids")
        self._gone = takedowns_of(place)
        self._corpora = {step.folder: step.corpus for step in settings.steps}

    def file(self, number: int, file: DerivedFile, path: Path) -> None:
        """Check the rows of a data file that lies at `path`."""
        try:
            with pq.ParquetFile(path, memory_map=True) as parquet:
                self.found["schema"].looked_at += 1
                columns = [(field.name, field.type) for field in parquet.schema_arrow]
                if columns != [(field.name, field.type) for field in SCHEMA]:
                    differing = sorted(
                        {name for name, _ in {*columns} ^ {(field.name, field.type) for field in SCHEMA}}
                    )
                    what = ", ".join(differing[:3]) or "their order"
                    self.found["schema"].fail(f"{file.path}: its columns are not those of a mix: {what}")
                    return
                counted: Counted = {}
                start = 0
                for batch in parquet.iter_batches(ROWS_AT_ONCE):
                    lacking = [name for name in COUNTED if batch.column(name).null_count]
                    if lacking:
                        self.found["schema"].fail(f"{file.path}: rows from {start} on lack {', '.join(lacking)}")
                        return
                    self._batch(number, file, start, batch)
                    add_to(counted, pa.Table.from_batches([batch]))
                    start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            self.found["counts"].fail(f"{file.path}: cannot be read: {error}")
            return
        check = self.found["counts"]
        check.looked_at += 1
        tally = tally_lines(counted)
        tokens = sum(line.tokens for line in tally)
        for what, here, said in (("rows", start, file.rows), ("tokens", tokens, file.tokens)):
            if here != said:
                check.fail(f"{file.path}: has {here:,} {what}, the record says {said or 0:,}")
        if tally != file.tally:
            check.fail(f"{file.path}: its sources, epochs, languages and licenses are not counted as its rows are")

    def _batch(self, number: int, file: DerivedFile, start: int, batch: pa.RecordBatch) -> None:
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            self.found["text"].fail(f"{file.path}: rows from {start} on: {error}")
            return
        self.found["text"].looked_at += batch.num_rows
        empty = pc.fill_null(pc.equal(batch.column("text"), ""), True)
        for row in np.flatnonzero(empty.to_numpy(zero_copy_only=False)).tolist():
            self.found["text"].fail(f"{file.path}: row {start + row}: its text is empty")
        sources = batch.column("source").to_pylist()
        for source, tokens in zip(sources, batch.column("tokens").to_pylist(), strict=True):
            self.longest[source] = max(self.longest[source], tokens)
        names = self._names(file, batch)
        self._ids.add(
            np.fromiter((xxhash.xxh64_intdigest(name.encode()) for name in names), np.uint64, len(names)),
            number,
            start + np.arange(len(names)),
        )
        for source, gone in self._gone.items():
            mine = np.array([name == source for name in sources], bool)
            self.found["takedowns"].looked_at += int(mine.sum())
            if gone.requests:
                for row in np.flatnonzero(mine & (gone.find(batch) >= 0)).tolist():
                    name = batch.column("id")[row].as_py()
                    self.found["takedowns"].fail(f"{file.path}: row {start + row} ({name}): was taken down in {source}")

    def _names(self, file: DerivedFile, batch: pa.RecordBatch) -> list[str]:
        corpus = self._corpora.get(file.path.rpartition("/")[0], "")
        parts = (batch.column(name).to_pylist() for name in ("source", "epoch", "id"))
        return [f"{corpus}\0{source}\0{epoch}\0{key or ''}" for source, epoch, key in zip(*parts, strict=True)]

    def finish(self) -> None:
        """Look for rows that are there twice; of equal hashes the names themselves are looked at."""
        self.found["ids"].looked_at = sum(file.rows for file in self.record.files)
        for places in self._ids.groups():
            seen: dict[str, str] = {}
            for number, row in places:
                file = self.record.files[number]
                with local_copy(self.place / file.path) as path:
                    whole = pq.read_table(path, columns=["source", "epoch", "id"], partitioning=None)
                (batch,) = whole.slice(row, 1).combine_chunks().to_batches()
                (name,) = self._names(file, batch)
                here = f"{file.path} row {row}"
                if name in seen:
                    self.found["ids"].fail(f"{batch.column('id')[0].as_py()}: in {seen[name]} and {here}")
                seen.setdefault(name, here)


def _budgets(record: Derived, settings: _Settings, longest: Counter[str], found: Findings) -> None:
    sources = {source.name: source for source in settings.sources}
    for budget in budgets_of(record):
        used: Counter[str] = Counter()
        for line in budget.lines():
            used[line.source] += line.tokens
        for name in sorted(used.keys() | _lanes(budget, sources)):
            source = sources[name]
            _share(record, budget, source, used[name], longest[name], found)
            found["epochs"].looked_at += 1
            # The row that reaches the budget may be of the next epoch.
            if not settings.forced and used[name] > source.max_epochs * source.tokens + longest[name]:
                found["epochs"].fail(
                    f"{budget.config}: {name} is gone through {used[name] / source.tokens:.2f} times, and "
                    f"{source.max_epochs:g} is the most"
                )


def _lanes(budget: Budget, sources: dict[str, _Source]) -> set[str]:
    """The sources that a budget should hold rows of: in a pack its own corpus."""
    return {budget.corpus} if budget.corpus else set(sources)


def _share(record: Derived, budget: Budget, source: _Source, tokens: int, longest: int, found: Findings) -> None:
    check = found["budgets"]
    check.looked_at += 1
    wanted = source.share * budget.wanted
    said = f"{budget.config}: {source.name} has {counted(tokens, 'token')}, its share is {wanted:,.0f}"
    if tokens > wanted + longest + A_TOKEN:
        check.fail(f"{said}, and a row more than that is {longest:,}")
    # Nothing is put in the place of what was taken down.
    elif tokens < wanted - A_TOKEN and not record.taken_out:
        check.fail(said)


def _card(place: Place, record: Derived, there: dict[str, int], found: Findings) -> None:
    if CARD not in there:
        return
    text = read_bytes(place / CARD)
    found["card"].looked_at = 1
    if text != mix_card(record).encode():
        found["card"].fail(f"{CARD}: is not what the record makes: it was edited, or another version made it")
    wanted = {(budget.config, "train"): {file.path for file in budget.files} for budget in budgets_of(record)}
    check_configs(text, there, wanted, found)
