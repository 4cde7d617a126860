"""Set-up: compile every numba function once, so that workers start with a warm cache, and remove stale code before.

    python -m pipeline.warm

`make setup`, and each target that runs the pipeline or its tests, does this; it takes seconds where nothing changed.
"""

from __future__ import annotations

import gzip
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.compiled import remove_stale

TEXTS = ["吾輩は紙漉き職人である。名前はまだない。コーヒーを飲み、紙を漉く。\n" * 3, "か\u3099短い", "", "Plain text."]

PAGE = """<!DOCTYPE html><html lang=ja><head><title>紙を漉く - 紙の里</title><meta name=author content="里見">
<link rel=license href="https://creativecommons.org/licenses/by/4.0/"><meta name=robots content=noai>
<script type="application/ld+json">{"@type": "Article", "headline": "紙を漉く", "datePublished": "2024-05-13"}</script>
</head><body><nav><a href="/?a=1&amp;b=2">入口</a></nav><!-- --><article><h1>紙を漉く</h1><time>2024年5月13日</time>
<p>吾輩は<ruby>紙漉<rp>（</rp><rt>かみす</rt><rp>）</rp></ruby>き職人である。冬の朝から&amp;晩まで、水の中で紙を漉く。</p>
<pre>while water:\n    dip()</pre><table><tr><th>月<th>枚<tr><td>一月<td>八百<tr><td>二月<td>七百</table>
<p hidden>春になれば板に張って乾かす。</p></article><script></script></body></html>"""

# Says nothing of itself in its head, so that author and date are looked for in its body.
BARE_PAGE = (
    "<h1>紙を漉く</h1><p class=byline>文：里見</p><p class=date>公開日 2024年5月13日</p><p>水の中で紙を漉く。</p>"
)


def warm() -> float:
    """Call every compiled function on small texts; returns the seconds that it took."""
    started = time.perf_counter()
    from dedup.minhash import MinHashParameters, band_hashes, content_hashes
    from dedup.normalise import normalize_array
    from dedup.resolve import EXACT, resolve
    from dedup.shingle_store import ShingleStore, shingle_sets
    from dedup.shingles import mix
    from dedup.similarity import jaccard, shingle_set
    from filters.characters import kana_ratio
    from filters.groups import EXAMPLES, make_group
    from filters.ng_words import NgWordMatcher
    from filters.segmenters import make_segmenter
    from filters.signals import measure
    from filters.text_buffers import code_points
    from filters.url_lists import hashes_of
    from pipeline.proposals import URL_KEY, mixed
    from pipeline.web.charset import decode
    from pipeline.web.consent.page_signals import find_consent
    from pipeline.web.gate import may_be_japanese
    from pipeline.web.language import identify
    from pipeline.web.license import find_license
    from pipeline.web.main_text import extract
    from pipeline.web.metadata import read_metadata
    from pipeline.web.page import read_page
    from pipeline.web.usual_record import read_usual_record, room_for_places
    from pipeline.web.warc_fast import read_sound_members

    texts = pa.array(TEXTS)
    for kind in (texts, texts.cast(pa.large_string())):
        measure(kind, None)
        measure(kind, NgWordMatcher(["名前"]))
        for group in ("lines", "words", "script_words"):
            make_group(group, EXAMPLES[group]).measure(pa.RecordBatch.from_arrays([kind], names=["text"]))
        normalised = normalize_array(kind)
        band_hashes(normalised, MinHashParameters(bands=2, rows=2))
        hashes = content_hashes(normalised)
    # A text alone, as words of models and of datatrove's filters are.
    codes = code_points(TEXTS[0])
    make_segmenter(EXAMPLES["words"]).spans(TEXTS[:1], codes, np.array([0, len(codes)], dtype=np.int64))
    hashes_of(b"kami.example\n")
    mixed(hashes, URL_KEY)
    # Arrays, tables, and columns of a table.
    pairs = np.stack([hashes, hashes], axis=1)
    for numbers in (hashes, pairs, pairs[:, 0]):
        mix(numbers)
    sets = [shingle_set(text, 5) for text in TEXTS]
    jaccard(sets[0], sets[1])
    with ShingleStore(Path("."), 1_000_000) as store:
        store.add(*shingle_sets(normalize_array(texts), 5))
        edges = store.edges()
        sizes = np.diff(edges)
        keys = {EXACT: hashes.reshape(-1, 1)}
        resolve(lambda wanted: store.load(edges[:-1][wanted], sizes[wanted]), sizes, keys, 0.8)
    kana_ratio(TEXTS[0])
    identify(TEXTS[0])
    for charset in ("utf-8", "cp932", "euc-jp", "iso-2022-jp"):
        body = TEXTS[0].encode(charset)
        may_be_japanese(body, None, None)
        decode(body, None)
        decode(body + b"\xff", None)
    # Few kana, so that what a page declares of itself is looked at.
    may_be_japanese("<html lang=ja><title>紙の里</title>".encode(), None, None)
    read_usual_record(b"WARC/1.0\r\n", 0, room_for_places())
    list(read_sound_members(BytesIO(gzip.compress(b"WARC/1.0\r\n")), 1))
    page = read_page(PAGE)
    page.visible_text()
    page.attributes_of(int(page.find("a")[0]))
    find_license(page, {})
    find_consent(page, {})
    read_metadata(page, "https://kami.example/2024/05/13/", None)
    read_metadata(read_page(BARE_PAGE), None, None)
    for tables in ("rows", "markdown", "dropped"):
        extract(page, tables=tables)
    extract(page, ruby="parentheses", headline="dropped")
    return time.perf_counter() - started


if __name__ == "__main__":
    remove_stale()
    sys.stderr.write("compiling what is new: minutes the first time, seconds later\n")
    sys.stderr.flush()
    sys.stderr.write(f"compiled functions are ready ({warm():.1f} s)\n")
