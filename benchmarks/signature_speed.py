"""What a signature of 40 bands of 20 costs a Japanese text of 2,000 letters, beside what others offer.

    make bench-dedup DATA=…

All sides take turns in one run, one core each; peers from environments of their own (benchmarks/signature_peers.py).
The time is that of the processor, from texts to MinHash values or band keys. Ours includes normalising to NFKC, which
the others leave to the caller (datatrove: in part), and stands a second time without it. Character 5-grams all, but
datatrove's, which are of words.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import xxhash
from datasketch import MinHash

from dedup.minhash import PRESETS, band_hashes
from dedup.normalise import normalize_array

LETTERS = 2_000
NGRAM = 5
ROUNDS = 7
PARAMETERS = PRESETS["swallow"]
# Of datasketch, which leaves normalising to the caller, on normalised texts; of datatrove's step on texts as they are.
ASKED_NORMALISED, ASKED_WHOLE = {"datasketch, best": 150.0}, {"datatrove": 300.0}
# Texts of a turn, so that each side takes some tenths of a second.
TEXTS = {"datasketch": 50, "rensa": 200, "text-dedup": 50, "datatrove": 10}
OURS_AGAIN = 20

Turn = Callable[[], float]


def texts_of(data: Path) -> list[str]:
    """Texts of 2,000 letters, cut out of the main texts of Japanese pages, of which half are kana or kanji."""
    files = sorted([*(data / "dev/pages/ja").glob("*.txt"), *(data / "web").rglob("*.txt")])
    letters = "\n".join(path.read_text(encoding="utf-8") for path in files)
    texts = [letters[start : start + LETTERS] for start in range(0, len(letters) - LETTERS + 1, LETTERS)]
    return [text for text in texts if sum("\u3040" <= letter <= "\u9fff" for letter in text) >= LETTERS / 2]


def timed(work: Callable[[], object], texts: int) -> Turn:
    """Seconds of the processor for a text."""
    work()

    def turn() -> float:
        started = time.process_time()
        work()
        return (time.process_time() - started) / texts

    return turn


def own_sides(texts: list[str]) -> dict[str, Turn]:
    raw = pa.array(texts * OURS_AGAIN)
    normalised = normalize_array(raw)
    few = normalize_array(pa.array(texts[: TEXTS["datasketch"]])).to_pylist()

    def datasketch(**options: object) -> Turn:
        def sign() -> object:
            shingles = [[text[at : at + NGRAM].encode() for at in range(len(text) - NGRAM + 1)] for text in few]
            return MinHash.bulk(shingles, num_perm=PARAMETERS.permutations, **options)

        return timed(sign, len(few))

    return {
        "kamisuki": timed(lambda: band_hashes(normalize_array(raw), PARAMETERS), len(raw)),
        "kamisuki, normalised before": timed(lambda: band_hashes(normalised, PARAMETERS), len(raw)),
        "datasketch, best": datasketch(hashfunc=xxhash.xxh32_intdigest),
        "datasketch, defaults": datasketch(),
        "datasketch, scheme before 2.0": datasketch(scheme="legacy", hashfunc=xxhash.xxh32_intdigest),
    }


def peer(python: Path, name: str, texts: list[str], folder: Path) -> tuple[Turn | None, str]:
    """A side in another environment, and its version or why it is missing."""
    chosen = folder / f"{name}.json"
    chosen.write_text(json.dumps(texts[: TEXTS[name]]), encoding="utf-8")
    command = [str(python), str(Path(__file__).with_name("signature_peers.py")), name, str(chosen)]
    # Not closed: it ends with this process, whose pipe it reads.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=one_core()
    )
    assert process.stdin and process.stdout
    into, out = process.stdin, process.stdout
    said = json.loads(out.readline() or '{"missing": "it did not start"}')
    if "missing" in said:
        return None, f"missing: {said['missing']}"

    def turn() -> float:
        into.write("\n")
        into.flush()
        return float(json.loads(out.readline())["seconds"]) / TEXTS[name]

    return turn, said["ready"]


def _asked(limits: dict[str, float], name: str) -> str:
    return f" (asked: {limits[name]:g})" if name in limits else ""


def one_core() -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return os.environ | dict.fromkeys(names, "1")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True, help="Python with rensa and text-dedup")
    parser.add_argument("--datatrove", type=Path, required=True, help="Python with datatrove and its Japanese words")
    arguments = parser.parse_args()
    texts = texts_of(arguments.data)
    if not texts:
        raise SystemExit(f"{arguments.data} has no main texts of Japanese pages: give the test data's folder as DATA")
    sides, versions = own_sides(texts), {"datasketch": version("datasketch")}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("rensa", "text-dedup", "datatrove"):
            python = arguments.datatrove if name == "datatrove" else arguments.peers
            turn, versions[name] = peer(python, name, texts, Path(folder))
            if turn is not None:
                sides[name] = turn
    rounds = [{name: turn() for name, turn in sides.items()} for _ in range(ROUNDS)]
    print(f"{len(texts)} texts of {LETTERS:,} letters; " + ", ".join(f"{name} {is_}" for name, is_ in versions.items()))
    print("| side | µs a text | texts a second | kamisuki is faster, times | normalised before, times |")
    print("|---|---:|---:|---:|---:|")
    missed = False
    for name in sides:
        seconds = statistics.median(each[name] for each in rounds)
        times = statistics.median(each[name] / each["kamisuki"] for each in rounds)
        before = statistics.median(each[name] / each["kamisuki, normalised before"] for each in rounds)
        missed |= times < ASKED_WHOLE.get(name, 0) or before < ASKED_NORMALISED.get(name, 0)
        print(
            f"| {name} | {seconds * 1e6:,.1f} | {1 / seconds:,.0f} | {times:,.1f}{_asked(ASKED_WHOLE, name)} "
            f"| {before:,.1f}{_asked(ASKED_NORMALISED, name)} |"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
