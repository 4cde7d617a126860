"""Rows taken out of exports: no byte of them is left, all else is as it was."""

from __future__ import annotations

import gzip
import json
import shutil

import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.release import derived
from pipeline.release.derived import DERIVED, read_derived, take_out
from pipeline.release.derived_record import write_derived
from tests.release.handmade import bytes_of, make_release, row
from tests.release.test_exports import run

MARK = "ここだけの秘密の名前"
ROWS = [row(number) for number in range(120)] + [
    row(502, text=f"{MARK}が書いてある。", title=MARK, url="https://gone.example.jp/a", id="id-gone-1"),
    row(501, text=f"もう一つの{MARK}。", url="https://gone.example.jp/b", id="id-gone-2"),
]
GONE = frozenset({"id-gone-1", "id-gone-2", "id-nowhere"})
KINDS = {
    "jsonl": {},
    "text": {},
    "samples": {"sizes": "1KB,1MB"},
    "megatron": {"layout": "megatron"},
    "nanotron": {"layout": "nanotron"},
}


def readable(path) -> bytes:
    """What a file holds, unpacked."""
    if path.name.endswith(".gz"):
        return gzip.decompress(path.read_bytes())
    if path.name.endswith(".parquet"):
        return repr(pq.read_table(path).to_pylist()).encode()
    return path.read_bytes()


@pytest.fixture(params=KINDS)
def made(request, tmp_path, tokenizer_file):
    options = dict(KINDS[request.param])
    kind = {"samples": "text", "megatron": "tokens", "nanotron": "tokens"}.get(request.param, request.param)
    if kind == "tokens":
        options["tokenizer"] = tokenizer_file
    make_release(tmp_path / "release", ROWS, files=3)
    run(tmp_path / "release", tmp_path / "made", kind, **options)
    make_release(tmp_path / "clean", [row for row in ROWS if row["id"] not in GONE], files=3)
    if "sizes" not in options:
        run(tmp_path / "clean", tmp_path / "expected", kind, **options)
    return tmp_path


def test_what_is_left_is_what_an_export_without_the_rows_holds(made):
    before = bytes_of(made / "made")
    found = take_out(made / "made", GONE)
    after = bytes_of(made / "made")
    assert found.rows >= 2 and found.files >= 1
    for path in (made / "made").rglob("*"):
        if path.is_file():
            content = readable(path)
            assert MARK.encode() not in content and b"id-gone" not in content and b"gone.example" not in content
    record = read_derived(made / "made")
    assert record is not None and record.taken_out == found.rows
    listed = {part.path: part for file in record.files for part in (file, *file.beside)}
    assert set(after) == set(listed) | {part.path for part in record.others} | {"derived.json"}
    for path, part in listed.items():
        assert len(after[path]) == part.bytes
    changed = {path for path in before if before[path] != after.get(path)} - {"derived.json"}
    assert len({path.split(".")[0] for path in changed}) == found.files, "a file was touched that had none of the rows"
    if (made / "expected").is_dir():
        expected = bytes_of(made / "expected")
        assert {k: v for k, v in after.items() if k != "derived.json"} == {
            k: v for k, v in expected.items() if k != "derived.json"
        }
    assert take_out(made / "made", GONE) == derived.TakenOut(0, 0)
    assert bytes_of(made / "made") == after


class Killed(BaseException):
    pass


def test_a_takedown_that_is_killed_anywhere_is_finished_by_the_next(made, monkeypatch):
    """Every write and every removal is the last one once."""
    shutil.copytree(made / "made", made / "straight")
    found = take_out(made / "straight", GONE)
    expected = bytes_of(made / "straight")
    for last in range(1, 60):
        shutil.rmtree(made / "again", ignore_errors=True)
        shutil.copytree(made / "made", made / "again")
        count = 0

        def stop(last: int = last) -> None:
            nonlocal count
            count += 1
            if count == last:
                raise Killed

        with monkeypatch.context() as patch:
            for name in ("publish", "write_derived", "delete", "_without", "atomic_file"):
                real = getattr(derived, name)

                def stopping(*arguments, real=real, **named):
                    stop()
                    return real(*arguments, **named)

                patch.setattr(derived, name, stopping)
            try:
                take_out(made / "again", GONE)
            except Killed:
                pass
            else:
                break
        again = take_out(made / "again", GONE)
        assert again.rows in (0, found.rows)
        assert bytes_of(made / "again") == expected
    else:
        pytest.fail("it never ended")
    assert last > 3


def test_what_an_unfinished_export_has_written_goes(made):
    record = read_derived(made / "made")
    write_derived(made / "made", record.model_copy(update={"finished": False, "files": record.files[:1]}))
    take_out(made / "made", GONE)
    assert set(bytes_of(made / "made")) == {"derived.json"}


def test_what_a_killed_writer_left_goes_too(made):
    (made / "made" / "x").mkdir()
    (made / "made" / "x" / ".part.parquet.7.ab12.tmp").write_text(MARK)
    (made / "made" / ".making-7").mkdir()
    (made / "made" / ".making-7" / "half.txt").write_text(MARK)
    take_out(made / "made", GONE)
    assert not any("tmp" in name or "making" in name for name in bytes_of(made / "made"))


def test_a_place_that_is_gone_gives_nothing_and_one_without_a_record_is_an_error(made):
    assert take_out(made / "missing", GONE) == derived.TakenOut(0, 0)
    (made / "made" / "derived.json").unlink()
    with pytest.raises(UsageError, match="delete it and make it again"):
        take_out(made / "made", GONE)


@pytest.mark.parametrize("where", ["files", "beside"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_record_that_points_out_of_its_place_is_refused_and_nothing_is_touched(tmp_path, where, finished):
    outside = tmp_path / "kept.jsonl.gz"
    outside.write_bytes(b"not of the export")
    make_release(tmp_path / "release", ROWS)
    place = tmp_path / "export"
    run(tmp_path / "release", place, "text")
    data = json.loads((place / DERIVED).read_bytes())
    named = data["files"][0] if where == "files" else data["files"][0]["beside"][0]
    named["path"] = "../kept.jsonl.gz"
    (place / DERIVED).write_text(json.dumps(data | {"finished": finished}))
    before = bytes_of(place)
    with pytest.raises(UsageError, match="does not stay within the folder"):
        take_out(place, GONE)
    assert bytes_of(place) == before and outside.read_bytes() == b"not of the export"


@pytest.mark.parametrize("way_out", ["../victim.txt", "/etc/hostname", "train/../../victim.txt", "a\\b"])
def test_a_change_that_leads_out_of_the_place_is_refused(tmp_path, way_out):
    make_release(tmp_path / "release", ROWS[:10], files=1)
    run(tmp_path / "release", tmp_path / "made", "jsonl")
    (tmp_path / "victim.txt").write_text("mine")
    record = json.loads((tmp_path / "made" / DERIVED).read_text())
    (tmp_path / "made" / derived.STAGED).mkdir()
    ready = tmp_path / "made" / derived.STAGED / derived.READY
    before = bytes_of(tmp_path)
    for change in ({"put": [], "gone": [way_out]}, {"put": [way_out], "gone": []}, {"put": []}):
        ready.write_text(json.dumps({"record": record, **change}))
        with pytest.raises(UsageError, match=r"ready.json is damaged: (put|gone).*make it again"):
            take_out(tmp_path / "made", GONE)
        ready.unlink()
        assert bytes_of(tmp_path) == before
