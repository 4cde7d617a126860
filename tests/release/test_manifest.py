"""The manifest: read as it was written, and refused with a reason where it cannot be."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.release.manifest import (
    MANIFEST,
    Config,
    File,
    Manifest,
    Policy,
    Takedown,
    read_manifest,
    write_manifest,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def manifest(name: str = "mine") -> Manifest:
    """A small release of two cells."""
    files = [
        File(
            path=f"data/{cell}/{split}-00000-of-00001.parquet",
            config=cell,
            split=split,
            rows=1,
            characters=2,
            bytes=3,
            sha256="0",
        )
        for cell in ("corpus-attribution", "corpus-unknown")
        for split in ("train", "validation")
    ]
    return Manifest(
        name=name,
        date=datetime.date(2026, 11, 26),
        kamisuki="0.1.0",
        seed=1,
        validation=0.01,
        by=["license_tier"],
        policy=Policy(license_tiers=None, refused_consent=False),
        tasks=[],
        configs=[
            Config(name="corpus", task="corpus", cells=["corpus-attribution", "corpus-unknown"]),
            Config(name="corpus-unknown", task="corpus", values={"license_tier": "unknown"}, cells=["corpus-unknown"]),
        ],
        files=files,
    )


@given(name=TEXT, reason=TEXT)
def test_a_manifest_is_read_as_it_was_written(tmp_path_factory, name, reason):
    folder = tmp_path_factory.mktemp("release")
    made = manifest(name)
    made.takedowns.append(Takedown(date=datetime.date(2026, 11, 26), reason=reason, by={"hosts": 1}, rows=2))
    write_manifest(folder, made)
    assert read_manifest(folder) == made


def test_a_config_has_the_files_of_its_cells_in_order():
    made = manifest()
    assert [file.path for file in made.files_of(made.configs[0], "train")] == [
        "data/corpus-attribution/train-00000-of-00001.parquet",
        "data/corpus-unknown/train-00000-of-00001.parquet",
    ]
    assert [file.config for file in made.files_of(made.configs[1], "validation")] == ["corpus-unknown"]


@pytest.mark.parametrize(
    "path", ["../../secret", "/etc/passwd", "data/../../secret", "data//x", "data/./x", "a\\b", ""]
)
def test_a_path_out_of_the_release_is_refused(tmp_path, path):
    """What a manifest names is read, pushed and deleted, and it may be anybody's."""
    write_manifest(tmp_path, manifest())
    data = json.loads((tmp_path / MANIFEST).read_bytes())
    data["files"][1]["path"] = path
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"damaged: files\.1\.path: .*does not stay within the folder"):
        read_manifest(tmp_path)


def test_no_release_is_said_with_what_makes_one(tmp_path):
    with pytest.raises(UsageError, match=r"holds no release.*kamisuki release"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: "{", "is no JSON"),
        (lambda data: json.dumps([data]), "has format None"),
        (lambda data: json.dumps(data | {"format": 99}), "has format 99, and this version reads 1"),
        (lambda data: json.dumps(data | {"seed": "x"}), "damaged: seed"),
        (lambda data: json.dumps(data | {"more": 1}), "damaged: more"),
    ],
)
def test_a_damaged_manifest_is_refused_with_its_place(tmp_path, change, message):
    write_manifest(tmp_path, manifest())
    data = json.loads((tmp_path / MANIFEST).read_bytes())
    (tmp_path / MANIFEST).write_text(change(data))
    with pytest.raises(UsageError, match=message):
        read_manifest(tmp_path)
