"""Set-up: compile every numba function once, so that workers start with a warm cache."""

from __future__ import annotations

import sys
import time

import pyarrow as pa

TEXTS = ["吾輩は紙漉き職人である。名前はまだない。コーヒーを飲み、紙を漉く。\n" * 3, "か\u3099短い", "", "Plain text."]


def warm() -> float:
    """Call every compiled function on small texts; returns the seconds that it took."""
    started = time.perf_counter()
    from dedup.components import candidate_edges, components
    from dedup.minhash import MinHashParameters, band_hashes, content_hashes
    from dedup.shingles import normalize_array
    from dedup.similarity import jaccard, shingle_set
    from filters.characters import kana_ratio
    from filters.ng_words import NgWordMatcher
    from filters.signals import measure
    from pipeline.candidates import URL_KEY, mixed
    from pipeline.web.charset import decode
    from pipeline.web.gate import may_be_japanese
    from pipeline.web.page import read_page

    texts = pa.array(TEXTS)
    for kind in (texts, texts.cast(pa.large_string())):
        measure(kind, None)
        measure(kind, NgWordMatcher(["名前"]))
        normalised = normalize_array(kind)
        band_hashes(normalised, MinHashParameters(bands=2, rows=2))
        hashes = content_hashes(normalised)
    left, right = candidate_edges(mixed(hashes, URL_KEY), hashes)
    components(left, right)
    sets = [shingle_set(text, 5) for text in TEXTS]
    jaccard(sets[0], sets[1])
    kana_ratio(TEXTS[0])
    for charset in ("utf-8", "cp932", "euc-jp", "iso-2022-jp"):
        body = TEXTS[0].encode(charset)
        may_be_japanese(body, None, None)
        decode(body, None)
        decode(body + b"\xff", None)
    page = read_page("<title>紙</title><a href='/?a=1&amp;b=2'>漉く</a><!-- --><script></script>")
    page.visible_text()
    page.attributes_of(int(page.find("a")[0]))
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.stderr.write(f"compiled functions are ready ({warm():.1f} s)\n")
