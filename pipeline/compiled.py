"""Compiled code: where numba keeps it, when it is stale, and how an install that nobody may write to is served.

numba compares a function's own source with what was compiled. It does not see that a function which is called from
another module has changed, nor a constant.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba.core import config as numba_config
from numba.core.caching import UserProvidedCacheLocator, UserWideCacheLocator

config: Any = numba_config
ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "filters", "dedup")
SUFFIXES = (".nbi", ".nbc")


def sources() -> list[Path]:
    """The modules whose compiled code could depend on one another."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def sources_digest() -> str:
    """A digest of the modules' names and contents."""
    state = hashlib.blake2b(digest_size=16)
    for path in sources():
        content = path.read_bytes()
        state.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return state.hexdigest()


def cache_folder(source: Path) -> Path:
    """Where numba keeps the compiled code of a module: beside it, or in NUMBA_CACHE_DIR."""
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / UserProvidedCacheLocator.get_suitable_cache_subpath(str(source))
    return source.parent / "__pycache__"


def digest_file() -> Path:
    """Where it is noted of which sources the compiled code was made."""
    return cache_folder(ROOT / "pipeline" / "__init__.py") / "compiled-from.txt"


def compiled_from() -> str | None:
    """The digest of the sources of which the compiled code was made, None where none was noted."""
    try:
        return digest_file().read_text().strip()
    except FileNotFoundError:
        return None


def remove_stale() -> int:
    """Remove what was compiled of other sources than these, and note these. Returns how many files went."""
    now = sources_digest()
    if compiled_from() == now:
        return 0
    removed = 0
    for folder in sorted({cache_folder(path) for path in sources()}):
        for path in folder.glob("*"):
            if path.suffix in SUFFIXES:
                path.unlink(missing_ok=True)
                removed += 1
    digest_file().parent.mkdir(parents=True, exist_ok=True)
    digest_file().write_text(now + "\n")
    return removed


class InstalledCacheLocator(UserWideCacheLocator):
    """Finds compiled code beside a module of an install that this user cannot write to.

    numba passes over a cache where it cannot write, and would compile everything again for each user. Here the user's
    own cache begins with links to what is installed; what that lacks (another processor, say) is compiled into it.
    """

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._cache_path = str(_linked(Path(py_file).resolve().parent))

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> InstalledCacheLocator | None:
        """The locator of a function of ours where it has compiled code and cannot have more, else None."""
        source = Path(py_file).resolve()
        installed = source.parent / "__pycache__"
        ours = any(source.is_relative_to(ROOT / package) for package in PACKAGES)
        if not ours or not installed.is_dir() or os.access(installed, os.W_OK) or compiled_from() is None:
            return None
        return cls(py_func, py_file)


@lru_cache
def _linked(folder: Path) -> Path:
    """This user's folder with links to the compiled code of a package folder."""
    name = UserWideCacheLocator.get_suitable_cache_subpath(str(folder / "__init__.py"))
    # By digest, so that code of an earlier version is never found.
    linked = _own_folder() / str(compiled_from()) / name
    linked.mkdir(parents=True, exist_ok=True)
    for path in (folder / "__pycache__").iterdir():
        link = linked / path.name
        if path.suffix in SUFFIXES:
            # Another worker may be at the same work; what stands there already is as good.
            with contextlib.suppress(FileExistsError):
                link.symlink_to(path)
    return linked


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    """A folder that this user can write to: the cache folder by the XDG rules, else one for this process alone."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    try:
        wanted = Path(cache).resolve() / "kamisuki"
        wanted.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=wanted).close()
    except OSError:
        wanted = Path(tempfile.mkdtemp(prefix="kamisuki-"))
        atexit.register(shutil.rmtree, wanted, ignore_errors=True)
    return wanted


def use_installed_code() -> None:
    """Let numba find compiled code beside modules of ours where it cannot write; before any function is compiled."""
    others = config.CACHE_LOCATOR_CLASSES or (
        "InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator,ZipCacheLocator"
    )
    ours = f"{InstalledCacheLocator.__module__}.{InstalledCacheLocator.__qualname__}"
    config.CACHE_LOCATOR_CLASSES = f"UserProvidedCacheLocator,{ours},{others}"
