"""A run's way to the Hub and back: released, verified, exported, mixed, pushed, loaded; then a host is taken down.

    python -m benchmarks.release_round_trip OUT --work FOLDER [--host NAME] [--workers N]

OUT is a finished run. The Hub is the stand-in of the tests, on loopback. What is searched for, in every file as it lies
and unpacked, is a line of the text of each row of the host that stands in no row of another. Exits with 1 where rows
come back otherwise, where anything of the host is left, or where a file without rows of it has changed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml

from pipeline.takedown_list import comparable_host
from tests.release.hub import TOKEN, Hub, serving
from tests.release.searching import holding

REPO = "owner/round-trip"
LOAD = """
import datasets, json, sys
rows = [[row[name] for name in ("id", "url", "text", "license", "warc_offset")]
        for part in datasets.load_dataset(sys.argv[1], sys.argv[2]).values() for row in part]
print(json.dumps(sorted(rows, key=str)))
"""
# The list that keeps the host out names it; it is not published.
LISTS = {".local/takedowns.jsonl"}
EXPORTS = ("jsonl", "text", "megatron", "nanotron")


ON_RAY = ("release", "export", "mix", "takedown")
WORKERS: list[str] = []


class Failed(Exception):
    """Something is not as it must be."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Failed(what)
    print(f"  {what}: yes")


def timed(what: str, *command: str, **environment: str) -> None:
    """Run a kamisuki command and print its wall and CPU time, all its workers included."""
    started, before = time.monotonic(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *command, *(WORKERS if command[0] in ON_RAY else [])],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{what}: {time.monotonic() - started:.1f} s, CPU {cpu:.1f} s")
    if done.returncode:
        raise Failed(f"{what}: exit code {done.returncode}: {done.stderr[-500:]}")
    if what.startswith("takedown"):
        print("".join(f"  {line}\n" for line in done.stdout.splitlines()), end="")


def rows_of(place: Path, *columns: str) -> list[list[Any]]:
    """The rows of a release's files, sorted."""
    files = [str(path) for path in place.glob("data/*/*.parquet")]
    found = ds.dataset(files).to_table(columns=list(columns)).to_pylist()
    return sorted(([row[name] for name in columns] for row in found), key=str)


def files_of(place: Path) -> dict[str, bytes]:
    """What of a release or an export is there, without what concerns this copy alone."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and ".local" not in path.relative_to(place).parts
    }


def make_tokenizer(texts: list[str], path: Path) -> None:
    """A small byte-level tokenizer of some texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))


def make_everything(place: Path, work: Path) -> list[Path]:
    """Every export of a release, and a mix; their folders."""
    tokenizer = work / "tokenizer.json"
    texts = [text for (text,) in rows_of(place, "text")]
    make_tokenizer(texts[:2000], tokenizer)
    made = []
    for name in EXPORTS:
        tokens = ["--tokenizer", str(tokenizer), "--layout", name] if name in EXPORTS[2:] else []
        kind = "tokens" if tokens else name
        timed(f"export {name}", "export", str(place), "--to", str(work / name), "--as", kind, *tokens)
        made.append(work / name)
    manifest = {
        "name": "mix",
        "tokenizer": str(tokenizer),
        "sources": [{"name": "all", "release": str(place), "weight": 1}],
    }
    (work / "mix.yaml").write_text(yaml.safe_dump(manifest | {"budgets": ["100K"], "max_epochs": 1}))
    timed("mix", "mix", str(work / "mix.yaml"), "--to", str(work / "mix"))
    return [*made, work / "mix"]


def is_of(host: str | None, named: str) -> bool:
    name = comparable_host(host or "")
    return name == named or name.endswith(f".{named}")


def distinctive(place: Path, host: str) -> tuple[int, list[str]]:
    """How many rows a host has, and of each the longest line that no row of another host holds."""
    rows = rows_of(place, "host", "text")
    others = "\n".join(text for name, text in rows if not is_of(name, host))
    mine = [text for name, text in rows if is_of(name, host)]
    lines = [
        next((line for line in sorted(text.splitlines(), key=len, reverse=True) if line not in others), "")
        for text in mine
    ]
    return len(mine), sorted({line for line in lines if len(line) >= 20})


def load_back(hub: Hub, config: str, work: Path) -> list[Any]:
    """The rows that `datasets` loads from the stand-in."""
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(work / "hub-cache"),
        "HF_HUB_DISABLE_XET": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    shutil.rmtree(work / "hub-cache", ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", LOAD, REPO, config], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"datasets: {done.stderr[-500:]}")
    return list(json.loads(done.stdout.splitlines()[-1]))


def main(out: Path, work: Path, host: str | None) -> None:
    """The whole way."""
    place = work / "release"
    columns = ("id", "url", "text", "license", "warc_offset")
    timed("release", "release", str(out), "--to", str(place), "--shard-bytes", "300000")
    timed("verify", "verify", str(place))
    made = make_everything(place, work)
    config = json.loads((place / "release.json").read_text())["tasks"][0]["name"]
    named = host or Counter(name for (name,) in rows_of(place, "host") if name).most_common(1)[0][0]
    count, lines = distinctive(place, named)
    with serving() as hub:
        push = ("push", str(place), "--repo", REPO, "--endpoint", hub.url)
        timed("push", *push, HF_TOKEN=TOKEN)
        check(load_back(hub, config, work) == rows_of(place, *columns), "rows loaded back are the release's")
        before = {folder: files_of(folder) for folder in (place, *made)}
        held = {path.name: len(holding(path, lines, work / "tokenizer.json")) for path in before}
        files = sum(is_in(content, named) for name, content in before[place].items() if name.endswith(".parquet"))
        print(f"{named} and its subdomains: {count} rows in {files} of {len(before[place]) - 2} data files")
        print(f"{len(lines)} lines of theirs are searched for; files that hold one: {held}")
        timed("takedown", "takedown", str(place), "--hosts", named, "--reason", "asked for")
        timed("verify", "verify", str(place))
        for path, had in before.items():
            check(
                not holding(path, [*lines, f"//{named}"], work / "tokenizer.json") - LISTS,
                f"nothing is left in {path.name}",
            )
            now = files_of(path)
            same = sum(now.get(name) == content for name, content in had.items())
            print(f"  {path.name}: {same} of {len(had)} files are as they were, to the byte")
            if path == place:
                changed = {name for name in had if now.get(name) != had[name]} - {"README.md", "release.json"}
                check(len(changed) == files, f"only the {files} data files with rows of the host have changed")
        timed("push, history squashed", *push, "--squash-history", HF_TOKEN=TOKEN)
        blobs = work / "blobs"
        blobs.mkdir()
        for digest, content in hub.repos[REPO].lfs.items():
            (blobs / f"{digest}.parquet").write_bytes(content)
        check(not holding(blobs, lines), f"nothing is left in the {len(hub.repos[REPO].lfs)} large files of the Hub")
        check(load_back(hub, config, work) == rows_of(place, *columns), "rows loaded back are the release's")


def is_in(content: bytes, host: str) -> bool:
    return any(is_of(name, host) for name in pq.read_table(io.BytesIO(content), columns=["host"])["host"].to_pylist())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--host")
    parser.add_argument("--workers", type=int, help="Ray workers; 0 works in one process")
    given = parser.parse_args()
    WORKERS += ["--workers", str(given.workers)] if given.workers is not None else []
    given.work.mkdir(parents=True, exist_ok=True)
    try:
        main(given.out, given.work.absolute(), given.host)
    except Failed as failed:
        sys.exit(f"not so: {failed}")
