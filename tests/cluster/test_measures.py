"""What the chaos and leak tests measure with: plans of faults repeat, differences are seen, growth is called growth."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from pipeline.files import file_digest
from tests.cluster import chaos, leak
from tests.cluster.faults import EACH_RUN, plan_faults
from tests.cluster.leak import MOST_GROWTH, Sample, growth
from tests.cluster.outcome import outcome_of
from tests.pipeline.conftest import ROOT, SAMPLE, execute


def test_a_seed_decides_the_faults_and_no_run_lacks_a_kind():
    plans = [plan_faults(seed) for seed in range(1, 11)]
    assert plans == [plan_faults(seed) for seed in range(1, 11)]
    assert len({tuple(fault.kind for fault in plan) for plan in plans}) > 5
    for plan in plans:
        assert EACH_RUN.items() <= Counter(fault.kind for fault in plan).items()
    assert sum(map(len, plans)) >= 100


def samples(slope: float, noise: float) -> list[Sample]:
    chance = random.Random(7)
    return [
        Sample(
            run,
            1,
            400 + 30 * min(run, 4) + slope * 400 * run + chance.uniform(-noise, noise),
            600,
            40 + int(slope * 100 * run),
            300,
            30,
            0,
        )
        for run in range(1, 21)
    ]


def test_growth_is_told_from_noise_and_from_warming_up():
    still, leaking = samples(0, 3), samples(0.01, 3)
    assert all(growth(still, measure)["flat"] for measure in MOST_GROWTH)
    assert not growth(leaking, "worker_mb")["flat"] and not growth(leaking, "worker_files")["flat"]
    assert not growth(samples(0, 300), "worker_mb")["flat"], "noise that hides a leak is no proof that there is none"


RECORDS = ROOT / "docs" / "reliability"
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_tables_of_the_documentation_are_those_of_the_recorded_runs():
    runs = chaos.read_records(RECORDS / "chaos.jsonl")
    assert chaos.table(runs) in PAGE
    assert len({run["seed"] for run in runs}) == len(runs) >= 10
    assert sum(len(run["faults"]) for run in runs) >= 100
    assert not [run["differences"] for run in runs if run["differences"]]
    assert leak.table(leak.read_samples(RECORDS / "leak.jsonl")) in PAGE


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    execute(folder, [SAMPLE], last="annotate")
    return folder


def test_an_outcome_shows_another_byte_another_count_and_a_file_that_is_too_many(out):
    whole = outcome_of(out)
    assert whole.tables and whole.wrong() == [] and whole.differences(outcome_of(out)) == []
    table = next(out.glob("signals-*/*.parquet"))
    entry = next(out.glob("signals-*/*.ledger.json"))
    kept = table.read_bytes(), entry.read_text()
    try:
        table.write_bytes(kept[0] + b"x")
        changed = outcome_of(out)
        assert len(whole.differences(changed)) == 1 and len(changed.wrong()) == 1
        assert file_digest(table) == changed.tables[str(table.relative_to(out))]
        table.write_bytes(kept[0])
        counts = json.loads(kept[1])
        entry.write_text(json.dumps({**counts, "read": counts["read"] + 1, "seconds": 99.0}))
        changed = outcome_of(out)
        (told,) = whole.differences(changed)
        assert told.endswith("differs in read") and len(changed.wrong()) == 1
    finally:
        table.write_bytes(kept[0])
        entry.write_text(kept[1])
    more = replace(whole, names=whole.names | {"left/behind"})
    assert whole.differences(more) == ["left/behind: only in one of the two"]
