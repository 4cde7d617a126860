"""Exporting a release: a task for each of its data files, what was done before is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import KamisukiError, UsageError
from pipeline.progress import Progress
from pipeline.release.at_hand import MIXED, RELEASE, refuse_missing
from pipeline.release.derived_record import Derived, DerivedFile, begin, companion, origin_of, publish, write_derived
from pipeline.release.exports import tokens
from pipeline.release.exports.making import make_jsonl, make_samples, make_text, make_tokens, remove_leftovers
from pipeline.release.exports.text import size_named
from pipeline.release.keys import SPLITS
from pipeline.release.manifest import Config, File, Manifest
from pipeline.release.mixing.as_release import MixContents, read_contents
from pipeline.release.reading import chosen_config
from pipeline.release.tokenizer import load_tokenizer
from pipeline.release.unfinished import refuse_unfinished
from pipeline.runner import TASK_CPU_SECONDS, Runner, Task
from pipeline.storage.places import Place
from pipeline.wording import counted

FORMATS = ("jsonl", "text", "tokens")
# Batches of 256 rows of text, their tokens as Python numbers, and a tokenizer.
TASK_MEMORY_BYTES = 1_000_000_000


def export(
    release: Place,
    to: Place,
    kind: str,
    runner: Runner,
    progress: Progress,
    config: str | None = None,
    sizes: str | None = None,
    tokenizer: Path | None = None,
    eos: str | None = None,
    layout: str | None = None,
) -> Derived:
    """Export a config of a release, a mix or a pack and return the record of what was made.

    Raises UsageError and KamisukiError.
    """
    _check(kind, sizes, tokenizer, eos, layout)
    manifest, said_by = read_contents(release)
    if sizes is not None and not isinstance(manifest, Manifest):
        raise UsageError(f"--sizes is for releases: the smaller budgets of {release} are its samples, by --config")
    chosen = chosen_config(manifest, config)
    settings: dict[str, Any] = {"as": kind, "config": chosen.name}
    if sizes is not None:
        settings["sizes"] = _sizes(sizes)
    if tokenizer is not None:
        loaded = load_tokenizer(tokenizer, eos)
        settings |= {"layout": layout or "megatron", "token_size": loaded.token_size, **loaded.settings()}
    used = [file for split in SPLITS for file in manifest.files_of(chosen, split)]
    refuse_missing(release, used, RELEASE if isinstance(manifest, Manifest) else MIXED)
    record = Derived(kind=kind, of=[origin_of(release, manifest.name, said_by)], settings=settings)
    earlier = begin([release], to, record)
    if earlier is not None and earlier.finished:
        progress.say(f"export: nothing to do, {to} holds it already")
        return earlier
    remove_leftovers(to)
    if sizes is not None and isinstance(manifest, Manifest):
        record.files = make_samples(release, manifest, chosen, to, settings["sizes"])
        for size, file in zip(settings["sizes"].values(), record.files, strict=True):
            if file.bytes < size:
                progress.say(f"export: {file.path} is all there is: {file.bytes:,} bytes")
    else:
        record.files = _files(release, manifest, chosen, to, record, earlier, runner, progress, tokenizer, eos)
        given = sum(file.rows for file in used)
        empty = given - sum(file.rows for file in record.files)
        if empty:
            progress.say(f"export: {empty:,} of {counted(given, 'row')} left out: without text to write")
    _check_unchanged(release, record, said_by, to)
    if tokenizer is not None:
        facts = companion(tokenizer.parent, tokenizer.name)
        publish(tokenizer, to / "tokenizer.json")
        record.others = [facts.model_copy(update={"path": "tokenizer.json"})]
    write_derived(to, record)
    return record


def _check_unchanged(release: Place, record: Derived, said_by: str, to: Place) -> None:
    """Raise KamisukiError where rows that were taken out of a release meanwhile may be in files written before."""
    refuse_unfinished(release)
    if record.of != [origin_of(release, record.of[0].name, said_by)]:
        raise KamisukiError(
            f"{release} changed while {to} was made of it, which may hold rows that are gone from it: delete {to}, and "
            "give the command again"
        )


def _check(kind: str, sizes: str | None, tokenizer: Path | None, eos: str | None, layout: str | None) -> None:
    if kind not in FORMATS:
        raise UsageError(f"--as {kind}: exports are {', '.join(FORMATS)}")
    if sizes is not None and kind != "text":
        raise UsageError("--sizes is for samples of text: use it with --as text")
    if (tokenizer is None) == (kind == "tokens"):
        raise UsageError("--as tokens needs --tokenizer FILE, a tokenizer.json, and nothing else uses one")
    if kind != "tokens" and (eos is not None or layout is not None):
        raise UsageError("--eos and --layout are for --as tokens")
    if layout is not None and layout not in tokens.LAYOUTS:
        raise UsageError(f"--layout {layout}: token shards are for {', '.join(tokens.LAYOUTS)}")


def _sizes(text: str) -> dict[str, int]:
    names = [name.strip().upper() for name in text.split(",")]
    sizes = {name: size_named(name, "--sizes") for name in names}
    return dict(sorted(sizes.items(), key=lambda item: item[1]))


def _files(
    release: Place,
    manifest: Manifest | MixContents,
    config: Config,
    to: Place,
    record: Derived,
    earlier: Derived | None,
    runner: Runner,
    progress: Progress,
    tokenizer: Path | None,
    eos: str | None,
) -> list[DerivedFile]:
    """A task for each data file that an earlier try did not finish; the record grows with each."""
    done = {origin: True for file in (earlier.files if earlier else []) for origin in file.origin}
    made = list(earlier.files) if earlier else []
    tasks = []
    for split in SPLITS:
        for number, file in enumerate(manifest.files_of(config, split)):
            if file.path not in done:
                function, arguments = _work(record, file, number, tokenizer, eos)
                arguments |= {"release": release, "file": file, "place": to}
                task = Task(file.path, function, arguments, TASK_MEMORY_BYTES, file.bytes)
                tasks.append(replace(task, cpu_seconds=TASK_CPU_SECONDS))
    progress.begin("export", tasks, len(tasks) + len(done))
    failed: dict[str, str] = {}
    for result in runner.run(tasks, progress):
        progress.finished(result)
        if result.counts is None:
            failed[result.task.shard] = result.error or ""
            continue
        made += [DerivedFile.model_validate(file) for file in result.counts["files"]]
        made.sort(key=lambda file: file.path)
        write_derived(to, record.model_copy(update={"finished": False, "files": made}))
    progress.end()
    if failed:
        shard, error = min(failed.items())
        raise KamisukiError(f"{len(failed)} of {counted(len(tasks), 'file')} not exported, first {shard}: {error}")
    return made


def _work(
    record: Derived, file: File, number: int, tokenizer: Path | None, eos: str | None
) -> tuple[Callable[..., dict[str, Any]], dict[str, Any]]:
    if record.kind == "jsonl":
        return make_jsonl, {"number": number}
    if record.kind == "text":
        return make_text, {}
    layout = record.settings["layout"]
    return make_tokens, {"tokenizer": tokenizer.absolute() if tokenizer else None, "eos": eos, "layout": layout}
