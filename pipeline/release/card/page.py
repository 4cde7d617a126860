"""The card of a release as a page: everything that its readers ask first, from the manifest alone."""

from __future__ import annotations

import json
from functools import partial

from pipeline.release.card import parts
from pipeline.release.card.choices import Filter, filters_of
from pipeline.release.card.markup import fence, heading, name, number, plain, table, yaml_text
from pipeline.release.card.metadata import data_files, default_config, metadata
from pipeline.release.card.parts import by_task, rows_of
from pipeline.release.keys import VALIDATION
from pipeline.release.manifest import Manifest, Task
from pipeline.wording import visible

# A longer list is of use to programs alone, which read release.json.
CHECKSUMS_SHOWN = 500


def card(manifest: Manifest) -> str:
    """The card: metadata, then sections. The same manifest gives the same text."""
    sections = [
        heading(1, manifest.name),
        _summary(manifest),
        "## Loading",
        _loading(manifest),
        "## Columns",
        by_task(manifest, parts.columns),
        "## From records to rows",
        by_task(manifest, lambda task: parts.funnel(task, _characters(manifest, task))),
        "## Filters",
        by_task(manifest, parts.filters),
        *(["## Rewriting", _REWRITING, by_task(manifest, parts.rewriting)] if _is_rewritten(manifest) else []),
        "## Deduplication",
        by_task(manifest, parts.deduplication),
        "## Sources",
        by_task(manifest, parts.sources),
        "## Licenses",
        _LICENSES,
        by_task(manifest, parts.licenses),
        "## Consent",
        _consent(manifest),
        by_task(manifest, parts.consent),
        "## Personal information",
        by_task(manifest, _personal_information),
        "## Languages",
        by_task(manifest, parts.languages),
        "## Known limits",
        by_task(manifest, _limits),
        "## Removal",
        _removal(manifest),
        "## Recipe",
        by_task(manifest, partial(parts.recipe, besides={task.name for task in manifest.tasks})),
        "## Versions",
        by_task(manifest, parts.versions),
        "## Citation",
        _citation(manifest),
        "## Files and checksums",
        _checksums(manifest),
    ]
    return f"---\n{yaml_text(metadata(manifest))}---\n\n" + "\n\n".join(sections) + "\n"


def _summary(manifest: Manifest) -> str:
    tasks = []
    for task in manifest.tasks:
        characters = _characters(manifest, task)
        made = "rewritten by a language model" if task.kind == "rewritten" else "as the sources have it"
        description = task.recipe.get("description") or ""
        tasks.append([name(task.name), plain(str(description)), made, number(rows_of(task)), number(characters)])
    made_by = f"Made on {manifest.date.isoformat()} with Kamisuki {plain(manifest.kamisuki)}. "
    what = "Every row says where it came from, under which license, and what its page said of training."
    kept = "This page was made from `release.json`, which lies beside it and has every figure of it."
    overview = table(["part", "what it is", "text", "rows", "characters"], tasks)
    return f"{made_by}{what} {kept}\n\n{overview}"


def _characters(manifest: Manifest, task: Task) -> int:
    cells = {config.name for config in manifest.configs if config.task == task.name}
    return sum(file.characters for file in manifest.files if file.config in cells)


def _loading(manifest: Manifest) -> str:
    default = next(config for config in manifest.configs if config.name == default_config(manifest))
    found = data_files(manifest, default)
    split, globs = (found[0]["split"], found[0]["path"]) if found else ("train", [])
    load = f"load_dataset(place, {json.dumps(default.name)}, split={json.dumps(split)}"
    # No row of the stream is read: pyarrow may abort a Python that ends before its stream does (apache/arrow#45214).
    with_datasets = f"""from datasets import load_dataset

place = "OWNER/NAME"  # the data set on the Hub, or a folder with a copy of it
rows = {load})
print(rows.num_rows, rows[0]["id"], rows[0]["text"][:80])
stream = {load}, streaming=True)  # for row in stream: …
print(stream)
"""
    with_others = f"""import duckdb
import polars

place = "hf://datasets/OWNER/NAME"  # or a folder with a copy of it
files = [f"{{place}}/{{name}}" for name in {json.dumps(globs)}]
print(duckdb.read_parquet(files).limit(3))
print(polars.scan_parquet(files).head(3).collect())
"""
    configs = []
    for config in manifest.configs:
        rows = {split: sum(file.rows for file in manifest.files_of(config, split)) for split in ("train", "validation")}
        size = sum(file.bytes for file in manifest.files if file.config in config.cells)
        values = ", ".join(f"{key} {value}" for key, value in config.values.items())
        counts = [number(rows["train"]), number(rows["validation"]), f"{size / 1e6:,.1f}"]
        configs.append([name(config.name), name(config.task), plain(values), *counts])
    share = plain(f"{100 * manifest.validation:g} % of the hosts")
    held_out = f"`validation` holds the rows of {share}, and no host is in both splits."
    if not any(file.split == VALIDATION for file in manifest.files):
        held_out = f"Nothing is held out: {share} were to be, and of so few hosts that was none."
        held_out = held_out if manifest.validation else "Nothing is held out: there is no split for validation."
    order = (
        f"{held_out} The rows of a folder of `data` "
        f"are shuffled by the hash of their ids with seed {manifest.seed}: its first rows are a random sample of them."
    )
    listed = table(["config", "part", "rows where", "train", "validation", "MB"], configs)
    return (
        f"With datasets, whole or as a stream:\n\n{fence(with_datasets, 'python')}\n\n"
        f"With DuckDB or Polars:\n\n{fence(with_others, 'python')}\n\n{listed}\n\n{order}"
    )


_REWRITING = (
    "`generator` names the model that wrote a row's text; where it is empty no model did, and the row has its source's "
    "id. `lineage` holds each question that the text owes itself to, `source_ids` what it was made from, and `license` "
    "the stricter of the licenses of source and model. Rows of a model whose license forbids training others with what "
    "it wrote are never in a release."
)


def _is_rewritten(manifest: Manifest) -> bool:
    return any(task.kind == "rewritten" for task in manifest.tasks)


_LICENSES = (
    "The license is what the page itself declares, read by program: it may be wrong, or speak of a part of the page. "
    "`license_url` and `license_source` say where it was found. Where none was found, the law of the place decides; "
    "the texts belong to their authors. To name an author, use `author` or `site_name`, `title`, `url` and "
    "`license_url` of the row. Nothing here is legal advice."
)


def _consent(manifest: Manifest) -> str:
    policy = manifest.policy
    refused = (
        "Rows whose page or response refuses training (`consent` is `refused`) are in this release: drop them by it."
        if policy.refused_consent
        else "Rows whose page or response refuses training (`consent` is `refused`) are not in this release."
    )
    if left := sum(task.left_out.get("consent_refused", 0) for task in manifest.tasks):
        refused += f" {number(left)} rows were left out for it."
    tiers = policy.license_tiers
    kept = "" if tiers is None else f" Only rows of these license tiers are in it: {plain(', '.join(tiers))}."
    return (
        f"{refused}{kept} `unknown` means that nothing was said, or nothing that is understood. `robots` and "
        "`robots_latest`, where they are filled, say what robots.txt said."
    )


# Columns in which pages name people, as authors or as owners of the site.
_OF_PERSONS = ("url", "host", "title", "author", "site_name", "description", "source_metadata", "license_url")


def _personal_information(task: Task) -> str:
    changes = {key: value for key, value in ((task.recipe.get("select") or {}).get("clean") or {}).items() if value}
    changed = f" What the recipe changes in texts ({plain(', '.join(changes))}) masks none of it." if changes else ""
    columns = [name(column) for column, _ in task.columns if column in _OF_PERSONS]
    besides = f" {', '.join(columns)} may name persons too." if columns else ""
    return (
        "Nothing is masked. Names, addresses, telephone numbers and whatever else of persons the pages hold stand in "
        f"the texts.{besides}{changed} Whoever finds something of theirs can have it [removed](#removal)."
    )


def _limits(task: Task) -> str:
    found = []
    if task.kind == "rewritten":
        found.append(
            "A language model wrote or changed these texts. It may have lost, changed or invented facts; the columns "
            "of the checks say what was measured, and `source_ids` name what each text was made from."
        )
    elif not task.recipe.get("ingest"):
        found += [
            "Text that only a script of the page writes is missing, but for `articleBody` in JSON-LD.",
            "Main text is found least well on pages of products, collections and listings, then on forums: menus and "
            "lists of links stay in some of them and descriptions are missing from others. `page_type` and "
            "`extraction_confidence` say of each page what it is and how sure the choice was.",
        ]
    if task.kind == "corpus" and not any(map(_screens, filters_of(task))):
        found.append("No filter looks for adult, violent or discriminating content: it is in here as the web has it.")
    found += [
        "Nothing was compared with evaluation sets: texts of theirs may be in here.",
        "The language is that of the text's beginning; short and mixed texts are labelled wrongly more often.",
        "Only pages that are alike in their words are found as duplicates: translations and retellings stay.",
    ]
    listed = "\n".join(f"- {line}" for line in found)
    if not task.waived:
        return f"{listed}\n- No shard of the input is missing."
    missing = table(["shard", "error"], [[name(shard), plain(error)] for shard, error in task.waived.items()])
    return f"{listed}\n- These shards of the input failed and are missing:\n\n{missing}"


def _screens(rule: Filter) -> bool:
    """Whether a rule drops pages by lists of words or addresses that people chose for what they do not want."""
    return bool(rule.reason) and any(part in rule.signal for part in ("ng_", "words_", "url_list_"))


def _removal(manifest: Manifest) -> str:
    where = f"Write to {plain(manifest.contact)}" if manifest.contact else "Open a discussion where this data set lies"
    asked = (
        f"{where} and name the URLs, hosts or ids that are to go. Rows are taken out of the files, with what was made "
        "from them, and stay out of later releases."
    )
    if not manifest.takedowns:
        return f"{asked} Nothing has been removed so far."
    rows = []
    for takedown in manifest.takedowns:
        by = ", ".join(f"{count} {kind}" for kind, count in takedown.by.items())
        rows.append([takedown.date.isoformat(), plain(takedown.reason), plain(by), number(takedown.rows)])
    listed = table(["date", "reason", "asked for", "rows removed"], rows)
    return f"{asked} The ids of what was removed are in `tombstones.parquet`; drop them from older copies.\n\n{listed}"


# Signs that LaTeX reads as commands.
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {sign: f"\\{sign}" for sign in "{}%$#&_"}


def _citation(manifest: Manifest) -> str:
    title = "".join(_LATEX.get(character, character) for character in visible(manifest.name))
    version = "".join(_LATEX.get(character, character) for character in visible(manifest.kamisuki))
    day = manifest.date
    entry = (
        f"@misc{{release{day:%Y%m%d},\n  title = {{{title}}},\n  year = {{{day.year}}},\n"
        f"  note = {{Data set of {day.isoformat()}, made with Kamisuki {version}}}\n}}"
    )
    return fence(entry, "bibtex")


def _checksums(manifest: Manifest) -> str:
    total = f"{len(manifest.files):,} files, {sum(file.bytes for file in manifest.files):,} bytes."
    if len(manifest.files) > CHECKSUMS_SHOWN:
        return f"{total} Their sizes and SHA-256 are in `release.json`. `kamisuki verify` checks all of it."
    lines = "\n".join(f"{visible(file.sha256)}  {visible(file.path)}" for file in manifest.files)
    return f"{total} SHA-256, as `sha256sum -c` reads it; `kamisuki verify` checks all of it.\n\n{fence(lines, 'text')}"
