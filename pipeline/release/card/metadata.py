"""The metadata of a card: the data between `---` and `---` from which the Hub knows languages, license and configs."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from pipeline.release.manifest import DATA, Config, Manifest

# Licenses that the Hub has a name for, by that name, of those that texts come under. Others are `other` to it.
# huggingface.co/docs/hub/repositories-licenses, as of hub-docs 008d54d.
HUB_LICENSES = frozenset(
    """afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc-by-2.0
    cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 isc lppl-1.3c mit mpl-2.0 ms-pl
    ncsa ofl-1.1 osl-3.0 postgresql unlicense wtfpl zlib""".split()
)
# Names of SPDX that the Hub spells differently.
_SPELLED = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl", "gfdl-1.3-or-later": "gfdl"}
UNKNOWN = "unknown"
# Of texts under several licenses, or under such as the Hub does not know: each row's column `license` has its SPDX id.
MIXED = {"license": "other", "license_name": "see-each-row", "license_link": "https://spdx.org/licenses/"}

# Bounds of the Hub's size categories, as huggingface_hub's DatasetCardData lists them.
_SIZES = [
    "n<1K",
    "1K<n<10K",
    "10K<n<100K",
    "100K<n<1M",
    "1M<n<10M",
    "10M<n<100M",
    "100M<n<1B",
    "1B<n<10B",
    "10B<n<100B",
]
_SIZES += ["100B<n<1T", "n>1T"]
# A language of fewer rows is a mistake of lid.176 more often than a language of the data set.
LANGUAGE_SHARE = 0.01


def size_category(rows: int) -> str:
    """The Hub's category for a number of rows."""
    return _SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)]


def languages_of(manifest: Manifest) -> list[str]:
    """Codes of the languages (ISO 639-1 or 639-3, as lid.176 has them) of a hundredth of the rows or more."""
    rows = sum((Counter(task.languages) for task in manifest.tasks), Counter())
    least = LANGUAGE_SHARE * rows.total()
    return [code for code, count in rows.most_common() if re.fullmatch("[a-z]{2,3}", code) and count >= max(1, least)]


def hub_license(license_id: str | None, tier: str) -> str | None:
    """The Hub's name of a license by its SPDX id; None where it has none. A row without any license is `unknown`."""
    if license_id is None:
        return UNKNOWN if tier == UNKNOWN else None
    spelled = license_id.lower()
    return _SPELLED.get(spelled, spelled if spelled in HUB_LICENSES else None)


def license_metadata(manifest: Manifest) -> dict[str, Any]:
    """The license keys: the one license of all rows, else `other` with a name and what the rows' ids mean."""
    found = {hub_license(count.license, count.tier) for task in manifest.tasks for count in task.licenses if count.rows}
    if len(found) == 1 and None not in found:
        return {"license": found.pop()}
    return dict(MIXED)


def splits_of(manifest: Manifest, config: Config) -> list[str]:
    """The splits that a config has rows in, train first."""
    found = {file.split for file in manifest.files if file.config in config.cells}
    return sorted(found, key=lambda split: (split != "train", split))


def data_files(manifest: Manifest, config: Config) -> list[dict[str, Any]]:
    """What a config loads, as the Hub takes it: by split the globs of its cells."""
    having = {(file.config, file.split) for file in manifest.files}
    return [
        {
            "split": split,
            "path": [f"{DATA}/{cell}/{split}-*.parquet" for cell in config.cells if (cell, split) in having],
        }
        for split in splits_of(manifest, config)
    ]


def default_config(manifest: Manifest) -> str:
    """The config that loads where none is named: the whole first task."""
    names = [config.name for config in manifest.configs]
    first = manifest.tasks[0].name
    return first if first in names or not names else names[0]


def metadata(manifest: Manifest) -> dict[str, Any]:
    """All metadata, in order.

    `dataset_info` is left out: the Hub takes its counts of rows only with the bytes that they take in memory, which
    nobody needs to know, and the columns stand in every file.
    """
    rows = sum(file.rows for file in manifest.files)
    rewritten = any(task.kind == "rewritten" for task in manifest.tasks)
    crawled = any(source.source.startswith("CC-") for task in manifest.tasks for source in task.sources)
    languages = languages_of(manifest)
    default = default_config(manifest)
    found: dict[str, Any] = {"pretty_name": manifest.name}
    if languages:
        found["language"] = languages
    found |= license_metadata(manifest)
    found["language_creators"] = ["found", "machine-generated"] if rewritten else ["found"]
    found["size_categories"] = [size_category(rows)]
    found["task_categories"] = ["text-generation"]
    found["tags"] = ["pretraining", "kamisuki", *(["common-crawl"] if crawled else [])]
    found["tags"] += ["synthetic"] if rewritten else []
    found["configs"] = [
        {"config_name": config.name, "data_files": data_files(manifest, config)}
        | ({"default": True} if config.name == default else {})
        for config in manifest.configs
        if splits_of(manifest, config)
    ]
    return found
