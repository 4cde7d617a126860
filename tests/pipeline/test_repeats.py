"""Whole runs that cut lines which stand in many documents: what goes, what stays, and what is judged again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from filters.groups import make_group
from pipeline.edits import Edit, apply
from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.explain import explain
from tests.pipeline.conftest import execute, table_bytes, table_rows
from tests.pipeline.test_duplicates import Page, crawl, sentence

NOTICE = (
    "この読み物は白波町の図書室が週ごとにお届けしています。",
    "ご感想は受付の箱に入れてくだされば係がすべて読みます。",
    "書き写すときは図書室の名前をそえてくださいますように。",
)
ON = "dedup.repeats={unit: line, documents: 3, run: 3}"


@dataclass(frozen=True)
class Noticed(Page):
    """A page of paragraphs, with some lines of the notice before paragraph `place`."""

    notice: tuple[int, ...] = (0, 1, 2)
    place: int = 100

    def letters(self) -> str:
        lines = [sentence(self.text, number) + sentence(self.text, 50 + number) for number in range(self.sentences)]
        lines[self.place : self.place] = [NOTICE[index] for index in self.notice]
        return "</p><p>".join(lines)


PAGES = [
    Noticed("https://a.example/1", 1, sentences=9),
    Noticed("https://a.example/2", 2, sentences=9, place=4),
    Noticed("https://a.example/3", 3, sentences=9, place=0),
    Noticed("https://a.example/4", 4, sentences=2, place=1),
    Noticed("https://b.example/5", 5, sentences=9, notice=(0, 1)),
    Noticed("https://b.example/6", 6, sentences=9, notice=()),
]
LENGTH = "select.rules=[{signal: characters, min: 150}]"


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    return crawl(tmp_path_factory.mktemp("notice") / "notice.warc.gz", PAGES)


def by_url(rows: Sequence[dict]) -> dict[str, dict]:
    return {row["url"].removeprefix("https://"): row for row in rows}


def test_lines_in_more_documents_than_the_limit_are_cut_in_runs(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(LENGTH, ON))
    documents, corpus = by_url(table_rows(tmp_path, "documents")), by_url(table_rows(tmp_path, "corpus"))
    assert all(all(line in documents[f"a.example/{page}"]["text"] for line in NOTICE) for page in range(1, 5))
    assert corpus.keys() == documents.keys() - {"a.example/4"}
    for url in ("a.example/1", "a.example/2", "a.example/3"):
        whole, row = documents[url]["text"], corpus[url]
        assert row["text"].split("\n") == [line for line in whole.split("\n") if line not in NOTICE]
        (edit,) = row["edits"]
        assert edit["kind"] == "repeated_lines" and edit["replacement"] == ""
        assert whole[edit["start"] : edit["end"]].strip("\n").split("\n") == list(NOTICE)
        assert apply(whole, [Edit(**edit)]) == row["text"]
    for url in ("b.example/5", "b.example/6"):
        assert corpus[url]["text"] == documents[url]["text"] and corpus[url]["edits"] == []
    assert sorted(row["documents"] for row in table_rows(tmp_path, "repeats")) == [4, 5, 5]


def test_a_document_that_is_too_short_after_the_cut_is_rejected_with_its_value(pages, tmp_path):
    job = execute(tmp_path, [pages], overrides=(LENGTH, ON))
    (row,) = table_rows(tmp_path, "rejects")
    assert (row["url"], row["stage"], row["reason"]) == ("https://a.example/4", "edit", "too_few_characters")
    text = by_url(table_rows(tmp_path, "documents"))["a.example/4"]["text"]
    assert row["value"] == len("\n".join(line for line in text.split("\n") if line not in NOTICE)) < row["limit"]
    entry = (tmp_path / job.tables["corpus"] / "notice.ledger.json").read_text()
    assert '"too_few_characters": 1' in entry


def test_a_tier_is_that_of_what_is_left(pages, tmp_path):
    tiered = "select.rules=[{signal: characters, min: 150, tier: short}]"
    execute(tmp_path, [pages], overrides=(tiered, ON))
    judged = {row["id"]: row["tier"] for row in table_rows(tmp_path, "verdicts")}
    corpus = by_url(table_rows(tmp_path, "corpus"))
    fell = corpus.pop("a.example/4")
    assert fell["tier"] == "short" != judged[fell["id"]] and fell["edits"]
    assert all(row["tier"] == judged[row["id"]] != "short" for row in corpus.values())


def test_explain_tells_what_was_cut_and_why_a_page_fell_by_it(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(LENGTH, ON))
    cut = list(explain(tmp_path, "https://a.example/1"))
    assert any(line.startswith("  edit: repeated_lines: characters ") and "in 4 documents" in line for line in cut)
    assert cut[-1] == "  corpus: kept"
    fell = list(explain(tmp_path, "https://a.example/4"))
    assert any(line.startswith("  judge: passed") for line in fell) and fell[-1] == "  corpus: not in it"
    assert fell[-2].startswith("  edit: rejected by what was left, as too_few_characters: value ")


def test_characters_add_up(pages, tmp_path):
    finished = execute(tmp_path, [pages], overrides=(LENGTH, ON)).execute([])
    (entry,) = load_entries(finished["corpus"].folder)
    whole = sum(len(row["text"]) for row in table_rows(tmp_path, "documents"))
    kept = sum(len(row["text"]) for row in table_rows(tmp_path, "corpus"))
    assert entry.characters_in == whole and entry.characters_out == kept
    assert whole == kept + sum(entry.characters_rejected.values())
    cut = sum(edit["end"] - edit["start"] for row in table_rows(tmp_path, "corpus") for edit in row["edits"])
    assert entry.notes["repeated_lines"]["documents"] == 4
    assert entry.notes["repeated_lines"]["characters"] == entry.characters_rejected["edited"] > cut


def test_columns_of_a_document_that_was_cut_are_measured_anew(pages, tmp_path):
    columns = ("select.columns=[characters, japanese_letters, hiragana_ratio]",)
    execute(tmp_path, [pages], overrides=(LENGTH, ON, *columns))
    group = make_group("text", {"ng_words": []})
    rows = table_rows(tmp_path, "corpus")
    measured = group.measure(pa.RecordBatch.from_pylist([{"id": row["id"], "text": row["text"]} for row in rows]))
    for name in ("characters", "japanese_letters", "hiragana_ratio"):
        assert [row[name] for row in rows] == measured.column(name).to_pylist()


def test_a_document_of_nothing_else_is_rejected(tmp_path):
    pages = [Noticed(f"https://{number}.example/", number, sentences=6) for number in range(4)]
    pages.append(Noticed("https://only.example/", 9, sentences=0))
    source = crawl(tmp_path / "in.warc.gz", pages)
    execute(tmp_path / "out", [source], overrides=("select.rules=[]", ON))
    (row,) = table_rows(tmp_path / "out", "rejects")
    assert (row["url"], row["reason"], row["value"]) == ("https://only.example/", "no_text_left", None)
    assert len(table_rows(tmp_path / "out", "corpus")) == 4


def test_duplicates_and_rejected_documents_do_not_count(tmp_path):
    same = [Noticed(f"https://{number}.example/", 1, sentences=9) for number in range(5)]
    short = [Noticed(f"https://short.example/{number}", 10 + number, sentences=1) for number in range(5)]
    source = crawl(tmp_path / "in.warc.gz", [*same, *short, PAGES[1]])
    execute(tmp_path / "out", [source], overrides=("select.rules=[{signal: characters, min: 250}]", ON))
    assert len(table_rows(tmp_path / "out", "corpus")) == 2
    assert table_rows(tmp_path / "out", "repeats") == []


def test_how_pages_lie_in_files_does_not_change_a_row(pages, tmp_path):
    execute(tmp_path / "one", [pages], overrides=(LENGTH, ON))
    files = [crawl(tmp_path / "in" / f"{part}.warc.gz", PAGES[::-1][part::3]) for part in range(3)]
    small = "shards.documents_bytes=1"
    execute(tmp_path / "three", files, overrides=(LENGTH, ON, small))

    def rows(out: Path) -> list[tuple]:
        return sorted((row["url"], row["text"], str(row["edits"])) for row in table_rows(out, "corpus"))

    assert len(list((tmp_path / "three").glob("corpus-*/*.parquet"))) == 3
    assert rows(tmp_path / "one") == rows(tmp_path / "three")


def test_many_partitions_change_no_byte_of_the_corpus(pages, tmp_path, monkeypatch):
    execute(tmp_path / "one", [pages], overrides=(LENGTH, ON))
    monkeypatch.setattr("pipeline.repeats.ROWS_PER_PARTITION", 3)
    execute(tmp_path / "many", [pages], overrides=(LENGTH, ON))
    assert len(list((tmp_path / "many").glob("repeats-*/*.parquet"))) > 3

    def corpus(out: Path) -> dict[str, bytes]:
        return {name: data for name, data in table_bytes(out).items() if name.startswith("corpus")}

    assert corpus(tmp_path / "one") == corpus(tmp_path / "many")


def test_cutting_what_was_cut_cuts_nothing(pages, tmp_path):
    execute(tmp_path / "first", [pages], overrides=(LENGTH, ON))
    texts = [row["text"] for row in table_rows(tmp_path / "first", "corpus")]

    class Left(Page):
        def letters(self) -> str:
            return "</p><p>".join(texts[self.text].split("\n"))

    again = [Left(f"https://{number}.example/", number) for number in range(len(texts))]
    execute(tmp_path / "second", [crawl(tmp_path / "again.warc.gz", again)], overrides=(LENGTH, ON))
    rows = table_rows(tmp_path / "second", "corpus")
    assert len(rows) == len(texts) and all(row["edits"] == [] for row in rows)


def test_what_a_change_of_the_limits_costs(pages, tmp_path):
    first = execute(tmp_path, [pages], overrides=(LENGTH, ON)).tables
    longer = execute(tmp_path, [pages], overrides=(LENGTH, ON.replace("run: 3", "run: 2"))).tables
    rarer = execute(tmp_path, [pages], overrides=(LENGTH, ON.replace("documents: 3", "documents: 4"))).tables
    same = ("documents", "signals", "candidates", "verdicts", "duplicates")
    assert all(first[name] == longer[name] == rarer[name] for name in same)
    assert first["repeats"] == longer["repeats"] != rarer["repeats"]
    assert len({first["corpus"], longer["corpus"], rarer["corpus"]}) == 3
    assert execute(tmp_path, [pages], overrides=(LENGTH, ON)).tasks_run == 0


@pytest.mark.parametrize("wrong", ["{unit: word}", "{documents: 0}", "{run: 0}", "{letters: -1}", "{lines: 3}"])
def test_mistakes_are_named(wrong):
    with pytest.raises(UsageError, match=r"dedup\.repeats"):
        load_recipe(find_recipe("demo"), (f"dedup.repeats={wrong}",))
