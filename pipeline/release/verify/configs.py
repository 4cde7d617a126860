"""Whether the configs of a card find the files that they should."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pipeline.release.manifest import CARD
from pipeline.release.verify.findings import Findings


def check_configs(text: bytes, there: dict[str, int], wanted: dict[tuple[str, str], set[str]], found: Findings) -> None:
    """Hold the configs of a card against the files that are there and those wanted, by config and split."""
    from huggingface_hub import DatasetCard

    check = found["configs"]
    try:
        configs = DatasetCard(text.decode()).data.to_dict().get("configs") or []
    except Exception as error:  # noqa: BLE001 - whatever YAML or the card's text holds, it is a card that cannot be read
        check.fail(f"{CARD}: its metadata cannot be read: {error}")
        return
    finds: dict[tuple[str, str], set[str]] = {}
    try:
        for config in configs:
            for part in config["data_files"]:
                globs = [part["path"]] if isinstance(part["path"], str) else part["path"]
                paths = {path for path in there for glob in globs if fnmatchcase(path, glob)}
                finds[str(config["config_name"]), str(part["split"])] = paths
    except (KeyError, TypeError) as error:
        check.fail(f"{CARD}: its configs were edited: they do not name their files by split ({error!r})")
        return
    for name in sorted(wanted.keys() | finds.keys()):
        check.looked_at += 1
        if wanted.get(name) != finds.get(name):
            differing = sorted(wanted.get(name, set()) ^ finds.get(name, set()))
            check.fail(f"config {name[0]}, split {name[1]}: differs in {', '.join(differing[:3]) or 'name'}")
    lost = set().union(*wanted.values()) - set().union(*finds.values())
    for path in sorted(lost):
        check.fail(f"{path}: no config finds it")
