"""Whole rewriting runs against a real server on loopback: lineage, licenses, retries, fallback, resuming, costs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from pipeline.report.folders import list_folders
from pipeline.report.rewriting import report_of, steps_of
from pipeline.report.rewriting_page import write_page
from pipeline.rewrite_dry_run import estimate
from pipeline.rewriting.client import Budget
from pipeline.rewriting.recipe import load_rewriting_recipe
from pipeline.steps import Incomplete
from tests.pipeline.rewriting_runs import made_out, model, rewrite, written_recipe
from tests.rewriting.scripted_server import ScriptedServer

TEXTS = {f"d{number:02}": f"第{number}話。冬の朝から紙を漉き、春になれば板に張って乾かします。" for number in range(12)}
PROMPT = "=== user\n書き直す：{text}\n"
LENGTH = [{"signal": "length_ratio", "min": 0.5}]


def rows_of(run, step: str) -> list[dict]:
    folder = run.out / run.tables[f"rewritten_mine_{step}"]
    return ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table().to_pylist()


def rejects_of(run, step: str) -> list[dict]:
    folder = run.out / run.tables[f"rejects_mine_{step}"]
    return ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table().to_pylist()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "write-v1.txt").write_text(PROMPT, encoding="utf-8")
    return tmp_path


def step(**more) -> dict:
    return {"name": "written", "ask": {"prompt": "write-v1.txt"}, "checks": ["length"], "rules": LENGTH} | more


def the_text(message: str) -> str:
    return message.removeprefix("書き直す：")


def test_each_row_says_where_it_came_from_what_made_it_and_under_which_license(place):
    out = made_out(place / "out", TEXTS)
    generator = {"model": "m", "license": "LicenseRef-Model", "license_tier": "non-commercial", "training": "named"}
    with ScriptedServer(otherwise=model(lambda said: the_text(said).replace("紙", "和紙"))) as server:
        run = rewrite(out, written_recipe(place, [step()], server.url, generator=generator))
    rows = rows_of(run, "written")
    assert {row["source_ids"][0] for row in rows} == set(TEXTS)
    for row in rows:
        assert row["text"] == TEXTS[row["source_ids"][0]].replace("紙", "和紙")
        assert row["url"] == f"https://a.example/{row['source_ids'][0]}"
        assert (row["source_license"], row["source_license_tier"]) == ("CC-BY-4.0", "attribution")
        assert (row["license"], row["license_tier"]) == ("LicenseRef-Model", "non-commercial")
        assert (row["generator"], row["generator_training"], row["fell_back"]) == ("m", "named", [])
        (made,) = row["lineage"]
        assert (made["step"], made["prompt"], made["model"], made["attempt"]) == ("written", "write-v1", "m", 1)
        assert made["prompt_digest"] and json.loads(made["parameters"])["max_tokens"] == 8192
        assert (made["tokens_in"], made["tokens_out"]) == (10, 5)
        assert row["id"] not in TEXTS
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_license_of_the_source_that_is_stricter_stays(place):
    out = made_out(place / "out", TEXTS, license="CC-BY-SA-4.0", license_tier="share-alike")
    with ScriptedServer(otherwise=model(the_text)) as server:
        run = rewrite(out, written_recipe(place, [step()], server.url))
    assert {(row["license"], row["license_tier"]) for row in rows_of(run, "written")} == {
        ("CC-BY-SA-4.0", "share-alike")
    }


@pytest.mark.parametrize(("otherwise", "kept"), [("drop", 11), ("source", 12), ("keep", 12)])
def test_a_row_that_fails_a_rule_is_dropped_falls_back_or_is_kept_as_the_recipe_says(place, otherwise, kept):
    out = made_out(place / "out", TEXTS)
    short = model(lambda said: "短い" if "第3話" in said else the_text(said))
    with ScriptedServer(otherwise=short) as server:
        run = rewrite(out, written_recipe(place, [step(otherwise=otherwise)], server.url))
    rows = {row["source_ids"][0]: row for row in rows_of(run, "written")}
    assert len(rows) == kept
    gone = rejects_of(run, "written")
    if otherwise == "drop":
        (reject,) = gone
        assert (reject["id"], reject["reason"], reject["stage"]) == ("d03", "too_low_length_ratio", "rewrite: written")
        assert reject["value"] < reject["limit"] == 0.5
    else:
        assert gone == [] and rows["d03"]["fell_back"] == ["written"]
        assert rows["d03"]["text"] == (TEXTS["d03"] if otherwise == "source" else "短い")
        assert (rows["d03"]["generator"] is None) == (otherwise == "source")
        assert (rows["d03"]["id"] == "d03") == (otherwise == "source")


def test_only_rows_that_failed_are_asked_again_with_another_seed(place):
    out = made_out(place / "out", TEXTS)
    seen: list[tuple[str, int]] = []

    async def behave(request, payload):
        text = the_text(payload["messages"][-1]["content"])
        seen.append((text, payload["seed"]))
        first = "第5話" in text and payload["seed"] == 1
        return await model(lambda said: "短い" if first else the_text(said))(request, payload)

    asking = step(ask={"prompt": "write-v1.txt", "attempts": 3})
    with ScriptedServer(otherwise=behave) as server:
        run = rewrite(out, written_recipe(place, [asking], server.url))
    assert len(seen) == 13 and (TEXTS["d05"], 2) in seen
    row = next(row for row in rows_of(run, "written") if row["source_ids"] == ["d05"])
    assert row["text"] == TEXTS["d05"] and row["lineage"][0]["attempt"] == 2
    sent = json.loads(row["lineage"][0]["parameters"])
    assert (sent["seed"], sent["temperature"]) == (2, 0.2), "as it was asked, not as the recipe began"
    assert len(rows_of(run, "written")) == 12


def test_another_limit_asks_nobody_and_another_prompt_asks_for_its_step_alone(place):
    out = made_out(place / "out", TEXTS)
    (place / "first-v1.txt").write_text("=== user\n一：{text}\n", encoding="utf-8")
    asked: Counter[str] = Counter()

    async def behave(request, payload):
        message = payload["messages"][-1]["content"]
        asked[message[:2]] += 1
        return await model(lambda said: said[2:] if said[1] == "：" else the_text(said))(request, payload)

    first = {"name": "first", "ask": {"prompt": "first-v1.txt"}}
    with ScriptedServer(otherwise=behave) as server:
        path = written_recipe(place, [first, step()], server.url)
        rewrite(out, path)
        assert asked == {"一：": 12, "書き": 12}
        again = rewrite(out, path)
        assert again.steps.tasks_run == 0 and asked.total() == 24
        limited = rewrite(out, path, "steps.written.rules.length_ratio.min=0.9")
        assert asked.total() == 24 and limited.steps.tasks_run == 2
        (place / "write-v1.txt").write_text("=== user\n別：{text}\n", encoding="utf-8")
        rewrite(out, path)
        assert asked == {"一：": 12, "書き": 12, "別：": 12}


def test_every_row_ends_in_one_row_or_one_reason_whatever_the_server_does(place):
    texts = TEXTS | {"long": "長い。" * 9000, "same": TEXTS["d00"]}
    out = made_out(place / "out", texts)

    async def behave(request, payload):
        from tests.rewriting.scripted_server import cuts, never_ends, sends

        text = payload["messages"][-1]["content"]
        faults = {"第1話": cuts, "第2話": sends(400, "{}"), "第3話": sends(200, "<html>"), "第4話": never_ends}
        faults |= {"第5話": model(lambda said: ""), "第6話": model(lambda said: "<think>終わらない")}
        for mark, fault in faults.items():
            if mark in text:
                return await fault(request, payload)
        return await model(the_text)(request, payload)

    with ScriptedServer(otherwise=behave) as server:
        run = rewrite(out, written_recipe(place, [step()], server.url))
    rows, gone = rows_of(run, "written"), rejects_of(run, "written")
    ended = Counter([row["source_ids"][0] for row in rows] + [row["id"] for row in gone])
    assert ended == Counter(dict.fromkeys(texts, 1))
    reasons = {row["id"]: row["reason"] for row in gone}
    assert reasons == {
        "d01": "connection_failed",
        "d02": "bad_request",
        "d03": "malformed_answer",
        "d04": "endless_answer",
        "d05": "empty_answer",
        "d06": "answer_with_unfinished_thought",
        "long": "text_too_long",
    }
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize(("cut", "kept"), [("rejected", 0), ("kept", 1)])
def test_an_answer_that_was_cut_is_a_text_only_where_the_recipe_says_so(place, cut, kept):
    from tests.rewriting.scripted_server import says

    out = made_out(place / "out", {"d00": TEXTS["d00"]}, shards=1)
    asking = step(ask={"prompt": "write-v1.txt", "cut": cut})
    with ScriptedServer(otherwise=says(TEXTS["d00"][:-4], "length")) as server:
        run = rewrite(out, written_recipe(place, [asking], server.url))
    assert len(rows_of(run, "written")) == kept
    assert [row["reason"] for row in rejects_of(run, "written")] == ["answer_cut"] * (1 - kept)


def test_a_long_text_is_asked_about_in_parts_and_is_one_row(place):
    text = "\n\n".join(f"{number}段落目の文です。" * 3 for number in range(6))
    out = made_out(place / "out", {"long": text}, shards=1)
    asking = step(ask={"prompt": "write-v1.txt", "chunk": {"characters": 80, "at": "paragraphs"}})
    with ScriptedServer(otherwise=model(the_text)) as server:
        run = rewrite(out, written_recipe(place, [asking], server.url))
    (row,) = rows_of(run, "written")
    assert row["text"] == text and row["lineage"][0]["tokens_in"] > 10


def test_a_budget_stops_and_what_was_answered_is_not_paid_twice(place):
    out = made_out(place / "out", TEXTS, shards=1)
    with ScriptedServer(otherwise=model(the_text)) as server:
        client = {"endpoints": [{"url": server.url}], "in_flight": 1}
        asking = step(ask={"prompt": "write-v1.txt", "parameters": {"max_tokens": 5}})
        path = written_recipe(place, [asking], server.url, client=client)
        with pytest.raises(Incomplete, match="the budget is spent"):
            rewrite(out, path, budget=Budget(tokens=120))
        paid = sum(server.asked.values())
        assert 0 < paid < 12
        run = rewrite(out, path)
        assert sum(server.asked.values()) == 12
    assert len(rows_of(run, "written")) == 12
    (counts,) = steps_of(out, "mine")
    assert counts.from_cache == paid and counts.tokens_in == 120


def test_a_dry_run_asks_about_a_sample_and_leaves_nothing_behind(place):
    out = made_out(place / "out", TEXTS)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with ScriptedServer(otherwise=model(the_text)) as server:
        path = written_recipe(place, [step()], server.url, prices={"prompt": 1.0, "answer": 2.0})
        found = estimate(load_rewriting_recipe(path), out, None, 4)
        assert sum(server.asked.values()) == 4
    (forecast,) = found.steps
    assert (found.rows, found.sample) == (12, 4)
    assert forecast.tokens_in[0] == 120 and forecast.tokens_out[0] == 60
    assert forecast.money == pytest.approx((120 * 1.0 + 60 * 2.0) / 1e6)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_scores_are_columns_and_choose_what_the_next_step_rewrites(place):
    out = made_out(place / "out", TEXTS)
    (place / "score-v1.txt").write_text("=== user\n採点：{text}\n", encoding="utf-8")

    def answer(said: str) -> str:
        if said.startswith("採点"):
            return f"理由。[[{int(said.split('第')[1].split('話')[0]) / 2}]]"
        return the_text(said)

    steps = [
        {"name": "scored", "ask": {"prompt": "score-v1.txt", "answer": "score"}},
        {"name": "medium", "rules": [{"signal": "scored_score", "min": 2, "less_than": 4}]},
        step(),
    ]
    with ScriptedServer(otherwise=model(answer)) as server:
        run = rewrite(out, written_recipe(place, steps, server.url))
    assert {row["scored_score"] for row in rows_of(run, "scored")} == {number / 2 for number in range(12)}
    assert all(row["text"] in TEXTS.values() and row["id"] in TEXTS for row in rows_of(run, "scored"))
    assert {row["scored_score"] for row in rows_of(run, "written")} == {2.0, 2.5, 3.0, 3.5}
    assert Counter(row["reason"] for row in rejects_of(run, "medium")) == {
        "too_low_scored_score": 4,
        "too_high_scored_score": 4,
    }


def test_the_report_shows_reasons_drift_and_pairs_and_runs_nothing_of_them(place):
    texts = TEXTS | {"evil": "<script>alert(1)</script>" + "紙を漉く。" * 20}
    out = made_out(place / "out", texts)
    with ScriptedServer(otherwise=model(lambda said: "短い" if "第3話" in said else the_text(said))) as server:
        run = rewrite(out, written_recipe(place, [step()], server.url))
    report = report_of(out, None, 30)
    (counts,) = report.steps
    assert counts.dropped == {"too_low_length_ratio": 1} and counts.rows_in == 13
    assert len(report.drift["written"]["length_ratio"]) == 5
    assert {pair.id for pair in report.pairs} == set(texts)
    write_page(place / "report.html", report)
    page = (place / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert all(folder.recipes for folder in list_folders(run.out)), "nothing of a rewriting is old"
