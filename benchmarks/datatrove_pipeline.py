"""datatrove over WARC files with FineWeb-2's values for Japanese: the peer of benchmarks/against_datatrove.py.

    python benchmarks/datatrove_pipeline.py --warc FOLDER --out FOLDER --lid lid.176.ftz [--kana-first]

Runs in an environment of its own and imports nothing of this project. One task after the other in this process:
reading, trafilatura, language, FineWeb-2's filters, MinHash signatures, buckets, clusters, and Parquet at the end.
OUT/extracted has what extraction and language left, OUT/corpus what all of it left.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LambdaFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import ParquetReader, WarcReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.lid import FT176LID

LANGUAGE = "jpn_Jpan"
# huggingface/fineweb-2, configs/jpn_Jpan.yml. Its language score of 0.886 is for GlotLID, which no package carries:
# datatrove's own 0.65 stands for lid.176. Trafilatura's limit for a page is raised from 1 s, which a busy machine may
# need for itself.
STOP_WORDS = list("のにをはたてがとで年し・月れさ")
TOP_N_GRAMS = [(2, 0.239), (3, 0.196), (4, 0.172)]
DUPLICATE_N_GRAMS = [(5, 0.243), (6, 0.225), (7, 0.207), (8, 0.19), (9, 0.175), (10, 0.159)]
TIMEOUT_SECONDS = 10.0
KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
ENOUGH_KANA = 5


def has_kana(document: Any) -> bool:
    return len(KANA.findall(document.text)) >= ENOUGH_KANA


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warc", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lid", type=Path, required=True)
    parser.add_argument("--kana-first", action="store_true")
    options = parser.parse_args()
    FT176LID.MODEL_URL = str(options.lid)
    out = str(options.out)
    minhash = MinhashConfig(
        hash_config=HashConfig(hash_fc="xxhash", precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5
    )
    steps = {
        "extract": [
            WarcReader(str(options.warc), glob_pattern="*.warc.gz"),
            *([LambdaFilter(has_kana)] if options.kana_first else []),
            Trafilatura(favour_precision=True, timeout=TIMEOUT_SECONDS),
            LanguageFilter(languages=["ja"]),
            ParquetWriter(f"{out}/extracted"),
            GopherRepetitionFilter(
                language=LANGUAGE,
                dup_para_frac=0,
                dup_line_char_frac=0,
                dup_para_char_frac=0,
                dup_line_frac=0.328,
                top_n_grams=TOP_N_GRAMS,
                dup_n_grams=DUPLICATE_N_GRAMS,
            ),
            FineWebQualityFilter(
                language=LANGUAGE,
                short_line_thr=999,
                char_duplicates_ratio=0.1,
                line_punct_thr=0.096,
                new_line_ratio=0.13,
            ),
            GopherQualityFilter(
                language=LANGUAGE,
                min_avg_word_length=1,
                max_avg_word_length=6,
                stop_words=STOP_WORDS,
                max_non_alpha_words_ratio=0.759,
                min_stop_words=2,
            ),
            ParquetWriter(f"{out}/filtered"),
            MinhashDedupSignature(f"{out}/signatures", config=minhash, language=LANGUAGE),
        ],
        "buckets": [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=minhash)],
        "clusters": [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=minhash)],
        "corpus": [
            ParquetReader(f"{out}/filtered"),
            MinhashDedupFilter(f"{out}/remove"),
            ParquetWriter(f"{out}/corpus"),
        ],
    }
    for name, pipeline in steps.items():
        tasks = minhash.num_buckets if name == "buckets" else 1
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{out}/logs/{name}").run()


if __name__ == "__main__":
    main()
