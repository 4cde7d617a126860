"""The exchange: every row arrives in its partition, once, in order, whatever the blocks."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import exchange
from pipeline.exchange import RunWriter, key_partition, partitions_for, read_partition

SCHEMA = pa.schema([("key", pa.uint64()), ("text", pa.string())])


@given(
    keys=st.lists(st.integers(0, 2**64 - 1), max_size=200),
    partitions=st.integers(1, 9),
    pieces=st.integers(1, 4),
    block=st.sampled_from([1, 500, 10**8]),
    compress=st.booleans(),
)
def test_rows_arrive_in_their_partition_once_and_in_order(tmp_path_factory, keys, partitions, pieces, block, compress):
    folder = tmp_path_factory.mktemp("runs")
    original = exchange.BLOCK_BYTES
    exchange.BLOCK_BYTES = block
    try:
        paths = []
        for piece in range(pieces):
            part = keys[piece::pieces]
            path = folder / f"{piece}.run"
            with RunWriter(path, SCHEMA, partitions, compress) as out:
                for start in range(0, len(part), 17):
                    array = np.array(part[start : start + 17], np.uint64)
                    texts = pa.array([str(key) for key in array.tolist()], pa.string())
                    batch = pa.RecordBatch.from_arrays([pa.array(array), texts], schema=SCHEMA)
                    out.write(batch, key_partition(array, partitions))
            paths.append(path)
    finally:
        exchange.BLOCK_BYTES = original
    read = [read_partition(paths, index, SCHEMA) for index in range(partitions)]
    arrived = [key for table in read for key in table.column("key").to_pylist()]
    assert sorted(arrived) == sorted(keys)
    for index, table in enumerate(read):
        found = table.column("key").to_pylist()
        expected = [key for piece in range(pieces) for key in keys[piece::pieces]
                    if key_partition(np.array([key], np.uint64), partitions)[0] == index]  # fmt: skip
        assert found == expected
        assert table.column("text").to_pylist() == [str(key) for key in found]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2), st.integers(1, 4096))
def test_partitions_are_ranges_of_keys(keys, partitions):
    ordered = np.array(sorted(keys), np.uint64)
    parts = key_partition(ordered, partitions)
    assert (np.diff(parts) >= 0).all()
    assert parts.min() >= 0 and parts.max() < partitions


def test_a_file_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "x.run").write_bytes(b"short")
    with pytest.raises(ValueError, match="not a run file"):
        read_partition([tmp_path / "x.run"], 0, SCHEMA)


def test_the_number_of_partitions_comes_from_the_size_alone():
    assert [partitions_for(size, 100) for size in (0, 1, 100, 101, 10**9)] == [1, 1, 1, 2, 4096]
