"""Whole runs with duplicates: scope, order of survivors, new crawls, splits, and runs over what a run kept."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from dedup.normalise import normalize
from dedup.similarity import jaccard, shingle_set
from pipeline import resolve
from pipeline.errors import UsageError
from pipeline.recipe import find_recipe, load_recipe
from pipeline.select import repeats
from tests.pipeline.conftest import execute, table_bytes, table_rows

WORDS = "紙 水 冬 朝 山 川 町 人 手 桶 板 簀 糸 橋 雪 月 星 風 雨 火 土 木 草 花 鳥 魚 犬 猫 牛 馬".split()
NO_RULES = ("select.rules=[]",)


@dataclass(frozen=True)
class Page:
    """A page of a made crawl: `text` is the seed of its letters, `edits` how many of its sentences are others."""

    url: str
    text: int
    edits: int = 0
    day: str = "2024-01-01"
    sentences: int = 30
    head: str = ""

    def letters(self) -> str:
        lines = [sentence(self.text, number) for number in range(self.sentences)]
        lines[: self.edits] = [sentence(1_000 + 100 * self.text + self.edits, number) for number in range(self.edits)]
        return "".join(lines)


def sentence(seed: int, number: int) -> str:
    pick = np.random.default_rng([seed, number]).choice(WORDS, 4)
    return f"{pick[0]}のそばの{pick[1]}に{pick[2]}を置いて{pick[3]}を待ちました。"


def crawl(path: Path, pages: Sequence[Page]) -> Path:
    """A WARC of pages, with record ids that depend on address and day alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page in pages:
            head = f"<title>{page.text}</title>{page.head}<meta name=from content='{page.url}'>"
            html = f"<html lang=ja><head>{head}</head><body><article><p>{page.letters()}"
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            ids = {"WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, page.url + page.day)}>"}
            ids["WARC-Date"] = f"{page.day}T00:00:00Z"
            body = BytesIO(html.encode())
            record = writer.create_warc_record(
                page.url, "response", payload=body, http_headers=headers, warc_headers_dict=ids
            )
            writer.write_record(record)
    return path


def crawl_file(folder: Path, name: str, pages: Sequence[Page]) -> Path:
    return crawl(folder / "crawl-data" / name / "segments" / "1" / "warc" / f"{name}.warc.gz", pages)


OLD = [
    Page("https://a.example/1", 1),
    Page("https://a.example/2", 2),
    Page("https://b.example/1", 1, edits=1, day="2024-01-02"),
    Page("https://b.example/3", 3, day="2024-01-03"),
]
NEW = [
    Page("https://a.example/1", 1, edits=20, day="2024-06-01"),
    Page("https://c.example/3", 3, edits=1, day="2024-06-02"),
    Page("https://c.example/4", 4, day="2024-06-03"),
    Page("https://d.example/4", 4, day="2024-06-04"),
    Page("https://d.example/2", 2, day="2023-06-04"),
]


@pytest.fixture(scope="module")
def crawls(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("crawls")
    return [crawl_file(folder, "CC-MAIN-2024-05", OLD), crawl_file(folder, "CC-MAIN-2024-26", NEW)]


def urls(out: Path, table: str = "corpus") -> list[tuple[str, str]]:
    return sorted((row["url"], str(row["fetched_at"])[:10]) for row in table_rows(out, table))


def removed(out: Path) -> set[tuple[str, str, str]]:
    return {(row["url"], row["kept_url"], row["kind"]) for row in table_rows(out, "duplicates")}


def test_across_snapshots_the_newest_copy_stays(crawls, tmp_path):
    execute(tmp_path, crawls, overrides=NO_RULES)
    assert removed(tmp_path) == {
        ("https://a.example/1", "https://a.example/1", "same_url"),
        ("https://b.example/3", "https://c.example/3", "near"),
        ("https://c.example/4", "https://d.example/4", "exact"),
        ("https://d.example/2", "https://a.example/2", "exact"),
    }
    sizes = {row["url"]: row["duplicate_cluster_size"] for row in table_rows(tmp_path, "corpus")}
    expected = {"a.example/1": 2, "a.example/2": 2, "b.example/1": 1, "c.example/3": 2, "d.example/4": 2}
    assert sizes == {f"https://{page}": size for page, size in expected.items()}
    assert all(row["duplicate_cluster"] == row["id"] and row["repeat"] == 1 for row in table_rows(tmp_path, "corpus"))
    crossing = [(row["crawl"], row["kept_crawl"]) for row in table_rows(tmp_path, "duplicates")]
    assert sorted(set(crossing)) == [
        ("CC-MAIN-2024-05", "CC-MAIN-2024-26"), ("CC-MAIN-2024-26", "CC-MAIN-2024-05"), ("CC-MAIN-2024-26",) * 2
    ]  # fmt: skip


def test_within_snapshots_copies_of_other_snapshots_stay(crawls, tmp_path):
    execute(tmp_path, crawls, overrides=(*NO_RULES, "dedup.scope=snapshot"))
    assert removed(tmp_path) == {
        ("https://a.example/1", "https://b.example/1", "near"),
        ("https://c.example/4", "https://d.example/4", "exact"),
    }


def test_sources_are_compared_apart_or_ordered(crawls, tmp_path):
    named = "dedup.sources={summer: '*2024-26*', winter: '*2024-05*'}"
    execute(tmp_path / "apart", crawls, overrides=(*NO_RULES, named, "dedup.scope=source"))
    execute(tmp_path / "snapshot", crawls, overrides=(*NO_RULES, "dedup.scope=snapshot"))
    assert removed(tmp_path / "apart") == removed(tmp_path / "snapshot")
    assert {row["source"] for row in table_rows(tmp_path / "apart", "duplicates")} == {"summer", "winter"}
    winter = "dedup.sources={winter: '*2024-05*', summer: '*2024-26*'}"
    execute(tmp_path / "ordered", crawls, overrides=(*NO_RULES, winter, "dedup.survivor=[source, newest, id]"))
    lost = [row["source"] for row in table_rows(tmp_path / "ordered", "duplicates")]
    kept = [row["kept_source"] for row in table_rows(tmp_path / "ordered", "duplicates")]
    assert lost.count("winter") == 1 and kept.count("winter") == 3, "a winter page goes for a winter page only"


def test_survivors_can_be_ordered_by_a_signal(crawls, tmp_path):
    for sign in ("", "-"):
        execute(tmp_path / f"s{sign}", crawls, overrides=(*NO_RULES, f"dedup.survivor=['{sign}hiragana_ratio']"))
        ratio = {row["id"]: row["hiragana_ratio"] for row in table_rows(tmp_path / f"s{sign}", "signals")}
        pairs = [(ratio[row["kept_id"]], ratio[row["id"]]) for row in table_rows(tmp_path / f"s{sign}", "duplicates")]
        assert pairs and all((kept >= lost) if not sign else (kept <= lost) for kept, lost in pairs)


def test_a_crawl_that_comes_later_gives_what_both_at_once_give(crawls, tmp_path):
    execute(tmp_path / "both", crawls, overrides=NO_RULES)
    execute(tmp_path / "later", crawls[:1], overrides=NO_RULES)
    signatures = {path: path.stat().st_mtime_ns for path in (tmp_path / "later").glob("signatures-*/*.parquet")}
    execute(tmp_path / "later", crawls[1:], overrides=NO_RULES)
    assert {path: path.stat().st_mtime_ns for path in signatures} == signatures, "nothing is hashed twice"
    assert table_bytes(tmp_path / "both").items() <= table_bytes(tmp_path / "later").items()


def test_how_pages_lie_in_files_does_not_change_a_row(crawls, tmp_path):
    execute(tmp_path / "two", crawls, overrides=NO_RULES)
    order = np.random.default_rng(5).permutation(len(OLD + NEW))
    files = [
        crawl(tmp_path / "in" / f"{number}.warc.gz", [(OLD + NEW)[index] for index in order[number::3]])
        for number in range(3)
    ]
    execute(tmp_path / "three", files, overrides=NO_RULES)

    def rows(out: Path) -> list[dict]:
        found = sorted(table_rows(out, "duplicates"), key=lambda row: row["id"])
        return [{name: value for name, value in row.items() if "crawl" not in name} for row in found]

    assert rows(tmp_path / "two") == rows(tmp_path / "three")
    assert urls(tmp_path / "two") == urls(tmp_path / "three")


def test_deduplicating_what_was_kept_removes_nothing(crawls, tmp_path):
    execute(tmp_path / "first", crawls, overrides=NO_RULES)
    kept = set(urls(tmp_path / "first"))
    again = crawl(tmp_path / "again.warc.gz", [page for page in OLD + NEW if (page.url, page.day) in kept])
    execute(tmp_path / "second", [again], overrides=NO_RULES)
    assert removed(tmp_path / "second") == set() and set(urls(tmp_path / "second")) == kept


@pytest.fixture(scope="module")
def variants(tmp_path_factory) -> Path:
    """120 pages about few texts, each at some distance from its text: pairs on both sides of the limit."""
    random = np.random.default_rng(11)
    pages = [
        Page(
            f"https://{n}.example/", int(random.integers(0, 6)), int(random.integers(0, 6)), f"2024-02-{1 + n % 28:02}"
        )
        for n in range(120)
    ]
    return crawl(tmp_path_factory.mktemp("variants") / "variants.warc.gz", pages)


@pytest.mark.parametrize("measure", ["jaccard", "containment"])
def test_nothing_goes_under_the_limit_and_every_survivor_survives(variants, tmp_path, measure):
    execute(tmp_path, [variants], overrides=(*NO_RULES, f"dedup.measure={measure}"))
    texts = {row["id"]: shingle_set(normalize(row["text"]), 5) for row in table_rows(tmp_path, "documents")}
    kept, duplicates = {row["id"] for row in table_rows(tmp_path, "corpus")}, table_rows(tmp_path, "duplicates")
    assert duplicates and kept | {row["id"] for row in duplicates} == texts.keys()
    assert kept.isdisjoint(row["id"] for row in duplicates)
    for row in duplicates:
        lost, stays = texts[row["id"]], texts[row["kept_id"]]
        true = jaccard(lost, stays) if measure == "jaccard" else len(np.intersect1d(lost, stays)) / len(lost)
        assert row["kept_id"] in kept and row["similarity"] == true >= 0.8
    sizes = {row["id"]: row["duplicate_cluster_size"] for row in table_rows(tmp_path, "corpus")}
    assert sum(sizes.values()) == len(texts)


def test_memory_for_few_survivors_at_a_time_changes_no_byte(variants, tmp_path, monkeypatch):
    execute(tmp_path / "one", [variants], overrides=NO_RULES)
    monkeypatch.setattr(resolve, "BUDGET", 700)
    monkeypatch.setattr(resolve, "STORE_BYTES", 10_000)
    job = execute(tmp_path / "many", [variants], overrides=NO_RULES)
    assert table_bytes(tmp_path / "many") == table_bytes(tmp_path / "one")
    folder = tmp_path / "many" / job.tables["duplicates"]
    assert '"most_passes": 1,' not in next(folder.glob("*.ledger.json")).read_text()
    assert not list((folder / "outcomes").glob("sets/*"))


def test_how_often_a_page_is_read_follows_the_size_of_its_cluster(variants, tmp_path):
    assert repeats(np.array([1, 2, 3, 9, 10, 5_000]), {1: 1, 3: 2, 10: 0}).tolist() == [1, 1, 2, 2, 0, 0]
    first = execute(tmp_path, [variants], overrides=NO_RULES)
    largest = max(row["duplicate_cluster_size"] for row in table_rows(tmp_path, "corpus"))
    second = execute(tmp_path, [variants], overrides=(*NO_RULES, f"dedup.rehydrate={{1: 1, {largest}: 3}}"))
    assert first.tables["duplicates"] == second.tables["duplicates"]
    rows = table_rows(tmp_path, "corpus")
    assert {row["repeat"] for row in rows} == {1, 3}
    assert all((row["repeat"] == 3) == (row["duplicate_cluster_size"] == largest) for row in rows)


def mixed(seed: int) -> list[Page]:
    """48 pages with duplicates of all kinds: recaptures, canonical addresses, copies, neighbours on both sides of the
    limit, short texts."""
    random = np.random.default_rng(seed)
    pages = []
    for number in range(48):
        site = int(random.integers(0, 24))
        head = f"<link rel=canonical href='https://{site // 3}.example/'>" if random.random() < 0.3 else ""
        pages.append(
            Page(
                f"https://{site}.example/",
                text=int(random.integers(0, 8)),
                edits=int(random.choice([0, 0, 1, 2, 4, 7, 20])),
                day=f"2024-{1 + number % 12:02}-{1 + number // 12:02}",
                sentences=int(random.choice([1, 30, 30])),
                head=head,
            )
        )
    return pages


def fates(out: Path) -> tuple[list, list]:
    """What became of the documents of a run, without what says in which file a document came."""
    gone = [(row["id"], row["kept_id"], row["kind"], row["similarity"]) for row in table_rows(out, "duplicates")]
    columns = ("id", "text", "duplicate_cluster_size", "repeat")
    stays = [(*(row[name] for name in columns), str(row["edits"])) for row in table_rows(out, "corpus")]
    return sorted(gone), sorted(stays)


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_order_split_and_arrival_change_nothing_and_a_second_time_nothing_goes(tmp_path, seed):
    rules = (*NO_RULES, "dedup.repeats={documents: 4, run: 1}")
    pages = mixed(seed)
    execute(tmp_path / "once", [crawl(tmp_path / "in" / "all.warc.gz", pages)], overrides=rules)
    once = fates(tmp_path / "once")
    assert len({row[2] for row in once[0]}) >= 3 and len(once[1]) >= 10
    order = np.random.default_rng(seed).permutation(len(pages))
    parts = [
        crawl(tmp_path / "in" / f"{part}.warc.gz", [pages[index] for index in order[part::3]]) for part in range(3)
    ]
    small = "shards.documents_bytes=1"
    execute(tmp_path / "split", parts, overrides=(*rules, small))
    assert fates(tmp_path / "split") == once
    for part in parts[::-1]:
        execute(tmp_path / "later", [part], overrides=(*rules, small))
    assert fates(tmp_path / "later") == once
    kept = {(row["url"], str(row["fetched_at"])[:10]) for row in table_rows(tmp_path / "once", "corpus")}
    again = crawl(tmp_path / "again.warc.gz", [page for page in pages if (page.url, page.day) in kept])
    execute(tmp_path / "again", [again], overrides=NO_RULES)
    assert fates(tmp_path / "again")[0] == []


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("dedup.kinds=[near, near]", "a kind stands twice"),
        ("dedup.kinds=[]", "at least 1 item"),
        ("dedup.kinds=[similar]", "dedup.kinds"),
        ("dedup.survivor=[nicest]", "unknown key 'nicest'"),
        ("dedup.survivor=[host]", "unknown key 'host'"),
        ("dedup.survivor=[source]", "sources are not named"),
        ("dedup.scope=source", "sources are not named"),
        ("dedup.rehydrate={2: 1}", "begin with 1"),
        ("dedup.measure=cosine", "dedup.measure"),
    ],
)
def test_mistakes_are_named(key, error):
    with pytest.raises(UsageError, match=error):
        load_recipe(find_recipe("demo"), (key,))
