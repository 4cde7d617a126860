"""The peers of benchmarks/signature_speed.py, each in an environment of its own that takes turns by command.

    PYTHON benchmarks/signature_peers.py NAME TEXTS.json

A peer says {"ready": version} or {"missing": why}; then each line that comes in makes it sign all texts once and say
{"seconds": s}, its processor time. It uses no module of the project, as its environment has none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

BANDS, ROWS, NGRAM = 40, 20, 5
Sign = Callable[[], object]


def shingles(text: str) -> set[str]:
    return {text[start : start + NGRAM] for start in range(len(text) - NGRAM + 1)}


def rensa(texts: list[str]) -> Sign:
    """Its batch call that holds all signatures in one matrix, on character 5-grams."""
    from rensa import RMinHash

    return lambda: RMinHash.digest_matrix_from_token_sets([shingles(text) for text in texts], BANDS * ROWS, 1)


def text_dedup(texts: list[str]) -> Sign:
    """Its signature of a record, made of words: letters get spaces between them, so that each is a word."""
    import numpy as np
    from text_dedup.minhash import embed_func
    from text_dedup.utils import xxh3_32hash

    most, prime = np.uint32((1 << 32) - 1), np.uint32((1 << 32) - 5)
    random = np.random.RandomState(42)
    permutations = (
        random.randint(1, prime, size=BANDS * ROWS, dtype=np.uint32),
        random.randint(0, prime, size=BANDS * ROWS, dtype=np.uint32),
    )
    ranges = [(band * ROWS, (band + 1) * ROWS) for band in range(BANDS)]
    return lambda: [
        embed_func(
            " ".join(text), 0, num_perm=BANDS * ROWS, ngram_size=NGRAM, min_length=0, hashranges=ranges,
            permutations=permutations, hash_func=xxh3_32hash, dtype=np.uint32, max_hash=most, modulo_prime=prime,
        )
        for text in texts
    ]  # fmt: skip


def datatrove(texts: list[str]) -> Sign:
    """Its signature step for Japanese: simplified text, words by spaCy and SudachiPy, 5-grams of words."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.typeshelper import Languages

    config = MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS)
    step = MinhashDedupSignature(output_folder="/dev/null", config=config, language=Languages.japanese)
    return lambda: [step.get_signature(step.get_shingles(text)) for text in texts]


PEERS = {"rensa": (rensa, "rensa"), "text-dedup": (text_dedup, "text-dedup"), "datatrove": (datatrove, "datatrove")}


def main(name: str, texts: list[str]) -> None:
    prepare, distribution = PEERS[name]
    try:
        sign = prepare(texts)
        sign()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    print(json.dumps({"ready": version(distribution)}), flush=True)
    for _ in sys.stdin:
        started = time.process_time()
        sign()
        print(json.dumps({"seconds": time.process_time() - started}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
