"""A run does what is missing and no more, and its bytes depend on inputs and recipe alone."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline import outcomes
from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.ledger import load_entry
from pipeline.plan import load_plan
from pipeline.progress import Progress
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.folders import list_folders, remove_old
from pipeline.report.funnel import funnel
from pipeline.report.show import show
from pipeline.report.status import known_tables
from pipeline.run import Run
from pipeline.run_folder import locked
from pipeline.runner import InProcessRunner, Result, Task
from pipeline.steps import Incomplete
from pipeline.web import main_text
from tests.pipeline.conftest import SAMPLE, Quiet, execute, run_cli, split_sample, table_bytes, table_rows, truth


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[Path]:
    return split_sample(tmp_path_factory.mktemp("parts"), 3)


@pytest.fixture(scope="module")
def reference(parts, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference")
    execute(out, parts)
    return table_bytes(out)


class NeverStarted(InProcessRunner):
    def run(self, tasks: Sequence[Task], started) -> Iterator[Result]:
        raise AssertionError("a run with nothing to do asked for workers")


def test_a_second_run_starts_no_workers_and_changes_no_file(sample_run):
    before = {path: path.stat().st_mtime_ns for path in sample_run.out.rglob("*") if path.is_file()}
    job = Run(load_recipe(find_recipe("demo")), sample_run.out, NeverStarted(), Quiet())
    job.execute([str(SAMPLE)])
    assert job.tasks_run == 0
    after = {path: path.stat().st_mtime_ns for path in sample_run.out.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.name != ".lock"} == {
        path: time for path, time in before.items() if path.name != ".lock"
    }


def test_the_order_of_inputs_does_not_matter(parts, reference, tmp_path):
    execute(tmp_path / "out", [parts[2], parts[0], parts[1]])
    assert table_bytes(tmp_path / "out") == reference


def test_the_place_of_inputs_and_of_the_output_does_not_matter(parts, reference, tmp_path):
    elsewhere = [tmp_path / "other" / path.name for path in parts]
    (tmp_path / "other").mkdir()
    for path, copy in zip(parts, elsewhere, strict=True):
        copy.write_bytes(path.read_bytes())
    execute(tmp_path / "out", elsewhere)
    assert table_bytes(tmp_path / "out") == reference


def test_how_records_are_split_over_files_does_not_change_which_pages_are_kept(parts, sample_run, tmp_path):
    execute(tmp_path / "out", parts)
    for table in ("corpus", "duplicates", "rejects", "extract_rejects"):
        assert {row["id"] for row in table_rows(tmp_path / "out", table)} == {
            row["id"] for row in sample_run.rows(table)
        }


def test_a_changed_threshold_redoes_select_alone(parts, reference, tmp_path):
    out = tmp_path / "out"
    execute(out, parts)
    job = execute(out, parts, overrides=("select.rules.japanese_letters.min=350",))
    assert {line.split(":")[0] for line in job.progress.lines if "shards," in line} <= {"select", "plan"}
    assert any("not what ran here under this name before" in line for line in job.progress.lines)
    assert len(table_rows(out, "corpus")) < 65
    assert table_bytes(out).items() > reference.items(), "the tables of the old recipe stand beside the new ones"


def test_under_among_all_a_changed_threshold_leaves_the_duplicates_too(parts, tmp_path):
    out = tmp_path / "out"
    first = execute(out, parts, overrides=("dedup.among=all",))
    second = execute(out, parts, overrides=("dedup.among=all", "select.rules.japanese_letters.min=350"))
    assert first.tables["duplicates"] == second.tables["duplicates"]
    assert first.tables["corpus"] != second.tables["corpus"]


def test_adding_a_warc_works_on_that_one_and_the_global_steps(parts, reference, tmp_path):
    out = tmp_path / "out"
    execute(out, parts[:2])
    shard_stages = ("documents", "signals", "signatures", "verdicts")
    old = {
        path: path.stat().st_mtime_ns
        for stage in shard_stages
        for path in out.glob(f"{stage}-*/part-*")
        if path.is_file()
    }
    execute(out, parts[2:])
    assert {path: path.stat().st_mtime_ns for path in old} == old
    assert reference.items() <= table_bytes(out).items()


def test_a_changed_input_is_read_again_and_a_touched_one_is_not(parts, tmp_path):
    copies = split_sample(tmp_path / "in", 2)
    execute(tmp_path / "out", copies)
    copies[0].touch()
    assert execute(tmp_path / "out", copies).tasks_run == 0
    copies[0].write_bytes(copies[1].read_bytes())
    job = execute(tmp_path / "out", copies)
    assert job.tasks_run > 0
    ids = {row["id"] for row in table_rows(tmp_path / "out", "documents")}
    assert len(ids) == len(table_rows(tmp_path / "out", "documents")) / 2


def test_two_inputs_of_one_base_name_are_both_read(parts, tmp_path):
    for number, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.warc.gz").write_bytes(parts[number].read_bytes())
    execute(tmp_path / "out", [tmp_path / "a" / "same.warc.gz", tmp_path / "b" / "same.warc.gz"])
    files = {row["warc_file"] for row in table_rows(tmp_path / "out", "documents")}
    assert files == {"a/same.warc.gz", "b/same.warc.gz"}


def test_stages_can_be_run_one_by_one_and_in_their_order_only(parts, reference, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(Incomplete, match="extract: 3 of 3 shards not done"):
        execute(out, parts, first="annotate", last="annotate")
    for stage in ("extract", "annotate", "sign", "dedup", "select"):
        execute(out, parts, first=stage, last=stage)
    assert table_bytes(out) == reference


def by_rule(out: Path, rule: str) -> tuple[list[dict], list[dict]]:
    """Corpus and rejects of the sample under one rule alone."""
    execute(out, [SAMPLE], overrides=("dedup=null", f"select.rules=[{rule}]"))
    return table_rows(out, "corpus"), table_rows(out, "rejects")


@pytest.fixture
def judged(monkeypatch):
    """The extractor with types and confidences that do not depend on a model: the text's length decides."""
    extract_page = main_text.extract

    def judge(page, **settings):
        found = extract_page(page, **settings)
        size = len(found.text)
        return replace(found, page_type=("article", "forum", "product")[size % 3], expected_f1=size % 100 / 100)

    monkeypatch.setattr(main_text, "extract", judge)


def test_recipes_choose_by_page_type(judged, tmp_path, monkeypatch, capsys):
    documents, _ = by_rule(tmp_path, "")
    products = {row["id"]: "product" for row in documents if row["page_type"] == "product"}
    corpus, rejects = by_rule(tmp_path, "{signal: page_type, any_of: [article, forum]}")
    assert {row["page_type"] for row in corpus} == {"article", "forum"}
    assert products and {row["id"]: row["detail"] for row in rejects} == products
    assert {row["reason"] for row in rejects} == {"page_type_not_allowed"}
    assert by_rule(tmp_path, "{signal: page_type, none_of: [product]}")[0] == corpus
    code, printed, _ = run_cli(monkeypatch, capsys, "explain", str(tmp_path), rejects[0]["url"])
    assert code == 0 and "page type product, confidence 0" in printed
    assert "judge: rejected as page_type_not_allowed: product" in printed


def test_recipes_choose_by_extraction_confidence(judged, tmp_path):
    documents, _ = by_rule(tmp_path, "")
    limit = sorted(row["extraction_confidence"] for row in documents)[len(documents) // 2]
    corpus, rejects = by_rule(tmp_path, f"{{signal: extraction_confidence, min: {limit}}}")
    assert corpus and all(row["extraction_confidence"] >= limit for row in corpus)
    assert rejects and all(row["value"] < row["limit"] == limit for row in rejects)
    assert {row["reason"] for row in rejects} == {"too_low_extraction_confidence"}
    assert len(corpus) + len(rejects) == len(documents)


def test_recipes_choose_by_extractor(tmp_path):
    documents, _ = by_rule(tmp_path, "")
    (name,) = {row["extractor"] for row in documents}
    assert len(by_rule(tmp_path, f"{{signal: extractor, any_of: [{name}]}}")[0]) == len(documents)
    corpus, rejects = by_rule(tmp_path, f"{{signal: extractor, none_of: [{name}]}}")
    assert not corpus and {row["reason"] for row in rejects} == {"extractor_not_allowed"}


def test_a_recipe_without_dedup_keeps_all_that_pass(parts, tmp_path):
    execute(tmp_path / "out", parts, overrides=("dedup=null",))
    assert len(table_rows(tmp_path / "out", "corpus")) == 70 + 12


def test_every_step_of_the_funnel_follows_from_the_one_before(sample_run):
    steps = funnel(sample_run.out, sample_run.job.tables)
    left = steps[0].pages
    for step in steps[1:]:
        left -= step.pages if step.removed else 0
        assert step.removed or step.pages == left, step
    characters = [step.characters for step in steps if step.characters is not None and not step.removed]
    removed = sum(step.characters or 0 for step in steps if step.removed)
    assert characters[0] - removed == characters[-1] == sum(len(row["text"]) for row in sample_run.rows("corpus"))


def test_all_ledgers_add_up(sample_run):
    folders = [folder.path for folder in list_folders(sample_run.out)]
    entries = [entry for folder in folders for entry in load_entries(folder)]
    assert len(entries) >= 6
    assert all(entry.balance() == 0 for entry in entries)


def test_old_folders_are_listed_and_removed_on_request(parts, tmp_path):
    out = tmp_path / "out"
    execute(out, parts)
    execute(out, parts, overrides=("select.rules.japanese_letters.min=350",))
    old = [folder for folder in list_folders(out) if not folder.recipes]
    assert {folder.table for folder in old} == {"verdicts", "duplicates", "repeats", "corpus", "rejects"}
    kept = [folder.path.name for folder in list_folders(out) if folder.recipes]
    assert [folder.path for folder in remove_old(out)] == [folder.path for folder in old]
    assert [folder.path.name for folder in list_folders(out)] == kept
    assert execute(out, parts, overrides=("select.rules.japanese_letters.min=350",)).tasks_run == 0


def test_two_runs_of_one_folder_do_not_meet(parts, tmp_path):
    with locked(tmp_path), pytest.raises(UsageError, match="another run"):
        execute(tmp_path, parts)


def test_a_lock_whose_file_was_taken_away_meanwhile_is_none(tmp_path, monkeypatch):
    real = fcntl.flock

    def taken_away(lock, how):
        real(lock, how)
        os.unlink(tmp_path / ".lock")

    monkeypatch.setattr("pipeline.run_folder.fcntl.flock", taken_away)
    with pytest.raises(UsageError, match="has just ended: run again"), locked(tmp_path):
        pass


def test_the_commands_tell_what_the_run_did(sample_run, monkeypatch, capsys):
    out = str(sample_run.out)
    code, printed, _ = run_cli(monkeypatch, capsys, "status", out)
    assert code == 0 and "no run is at work here" in printed and "1/1" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "funnel", out, "--json")
    assert code == 0 and '"corpus"' in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "timing", out)
    assert code == 0 and "| extract | main text |" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "path", out, "corpus")
    assert code == 0 and Path(printed.strip()).is_dir()
    code, printed, _ = run_cli(monkeypatch, capsys, "ls", out)
    assert code == 0 and "documents-" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "gc", out)
    assert code == 0 and "nothing is old" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "recipes")
    assert code == 0 and "swallow-v2" in printed


@pytest.mark.parametrize("outcome", ["corpus", "no_kana", "near", "too_few_japanese_letters", "consent_not_allowed"])
def test_explain_names_what_decided(sample_run, monkeypatch, capsys, outcome):
    url = next(row["url"] for row in truth() if row["outcome"] == outcome)
    code, printed, _ = run_cli(monkeypatch, capsys, "explain", str(sample_run.out), url)
    assert code == 0 and url in printed
    words = {"corpus": "corpus: kept", "no_kana": "rejected as no_kana", "near": "removed as near duplicate of"}
    assert words.get(outcome, f"judge: rejected as {outcome}") in printed


def test_explain_reads_the_record_again_when_no_row_was_kept(parts, monkeypatch, capsys, tmp_path):
    execute(tmp_path, parts, overrides=("extract.rejects_kept=0",), last="extract")
    assert table_rows(tmp_path, "extract_rejects") == []
    url = next(row["url"] for row in truth() if row["outcome"] == "not_html")
    code, printed, _ = run_cli(monkeypatch, capsys, "explain", str(tmp_path), url)
    assert code == 0 and "rejected as not_html" in printed and "read again" in printed
    code, _, error = run_cli(monkeypatch, capsys, "explain", str(tmp_path), "https://nowhere.example/")
    assert code == 2 and "no record of https://nowhere.example/" in error


def test_progress_lines_hold_shards_rates_and_time(tmp_path):
    import io

    stream = io.StringIO()
    progress = Progress(tmp_path, stream)
    tasks = [Task(f"s{n}", dict, {}, 0, weight=10) for n in range(2)]
    progress.begin("extract", tasks, 5)
    progress.started(tasks[0])
    progress.finished(Result(tasks[0], {"written": 7, "bytes_in": 2_000_000}))
    assert "extract: 4/5 shards" in progress.line() and "documents/s" in progress.line()
    assert "MB/s" in progress.line() and "left" in progress.line()
    progress.finished(Result(tasks[1], None, "it broke"))
    progress.end()
    assert "shard s1 failed: it broke" in stream.getvalue()
    assert "\r" not in stream.getvalue(), "no control characters where there is no terminal"


def test_the_plan_is_kept(sample_run):
    assert [shard.name for shard in load_plan(sample_run.out / "plan.json")] == ["sample"]


def pages(path: Path, texts: dict[str, str], head: str = "") -> Path:
    """A WARC of one page a URL, with record ids that depend on the URL alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url, text in texts.items():
            html = f"<html lang=ja><head><title>紙</title>{head}</head><body><article><p>{text}</p></article>"
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            ids = {"WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url)}>"}
            ids["WARC-Date"] = "2024-01-01T00:00:00Z"
            body = BytesIO(html.encode())
            record = writer.create_warc_record(
                url, "response", payload=body, http_headers=headers, warc_headers_dict=ids
            )
            writer.write_record(record)
    return path


LONG = "和紙は簀の上で水をくぐり、繊維がからみあって一枚の紙になります。" * 2
LONG += "職人は冬の朝から紙を漉きます。春には乾かし、夏には切りそろえて町へ運びます。"
NO_RULES = ("select.rules=[]",)


@pytest.mark.parametrize("dedup", [(), ("dedup=null",)])
def test_a_changed_input_reaches_the_corpus(tmp_path, dedup):
    texts = {f"https://a.example/{n}": f"{n}番の話です。{LONG}" for n in range(4)}
    path = pages(tmp_path / "x.warc.gz", texts)
    execute(tmp_path / "out", [path], overrides=(*NO_RULES, *dedup))
    assert {row["license"] for row in table_rows(tmp_path / "out", "corpus")} == {None}
    pages(path, texts, '<link rel="license" href="https://creativecommons.org/licenses/by-nc/4.0/">')
    execute(tmp_path / "out", [path], overrides=(*NO_RULES, *dedup))
    rows = table_rows(tmp_path / "out", "corpus")
    assert rows and {row["license"] for row in rows} == {"CC-BY-NC-4.0"}


def test_another_file_of_the_name_of_a_deleted_one_does_not_replace_its_documents(tmp_path):
    first = pages(tmp_path / "day1" / "pages.warc.gz", {"https://a.example/1": f"一日目です。{LONG}"})
    execute(tmp_path / "out", [first], overrides=NO_RULES)
    first.unlink()
    texts = {f"https://a.example/{n}": f"二日目の{n}番は昨日と違う話です。{LONG}" for n in (2, 3)}
    second = pages(tmp_path / "day2" / "pages.warc.gz", texts)
    execute(tmp_path / "out", [second], overrides=NO_RULES)
    found = {row["url"] for row in table_rows(tmp_path / "out", "documents")}
    assert found == {f"https://a.example/{n}" for n in (1, 2, 3)}


def test_a_symbolic_link_to_an_input_is_no_second_input(parts, tmp_path):
    link = tmp_path / "link.warc.gz"
    link.symlink_to(parts[0])
    job = execute(tmp_path / "out", [parts[0], link], last="extract")
    assert len(job.shards) == 1


def test_a_file_that_is_gone_or_cut_is_made_again(parts, reference, tmp_path):
    out = tmp_path / "out"
    execute(out, parts)
    next(out.glob("corpus-*/part-0.parquet")).unlink()
    cut = next(out.glob("signals-*/part-1.parquet"))
    cut.write_bytes(cut.read_bytes()[:-50])
    assert execute(out, parts).tasks_run == 2
    assert table_bytes(out) == reference


def test_rows_that_a_stage_lost_are_missed_by_the_next(parts, tmp_path):
    out = tmp_path / "out"
    execute(out, parts, last="extract")
    victim = next(out.glob("documents-*/part-0.parquet"))
    pq.write_table(pq.read_table(victim).slice(0, 3), victim)
    entry = load_entry(victim.parent, "part-0")
    assert entry
    entry.outputs["documents"]["bytes"] = victim.stat().st_size
    entry.save(victim.parent)
    with pytest.raises(Incomplete, match="does not add up"):
        execute(out, parts)


def test_a_waived_shard_is_not_tried_again_and_stops_no_later_stage(parts, tmp_path):
    bad = tmp_path / "part-00000.warc.gz"
    bad.write_bytes(b"no WARC at all " * 50)
    waive = ("max_failed_shards=1",)
    assert execute(tmp_path / "out", [*parts, bad], overrides=waive).waived
    again = execute(tmp_path / "out", [*parts, bad], overrides=waive)
    assert again.tasks_run == 0 and again.waived
    execute(tmp_path / "out", [], overrides=(*waive, "select.rules.japanese_letters.min=350"), first="select")
    with pytest.raises(Incomplete, match="1 shard failed"):
        execute(tmp_path / "out", [])


def test_tables_of_another_recipe_or_plan_are_not_shown_as_this_ones(parts, tmp_path):
    out = tmp_path / "out"
    execute(out, parts[:2])
    changed = execute(out, [], overrides=("select.rules.japanese_letters.min=99999",), last="annotate")
    assert known_tables(out, None)[1] == changed.tables and "corpus" not in changed.tables
    execute(out, [])
    assert "corpus" in known_tables(out, None)[1]
    execute(out, [], last="annotate")
    assert "corpus" in known_tables(out, None)[1], "nothing changed: the corpus is still this recipe's"
    execute(out, parts, last="annotate")
    assert "corpus" not in known_tables(out, None)[1]


def test_markup_in_pages_and_paths_is_only_text(tmp_path, monkeypatch, capsys):
    path = pages(tmp_path / "x.warc.gz", {"https://a.example/[b]": f"[/b]角括弧[red]の話です。{LONG}"})
    out = tmp_path / "q[x]"
    arguments = ["run", "demo", "--out", str(out), "--workers", "0", "--input", str(path), "--set", "select.rules=[]"]
    code, printed, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0 and "q[x]" in printed, error
    show(out, Console(markup=False, highlight=False, width=200))
    assert "[/b]角括弧[red]" in capsys.readouterr().out
    for command in ("status", "ls", "funnel"):
        assert run_cli(monkeypatch, capsys, command, str(out))[0] == 0


def test_large_texts_are_written_in_bounded_pieces(tmp_path, monkeypatch):
    texts = {f"https://a.example/{n}": f"{n}番の話です。{LONG}" for n in range(9)}
    path = pages(tmp_path / "x.warc.gz", texts)
    execute(tmp_path / "large", [path], overrides=NO_RULES)
    monkeypatch.setattr(outcomes, "CHARACTERS_IN_MEMORY", 300)
    execute(tmp_path / "small", [path], overrides=NO_RULES)
    assert table_bytes(tmp_path / "small") == table_bytes(tmp_path / "large")


def test_damaged_run_json_is_one_line(sample_run, tmp_path, monkeypatch, capsys):
    (tmp_path / "run.json").write_text('{"latest": "demo"}')
    code, _, error = run_cli(monkeypatch, capsys, "status", str(tmp_path))
    assert code == 2 and "damaged" in error and error.count("\n") == 1
