"""Token shards for Megatron (.bin, .idx) and nanotron (.ds, .ds.index, .ds.metadata), by datatrove's file writers.

The documents are encoded here and not by datatrove's DocumentTokenizer, which lets a special token in a text end the
document, keeps the truncation that a tokenizer file asks for, shuffles by default without a seed and writes
the tokenizer's path into the metadata. The files themselves are its: on text without special tokens both write the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.release.exports.sidecar import SUFFIX as IDS
from pipeline.release.exports.sidecar import Places, read_places
from pipeline.release.tokenizer import TextTokenizer

LAYOUTS = {"megatron": (".bin", ".idx"), "nanotron": (".ds", ".ds.index", ".ds.metadata")}
SUFFIXES = (".bin", ".ds")


@dataclass(frozen=True)
class Shard:
    """A written shard: its files by name, the one with the tokens first; documents and tokens."""

    files: list[str]
    rows: int
    tokens: int


def write_shard(
    documents: Iterable[tuple[str, list[int]]], folder: Path, stem: str, layout: str, token_size: int, tokenizer: str
) -> Shard:
    """Write documents, given by id and tokens, as one shard into a local folder, with their ids beside it.

    `token_size` is 2 or 4 bytes; `tokenizer` is the name that nanotron's metadata tells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = Places()
    write, close = _writer(folder, stem, layout, token_size, tokenizer)
    for identity, tokens in documents:
        write(tokens)
        places.add(identity, len(tokens))
    close()
    places.write(folder / (stem + IDS))
    names = [*(stem + suffix for suffix in LAYOUTS[layout]), stem + IDS]
    return Shard(names, len(places.ids), sum(places.lengths))


def _writer(
    folder: Path, stem: str, layout: str, token_size: int, tokenizer: str
) -> tuple[Callable[[list[int]], None], Callable[[], None]]:
    """What writes a document's tokens, and what ends the shard."""
    if layout == "megatron":
        from datatrove.pipeline.tokens.megatron_tokenizer import MegatronTokenizedFile

        megatron = MegatronTokenizedFile(str(folder), stem, token_size=token_size)
        return megatron.write, megatron.close
    from datatrove.pipeline.tokens.tokenizer import TokenizedFile

    nanotron = TokenizedFile(
        str(folder),
        f"{stem}.ds",
        tokenizer_name_or_path=tokenizer,
        save_final_metadata=True,
        token_size=token_size,
    )
    return (lambda tokens: nanotron.write(tokens, None)), nanotron.close


def encoded(tokenizer: TextTokenizer, rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, list[int]]]:
    """Ids and tokens of rows."""
    for row, tokens in tokenizer.encoded(rows):
        yield row["id"], tokens


def stem_of(path: Path) -> str:
    """The name that a shard's files have in common."""
    return next(path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix))


def documents_of(path: Path, token_size: int) -> Iterator[tuple[str, list[int]]]:
    """The documents of a shard by the ids beside it, in its order."""
    kind = np.dtype("<u2") if token_size == 2 else np.dtype("<u4")
    with open(path, "rb") as source:
        for identity, _, length in read_places(path.with_name(stem_of(path) + IDS)):
            yield identity, np.frombuffer(source.read(length * token_size), kind).tolist()


def without(path: Path, ids: frozenset[str], target: Path, token_size: int, tokenizer: str) -> int:
    """Make a shard again without some documents. Returns how many went."""
    removed = 0

    def kept() -> Iterator[tuple[str, list[int]]]:
        nonlocal removed
        for identity, tokens in documents_of(path, token_size):
            if identity in ids:
                removed += 1
            else:
                yield identity, tokens

    layout = "megatron" if path.name.endswith(".bin") else "nanotron"
    write_shard(kept(), target.parent, stem_of(path), layout, token_size, tokenizer)
    return removed
