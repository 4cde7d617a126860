"""Compiled code: where numba keeps it, when it is stale, and how an install that nobody may write to is served.

numba compares a function's own source with what was compiled. It does not see that a function which is called from
another module has changed, nor a constant.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba.core import config as numba_config
from numba.core.caching import UserProvidedCacheLocator, UserWideCacheLocator

config: Any = numba_config
ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "filters", "dedup")
SUFFIXES = (".nbi", ".nbc")


def sources() -> dict[str, Path]:
    """All modules by their dotted names."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(content: bytes, modules: Collection[str]) -> set[str]:
    """Which of `modules` a source imports, wherever in it, and the packages that these stand in."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    parts = [name.split(".") for name in names]
    return {".".join(each[:depth]) for each in parts for depth in range(1, len(each) + 1)} & set(modules)


def source_digests() -> dict[str, str]:
    """For each module with compiled code (its path in the project), a digest of it and of all that it imports."""
    modules = sources()
    contents = {name: path.read_bytes() for name, path in modules.items()}
    imports = {name: imported(content, modules) for name, content in contents.items()}
    digests = {}
    for name, path in modules.items():
        if b"njit" not in contents[name] and b"compile_plain" not in contents[name]:
            continue
        reached, waiting = {name}, [name]
        while waiting:
            new = imports[waiting.pop()] - reached
            reached |= new
            waiting += new
        state = hashlib.blake2b(digest_size=16)
        for each in sorted(reached):
            state.update(f"{each} {len(contents[each])}\n".encode() + contents[each])
        digests[str(path.relative_to(ROOT))] = state.hexdigest()
    return digests


def cache_folder(source: Path) -> Path:
    """Where numba keeps the compiled code of a module: beside it, or in NUMBA_CACHE_DIR."""
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / UserProvidedCacheLocator.get_suitable_cache_subpath(str(source))
    return source.parent / "__pycache__"


def digest_file() -> Path:
    """Where it is noted of which sources the compiled code was made."""
    return cache_folder(ROOT / "pipeline" / "__init__.py") / "compiled-from.json"


def compiled_from() -> dict[str, str] | None:
    """The digests of the sources of which the compiled code was made, None where none were noted."""
    try:
        return dict(json.loads(digest_file().read_text()))
    except (FileNotFoundError, ValueError):
        return None


def remove_stale() -> int:
    """Remove what was compiled of other sources than these, and note these. Returns how many files went.

    Code of a module goes when the module or anything that it imports has changed, or nobody knows of what it was made.
    """
    now, before = source_digests(), compiled_from()
    if before == now:
        return 0
    fresh = {name for name, digest in now.items() if (before or {}).get(name) == digest}
    keep = {(cache_folder(ROOT / name), Path(name).stem) for name in fresh}
    removed = 0
    for folder in sorted({cache_folder(path) for path in sources().values()}):
        for path in folder.glob("*"):
            # numba names its files MODULE.FUNCTION-LINE….
            if path.suffix in SUFFIXES and (folder, path.name.partition(".")[0]) not in keep:
                path.unlink(missing_ok=True)
                removed += 1
    digest_file().parent.mkdir(parents=True, exist_ok=True)
    digest_file().write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
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
    made_of = hashlib.blake2b(digest_file().read_bytes(), digest_size=16).hexdigest()
    linked = _own_folder() / made_of / name
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
