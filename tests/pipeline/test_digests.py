"""What each stage makes of the sample is pinned to its rule version: another output needs another version.

When a change of output is meant, raise the stage's RULE_VERSION and write the file anew with
`KAMISUKI_PIN=1 python -m pytest tests/pipeline/test_digests.py`.
"""

import hashlib
import json
import os

import pytest

from filters.signals import RULE_VERSION as SIGNALS_VERSION
from pipeline import annotate, candidates, extract, ingest, robots, robots_verdicts, select, sign
from pipeline.formats.wikitext import plain_text
from tests.pipeline import test_ingest, test_ingest_wikipedia
from tests.pipeline.conftest import ROOT

PINNED = ROOT / "tests" / "data" / "digests.json"
VERSIONS = {
    "documents": [extract.RULE_VERSION],
    "robots": [robots.RULE_VERSION],
    "robots_verdicts": [robots_verdicts.RULE_VERSION],
    "extract_rejects": [extract.RULE_VERSION],
    "signals": [annotate.RULE_VERSION, SIGNALS_VERSION],
    "signatures": [sign.RULE_VERSION],
    "candidates": [candidates.RULE_VERSION],
    "verdicts": [select.RULE_VERSION],
    "duplicates": [select.RULE_VERSION],
    "corpus": [select.RULE_VERSION],
    "rejects": [select.RULE_VERSION],
}


def digest(rows: list[dict]) -> str:
    """A digest of values, not of Parquet bytes: a new pyarrow may write the same rows in another way."""
    text = json.dumps(rows, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("table", VERSIONS)
def test_the_output_of_a_stage_changes_only_with_its_rule_version(sample_run, table):
    hold_to_pin(table, VERSIONS[table], sample_run.rows(table))


def test_what_ingest_makes_changes_only_with_its_rule_version(tmp_path):
    paths = test_ingest.write_parts(tmp_path, 4)
    test_ingest.ingest(tmp_path / "out", test_ingest.recipe(tmp_path), paths)
    documents, rejects, _ = test_ingest.outcomes(tmp_path / "out")
    texts = [{"text": plain_text(wikitext)} for wikitext, _ in test_ingest_wikipedia.WIKITEXT]
    hold_to_pin("ingest", [ingest.RULE_VERSION], documents + rejects + texts)


def hold_to_pin(table: str, versions: list[int], rows: list[dict]) -> None:
    found = {"versions": versions, "digest": digest(rows)}
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    if os.environ.get("KAMISUKI_PIN"):
        PINNED.write_text(json.dumps({**pinned, table: found}, indent=1, sort_keys=True) + "\n")
        return
    assert table in pinned
    if pinned[table]["versions"] == found["versions"]:
        assert pinned[table]["digest"] == found["digest"], f"{table} changed: raise its RULE_VERSION and pin it anew"
    else:
        pytest.fail(f"{table} has new rule versions {found['versions']}: pin its digest anew")
