"""`kamisuki rewrite` is killed again and again: each document ends in one row or one reason, none is paid twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from pipeline.files import read_json
from tests.pipeline.conftest import ENVIRONMENT
from tests.pipeline.rewriting_runs import made_out, model, written_recipe
from tests.rewriting.scripted_server import Behaviour, ScriptedServer, slowly

TEXTS = {
    f"d{number:03}": f"第{number}話。冬の朝から紙を漉き、春になれば板に張って乾かします。" for number in range(240)
}
PROMPTS = {"first-v1.txt": "=== user\n書き直す：{text}\n", "second-v1.txt": "=== user\n短くする：{text}\n"}
LENGTH = [{"signal": "length_ratio", "min": 0.5, "source": "the test"}]


def answers_slowly(said: str) -> str:
    """Most are written anew; every tenth comes to nothing, which the check rejects."""
    return "紙。" if "0話" in said else said.partition("：")[2].replace("紙", "和紙")


def kept(out: Path) -> set[str]:
    """Digests of the requests whose answers are committed."""
    found: set[str] = set()
    for path in out.glob("answers/*.sqlite"):
        connection = sqlite3.connect(path)
        try:
            found |= {key for (key,) in connection.execute("select key from answers")}
        except sqlite3.OperationalError:
            continue
        finally:
            connection.close()
    return found


def start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipeline.cli", "rewrite", str(recipe), "--out", str(out), "--workers", "0"]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(out: Path, table: str) -> list[dict]:
    folder = out / read_json(out / "run.json")["rewriting"]["mine"]["tables"][table]
    return ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table().to_pylist()


def after_a_while(behaviour: Behaviour) -> Behaviour:
    wait = slowly(0.03)

    async def behave(request, payload):
        await wait(request, payload)
        return await behaviour(request, payload)

    return behave


@pytest.mark.slow
def test_kill_nine_in_the_middle_of_a_rewriting_run(tmp_path):
    for name, prompt in PROMPTS.items():
        (tmp_path / name).write_text(prompt, encoding="utf-8")
    steps = [
        {"name": name, "ask": {"prompt": prompt}, "checks": ["length"], "rules": LENGTH}
        for name, prompt in zip(("first", "second"), PROMPTS, strict=True)
    ]
    out = made_out(tmp_path / "out", TEXTS, shards=1)
    not_committed = []
    with ScriptedServer(otherwise=after_a_while(model(answers_slowly))) as server:
        client = {"endpoints": [{"url": server.url}], "in_flight": 4}
        recipe = written_recipe(tmp_path, steps, client=client)
        for wanted in (40, 200, 330):
            process = start(recipe, out)
            while len(kept(out)) < wanted and process.poll() is None:
                time.sleep(0.01)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                not_committed.append(len(server.asked) - len(kept(out)))
            process.communicate()
        assert len(not_committed) >= 2, "too few kills met a run at work"
        final = start(recipe, out)
        printed, _ = final.communicate()
        assert final.returncode == 0, printed
        # What is asked twice was on its way when a run was killed: a committed answer is never asked for again.
        assert sum(times - 1 for times in server.asked.values()) <= sum(not_committed)
        repeated = start(recipe, out)
        asked_before = sum(server.asked.values())
        assert repeated.wait() == 0 and sum(server.asked.values()) == asked_before
    first, second = rows(out, "rewritten_mine_first"), rows(out, "rewritten_mine_second")
    dropped = rows(out, "rejects_mine_first") + rows(out, "rejects_mine_second")
    for ended in (second, dropped):
        assert ended
    sources = [row["source_ids"][0] for row in second]
    assert len(sources) == len(set(sources)) and len({row["id"] for row in second}) == len(second)
    ids_of_first = {row["id"]: row["source_ids"][0] for row in first}
    lost = [ids_of_first.get(row["id"], row["id"]) for row in dropped]
    assert sorted(sources + lost) == sorted(TEXTS)
