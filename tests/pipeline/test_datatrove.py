"""Our extractor and our rules run in a real datatrove pipeline, without datatrove's extra packages."""

import json
import pickle

import pyarrow.dataset as ds
import pytest
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.writers.parquet import ParquetWriter

from pipeline.datatrove import KamisukiExtractor, KamisukiFilter
from pipeline.recipe import load_recipe
from pipeline.web.main_text import extract
from tests.pipeline.conftest import ROOT

LINES = [
    "この谷で紙が漉かれるようになった時期ははっきりしない。寺に残る文書に、年貢として紙を納めたという一行がある。",
    "漉き手は簀桁を揺すり、水の中の繊維をからませる。揺すり方ひとつで、紙の厚さも強さも変わってしまう。",
]
ARTICLE = f"""<html lang=ja><title>紙</title><nav><a href="/">入口</a></nav><article><h1>紙</h1><p>{LINES[0]}</p>
<p><ruby>紙漉<rp>（</rp><rt>かみす</rt><rp>）</rp></ruby>きの冬は長い。{LINES[1]}</p></article></html>"""
PAGES = {"article": ARTICLE, "empty": "", "hostile": "<div>" * 5_000, "script": "<script>紙</script>", "again": ARTICLE}


def pages(data, rank=0, world_size=1):
    """A reader as datatrove takes one: a function that yields documents."""
    for name, html in PAGES.items():
        yield Document(text=html, id=name, metadata={"url": f"https://kami.example/{name}"})


@pytest.mark.parametrize("settings", [{}, {"ruby": "parentheses", "headline": "dropped"}])
def test_it_extracts_within_a_pipeline(tmp_path, settings):
    pipeline = [pages, KamisukiExtractor(**settings), ParquetWriter(str(tmp_path / "out"))]
    executor = LocalPipelineExecutor(pipeline, tasks=1, logging_dir=str(tmp_path / "logs"))
    executor.run()
    rows = {row["id"]: row for row in ds.dataset(tmp_path / "out", format="parquet").to_table().to_pylist()}
    assert rows.keys() == {"article", "again"}
    assert all(row["text"] == extract(ARTICLE, **settings).text for row in rows.values())
    assert all(line in rows["article"]["text"] for line in LINES)
    assert ("（かみす）" in rows["article"]["text"]) == bool(settings)
    counts = {step["name"]: step["stats"] for step in json.loads((tmp_path / "logs" / "stats.json").read_text())}
    ours = next(stats for name, stats in counts.items() if "Kamisuki" in name)
    assert ours["total"] == 5 and ours["extracted"] == 5
    assert (ours["forwarded"]["total"] if isinstance(ours["forwarded"], dict) else ours["forwarded"]) == 2
    assert not {"timeout", "broken_process", "clean_error"} & ours.keys()


def test_it_travels_to_workers():
    step = pickle.loads(pickle.dumps(KamisukiExtractor(tables="markdown")))
    assert step.extract(ARTICLE) == extract(ARTICLE, tables="markdown").text


def test_a_wrong_setting_ends_the_task_at_once():
    with pytest.raises(ValueError, match="headline"):
        next(KamisukiExtractor(headline="gone").run(pages(None)))


DEMO = ROOT / "configs" / "demo.yaml"


def test_our_rules_decide_in_its_pipeline_as_in_ours(tmp_path, sample_run):
    documents = sample_run.rows("documents")
    verdicts = {row["id"]: row for row in sample_run.rows("verdicts")}

    def reader(data, rank=0, world_size=1):
        for row in documents:
            yield Document(text=row["text"], id=row["id"], metadata={"url": row["url"], "consent": row["consent"]})

    pipeline = [
        reader,
        KamisukiFilter(str(DEMO), exclusion_writer=ParquetWriter(str(tmp_path / "gone"))),
        ParquetWriter(str(tmp_path / "kept")),
    ]
    LocalPipelineExecutor(pipeline, tasks=1, logging_dir=str(tmp_path / "logs")).run()
    kept = {row["id"] for row in ds.dataset(tmp_path / "kept", format="parquet").to_table(["id"]).to_pylist()}
    assert kept == {key for key, row in verdicts.items() if row["passed"]}
    gone = ds.dataset(tmp_path / "gone", format="parquet").to_table().to_pylist()
    assert {row["id"]: row["metadata"]["filter_reason"] for row in gone} == {
        key: row["reason"] for key, row in verdicts.items() if not row["passed"]
    }


def test_a_document_at_a_time_is_judged_as_in_a_batch():
    step = pickle.loads(pickle.dumps(KamisukiFilter(load_recipe(DEMO), batch_size=3)))
    batch = [
        Document(text=text, id=str(number)) for number, text in enumerate(["", "紙" * 500, LINES[0] * 9, "\ud83d"])
    ]
    assert step.filter_batch(batch) == [step.filter(document) for document in batch]
    refused = Document(text=LINES[0] * 9, id="x", metadata={"consent": "refused"})
    assert step.filter(refused) == (False, "consent_not_allowed")
