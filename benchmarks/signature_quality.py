"""How good signatures are: the error of the estimated Jaccard index, and the share of pairs found against theory.

    python -m benchmarks.signature_quality [--plot docs/signature-curve.svg]

A pair is two texts of random kanji with a common beginning, whose length sets the Jaccard index of their 5-grams; the
truth is counted on sets of substrings in plain Python. First, the root mean square error of estimates over pairs from
0 to 1, ours beside datasketch's at the same number of permutations, with other permutations in every round. Then,
presets' bands: pairs of a few similarities, how many share a band, and how many should (1 - (1 - s^r)^b at each pair's
true s). Exits with 1 when our error is over datasketch's by more than chance, or the pairs found are not theory's.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasketch import MinHash

from benchmarks.curve_plot import Curve, plot
from dedup.minhash import PRESETS, MinHashParameters, band_hashes, probability_of_candidate, signatures

LENGTHS = (400, 2_000)
PAIRS = 400
ROUNDS = 5
CURVE_PAIRS = 1_000
SIMILARITIES = np.arange(0.4, 1.0, 0.025)
NGRAM = 5
# A sum of that many standard deviations from what is expected is not called chance.
DEVIATIONS = 4.0
KANJI = np.arange(0x4E00, 0x4E00 + 3_000, dtype="<u4")


def pair(similarity: float, letters: int, random: np.random.Generator) -> tuple[str, str, float]:
    """Two texts of so many letters with about this Jaccard index of their 5-grams, and their true one."""
    windows = letters - NGRAM + 1
    shared = round(2 * windows * similarity / (1 + similarity))
    common = shared + NGRAM - 1 if shared else 0
    drawn = random.choice(KANJI, common + 2 * (letters - common))
    text = drawn.tobytes().decode("utf-32-le")
    left, right = text[:letters], text[:common] + text[letters:]
    return left, right, true_jaccard(left, right)


def true_jaccard(left: str, right: str) -> float:
    first, second = ({text[start : start + NGRAM] for start in range(len(text) - NGRAM + 1)} for text in (left, right))
    return len(first & second) / len(first | second)


def pairs(similarities: np.ndarray, letters: int, seed: int) -> tuple[pa.Array, pa.Array, np.ndarray]:
    random = np.random.default_rng([seed, letters])
    made = [pair(similarity, letters, random) for similarity in similarities.tolist()]
    left, right, truth = zip(*made, strict=True)
    return pa.array(left), pa.array(right), np.array(truth)


def ours(texts: pa.Array, parameters: MinHashParameters) -> np.ndarray:
    return signatures(texts, parameters)[0]


def theirs(texts: pa.Array, parameters: MinHashParameters) -> np.ndarray:
    shingles = [
        [text[start : start + NGRAM].encode() for start in range(len(text) - NGRAM + 1)] for text in texts.to_pylist()
    ]
    made = MinHash.bulk(shingles, num_perm=parameters.permutations, seed=parameters.seed)
    return np.array([each.hashvalues for each in made])


def errors() -> bool:
    """Print root mean square errors; whether ours are no greater than datasketch's, but for chance."""
    parameters = PRESETS["swallow"]
    good = True
    print(f"Root mean square error of the estimated Jaccard index, {PAIRS} pairs from 0 to 1, {ROUNDS} rounds")
    print("| letters | permutations | ours | datasketch | theory | ours / datasketch | of rounds |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for letters in LENGTHS:
        squares: dict[str, list[float]] = {"ours": [], "datasketch": [], "theory": []}
        for turn in range(ROUNDS):
            chosen = replace(parameters, seed=turn + 1)
            left, right, truth = pairs(np.linspace(0, 1, PAIRS), letters, turn)
            for name, sign in (("ours", ours), ("datasketch", theirs)):
                estimate = (sign(left, chosen) == sign(right, chosen)).mean(axis=1)
                squares[name].append(float(((estimate - truth) ** 2).mean()))
            squares["theory"].append(float((truth * (1 - truth)).mean() / chosen.permutations))
        error = {name: math.sqrt(np.mean(values)) for name, values in squares.items()}
        ratios = np.sqrt(np.array(squares["ours"]) / np.array(squares["datasketch"]))
        ratio = error["ours"] / error["datasketch"]
        print(
            f"| {letters:,} | {parameters.permutations} | {error['ours']:.5f} | {error['datasketch']:.5f} "
            f"| {error['theory']:.5f} | {ratio:.3f} | {ratios.min():.2f} to {ratios.max():.2f} |"
        )
        # The root of a mean over n squares of normal errors has a relative deviation of 1 / sqrt(2n), twice here.
        good &= ratio < 1 + DEVIATIONS / math.sqrt(PAIRS * ROUNDS)
    return good


def found_curve(name: str, letters: int) -> tuple[bool, list[float], list[float]]:
    """Print found pairs beside theory; whether their numbers agree, the true similarities and the shares found."""
    parameters = PRESETS[name]
    expected_of_all = found_of_all = variance_of_all = 0.0
    worst, truths, shares = 0.0, [], []
    for similarity in SIMILARITIES.tolist():
        left, right, truth = pairs(np.full(CURVE_PAIRS, similarity), letters, round(similarity * 1_000))
        found = (band_hashes(left, parameters)[0] == band_hashes(right, parameters)[0]).any(axis=1).sum()
        chances = np.array([probability_of_candidate(value, parameters) for value in truth.tolist()])
        expected, variance = chances.sum(), (chances * (1 - chances)).sum()
        worst = max(worst, abs(found - expected) / math.sqrt(max(variance, 1.0)))
        expected_of_all, found_of_all = expected_of_all + expected, found_of_all + found
        variance_of_all += variance
        truths.append(float(truth.mean()))
        shares.append(float(found) / CURVE_PAIRS)
    off = (found_of_all - expected_of_all) / math.sqrt(variance_of_all)
    theory = f"{expected_of_all:,.0f} ± {math.sqrt(variance_of_all):.0f}"
    print(
        f"| {name} | {parameters.bands} × {parameters.rows} | {letters:,} | {len(truths) * CURVE_PAIRS:,} "
        f"| {found_of_all:,.0f} | {theory} | {off:+.1f} | {worst:.1f} |"
    )
    return abs(off) < DEVIATIONS and worst < DEVIATIONS, truths, shares


def curves() -> tuple[bool, list[Curve]]:
    good, drawn = True, []
    print(f"\nPairs that share a band, {CURVE_PAIRS} of each of {len(SIMILARITIES)} similarities")
    print("| preset | bands × rows | letters | pairs | found | theory | off by, deviations | worst similarity |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name, parameters in PRESETS.items():
        line = np.linspace(SIMILARITIES[0], 1, 200).tolist()
        theory = [probability_of_candidate(value, parameters) for value in line]
        points = []
        for letters in LENGTHS:
            holds, truths, shares = found_curve(name, letters)
            good &= holds
            points.append((f"{letters:,} letters", list(zip(truths, shares, strict=True))))
        label = f"{name} ({parameters.bands} × {parameters.rows})"
        drawn.append(Curve(label, list(zip(line, theory, strict=True)), points))
    return good, drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    good = errors()
    hold, drawn = curves()
    if arguments.plot:
        arguments.plot.write_text(plot(drawn, "Jaccard index", "share of pairs found"), encoding="utf-8")
    return 0 if good and hold else 1


if __name__ == "__main__":
    sys.exit(main())
