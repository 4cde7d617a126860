"""Rows of a corpus in any number, made from a corpus that there is: an OUT folder to release, for benchmarks.

    python -m benchmarks.release_rows SCRATCH ROWS [TABLE.parquet …]

makes SCRATCH/out and prints the bytes of its texts and of its rows, and how many rows refuse training. Without a table,
the corpus of the embedded sample is taken.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.files import TableWriter, write_json
from pipeline.ledger import Entry
from pipeline.progress import Progress
from pipeline.recipe import find_recipe, load_recipe
from pipeline.run import Run
from pipeline.runner import InProcessRunner
from pipeline.schemas import SCHEMA_VERSION

SAMPLE = Path(__file__).resolve().parent.parent / "tests" / "data" / "sample.warc.gz"
ROWS_A_SHARD = 50_000
HOSTS = 5_000
# A row has at most so many: a million rows are then about a gigabyte of text.
MOST_SENTENCES = 16


def make_corpus(out: Path, tables: Sequence[Path], rows: int, seed: int = 1) -> dict[str, int]:
    """An OUT folder with a corpus of so many rows. Returns the bytes of their texts, those of all their values in
    memory (Arrow's, without dictionaries), and how many refuse training.

    A row has the columns of a row drawn from the tables, an id, a URL and one of HOSTS hosts of its own, and a text of
    as many sentences as that row's, at most MOST_SENTENCES, drawn from all texts: so texts repeat hardly more than
    those of the corpus, and compress about as well.
    """
    table = pa.concat_tables([pq.read_table(path) for path in tables])
    schema = pq.read_schema(tables[0])
    parts = pc.split_pattern_regex(table.column("text").combine_chunks(), "[。\n]+")
    sentences = pc.list_flatten(parts)
    lengths = np.minimum(pc.list_value_length(parts).to_numpy(), MOST_SENTENCES)
    folder = out / "corpus-made"
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    text = values = refused = 0
    for number in range(-(-rows // ROWS_A_SHARD)):
        count = min(ROWS_A_SHARD, rows - number * ROWS_A_SHARD)
        made = _rows(table.cast(schema), sentences, lengths, number, count, chance)
        text += pc.sum(pc.binary_length(made.column("text"))).as_py()
        values += sum(_plain(column).nbytes for column in made.columns)
        refused += pc.sum(pc.equal(made.column("consent"), "refused")).as_py()
        name = f"shard-{number:03d}"
        entry = Entry(name, "select", read=count, written=count)
        with TableWriter(folder / f"{name}.parquet", schema) as file:
            for batch in made.combine_chunks().to_batches(max_chunksize=4096):
                file.write(batch)
        entry.output("corpus", file.written())
        entry.save(folder)
    run = {"recipe": {"name": "made"}, "tables": {"corpus": folder.name}, "waived": {}}
    write_json(out / "run.json", {"schema_version": SCHEMA_VERSION, "recipes": {"made": run}, "latest": "made"})
    return {"text": text, "rows": values, "refused": refused}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _rows(
    table: pa.Table, sentences: pa.Array, lengths: np.ndarray, shard: int, count: int, chance: np.random.Generator
) -> pa.Table:
    of = chance.integers(0, table.num_rows, count)
    rows = table.take(pa.array(of))
    ends = np.concatenate([[0], np.cumsum(lengths[of])]).astype(np.int32)
    drawn = sentences.take(pa.array(chance.integers(0, len(sentences), int(ends[-1]))))
    lists = pa.ListArray.from_arrays(pa.array(ends), drawn)
    ids = pa.array([f"{shard:03d}{number:029x}" for number in range(count)])
    hosts = pa.array([f"h{number}.example.jp" for number in chance.integers(0, HOSTS, count).tolist()])
    urls = pc.binary_join_element_wise(pa.array(["https://"] * count), hosts, ids, "/")
    own = {"id": ids, "host": hosts, "url": urls, "text": pc.binary_join(lists, "。")}
    for name, column in own.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return rows


def sample_tables(scratch: Path) -> list[Path]:
    """The corpus of the embedded sample."""
    progress = Progress(stream=io.StringIO())
    run = Run(load_recipe(find_recipe("demo")), scratch / "sample", InProcessRunner(), progress)
    run.execute([str(SAMPLE)])
    return sorted((scratch / "sample" / run.tables["corpus"]).glob("*.parquet"))


if __name__ == "__main__":
    place, wanted, *given = sys.argv[1:]
    chosen = sorted(map(Path, given)) or sample_tables(Path(place))
    print(json.dumps(make_corpus(Path(place) / "out", chosen, int(wanted))))
