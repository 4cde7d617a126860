"""Fuzzing the page reader and main text: pages mutated for some seconds, with bounds checks in the compiled code.

    python tests/web/fuzz_reader.py --seconds 60 --seed 1 [--pages FOLDER]

Mutated are the project's own pages, or those of a folder. What must hold of every page's arrays must hold of these. A
page that fails is written to fuzz-reader-failure.html in the working directory, and the seed is printed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

# Numba keeps checked and unchecked code under the same name, and code that calls what has changed since: a cache of
# its own, new each time, before anything is compiled.
os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="kamisuki-checked-code-")

from mutations import OWN_PAGE, OWN_PAGES, check, mutated, seeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages", type=Path, default=OWN_PAGES, help="a folder of pages to mutate beside the own one")
    options = parser.parse_args()
    pages = seeds(options.pages)
    chance = random.Random(options.seed)
    check(OWN_PAGE)
    ends = time.monotonic() + options.seconds
    number = 0
    while time.monotonic() < ends:
        html = mutated(chance.choice(pages), chance.choice(pages), chance)
        try:
            check(html)
        except BaseException:
            Path("fuzz-reader-failure.html").write_bytes(html.encode("utf-8", "surrogatepass"))
            print(f"seed {options.seed}, page {number}: see fuzz-reader-failure.html")
            raise
        number += 1
    print(f"seed {options.seed}: {number} pages of {len(pages)} mutated, all held")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(os.environ["NUMBA_CACHE_DIR"])
