"""The plan: which inputs make which shard. Packing never moves an existing shard."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError
from pipeline.files import read_json, write_json
from pipeline.inputs import Given, sizes_of
from pipeline.selected import CRAWL_FOLDER, Selected, selected_of
from pipeline.storage.http import Politeness
from pipeline.storage.places import Place, as_place

if TYPE_CHECKING:
    from pipeline.recipe import Shards

# A run of few inputs is cut into at least this many shards where it has as many inputs, so that a laptop's
# cores all have work. It is a constant, not the number of workers, so that a plan is the same everywhere.
LEAST_SHARDS = 64
POLITE = Politeness()


@dataclass(frozen=True, slots=True)
class Input:
    """A file to read: where it lies now, the unique name that documents carry, and its size in bytes."""

    path: str
    name: str
    bytes: int

    def as_record(self) -> dict[str, Any]:
        """As the plan's file and tasks have it."""
        return {"path": self.path, "name": self.name, "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work: a unique name and an ordered list of inputs."""

    name: str
    inputs: tuple[Input, ...]

    @property
    def bytes(self) -> int:
        """Compressed bytes of all inputs."""
        return sum(item.bytes for item in self.inputs)

    def as_record(self) -> dict[str, Any]:
        """As the plan's file and tasks have it."""
        return {"name": self.name, "inputs": [item.as_record() for item in self.inputs]}


def name_inputs(paths: list[Given], taken: set[str]) -> dict[Given, str]:
    """A unique name for each path: what follows `crawl-data/`, else the base name with as many folders as it needs."""
    names: dict[Given, str] = {}
    groups: dict[str, list[Given]] = defaultdict(list)
    for path in paths:
        text = "/".join(_parts(path))
        # A crawl's own name for a file begins at crawl-data/.
        tail = CRAWL_FOLDER + text.rsplit("/crawl-data/", 1)[1] if "/crawl-data/" in text else path.name
        groups[tail].append(path)
    for base, members in groups.items():
        depth = base.count("/") + 1
        while True:
            candidates = {path: "/".join(_parts(path)[-depth:]).lstrip("/") for path in members}
            whole = depth >= max(len(_parts(path)) for path in members)
            if whole or (len(set(candidates.values())) == len(members) and not taken & set(candidates.values())):
                break
            depth += 1
        names.update(candidates)
    return names


def _parts(path: Given) -> tuple[str, ...]:
    """A file's folders and name; those of a URL begin with its host or bucket."""
    if isinstance(path, Selected):
        return _parts(path.file)
    return path.parts if isinstance(path, Path) else tuple(path.url.partition("://")[2].split("/"))


def shard_name(inputs: tuple[Input, ...]) -> str:
    """A name for a shard that is safe as a file name: its first input's name and how many follow."""
    first = re.sub(r"(\.warc|\.arc)?(\.gz|\.zst)?$", "", inputs[0].name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "~", first.removeprefix(CRAWL_FOLDER)).lstrip(".") or "input"
    if len(safe) > 150 or safe != first:
        # Characters were lost: the digest keeps two such names apart.
        safe = f"{safe[-120:]}-{hashlib.sha256(inputs[0].name.encode()).hexdigest()[:8]}"
    return safe if len(inputs) == 1 else f"{safe}+{len(inputs) - 1}"


def pack(inputs: list[Input], settings: Shards) -> list[Shard]:
    """Pack inputs, in order of their names, into shards of about the expected bytes of documents."""
    ordered = sorted(inputs, key=lambda item: item.name)
    total = sum(item.bytes for item in ordered)
    target = min(settings.documents_bytes / settings.yield_ratio, total / LEAST_SHARDS)
    packs: list[list[Input]] = []
    room = 0.0
    for item in ordered:
        # An empty file is an error of its own and must take no good file with it.
        if not packs or item.bytes == 0 or packs[-1][-1].bytes == 0 or room < item.bytes:
            packs.append([])
            room = target
        packs[-1].append(item)
        room -= item.bytes
    shards = [Shard(shard_name(tuple(members)), tuple(members)) for members in packs]
    return _unique(shards, set())


def _unique(shards: list[Shard], taken: set[str]) -> list[Shard]:
    unique = []
    for shard in shards:
        name, number = shard.name, 2
        while name in taken:
            name, number = f"{shard.name}~{number}", number + 1
        taken.add(name)
        unique.append(Shard(name, shard.inputs))
    return unique


def as_given(text: str) -> Given:
    """An input as the plan writes it."""
    return selected_of(text) or as_place(text)


def is_there(path: Given) -> bool:
    """Whether a file is still where it was; of a remote one that is taken for granted."""
    file = path.file if isinstance(path, Selected) else path
    return not isinstance(file, Path) or file.exists()


def _refuse_mixing(known: list[Input], new: dict[Given, str]) -> None:
    """Raises UsageError where a file is whole and in a selection, or in two of them: its pages would come twice."""
    before = {item.name: selected_of(item.path) for item in known}
    for path, name in new.items():
        now = path if isinstance(path, Selected) else None
        if name in before and (now and now.selection) != ((old := before[name]) and old.selection):
            raise UsageError(f"{name} is in the plan already, as {old or 'a whole file'}: use another OUT for {path}")


def extend_plan(
    shards: list[Shard], paths: list[Given], settings: Shards, politeness: Politeness = POLITE
) -> list[Shard]:
    """The plan with new inputs packed into new shards; existing shards keep their names and inputs.

    An input that is known by its path keeps its shard, with its size read again; that of a remote one only where it is
    given again. An input whose old path is gone was moved when a file of its name and size is given anew: its shard
    follows. So does that of a crawl's own file which is given from another server.
    """
    by_path = {item.path: item for shard in shards for item in shard.inputs}
    new = [path for path in paths if str(path) not in by_path]
    # What lies under a crawl's own name is the same file on each of its servers and never changes.
    settled = {path for path, item in by_path.items() if "://" in path and item.name.startswith(CRAWL_FOLDER)}
    gone = {item.name: item for path, item in by_path.items() if path in settled or not is_there(as_given(path))}
    sizes = sizes_of([path for path in paths if str(path) not in settled], politeness)
    taken = {item.name for item in by_path.values() if item.name not in gone}
    names = name_inputs(new, taken)
    _refuse_mixing(list(by_path.values()), name_inputs(new, set()))
    moved = {gone[name].path: path for path, name in names.items() if name in gone and gone[name].bytes == sizes[path]}
    still_gone = {item.name for item in gone.values() if item.path not in moved}
    if still_gone & set(names.values()):
        # Another file of the name of one that is gone: it is an input of its own.
        names = {**names, **name_inputs([path for path in new if names[path] in still_gone], taken | still_gone)}

    def refresh(item: Input) -> Input:
        path = moved.get(item.path, as_given(item.path))
        if path in sizes:
            size = sizes[path]
        else:
            size = path.stat().st_size if isinstance(path, Path) and path.exists() else item.bytes
        return Input(str(path), item.name, size)

    kept = [Shard(shard.name, tuple(refresh(item) for item in shard.inputs)) for shard in shards]
    fresh = [Input(str(path), names[path], sizes[path]) for path in new if path not in moved.values()]
    added = _unique(pack(fresh, settings), {shard.name for shard in kept}) if fresh else []
    return sorted([*kept, *added], key=lambda shard: shard.name)


def save_plan(path: Place, shards: list[Shard]) -> None:
    """Write the plan as JSON."""
    write_json(path, {"shards": [shard.as_record() for shard in shards]})


def load_plan(path: Place) -> list[Shard]:
    """Read the plan; an absent one is empty. Raises UsageError on a damaged one."""
    try:
        data = read_json(path)
        return [Shard(s["name"], tuple(Input(**item) for item in s["inputs"])) for s in data["shards"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: the plan is damaged: remove OUT or restore the file") from None
