"""The embedded sample: every page ends as its truth table says, and every decision is made by some page."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from dedup.resolve import KINDS
from filters.rules import reasons
from pipeline.entry_pack import load_entries
from pipeline.extract import RECORD_ERRORS
from pipeline.recipe import find_recipe, load_recipe
from tests.pipeline.conftest import ROOT, SAMPLE, SAMPLE_ROBOTS, truth

# What extract can decide, with why the sample does not hold it where it cannot.
EXTRACT_REASONS = {
    "not_a_response",
    "revisit",
    "http_status",
    "not_html",
    "no_kana",
    "too_many_elements",
    "no_text",
    "not_japanese",
}
NOT_IN_THE_SAMPLE = {
    "truncated": "the demo keeps what the crawler cut (test_extract)",
    "too_few_japanese_letters_visible": "the demo measures all pages (test_extract)",
    "bad_warc_header": "damage between records is tested on damaged files (test_warc)",
    "extraction_cpu_limit": "costs seconds of time: tested with small limits (test_sandbox)",
    "extraction_memory_limit": "likewise",
    "extraction_wall_limit": "likewise",
    "extractor_crashed": "likewise",
    "extractor_error": "likewise",
}
DUPLICATE_KINDS = set(KINDS)


@pytest.mark.parametrize("run", ["sample_run", "trafilatura_run"])
def test_every_page_ends_as_the_truth_table_says(run, request):
    finished = request.getfixturevalue(run)
    found = defaultdict(list)
    for table, column in (("extract_rejects", "reason"), ("rejects", "reason"), ("duplicates", "kind")):
        for row in finished.rows(table):
            found[row["url"]].append(row[column])
    for row in finished.rows("corpus"):
        found[row["url"]].append("corpus")
    expected = defaultdict(list)
    for row in truth():
        if row["outcome"] not in ("not_a_response", "revisit"):
            expected[row["url"]].append(row["outcome"])
    assert {url: sorted(outcomes) for url, outcomes in found.items()} == {
        url: sorted(outcomes) for url, outcomes in expected.items()
    }


def test_the_ledger_counts_what_the_truth_table_holds(sample_run):
    (entry,) = load_entries(sample_run.done["documents"].folder)
    counted = Counter(entry.rejected) + Counter(entry.errors)
    expected = Counter(row["outcome"] for row in truth())
    assert {reason: counted[reason] for reason in counted} == {
        reason: count for reason, count in expected.items() if reason in EXTRACT_REASONS | RECORD_ERRORS
    }
    assert entry.read == len(truth())
    assert entry.balance() == 0


def test_some_page_makes_each_decision():
    outcomes = {row["outcome"] for row in truth()}
    rules = set(reasons(load_recipe(find_recipe("demo")).select.active_rules()))
    decisions = EXTRACT_REASONS | RECORD_ERRORS | DUPLICATE_KINDS | rules | {"corpus"}
    assert decisions - outcomes == NOT_IN_THE_SAMPLE.keys() & decisions
    assert outcomes - decisions == set()


def reasons_named_in(path: Path) -> set[str]:
    """The reasons that a module's code gives to its `reject` or `ExtractionFailure` calls."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    named = [call.args[0] for call in calls if getattr(call.func, "id", "") in ("reject", "ExtractionFailure")]
    return {node.value for node in named if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_no_reason_of_the_code_is_missing_from_the_table():
    known = EXTRACT_REASONS | RECORD_ERRORS | NOT_IN_THE_SAMPLE.keys()
    modules = ("pipeline/extract.py", "pipeline/web/sandbox.py", "pipeline/web/extractors.py")
    named = set().union(*(reasons_named_in(ROOT / path) for path in modules))
    assert named and named <= known


@pytest.mark.parametrize("charset", ["utf-8", "cp932", "euc-jp", "iso-2022-jp"])
def test_pages_in_each_japanese_charset_reach_the_corpus_with_their_charset_named(sample_run, charset):
    kept = {row["url"]: row for row in sample_run.rows("corpus")}
    pages = [row for row in truth() if row["outcome"] == "corpus" and row["charset_true"] == charset]
    assert len(pages) >= 2
    assert {kept[page["url"]]["charset"] for page in pages} == {charset}


def test_near_duplicates_name_a_survivor_and_the_true_similarity(sample_run):
    kept = {row["id"] for row in sample_run.rows("corpus")}
    rows = sample_run.rows("duplicates")
    assert {row["kind"] for row in rows} == DUPLICATE_KINDS
    for row in rows:
        assert row["kept_id"] in kept
        assert row["kind"] == "same_url" or row["similarity"] >= 0.8
        assert row["id"] != row["kept_id"]


def test_the_sample_is_what_its_script_makes(tmp_path):
    code = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import make_sample; w, r = make_sample.build(); "
    code += "out = pathlib.Path(sys.argv[2]); (out / 'sample.warc.gz').write_bytes(w); "
    code += "(out / 'sample-robots.warc.gz').write_bytes(make_sample.build_robots())"
    subprocess.run([sys.executable, "-c", code, str(SAMPLE.parent), str(tmp_path)], check=True)
    from pipeline.web.warc import read_records

    def records(path: Path) -> list[tuple]:
        return [(r.type, r.record_id, r.url, r.date, r.http_status, r.body) for r in read_records(str(path), 8_000_000)]

    # Records, not bytes: zlib builds differ in how they compress.
    for path in (SAMPLE, SAMPLE_ROBOTS):
        assert records(tmp_path / path.name) == records(path)


ROBOTS_OUTCOMES = {
    "https://kagaku.example.jp/frost": ("allowed", "refused"),
    "https://town.example.jp/kanban": ("refused", "refused"),
    "https://town.example.jp/library": ("allowed", "allowed"),
    "https://shiryo.example.jp/washi": ("allowed", "allowed"),
    "https://tabi.example.com/koya": ("unknown", "unknown"),
    "https://daidokoro.example.com/nuka": ("refused", "refused"),
    "http://daidokoro.example.com/curry.htm": ("refused", "refused"),
    "https://nikki.example.com/ame": ("allowed", "allowed"),
    "https://soudan.example.com/q/1001": ("unknown", "unknown"),
}


def test_robots_txt_of_the_sample_decides_its_pages(sample_run):
    found = {row["url"]: (row["robots"], row["robots_latest"]) for row in sample_run.rows("corpus")}
    assert ROBOTS_OUTCOMES.items() <= found.items()
