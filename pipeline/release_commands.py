"""The commands of releases: `kamisuki release` and what is done with one."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.errors import UsageError
from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place, writable
from pipeline.wording import counted
from pipeline.worker_options import RayAddress, Workers, make_runner

Out = Annotated[Any, typer.Argument(parser=as_place, help="The OUT folder or s3:// prefix of a run.")]


def add_release_commands(app: typer.Typer, console: Any) -> None:
    """Add the commands to the command line; `console` makes what they print on."""

    @app.command()
    def release(
        out: Out,
        to: Annotated[Any, typer.Option("--to", parser=as_place, help="Folder or s3:// prefix for the release.")],
        recipe: Annotated[str | None, typer.Option("--recipe", help="Whose corpus; the latest one by default.")] = None,
        rewritten: Annotated[
            list[str] | None,
            typer.Option("--with", help="A rewriting that ran in OUT, as NAME or NAME:STEP; may be given again."),
        ] = None,
        without_corpus: Annotated[
            bool, typer.Option("--without-corpus", help="Only what --with names, without the corpus.")
        ] = False,
        by: Annotated[
            str,
            typer.Option(
                "--by", help="Columns to cut the release by, with commas, as license_tier,crawl; '' for none."
            ),
        ] = "license_tier",
        license_tiers: Annotated[
            str | None,
            typer.Option("--license-tiers", help="Only rows of these tiers, with commas: public-domain,attribution."),
        ] = None,
        allow_refused: Annotated[
            bool, typer.Option("--allow-refused", help="Keep pages that refuse to be used for training.")
        ] = False,
        validation: Annotated[
            float, typer.Option("--validation", help="Share of hosts held out for validation.")
        ] = 0.01,
        shard_bytes: Annotated[
            str, typer.Option("--shard-bytes", help="Size of a Parquet file to aim at: 500MB, or a number of bytes.")
        ] = "500MB",
        seed: Annotated[int, typer.Option("--seed", help="Decides order and split.")] = 20_240_607,
        name: Annotated[
            str | None, typer.Option("--name", help="Name of the data set; the folder's by default.")
        ] = None,
        contact: Annotated[
            str | None, typer.Option("--contact", help="Address of e-mail or of a page for removal requests.")
        ] = None,
        replace: Annotated[
            bool, typer.Option("--replace", help="Build in the place of another release that the folder holds.")
        ] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and show what would be written.")] = False,
        workers: Workers = None,
        ray_address: RayAddress = None,
        log_json: LogJson = None,
    ) -> None:
        """Make a data set of a corpus and of what was rewritten that people can load: only what is missing is done."""
        from pipeline.progress import human_seconds
        from pipeline.release.exports.text import size_named
        from pipeline.release.manifest import LOCAL
        from pipeline.release_run import ReleaseRun
        from pipeline.release_settings import Settings
        from pipeline.telling import open_progress, told

        started = time.monotonic()
        settings = Settings(
            by=tuple(_names(by)),
            seed=seed,
            validation=validation,
            shard_bytes=int(shard_bytes) if shard_bytes.isdecimal() else size_named(shard_bytes, "--shard-bytes"),
            license_tiers=tuple(_tiers(license_tiers)) if license_tiers is not None else None,
            refused_consent=allow_refused,
        )
        runner = make_runner(workers, ray_address)
        place = writable(to)
        progress = open_progress(place / LOCAL, log_json)
        parts = [(which, step or None) for which, _, step in (each.partition(":") for each in rewritten or [])]
        job = ReleaseRun(
            writable(out), place, settings, runner, progress, recipe, name, contact, parts,
            corpus=not without_corpus,
        )  # fmt: skip
        printed = console(stderr=log_json == STANDARD_OUTPUT)
        with told(progress, "release", recipe, to, runner):
            if dry_run:
                _print_plans(printed, job.plan())
                printed.print("nothing was written: this was a dry run")
                return
            built = job.build(replace)
        if not built.worked:
            printed.print(f"{built.manifest.name}: nothing to do, the release is whole")
        _print_release(printed, built.manifest)
        if built.manifest.contact is None:
            printed.print("no --contact was given: the card asks for removals in a discussion where the data set lies")
        printed.print(f"release: {to}", soft_wrap=True)
        printed.print(f"check it: kamisuki verify {to}", soft_wrap=True)
        printed.print(f"took {human_seconds(time.monotonic() - started)}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _tiers(text: str) -> list[str]:
    from pipeline.web.license.tiers import TIERS

    names = _names(text)
    unknown = [name for name in names if name not in TIERS]
    if unknown or not names:
        given = repr(unknown[0]) if unknown else "nothing"
        raise UsageError(f"--license-tiers {given}: the tiers are {', '.join(TIERS)}")
    return names


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="left" if name in ("cell", "split") else "right")
    return table


def _print_plans(console: Any, plans: list[Any]) -> None:
    table = _table("cell", "split", "rows", "files", "about MB")
    for plan in plans:
        for part in plan.parts:
            table.add_row(part.cell, part.split, f"{part.rows:,}", str(part.files), f"{part.bytes / 1e6:,.1f}")
    rows, size = (sum(getattr(part, of) for plan in plans for part in plan.parts) for of in ("rows", "bytes"))
    table.add_row(
        "in all", "", f"{rows:,}", str(sum(p.files for plan in plans for p in plan.parts)), f"{size / 1e6:,.1f}"
    )
    console.print(table)
    for plan in plans:
        _print_left_out(console, plan.source.task, plan.left_out)


def _print_release(console: Any, manifest: Any) -> None:
    table = _table("cell", "split", "rows", "characters", "files", "MB")
    parts: dict[tuple[str, str], list[Any]] = {}
    for file in manifest.files:
        parts.setdefault((file.config, file.split), []).append(file)
    for (cell, split), files in parts.items():
        rows, characters = (f"{sum(getattr(file, of) for file in files):,}" for of in ("rows", "characters"))
        size = sum(file.bytes for file in files) / 1e6
        table.add_row(cell, split, rows, characters, str(len(files)), f"{size:,.1f}")
    rows, characters = (f"{sum(getattr(file, of) for file in manifest.files):,}" for of in ("rows", "characters"))
    size = sum(file.bytes for file in manifest.files) / 1e6
    table.add_row("in all", "", rows, characters, str(len(manifest.files)), f"{size:,.1f}")
    console.print(table)
    for task in manifest.tasks:
        _print_left_out(console, task.name, task.left_out)
        for shard, error in sorted(task.waived.items()):
            console.print(f"{task.name}: without shard {shard}, waived by max_failed_shards: {error}", soft_wrap=True)


def _print_left_out(console: Any, task: str, left_out: dict[str, int]) -> None:
    for reason, count in left_out.items():
        console.print(f"{task}: {counted(count, 'row')} left out: {reason}")
