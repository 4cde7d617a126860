"""The audit: what it counts is what is there, and it closes the gate on repeats and on wrong removals."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup.normalise import normalize
from pipeline.cli import main
from pipeline.errors import UsageError
from pipeline.recipe import Recipe
from pipeline.report.audit import Duplicates, audit_duplicates
from pipeline.run import Run
from pipeline.run_folder import read_run
from pipeline.runner import InProcessRunner
from pipeline.steps import Incomplete
from tests.pipeline.conftest import Quiet, execute, table_rows
from tests.pipeline.test_duplicates import NEW, NO_RULES, OLD, Page, crawl, crawl_file, sentence
from tests.pipeline.test_repeats import PAGES

KEEP_ALL = (*NO_RULES, "dedup.repeats=null")
AUDIT = "audit={times: 3}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Pages with a common notice, one text five times, and one paragraph in two pages."""
    same = [Page(f"https://same.example/{number}", 70, sentences=5) for number in range(5)]
    return crawl(tmp_path_factory.mktemp("audit") / "audit.warc.gz", [*PAGES, *same])


def audited(out: Path):
    record = read_run(out)
    recipe = Recipe.model_validate(record["recipes"][record["latest"]]["recipe"])
    job = Run(recipe, out, InProcessRunner(), Quiet())
    return job.audit(), job


def brute_force(texts: dict[str, int], split: str | None, times: int) -> float:
    """The share of letters in units that occur so often, in plain Python; `texts` with how often each is read."""
    counts: Counter[str] = Counter()
    for text, weight in texts.items():
        for part in text.split(split) if split else [text]:
            counts[normalize(part)] += weight
    whole = sum(len(part) * count for part, count in counts.items())
    return sum(len(part) * count for part, count in counts.items() if count >= times) / whole


def test_shares_are_those_of_a_plain_count(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(*NO_RULES, "dedup=null", AUDIT))
    found, _ = audited(tmp_path)
    texts: Counter[str] = Counter(row["text"] for row in table_rows(tmp_path, "corpus"))
    assert max(texts.values()) == 5
    for unit, split in (("line", "\n"), ("document", None)):
        assert set(found.shares[unit]) == {2, 3, 10, 100, 1000}
        for times in (2, 3, 10):
            assert found.shares[unit][times] == pytest.approx(brute_force(texts, split, times))
    assert found.shares["line"][3] > found.shares["document"][3] > 0 == found.shares["line"][10]
    repeated = {row["unit"] for row in table_rows(tmp_path, "audit")}
    assert repeated == {"line", "paragraph", "document"}
    most = next(row for row in found.most if row["unit"] == "line")
    assert most["occurrences"] == 5 and most["text"]
    assert most["letters"] == len(normalize(Page("", 70, sentences=5).letters()))


def test_a_page_counts_as_often_as_it_is_to_be_read(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(*KEEP_ALL, "dedup.rehydrate={1: 1, 5: 4}", AUDIT))
    found, _ = audited(tmp_path)
    rows = table_rows(tmp_path, "corpus")
    texts = {row["text"]: row["repeat"] for row in rows}
    assert sorted(texts.values()) == [1] * 6 + [4]
    for unit, split in (("line", "\n"), ("document", None)):
        for times in (2, 3):
            assert found.shares[unit][times] == pytest.approx(brute_force(texts, split, times))
    assert found.shares["document"][3] > 0


def test_how_pages_lie_in_files_changes_no_share(pages, tmp_path, monkeypatch):
    execute(tmp_path / "one", [pages], overrides=(*KEEP_ALL, AUDIT))
    files = [crawl(tmp_path / "in" / f"{part}.warc.gz", PAGES[::-1][part::2]) for part in range(2)]
    same = crawl(tmp_path / "in" / "2.warc.gz", [Page("https://same.example/0", 70, sentences=5)])
    execute(tmp_path / "three", [*files, same], overrides=(*KEEP_ALL, AUDIT, "shards.documents_bytes=1"))
    monkeypatch.setattr("pipeline.audit.ROWS_PER_PARTITION", 5)
    one, three = (audited(tmp_path / name)[0] for name in ("one", "three"))
    assert len(list((tmp_path / "three").glob("audit-*/*.parquet"))) > 3
    assert one.letters == three.letters and one.shares == three.shares and one.most == three.most


def test_cutting_repeats_brings_their_share_down(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(*KEEP_ALL, AUDIT))
    before, _ = audited(tmp_path)
    execute(tmp_path, [pages], overrides=(*NO_RULES, "dedup.repeats={documents: 2, run: 2}", AUDIT))
    after, _ = audited(tmp_path)
    assert after.shares["line"][3] == 0 < before.shares["line"][3]


def command(out: Path, monkeypatch, capsys, *more: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["kamisuki", "audit", str(out), "--workers", "0", *more])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize(
    ("limits", "code"),
    [("{times: 3}", 0), ("{times: 3, lines: 0.9}", 0), ("{times: 3, lines: 0}", 3), ("{times: 3, paragraphs: 0}", 0)],
)
def test_the_gate_closes_above_the_limit_of_the_recipe(pages, tmp_path, monkeypatch, capsys, limits, code):
    execute(tmp_path, [pages], overrides=(*KEEP_ALL, f"audit={limits}"))
    ended, out, error = command(tmp_path, monkeypatch, capsys)
    assert ended == code and "share in units that occur so often" in out
    assert ("audit.lines allows 0.0000%" in error) == (code == 3)


def test_json_has_all_of_it(pages, tmp_path, monkeypatch, capsys):
    execute(tmp_path, [pages], overrides=(*KEEP_ALL, AUDIT))
    code, out, _ = command(tmp_path, monkeypatch, capsys, "--json", "--pairs", "2")
    found = json.loads(out)
    assert code == 0 and found["duplicates"]["removed"] == 4 and len(found["duplicates"]["pairs"]) == 2
    assert found["repeats"]["shares"]["line"]["3"] > 0


@pytest.fixture(scope="module")
def crawls(tmp_path_factory) -> Path:
    """A finished run over two crawls."""
    folder = tmp_path_factory.mktemp("crawls")
    files = [crawl_file(folder, "CC-MAIN-2024-05", OLD), crawl_file(folder, "CC-MAIN-2024-26", NEW)]
    execute(folder / "out", files, overrides=(*KEEP_ALL, "dedup.sources={winter: '*2024-05*'}"))
    return folder / "out"


def duplicates_of(out: Path, pairs: int = 9) -> Duplicates:
    record = read_run(out)["recipes"]["demo"]
    tables = {name: out / record["tables"][name] for name in ("documents", "corpus", "duplicates")}
    return audit_duplicates(tables, Recipe.model_validate(record["recipe"]).dedup, pairs)


def test_every_document_is_counted_once(crawls):
    found = duplicates_of(crawls)
    documents = table_rows(crawls, "documents")
    assert found.kept + found.removed == len(documents) == len(OLD + NEW)
    for rows, column in ((found.hosts, "host"), (found.crawls, "crawl")):
        assert {row.name: row.compared for row in rows} == Counter(row[column] for row in documents)
        assert sum(row.removed for row in rows) == found.removed == 4
    assert {row.name: (row.compared, row.removed) for row in found.sources} == {"winter": (4, 2), "(none)": (5, 2)}
    assert found.sizes == {1: 1, 2: 4}
    expected = Counter((row["crawl"], row["kept_crawl"]) for row in table_rows(crawls, "duplicates"))
    assert found.overlap == sorted((*pair, count) for pair, count in expected.items())


def test_sampled_removals_are_computed_again_and_hold(crawls):
    found = duplicates_of(crawls)
    assert {pair.kind for pair in found.pairs} == {"exact", "near", "same_url"} and len(found.pairs) == 4
    assert found.wrong == [] and all(pair.recorded == pytest.approx(pair.computed) for pair in found.pairs)
    assert len(duplicates_of(crawls, 1).pairs) == 3 and duplicates_of(crawls, 0).pairs == []
    near = next(pair for pair in found.pairs if pair.kind == "near")
    assert sentence(3, 1) in near.text and sentence(3, 1) in near.kept_text and near.text != near.kept_text


@pytest.mark.parametrize(("change", "says"), [("similarity", "recorded similarity"), ("kept_id", "recorded")])
def test_a_wrong_removal_closes_the_gate(crawls, tmp_path, monkeypatch, capsys, change, says):
    out = tmp_path / "out"
    shutil.copytree(crawls, out)
    (file,) = (out / read_run(out)["recipes"]["demo"]["tables"]["duplicates"]).glob("*.parquet")
    rows = pq.read_table(file)
    values = [0.99] * rows.num_rows if change == "similarity" else rows.column("kept_id").to_pylist()[::-1]
    place = rows.schema.get_field_index(change)
    pq.write_table(rows.set_column(place, change, pa.array(values, rows.schema.field(change).type)), file)
    code, _, error = command(out, monkeypatch, capsys)
    assert code == 3 and says in error


def test_asked_again_nothing_is_counted(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(*KEEP_ALL, AUDIT))
    first, job = audited(tmp_path)
    assert job.tasks_run == 2
    second, job = audited(tmp_path)
    assert job.tasks_run == 0 and asdict(first) == asdict(second)
    assert execute(tmp_path, [pages], overrides=(*KEEP_ALL, AUDIT)).tasks_run == 0
    assert "corpus" in read_run(tmp_path)["recipes"]["demo"]["tables"]


def test_only_a_whole_corpus_is_audited(pages, tmp_path):
    execute(tmp_path, [pages], overrides=KEEP_ALL, last="sign")
    with pytest.raises(UsageError, match="no corpus"):
        audited(tmp_path)
    execute(tmp_path, [pages], overrides=KEEP_ALL)
    for entry in (tmp_path / read_run(tmp_path)["recipes"]["demo"]["tables"]["corpus"]).glob("*.ledger.json"):
        entry.unlink()
    with pytest.raises(Incomplete, match="missing"):
        audited(tmp_path)
