"""Making one data file's export: from a file of the release to files of an export, the same bytes every time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import canonical_digest
from pipeline.release.derived_record import DerivedFile, companion, publish
from pipeline.release.exports import jsonl, text, tokens
from pipeline.release.exports.sidecar import SUFFIX as IDS
from pipeline.release.exports.sidecar import Places
from pipeline.release.manifest import Config, File, Manifest
from pipeline.release.reading import in_key_order, rows_of
from pipeline.release.tokenizer import load_tokenizer
from pipeline.storage.places import Place, nearby_folder

MAKING = ".making-"


def _prefix(place: Place) -> str:
    # This machine's folder of temporary files holds the workshops of all exports to S3; those to a folder lie in it.
    return MAKING if isinstance(place, Path) else f"{MAKING}{canonical_digest(str(place))}-"


@contextmanager
def workshop(place: Place) -> Iterator[Path]:
    """A folder for files that are being made, near their place; it goes with the block."""
    near = nearby_folder(place)
    near.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_prefix(place), dir=near) as folder:
        yield Path(folder)


def remove_leftovers(place: Place) -> None:
    """Remove the workshops that killed exports to a place have left. Raises OSError where one cannot be removed."""
    for folder in nearby_folder(place).glob(f"{_prefix(place)}*"):
        shutil.rmtree(folder)


def stem_for(file: File) -> str:
    """What an export calls a data file: `train/<cell>-00000-of-00003`."""
    name = file.path.rpartition("/")[2].removesuffix(".parquet")
    return f"{file.split}/{file.config}{name.removeprefix(file.split)}"


def finished(
    root: Path, place: Place, paths: list[str], rows: int, origin: list[str], count: int | None = None
) -> dict[str, Any]:
    """Put a data file and what lies beside it in their places: their facts as the record holds them."""
    facts = [companion(root, path) for path in paths]
    for path in paths:
        publish(root / path, place / path)
    first, *beside = facts
    made = DerivedFile(
        path=first.path,
        rows=rows,
        tokens=count,
        bytes=first.bytes,
        sha256=first.sha256,
        origin=origin,
        beside=beside,
    )
    return made.model_dump(by_alias=True)


def make_jsonl(release: Place, file: File, number: int, place: Place) -> dict[str, Any]:
    """JSON lines of one data file, the `number`th of its split. Returns counts and the files' facts."""
    with workshop(place) as root:
        made = jsonl.write_lines(rows_of(release, file, jsonl.COLUMNS), file, number, root)
        files = [finished(root, place, [lines.path], lines.rows, [file.path]) for lines in made]
    return {"written": file.rows, "bytes_in": file.bytes, "files": files}


def make_text(release: Place, file: File, place: Place) -> dict[str, Any]:
    """The plain text of one data file."""
    stem = stem_for(file)
    with workshop(place) as root:
        rows = text.write_text(rows_of(release, file, text.COLUMNS), root / (stem + text.SUFFIX))
        paths = [stem + text.SUFFIX, stem + IDS]
        files = [finished(root, place, paths, rows, [file.path])] if rows else []
    return {"written": rows, "bytes_in": file.bytes, "files": files}


def make_tokens(
    release: Place, file: File, place: Place, tokenizer: Path, eos: str | None, layout: str
) -> dict[str, Any]:
    """The token shard of one data file."""
    loaded = load_tokenizer(tokenizer, eos)
    folder, _, stem = stem_for(file).rpartition("/")
    with workshop(place) as root:
        documents = tokens.encoded(loaded, rows_of(release, file, text.COLUMNS))
        shard = tokens.write_shard(documents, root / folder, stem, layout, loaded.token_size, loaded.name)
        paths = [f"{folder}/{name}" for name in shard.files]
        files = [finished(root, place, paths, shard.rows, [file.path], shard.tokens)] if shard.rows else []
    return {"written": shard.rows, "bytes_in": file.bytes, "tokens": shard.tokens, "files": files}


def make_samples(
    release: Place, manifest: Manifest, config: Config, place: Place, sizes: dict[str, int]
) -> list[DerivedFile]:
    """Samples of the text of a config's training split, by size: each is the beginning of the next larger one.

    `sizes` gives bytes by name. Documents come in the order of their keys over all cells, so that each sample is a fair
    one. Where the release has less text, a sample is all of it.
    """
    with workshop(place) as root, ExitStack() as stack:
        paths = {name: f"sample-{name}{text.SUFFIX}" for name in sizes}
        files = {name: stack.enter_context(open(root / path, "xb")) for name, path in paths.items()}
        places = {name: Places() for name in sizes}
        origins: dict[str, set[str]] = {name: set() for name in sizes}
        written = 0
        for path, row in in_key_order(release, manifest, config, "train", text.COLUMNS):
            taking = [name for name, size in sizes.items() if written < size]
            if not taking:
                break
            block = text.block_of(row["text"] or "")
            if block:
                written += len(block)
                for name in taking:
                    files[name].write(block)
                    places[name].add(row["id"], len(block))
                    origins[name].add(path)
        if not written:
            raise UsageError(f"config {config.name} has no text in its training split: choose another --config")
        made = []
        for name, path in paths.items():
            files[name].close()
            places[name].write(text.ids_path(root / path))
            beside = text.ids_path(Path(path)).name
            made.append(finished(root, place, [path, beside], len(places[name].ids), sorted(origins[name])))
        return [DerivedFile.model_validate(file) for file in made]
