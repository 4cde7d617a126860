"""Folders of OUT: which holds which table of which recipe, and which are old."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import read_json
from pipeline.run import locked, read_run


@dataclass(frozen=True)
class TableFolder:
    """A folder of OUT, the recipes that use it now, and its size in bytes on the disk."""

    path: Path
    table: str
    stage: str
    recipes: tuple[str, ...]
    shards: int
    bytes: int


def list_folders(out: Path) -> list[TableFolder]:
    """All table folders, current and old, by name."""
    record = read_run(out) or {"recipes": {}}
    users: dict[str, list[str]] = {}
    for recipe, entry in record["recipes"].items():
        for folder in entry["tables"].values():
            users.setdefault(folder, []).append(recipe)
    folders = []
    for path in sorted(marker.parent for marker in out.glob("*/made_by.json")):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        table = path.name.rsplit("-", 1)[0]
        stage = str(read_json(path / "made_by.json").get("stage", ""))
        shards = len(list(path.glob("*.parquet")))
        folders.append(TableFolder(path, table, stage, tuple(sorted(users.get(path.name, []))), shards, size))
    return folders


def remove_old(out: Path) -> list[TableFolder]:
    """Remove the folders that no recipe of run.json uses, under the run's lock; returns what went."""
    with locked(out):
        old = [folder for folder in list_folders(out) if not folder.recipes]
        for folder in old:
            shutil.rmtree(folder.path)
    return old
