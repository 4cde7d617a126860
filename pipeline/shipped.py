"""Where the files that come with kamisuki lie: recipes, lists, and what starts clusters."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UsageError

# Files of configs/ that are lists for recipes to name, and no recipes themselves.
LISTS = ("ai-user-agents", "assets")


def configs_folder() -> Path:
    """Where the shipped recipes and lists lie, in a checkout or in an installed package."""
    here = Path(__file__).resolve().parent
    for folder in (here / "configs", here.parent / "configs"):
        if folder.is_dir():
            return folder
    raise UsageError("the shipped recipes are missing: reinstall kamisuki")


def find_shipped(name_or_path: str, shipped: Sequence[Path], what: str) -> Path:
    """A file by its path, else one of those that ship by its name. Raises UsageError with the names that there are."""
    path = Path(name_or_path)
    found = path if path.is_file() else next((file for file in shipped if file.stem == name_or_path), None)
    if found is None:
        names = ", ".join(file.stem for file in shipped)
        raise UsageError(f"no {what} {name_or_path!r}: give a path to a file or one of {names}")
    return found


def shipped_recipes() -> list[Path]:
    """The shipped recipes, by name."""
    return sorted(path for path in configs_folder().glob("*.yaml") if path.stem not in LISTS)


def cluster_files() -> list[Path]:
    """The shipped files that start clusters, by name."""
    return sorted((configs_folder() / "cluster").iterdir())
