"""Where the files that come with kamisuki lie: recipes and lists."""

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


def shipped_recipes() -> list[Path]:
    """The shipped recipes, by name."""
    return sorted(path for path in configs_folder().glob("*.yaml") if path.stem not in LISTS)
