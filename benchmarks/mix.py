"""Mixing two releases of made-up texts by tokens, beside `datasets.interleave_datasets` on the same rows.

    python -m benchmarks.mix [--rows 200000] [--rounds 3]

Both write a mix of 70 % and 30 % to Parquet, in a process of their own each time, taking turns. The library draws rows
by chance, with probabilities that come to these shares by the sources' mean tokens. It is given its Arrow cache, and we
our counts; it compresses as it does by itself, and we with zstd. Told are processor seconds, memory, and how far shares
of tokens are off in beginnings of the mix.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import TableWriter
from pipeline.release.keys import file_index, row_keys
from pipeline.release.manifest import Config, File, Manifest, Policy, write_manifest

SHARES = {"short": 0.7, "long": 0.3}
# Of so many rows one, and letters of each.
LENGTHS = {"short": (1, 400), "long": (4, 1600)}
FILES = 4
SEED = 1
BEGINNINGS = (0.001, 0.01, 0.1, 1.0)


def made_up(random: np.random.Generator, rows: int, letters: int) -> pa.Array:
    """Texts of so many letters out of 4,096 kanji, some of which are much more frequent than others."""
    code = 0x4E00 + (4096 * random.random((rows, letters)) ** 3).astype(np.uint32)
    written = np.stack([0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F], axis=-1).astype(np.uint8)
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(3 * letters)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(written))


def make_release(folder: Path, name: str, rows: int, letters: int) -> None:
    """A release of made-up documents of so many letters each."""
    random = np.random.default_rng(letters)
    ids = pa.array([f"{name}-{number}" for number in range(rows)])
    keys = row_keys(ids, SEED)
    order = np.argsort(keys)
    made = []
    for index in range(FILES):
        mine = order[file_index(keys[order], FILES) == index]
        path = f"data/{name}/train-{index:05d}-of-{FILES:05d}.parquet"
        with TableWriter(folder / path, pa.schema([("id", pa.string()), ("text", pa.string())])) as out:
            for start in range(0, len(mine), 4096):
                chosen = ids.take(pa.array(mine[start : start + 4096]))
                out.write(pa.record_batch([chosen, made_up(random, len(chosen), letters)], schema=out.schema))
        made.append(
            File(path=path, config=name, split="train", rows=out.rows, characters=0, bytes=out.bytes, sha256=out.digest)
        )
    manifest = Manifest(
        name=name, date=datetime.date(2026, 1, 1), kamisuki="0", seed=SEED, validation=0.0, by=[],
        policy=Policy(license_tiers=None, refused_consent=False), tasks=[],
        configs=[Config(name=name, task=name, cells=[name])], files=made,
    )  # fmt: skip
    write_manifest(folder, manifest)


def make_tokenizer(path: Path) -> None:
    """A byte-level BPE tokenizer of the texts themselves: they are of no language."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=6000, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    (text,) = made_up(np.random.default_rng(SEED), 1, 200_000).to_pylist()
    # A letter at a time: no two letters belong together in these texts.
    tokenizer.train_from_iterator(iter(text), trainer)
    tokenizer.save(str(path))


def ours(work: Path, to: Path, budget: int) -> None:
    """Count what is not counted yet, and mix."""
    from pipeline.mix_run import make_mix
    from pipeline.progress import Progress
    from pipeline.runner import InProcessRunner

    sources = [{"name": name, "release": str(work / name), "weight": share} for name, share in SHARES.items()]
    manifest = work / f"mix-{budget}.yaml"
    manifest.write_text(
        json.dumps({"name": "mix", "tokenizer": "tokenizer.json", "budgets": [budget], "sources": sources})
    )
    with open(work / "progress.txt", "a") as stream:
        make_mix(manifest, to, InProcessRunner(), Progress(stream=stream))


def theirs(work: Path, to: Path, probabilities: list[float]) -> None:
    """Interleave rows by chance until a source ends, and write them."""
    from datasets import interleave_datasets

    mixed = interleave_datasets([_loaded(work, name) for name in SHARES], probabilities=probabilities, seed=SEED)
    to.mkdir()
    mixed.to_parquet(str(to / "train.parquet"))


def _loaded(work: Path, name: str) -> Any:
    from datasets import load_dataset

    files = sorted(map(str, (work / name).glob("data/*/*.parquet")))
    return load_dataset("parquet", data_files=files, split="train", cache_dir=str(work / "cache"))


def measured(*arguments: Any) -> dict[str, float]:
    """What a side used in a process of its own: processor seconds of its work, and its largest memory in bytes."""
    command = [sys.executable, "-m", "benchmarks.mix", "--side", *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(found.stderr)
    return dict(json.loads(found.stdout.splitlines()[-1]))


class Memory(threading.Thread):
    """Watches the memory that this process has taken for itself, which its mapped files are not part of (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            self.most = max(self.most, int(status.partition("RssAnon:")[2].split()[0]) * 1024)
            time.sleep(0.02)


def side(name: str, work: Path, to: Path, rest: list[str]) -> None:
    """One side's work, with what it used printed as JSON."""
    if name == "ours":
        import pipeline.mix_run  # noqa: F401 - what is imported is not measured
    else:
        import datasets  # noqa: F401
    memory = Memory()
    memory.start()
    started = time.process_time()
    if name == "ours":
        ours(work, to, int(rest[0]))
    elif name == "cache":
        for source in SHARES:
            _loaded(work, source)
    else:
        theirs(work, to, [float(each) for each in rest])
    seconds = time.process_time() - started
    print(json.dumps({"seconds": seconds, "bytes": memory.most}))


def off(folder: Path, tokens: dict[str, int]) -> dict[float, float]:
    """How far the share of `short` is off, in points, in beginnings of a mix."""
    rows = pa.concat_tables([pq.read_table(path, columns=["id"]) for path in sorted(folder.rglob("*.parquet"))])
    ids = rows.column("id").to_pylist()
    count = np.array([tokens[identity] for identity in ids], np.int64)
    short = np.array([identity.startswith("short") for identity in ids])
    places = [max(1, int(len(ids) * part)) for part in BEGINNINGS]
    shares = [count[:place][short[:place]].sum() / count[:place].sum() for place in places]
    return {part: 100 * (share - SHARES["short"]) for part, share in zip(BEGINNINGS, shares, strict=True)}


def all_tokens(work: Path) -> dict[str, int]:
    """The tokens of every row by its id, from the releases' counts."""
    found: dict[str, int] = {}
    for name in SHARES:
        (folder,) = (work / name / ".local").glob("tokens-*")
        for path in sorted((work / name).glob("data/*/*.parquet")):
            ids = pq.read_table(path, columns=["id"]).column("id").to_pylist()
            counts = pq.read_table(folder / f"{name}.{path.name}", columns=["tokens"]).column("tokens").to_pylist()
            found |= dict(zip(ids, counts, strict=True))
    return found


def compare(work: Path, rows: int, rounds: int) -> None:
    """Make releases, count, and let both sides take turns."""
    for name, (share_of_rows, letters) in LENGTHS.items():
        make_release(work / name, name, rows // share_of_rows, letters)
    make_tokenizer(work / "tokenizer.json")
    counting = measured("ours", work, work / "first", 1000)
    tokens = all_tokens(work)
    total = sum(tokens.values())
    size = 3 * sum(rows // part * letters for part, letters in LENGTHS.values())
    print(f"{len(tokens):,} rows, {size / 1e6:,.0f} MB of text, {total:,} tokens")
    print(
        f"counting: {counting['seconds']:.1f} s, {total / counting['seconds'] / 1e6:.2f} M tokens/s, "
        f"{size / counting['seconds'] / 1e6:.1f} MB/s of text"
    )
    cache = measured("cache", work, work / "nothing")
    budget = int(sum(count for name, count in tokens.items() if name.startswith("short")) * 0.95 / SHARES["short"])
    sizes = {name: [count for row, count in tokens.items() if row.startswith(name)] for name in SHARES}
    weights = [share / statistics.mean(sizes[name]) for name, share in SHARES.items()]
    probabilities = [weight / sum(weights) for weight in weights]
    tenth = measured("ours", work, work / "tenth", budget // 10)
    print(f"a mix of a tenth of the budget: {tenth['bytes'] / 1e6:,.0f} MB of memory")
    used: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    made: dict[str, Path] = {}
    for turn in range(rounds):
        for name, rest in (("ours", [budget]), ("theirs", probabilities)):
            if turn:
                shutil.rmtree(made[name])
            made[name] = work / f"{name}-{turn}"
            used[name].append(measured(name, work, made[name], *rest))
    for name, label in (("ours", "kamisuki mix"), ("theirs", "interleave_datasets")):
        count = sum(tokens[row] for path in made[name].rglob("*.parquet")
                    for row in pq.read_table(path, columns=["id"]).column("id").to_pylist())  # fmt: skip
        seconds = statistics.median(each["seconds"] for each in used[name])
        memory = max(each["bytes"] for each in used[name])
        shares = ", ".join(f"{100 * part:g} %: {points:+.3f}" for part, points in off(made[name], tokens).items())
        print(f"{label}: {seconds:.1f} s, {count / seconds / 1e6:.2f} M tokens/s, {memory / 1e6:,.0f} MB of memory")
        print(f"  points off in the first {shares}")
    print(f"besides, datasets made its Arrow cache in {cache['seconds']:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", nargs="+")
    given = parser.parse_args()
    if given.side:
        name, work, to, *rest = given.side
        side(name, Path(work), Path(to), rest)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), given.rows, given.rounds)


if __name__ == "__main__":
    main()
