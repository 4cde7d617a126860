"""What a release is made of: the corpus of a recipe that ran in OUT, and what rewriting recipes made there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.plan import load_plan
from pipeline.release.manifest import FunnelStep, Rewriting
from pipeline.release_described import corpus_funnel, published_recipe, versions_of, without_folders
from pipeline.run_folder import read_run
from pipeline.steps import Finished, Incomplete, finished_before
from pipeline.storage.places import Place
from pipeline.wording import counted


@dataclass(frozen=True)
class Source:
    """A whole table that becomes a task of a release; `found` are its folder and the ledger entries of its shards.

    `forbidding` are columns in which a model wrote whose license lets no other model be trained with it.
    """

    task: str
    kind: str
    table: str
    found: Finished
    recipe: dict[str, Any]
    funnel: list[FunnelStep]
    waived: dict[str, str]
    versions: dict[str, str]
    rewriting: Rewriting | None = None
    forbidding: tuple[str, ...] = ()

    def identity(self) -> dict[str, str]:
        """What tells this table from another one: its folder's name, and the digest of all its files."""
        return {"folder": self.found.folder.name, "shards": self.found.fingerprint(self.table)}


def known_run(out: Place) -> dict[str, Any]:
    """The record of the run in OUT. Raises UsageError where there is none."""
    record = read_run(out)
    if record is None:
        raise UsageError(f"{out} holds no run: give the OUT folder of `kamisuki run`")
    return record


def find_corpus(out: Place, recipe: str | None) -> Source:
    """The corpus of a recipe (the latest by default).

    Raises UsageError for what did not run, Incomplete for a table that misses shards.
    """
    record = known_run(out)
    name = recipe or record["latest"]
    if name not in record["recipes"]:
        raise UsageError(f"no recipe {name!r} ran in {out}; there are: {', '.join(record['recipes'])}")
    known = record["recipes"][name]
    if "corpus" not in known["tables"]:
        raise UsageError(f"recipe {name} has no corpus in {out} yet: run it first, to its last stage")
    folder = out / known["tables"]["corpus"]
    found = finished_before(folder)
    check_whole(f"the corpus of {name}", found, planned_shards(out, known), "corpus")
    return Source(
        task=name,
        kind="corpus",
        table="corpus",
        found=found,
        recipe=published_recipe(known["recipe"]),
        funnel=corpus_funnel(out, known["tables"]),
        waived=without_folders(known["waived"]),
        versions=versions_of(out, known["tables"].values()),
    )


def planned_shards(out: Place, known: dict[str, Any]) -> set[str]:
    """The shards that a recipe's tables must have: those of the plan without the waived ones."""
    return {shard.name for shard in load_plan(out / "plan.json")} - known["waived"].keys()


def check_whole(what: str, found: Finished, wanted: set[str], table: str) -> None:
    """Raise Incomplete where shards are missing, UsageError where there is nothing."""
    missing = sorted(wanted - found.entries.keys())
    if missing:
        names = ", ".join(missing[:5])
        raise Incomplete(
            f"{what} misses {len(missing)} of {counted(len(wanted), 'shard')} ({names}): run it again first"
        )
    if not found.entries or any(table not in entry.outputs for entry in found.entries.values()):
        raise UsageError(f"{what} is empty: nothing to release; run it first")
