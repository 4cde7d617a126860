"""Mixing releases: tokens are counted once, each file of the mix is a task of its own, what was done before is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import KamisukiError
from pipeline.files import LOCK, atomic_file, canonical_digest, remove_temporaries, write_json
from pipeline.progress import Progress
from pipeline.release.derived_record import (
    MADE_OF,
    MIX,
    PACK,
    REGISTER,
    Companion,
    Derived,
    DerivedFile,
    begin,
    companion,
    origin_of,
    publish,
    write_derived,
)
from pipeline.release.manifest import LOCAL, File
from pipeline.release.mixing import counting, rows
from pipeline.release.mixing.card import write_mix_card
from pipeline.release.mixing.checksums import write_checksums
from pipeline.release.mixing.epochs import check_epochs
from pipeline.release.mixing.manifest import MixManifest, PackManifest, load_manifest, tokens_name
from pipeline.release.mixing.pack import TRAINING, pack_files
from pipeline.release.mixing.placing import first_range
from pipeline.release.mixing.plan import Measured, Step, Stream, Taken, find_source, measured_of, origins_of
from pipeline.release.tokenizer import IN_MANIFEST, TextTokenizer, load_tokenizer
from pipeline.release_lock import held
from pipeline.runner import Runner, Task
from pipeline.steps import Job, Steps, was_made_of
from pipeline.storage.places import Place, delete, remove_empty_folders, tree_sizes

TOKENIZER = "tokenizer.json"


def make_mix(path: Path, to: Place, runner: Runner, progress: Progress, force: bool = False) -> Derived:
    """Make the mix of a manifest and return its record. Raises UsageError and KamisukiError."""
    wanted = load_manifest(path, MixManifest)
    mixing = _Mixing(MIX, wanted, to, runner, progress)
    taken = [find_source(source, source.max_epochs or wanted.max_epochs, to) for source in wanted.sources]
    measured = mixing.measure(taken, wanted.source_shares(), same_start=False)
    shares = tuple(wanted.source_shares())
    stream = Stream("", "data", tuple(each.lane for each in measured), shares, wanted.steps())
    forced = check_epochs([stream], taken, force)
    kinds = {"kinds": {source.name: source.kind for source in wanted.sources}, "forced": forced}
    return mixing.make([stream], taken, measured, kinds)


def make_pack(path: Path, to: Place, runner: Runner, progress: Progress, force: bool = False) -> Derived:
    """Make the compare pack of a manifest and return its record. Raises UsageError and KamisukiError."""
    wanted = load_manifest(path, PackManifest)
    mixing = _Mixing(PACK, wanted, to, runner, progress)
    taken = [find_source(corpus, corpus.max_epochs or wanted.max_epochs, to) for corpus in wanted.corpora]
    one = Fraction(1)
    measured = mixing.measure(taken, [one] * len(taken), same_start=True)
    budgets = wanted.budgets or (min(each.lane.total for each in measured),)
    streams = [Stream(each.lane.name, f"data/{each.lane.name}", (each.lane,), (one,), budgets) for each in measured]
    forced = check_epochs(streams, taken, force)
    more = {"models": list(wanted.models), "vocabulary": mixing.tokenizer.vocabulary, "forced": forced}
    return mixing.make(streams, taken, measured, more)


def _put(place: Place, name: str, content: bytes) -> Companion:
    with atomic_file(place / name) as file:
        file.write(content)
    return Companion(path=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


class _Mixing:
    """Making one mix or pack: its manifest, tokenizer, place, and who works."""

    def __init__(
        self, kind: str, wanted: MixManifest | PackManifest, to: Place, runner: Runner, progress: Progress
    ) -> None:
        self.kind = kind
        self.wanted = wanted
        self.to = to
        self.runner = runner
        self.progress = progress
        self.tokenizer: TextTokenizer = load_tokenizer(Path(wanted.tokenizer), wanted.eos, IN_MANIFEST)

    def measure(self, taken: list[Taken], shares: list[Fraction], same_start: bool) -> list[Measured]:
        """Count the tokens of all sources, those of a data file once."""
        folder = counting.counts_folder(self.tokenizer)
        counted: dict[str, Mapping[str, Any]] = {}
        for place in {str(each.place): each.place for each in taken}.values():
            mine = [each for each in taken if str(each.place) == str(place)]
            files = {file.path: file for each in mine for file in each.files}
            jobs = [self._count_job(place, mine[0].manifest.seed, file, folder) for file in files.values()]
            steps = Steps(place, self.runner, self.progress, 0, lambda: None)
            counted[str(place)] = steps.do(f"{self.kind}: count {place.name}", place / folder, jobs).entries
        found = []
        for each, share in zip(taken, shares, strict=True):
            entries = [counted[str(each.place)][counting.shard_name(file)] for file in each.files]
            start = first_range(self.wanted.seed, "" if same_start else each.source.name)
            found.append(measured_of(each, entries, folder, float(share), start))
        return found

    def _count_job(self, place: Place, seed: int, file: File, folder: str) -> Job:
        inputs = [{"name": file.path, "bytes": file.bytes, "digest": file.sha256}]
        shard = counting.shard_name(file)
        arguments = {
            "shard": shard,
            "release": str(place),
            "path": file.path,
            "seed": seed,
            "tokenizer": Path(self.wanted.tokenizer).absolute(),
            "eos": self.wanted.eos,
            "folder": folder,
            "inputs": inputs,
        }
        task = Task(shard, counting.count_file, arguments, counting.MEMORY_BYTES, file.bytes)
        return Job(task, partial(was_made_of, inputs), file.rows)

    def make(
        self, streams: list[Stream], taken: list[Taken], measured: list[Measured], more: dict[str, Any]
    ) -> Derived:
        """Write what is missing of the files, then all that speaks of them, the record last."""
        steps = [step for stream in streams for step in self._steps(stream, taken)]
        record = Derived(
            kind=self.kind,
            of=origins_of(taken),
            settings=self._settings(streams, steps, taken, measured) | more,
        )
        with held(self.to):
            whole = False
            try:
                remove_temporaries(self.to / TRAINING)
                earlier = begin([each.place for each in taken], self.to, record)
                if earlier is not None and earlier.finished:
                    self.progress.say(f"{self.kind}: nothing to do, {self.to} holds it already")
                    record = earlier
                else:
                    record.files = self._write(steps, record)
                    self._check_unchanged(taken)
                    write_json(self.to / LOCAL / MADE_OF, {each.source.name: str(each.place) for each in taken})
                    self._finish(record)
                whole = True
            finally:
                self._tidy(whole)
        return record

    def _steps(self, stream: Stream, taken: list[Taken]) -> list[Step]:
        by_name = {each.source.name: each for each in taken}
        a_token = sum(
            share * Fraction(sum(file.bytes for file in by_name[lane.name].files), lane.total)
            for lane, share in zip(stream.lanes, stream.shares, strict=True)
        )
        steps, low = [], 0
        for number, budget in enumerate(stream.budgets):
            files = max(1, -(-int((budget - low) * a_token) // self.wanted.shard_bytes))
            steps.append(Step(stream, budget, f"{stream.folder}/{number:02d}-{tokens_name(budget)}", low, files))
            low = budget
        return steps

    def _settings(
        self, streams: list[Stream], steps: list[Step], taken: list[Taken], measured: list[Measured]
    ) -> dict[str, Any]:
        shares = {
            lane.name: share for stream in streams for lane, share in zip(stream.lanes, stream.shares, strict=True)
        }
        sources = [
            {
                "name": each.source.name,
                "release": each.manifest.name,
                "config": each.config.name,
                "contact": each.manifest.contact,
                "share": float(shares[each.source.name]),
                "max_epochs": each.max_epochs,
                "rows": found.rows,
                "tokens": found.lane.total,
                "rows_without_text": found.empty,
            }
            for each, found in zip(taken, measured, strict=True)
        ]
        listed = [
            {
                "corpus": step.stream.name,
                "budget": tokens_name(step.budget),
                "tokens": step.budget,
                "folder": step.folder,
            }
            for step in steps
        ]
        return {
            "name": self.wanted.name,
            "seed": self.wanted.seed,
            **self.tokenizer.settings(),
            "shard_bytes": self.wanted.shard_bytes,
            "sources": sources,
            "steps": listed,
        }

    def _write(self, steps: list[Step], record: Derived) -> list[DerivedFile]:
        made_by = {"rule_version": rows.RULE_VERSION, "of": [each.model_dump() for each in record.of]}
        folder = self.to / LOCAL / f"ledger-{canonical_digest(made_by | {'settings': record.settings})}"
        jobs, sources = [], {}
        for step in steps:
            for path, low, high in step.paths():
                shard = path.removeprefix("data/").replace("/", ".").removesuffix(".parquet")
                arguments = {
                    "shard": shard,
                    "to": str(self.to),
                    "path": path,
                    "lanes": step.stream.lanes,
                    "low": low,
                    "high": high,
                    "folder": str(folder),
                    "inputs": [],
                }
                sources[shard] = path
                jobs.append(Job(Task(shard, rows.write_mixed, arguments, rows.MEMORY_BYTES, high - low)))
        written = Steps(self.to, self.runner, self.progress, 0, lambda: None).do(
            f"{self.kind}: write", folder, jobs, also=[self.to / step.folder for step in steps]
        )
        files = []
        for shard, path in sources.items():
            entry, facts = written.entries[shard], written.outputs("data", shard)
            tally = entry.notes["tally"]
            files.append(
                DerivedFile(
                    path=path,
                    rows=facts["rows"],
                    tokens=sum(line["tokens"] for line in tally),
                    bytes=facts["bytes"],
                    sha256=facts["digest"],
                    origin=sorted({line["source"] for line in tally}),
                    tally=tally,
                )
            )
        return files

    def _check_unchanged(self, taken: list[Taken]) -> None:
        """Rows that were taken out of a release meanwhile may be in files that were written before."""
        if any(each.origin != origin_of(each.place, each.manifest.name) for each in taken):
            raise KamisukiError(
                f"a release changed while {self.to} was made of it: delete {self.to} and give the command again"
            )

    def _finish(self, record: Derived) -> None:
        tokenizer = Path(self.wanted.tokenizer)
        publish(tokenizer, self.to / TOKENIZER)
        record.others = [companion(tokenizer.parent, tokenizer.name).model_copy(update={"path": TOKENIZER})]
        if self.kind == PACK:
            for name, content in pack_files(record).items():
                record.others.append(_put(self.to, name, content))
        write_checksums(self.to, record)
        write_mix_card(self.to, record)
        write_derived(self.to, record)

    def _tidy(self, whole: bool) -> None:
        """While held: a folder's lock goes (a bucket's goes by itself), and of a whole mix what its making needed."""
        lock = {LOCK} if isinstance(self.to, Path) else set()
        for name in tree_sizes(self.to / LOCAL):
            if name in lock or (whole and name not in (LOCK, REGISTER, MADE_OF)):
                delete(self.to / LOCAL / name)
        if isinstance(self.to, Path):
            remove_empty_folders(self.to / LOCAL)
