"""The ledger refuses what does not add up."""

import pytest

from pipeline.entry_pack import load_entries
from pipeline.ledger import Entry, LedgerError, entry_path, load_entry, load_failures, note_failure


def balanced() -> Entry:
    entry = Entry("s", "extract", read=10, written=5)
    entry.reject("not_html", count=3)
    entry.fail("cut_record")
    entry.reject("no_kana", characters=0)
    return entry


def test_an_entry_that_adds_up_is_saved_and_read_back(tmp_path):
    entry = balanced()
    note_failure(tmp_path, "s", "error", "it broke", "trace")
    assert load_failures(tmp_path) == {"s": "it broke"}
    entry.save(tmp_path)
    assert load_entry(tmp_path, "s") == entry
    assert load_entries(tmp_path) == [entry]
    assert load_failures(tmp_path) == {}, "a shard that is done has not failed"


@pytest.mark.parametrize(("read", "written"), [(11, 5), (9, 5), (10, 6)])
def test_an_entry_that_does_not_add_up_is_never_written(tmp_path, read, written):
    entry = balanced()
    entry.read, entry.written = read, written
    with pytest.raises(LedgerError, match="does not add up"):
        entry.save(tmp_path)
    assert not entry_path(tmp_path, "s").exists()


def test_damaged_and_foreign_entries_are_named(tmp_path):
    assert load_entry(tmp_path, "absent") is None
    entry_path(tmp_path, "s").write_text("{")
    with pytest.raises(LedgerError, match="damaged"):
        load_entry(tmp_path, "s")
    entry_path(tmp_path, "s").write_text('{"schema_version": 999}')
    with pytest.raises(LedgerError, match="schema version 999"):
        load_entry(tmp_path, "s")
