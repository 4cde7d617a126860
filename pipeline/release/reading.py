"""Rows of a release as exports read them: which files, in which order, under which names."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Protocol

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import open_parquet, read_batches
from pipeline.release.keys import row_key
from pipeline.release.manifest import Config, File, Manifest
from pipeline.storage.places import Place
from pipeline.wording import counted

# Labels of fastText's lid.176, and ISO 639-2's for undetermined, multiple and none: what else stands in `language` is
# the name of a programming language, as ingested code has it (docs/ingest.md).
HUMAN_LANGUAGES = frozenset(
    """
    af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy
    da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy
    ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min
    mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm
    ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep
    vi vls vo wa war wuu xal xmf yi yo yue zh und mul zxx
    """.split()
)

_TAG = re.compile(r"[a-z]{2,3}[-_][A-Za-z0-9_-]+")  # zh-Hant, jpn_Jpan


def is_code(language: str | None) -> bool:
    """Whether a row's `language` names a programming language."""
    return language is not None and language not in HUMAN_LANGUAGES and not _TAG.fullmatch(language)


def slug(value: str | None) -> str:
    """A name for files made of a value: [A-Za-z0-9._-] only. Different values never share one: a changed value ends
    in six digits of its SHA-256."""
    if value is None:
        return "none"
    plain = re.sub(r"[^a-z0-9._-]+", "-", value.lower()).strip(".-_")[:60]
    if plain and plain == value and plain != "none":
        return plain
    return f"{plain or 'x'}-{hashlib.sha256(value.encode()).hexdigest()[:6]}"


def source_of(row: dict[str, Any]) -> str | None:
    """What a row's source is called: that of ingested files, else the crawl."""
    return row.get("source") or row.get("crawl")


class Named(Protocol):
    """What has configs: the manifest of a release, or what stands for it of a mix."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def configs(self) -> list[Config]:
        """The names that it is loaded by."""
        ...


def chosen_config(manifest: Named, name: str | None) -> Config:
    """A config by name, the first one without. Raises UsageError that names those there are."""
    if name is None:
        return manifest.configs[0]
    found = next((config for config in manifest.configs if config.name == name), None)
    if found is None:
        known = ", ".join(config.name for config in manifest.configs)
        raise UsageError(f"{manifest.name} has no config {name!r}; it has: {known}")
    return found


def present(path: Place, wanted: tuple[str, ...]) -> list[str]:
    """Those of the wanted columns that a data file has."""
    with open_parquet(path) as file:
        names = set(file.schema_arrow.names)
    return [name for name in wanted if name in names]


def rows_of(release: Place, file: File, wanted: tuple[str, ...], batch: int = 256) -> Iterator[dict[str, Any]]:
    """The rows of a data file in its order, with those of the wanted columns that it has.

    Raises KamisukiError at its end where it has not as many rows as the manifest says.
    """
    columns = present(release / file.path, wanted)
    rows = 0
    for found in read_batches(release / file.path, columns, batch):
        rows += found.num_rows
        yield from found.to_pylist()
    if rows != file.rows:
        raise KamisukiError(
            f"{release / file.path} has {counted(rows, 'row')} and the manifest says {file.rows:,}: see kamisuki "
            f"verify {release}"
        )


def in_key_order(
    release: Place, manifest: Manifest, config: Config, split: str, wanted: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a split of a config in the order of their keys, over all its cells, each with its file's path."""

    def stream(files: list[File]) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
        for file in files:
            for row in rows_of(release, file, wanted):
                yield row_key(row["id"], manifest.seed), row["id"], file.path, row

    files = manifest.files_of(config, split)
    cells = [stream(list(of_cell)) for _, of_cell in groupby(files, key=lambda file: file.config)]
    for _, _, path, row in heapq.merge(*cells, key=lambda item: item[:2]):
        yield path, row
