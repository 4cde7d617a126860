"""Whole runs that clean texts: edits tell the way from the document to the corpus, and lengths are judged again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.cleaning import make_cleaners
from pipeline.edits import Edit, apply
from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.explain import explain
from tests.pipeline.conftest import execute, table_rows
from tests.pipeline.test_duplicates import NO_RULES, Page, crawl, sentence

CLEAN = "select.clean={}"
PLAIN = (*NO_RULES, "dedup.repeats=null")


@dataclass(frozen=True)
class Lines(Page):
    """A page whose paragraphs are given."""

    lines: tuple[str, ...] = ()

    def letters(self) -> str:
        return "</p><p>".join(self.lines)


def prose(seed: int, count: int) -> tuple[str, ...]:
    return tuple(sentence(seed, number) + sentence(seed, 50 + number) for number in range(count))


FOOTER = ("関連記事はこちらです", "次の記事、前の記事へ", "著作権は書き手にあります")
PAGES = [
    Lines("https://a.example/footer", 1, lines=(*prose(1, 5), *FOOTER)),
    Lines("https://a.example/short", 2, lines=("記事を検索する人へ", *(line[:30] for line in prose(2, 7)))),
    Lines(
        "https://a.example/marks",
        3,
        lines=tuple(line.replace("に", "に，").replace("。", "．") for line in prose(3, 5)),
    ),
    Lines("https://a.example/both", 4, lines=(*(line.replace("。", "．") for line in prose(4, 5)), *FOOTER)),
    Lines("https://a.example/plain", 5, lines=prose(5, 5)),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    return crawl(tmp_path_factory.mktemp("clean") / "clean.warc.gz", PAGES)


def by_name(out: Path, table: str) -> dict[str, dict]:
    return {row["url"].rsplit("/", 1)[1]: row for row in table_rows(out, table)}


def test_texts_are_cleaned_and_edits_lead_from_the_document_to_the_corpus(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(*PLAIN, CLEAN))
    documents, corpus = by_name(tmp_path, "documents"), by_name(tmp_path, "corpus")
    assert corpus.keys() == documents.keys() and len(corpus) == len(PAGES)
    assert all(FOOTER[0] in documents[name]["text"] for name in ("footer", "both"))
    kinds = {name: {edit["kind"] for edit in row["edits"]} for name, row in corpus.items()}
    assert kinds == {
        "footer": {"footer"}, "both": {"footer", "punctuation"}, "marks": {"punctuation"}, "short": set(),
        "plain": set(),
    }  # fmt: skip
    for name, row in corpus.items():
        assert apply(documents[name]["text"], [Edit(**edit) for edit in row["edits"]]) == row["text"]
        assert not any(mark in row["text"] for mark in (*FOOTER, "，", "．"))
    assert corpus["footer"]["text"] == "\n".join(prose(1, 5)) and corpus["both"]["text"] == "\n".join(prose(4, 5))
    assert len(corpus["marks"]["text"]) == len(documents["marks"]["text"])


def test_explain_counts_replacements_and_names_cuts(pages, tmp_path):
    execute(tmp_path, [pages], overrides=(*PLAIN, CLEAN))
    edits = [line for line in explain(tmp_path, "https://a.example/both") if line.startswith("  edit: ")]
    row = by_name(tmp_path, "corpus")["both"]
    assert edits[0].startswith("  edit: footer: characters ") and FOOTER[0] in edits[0]
    assert edits[1:] == [f"  edit: punctuation: {len(row['edits']) - 1} replacements"]


def test_what_is_too_short_without_its_footer_is_rejected(pages, tmp_path):
    whole = "\n".join(PAGES[0].lines)
    limit = f"select.rules=[{{signal: characters, min: {len(whole)}}}]"
    execute(tmp_path, [pages], overrides=("dedup=null", limit, CLEAN))
    rejects = by_name(tmp_path, "rejects")
    row = rejects["footer"]
    assert (row["stage"], row["reason"]) == ("edit", "too_few_characters")
    assert row["value"] == len("\n".join(prose(1, 5))) < row["limit"] == len(whole)
    assert all(row["stage"] == "select" for name, row in rejects.items() if name not in ("footer", "both"))


def test_the_ledger_counts_what_each_kind_did(pages, tmp_path):
    job = execute(tmp_path, [pages], overrides=(*PLAIN, CLEAN))
    (entry,) = load_entries(job.execute([])["corpus"].folder)
    cut = len("\n".join(FOOTER)) + 1
    assert entry.notes["footer"] == {"documents": 2, "characters": 2 * cut}
    assert entry.notes["punctuation"] == {"documents": 2, "characters": 0}
    assert entry.characters_in == entry.characters_out + 2 * cut


def test_only_the_corpus_is_written_anew(pages, tmp_path):
    first = execute(tmp_path, [pages], overrides=(*PLAIN, "select.clean=null"))
    second = execute(tmp_path, [pages], overrides=(*PLAIN, CLEAN))
    third = execute(tmp_path, [pages], overrides=(*PLAIN, "select.clean={footer: null}"))
    assert second.tasks_run == third.tasks_run == 1
    assert len({job.tables["corpus"] for job in (first, second, third)}) == 3
    assert by_name(tmp_path, "corpus")["footer"]["edits"] == []


def test_repeats_go_before_the_footer_and_all_of_it_is_told(tmp_path):
    notice = (
        "この案内は町の有志が歩いて書きとめたものです。",
        "内容が古くなったら箱に手紙を入れてください。",
        "文章は自由に書き写してかまいません。",
    )
    pages = [
        Lines(
            f"https://{n}.example/{n}",
            n,
            lines=(*prose(n, 4), *notice, *(f"関連記事{n}はこちらです" for _ in range(n))),
        )
        for n in range(1, 4)
    ]
    source = crawl(tmp_path / "in.warc.gz", pages)
    execute(tmp_path / "out", [source], overrides=(*NO_RULES, CLEAN, "dedup.repeats={documents: 2, run: 3}"))
    documents, corpus = by_name(tmp_path / "out", "documents"), by_name(tmp_path / "out", "corpus")
    for number in range(1, 4):
        row = corpus[str(number)]
        assert [edit["kind"] for edit in row["edits"]] == ["repeated_lines", "footer"]
        assert row["text"] == "\n".join(prose(number, 4))
        assert apply(documents[str(number)]["text"], [Edit(**edit) for edit in row["edits"]]) == row["text"]


def test_runs_of_empty_lines_are_edits_too():
    (cleaner,) = make_cleaners({"footer": None, "punctuation": False, "empty_lines": 1})
    texts = ["一\n\n\n\n二\n\n\n三\n", "一\n\n二", ""]
    edits = cleaner.edit(pa.array(texts))
    assert edits.keys() == {0} and apply(texts[0], edits[0]) == "一\n\n二\n\n三"
    assert make_cleaners({"footer": None, "punctuation": False, "empty_lines": None}) == []


@pytest.mark.parametrize("wrong", ["{footer: {lines: 0}}", "{footer: {share: 2}}", "{empty_lines: -1}", "{header: {}}"])
def test_mistakes_are_named(wrong):
    with pytest.raises(UsageError, match=r"select\.clean"):
        load_recipe(find_recipe("demo"), (f"select.clean={wrong}",))
