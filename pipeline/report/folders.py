"""Folders of OUT: which holds which table of which recipe, and which are old."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.files import read_json
from pipeline.run_folder import locked, read_run
from pipeline.steps import MADE_BY
from pipeline.storage.places import Place, delete_tree, tree_sizes


@dataclass(frozen=True)
class TableFolder:
    """A folder of OUT, the recipes that use it now, and its size in bytes on the disk."""

    path: Place
    table: str
    stage: str
    recipes: tuple[str, ...]
    shards: int
    bytes: int


def list_folders(out: Place) -> list[TableFolder]:
    """All table folders, current and old, by name."""
    record = read_run(out) or {"recipes": {}}
    users: dict[str, list[str]] = {}
    for recipe, entry in [*record["recipes"].items(), *record.get("rewriting", {}).items()]:
        for folder in entry["tables"].values():
            users.setdefault(folder, []).append(recipe)
    folders = []
    sizes: dict[str, dict[str, int]] = {}
    for name, size in tree_sizes(out).items():
        folder, _, rest = name.partition("/")
        sizes.setdefault(folder, {})[rest] = size
    for folder in sorted(name for name, files in sizes.items() if MADE_BY in files):
        path, files = out / folder, sizes[folder]
        table = path.name.rsplit("-", 1)[0]
        stage = str(read_json(path / MADE_BY).get("stage", ""))
        shards = sum(name.endswith(".parquet") and "/" not in name for name in files)
        users_here = tuple(sorted(users.get(path.name, [])))
        folders.append(TableFolder(path, table, stage, users_here, shards, sum(files.values())))
    return folders


def remove_old(out: Place) -> list[TableFolder]:
    """Remove the folders that no recipe of run.json uses, under the run's lock; returns what went."""
    with locked(out):
        old = [folder for folder in list_folders(out) if not folder.recipes]
        for folder in old:
            delete_tree(folder.path)
    return old
