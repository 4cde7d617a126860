"""The card of a mix or a pack: its README.md, made from its record alone, so that it stays true when rows go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.files import atomic_file
from pipeline.release.card.markup import fence, heading, name, number, plain, table, yaml_text
from pipeline.release.card.metadata import LANGUAGE_SHARE, MIXED, hub_license, size_category
from pipeline.release.derived_record import PACK, Derived
from pipeline.release.manifest import CARD
from pipeline.release.mixing.pack import instructions
from pipeline.release.mixing.report import Budget, budgets_of, epochs_used, kind_of, largest, tokens_by
from pipeline.storage.places import Place

NONE = "none found"
COLUMNS = {
    "id": "the row's id in its release: `kamisuki fetch-record RELEASE ID` shows where it came from",
    "text": "the text as the release has it",
    "tokens": "how many tokens it is, with the end of text where one was counted",
    "source": "the source of this mix that it was taken of, by its name in the table above",
    "epoch": "1 where its source is gone through for the first time, 2 for the second",
    "origin": "what its release calls its source: a crawl, or the name of ingested files",
    "url": "where the page was",
    "host": "the URL's host",
    "title": "the page's title",
    "fetched_at": "when it was fetched",
    "language": "ISO 639 code, or the name of a programming language",
    "license": "SPDX id, null where none was found",
    "license_url": "the license's address",
    "license_tier": "what kind of license that is",
    "consent": "whether its site allows or refuses that it be used: allowed, refused, unknown",
    "source_ids": "ids of the rows that a rewritten row was made from",
    "generator": "the model that rewrote it",
    "generator_license": "that model's license",
}


def write_mix_card(place: Place, record: Derived) -> None:
    """Write the README.md of a mix or a pack: the same record gives the same bytes."""
    with atomic_file(place / CARD) as file:
        file.write(mix_card(record).encode())


def mix_card(record: Derived) -> str:
    """The card as Markdown, metadata first."""
    parts = [f"---\n{yaml_text(metadata(record))}---", heading(1, record.settings["name"]), _what(record)]
    parts += ["## Load it", _loading(record), "## Tokens", _budgets(record), "## Sources", _sources(record)]
    parts += ["## What is in it", *_contents(record)]
    if record.kind == PACK:
        parts += ["## Train and compare", *instructions(record)]
    parts += ["## Columns", table(["column", "content"], [[name(key), text] for key, text in COLUMNS.items()])]
    parts += ["## How it was put together", _order(record), "## Removal of rows", _removal(record)]
    return "\n\n".join(parts) + "\n"


def metadata(record: Derived) -> dict[str, Any]:
    """What the Hub reads of the card."""
    budgets = budgets_of(record)
    lines = [line for budget in largest(record) for line in budget.lines()]
    rows, languages = sum(line.rows for line in lines), Counter[Any]()
    for line in lines:
        languages[line.language] += line.rows
    codes = [code for code, count in languages.most_common() if count >= max(1, LANGUAGE_SHARE * rows)]
    licenses = {hub_license(line.license, line.license_tier or "unknown") for line in lines}
    found: dict[str, Any] = {"pretty_name": record.settings["name"]}
    if codes := [code for code in codes if code and re.fullmatch("[a-z]{2,3}", code)]:
        found["language"] = codes
    found |= {"license": licenses.pop()} if len(licenses) == 1 and None not in licenses else dict(MIXED)
    found["size_categories"] = [size_category(rows)]
    found["task_categories"] = ["text-generation"]
    found["tags"] = ["pretraining", "kamisuki", record.kind]
    default = largest(record)[0].config
    found["configs"] = [
        {"config_name": budget.config, "data_files": [{"split": "train", "path": _globs(budget)}]}
        | ({"default": True} if budget.config == default else {})
        for budget in budgets
    ]
    return found


def _globs(budget: Budget) -> list[str]:
    return [f"{folder}/train-*.parquet" for folder in budget.folders]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else ""


def _what(record: Derived) -> str:
    settings = record.settings
    if record.kind == PACK:
        return (
            f"{len(settings['sources'])} corpora cut to equal tokens, in the same order, with one tokenizer, one "
            "configuration for training and one list of evaluations, so that models trained on them can be compared."
        )
    return "A mix of text for pretraining, put together of the releases below by shares of tokens."


def _loading(record: Derived) -> str:
    one = largest(record)[0]
    code = f'from datasets import load_dataset\n\nload_dataset("REPOSITORY OR FOLDER", "{one.config}", split="train")'
    budgets = "Each smaller budget is the beginning of the larger ones: its files are their first files."
    return f"{fence(code, 'python')}\n\n{budgets}"


def _budgets(record: Derived) -> str:
    rows = [
        [name(each.config), number(each.wanted), number(each.tokens), number(each.rows), number(len(each.files))]
        for each in budgets_of(record)
    ]
    tokenizer = f"{name(record.settings['tokenizer'])} (SHA-256 `{record.settings['tokenizer_sha256']}`)"
    ends = record.settings["eos"]
    counted = f"Counted with {tokenizer}, " + (
        f"an end of text ({name(ends)}) with each row." if ends is not None else "without any end of text."
    )
    return f"{table(['config', 'tokens wanted', 'tokens', 'rows', 'files'], rows)}\n\n{counted}"


def _sources(record: Derived) -> str:
    rows, used = [], {}
    for budget in largest(record):
        tokens = tokens_by(budget.lines(), lambda line: line.source)
        for source, epochs in epochs_used(record, budget).items():
            used[source] = (tokens[source], budget.tokens, epochs)
    kinds = record.settings.get("kinds", {})
    for source in record.settings["sources"]:
        tokens_used, whole, epochs = used.get(source["name"], (0, 0, 0.0))
        rows.append(
            [
                name(source["name"]),
                name(source["release"]),
                name(source["config"]),
                kinds.get(source["name"], "text"),
                number(source["tokens"]),
                f"{100 * source['share']:.2f} %",
                _share(tokens_used, whole),
                number(tokens_used),
                f"{epochs:.2f}",
                f"{source['max_epochs']:g}",
            ]
        )
    header = ["source", "release", "config", "kind", "tokens there are", "share wanted", "share", "tokens used"]
    return table([*header, "epochs", "most epochs"], rows)


def _contents(record: Derived) -> list[str]:
    parts = []
    for budget in largest(record):
        whole, lines = budget.tokens, budget.lines()
        if budget.corpus:
            parts.append(heading(3, budget.corpus))
        for title, counted in (
            ("kind", tokens_by(lines, kind_of(record))),
            ("language", tokens_by(lines, lambda line: line.language)),
            ("license tier", tokens_by(lines, lambda line: line.license_tier or "unknown")),
        ):
            ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
            cells = [[name(key or NONE), number(count), _share(count, whole)] for key, count in ordered]
            parts.append(table([title, "tokens", "share"], cells))
    return parts


def _order(record: Derived) -> str:
    settings = record.settings
    begins = "at the same place" if record.kind == PACK else "at a place of its own"
    text = (
        f"Rows of a source come in the order of their keys, a shuffle that its release was made with; the seed "
        f"{settings['seed']} decides where in it the first epoch begins, for each source {begins}. A further epoch "
        "goes through the rows in the same order. Rows of all sources are put in order by how much of its share a "
        "source has given before them, so that every beginning of the whole holds the shares to within a row of "
        "each source, and a budget ends with the rows that reach it. Validation splits are left out."
    )
    forced = " It was forced beyond its most epochs." if settings["forced"] else ""
    return text + forced


def _removal(record: Derived) -> str:
    contacts: Sequence[str] = sorted({each["contact"] for each in record.settings["sources"] if each["contact"]})
    ask = f"Ask {' or '.join(plain(contact) for contact in contacts)}. " if contacts else ""
    gone = (
        f"{number(record.taken_out)} rows were taken out of this copy since it was made. " if record.taken_out else ""
    )
    return (
        f"{ask}{gone}Rows that are taken down in a release are taken out of the files here that hold them; nothing is "
        "put in their place, so that budgets then hold fewer tokens than they were made with."
    )
