"""A mix or a pack as exports read it: what a name of it loads, and the files of that in their order."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.release.derived_record import DERIVED, MIXED, read_derived
from pipeline.release.keys import TRAIN
from pipeline.release.manifest import MANIFEST, Config, File, Manifest, read_manifest
from pipeline.release.mixing.report import budgets_of, largest
from pipeline.storage.places import Place


@dataclass(frozen=True)
class MixContents:
    """What a release's manifest says of itself, of a mix: a cell is what a budget adds to the one below it."""

    name: str
    configs: list[Config]
    files: list[File]

    def files_of(self, config: Config, split: str) -> list[File]:
        """The files of a config in the order of the mix."""
        return [file for cell in config.cells for file in self.files if file.config == cell and file.split == split]


def read_contents(place: Place) -> tuple[Manifest | MixContents, str]:
    """What a release, a mix or a pack holds, and the name of the file that says so. Raises UsageError."""
    record = read_derived(place)
    if record is None or record.kind not in MIXED:
        return read_manifest(place), MANIFEST
    if not record.finished:
        raise UsageError(f"the {record.kind} at {place} is not whole: give the command that makes it again")
    cells = {
        step["folder"]: step["folder"].removeprefix("data/").replace("/", "-") for step in record.settings["steps"]
    }
    files = [
        File(
            path=file.path,
            config=cells[file.path.rpartition("/")[0]],
            split=TRAIN,
            rows=file.rows,
            characters=0,
            bytes=file.bytes,
            sha256=file.sha256,
        )
        for file in record.files
    ]
    first = largest(record)[0].config
    budgets = sorted(budgets_of(record), key=lambda budget: budget.config != first)
    configs = [
        Config(name=budget.config, task=record.kind, cells=[cells[folder] for folder in budget.folders])
        for budget in budgets
    ]
    return MixContents(record.settings["name"], configs, files), DERIVED
