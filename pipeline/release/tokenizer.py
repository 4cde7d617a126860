"""Tokenizers by file: loaded without any download, and made safe for text that nobody chose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import file_digest

# Ends of a text by the names that tokenizers of published models have for them (GPT-2 and GPT-NeoX; Llama 2 and
# SentencePiece; Llama 3; Gemma).
END_TOKENS = ("<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>")
BATCH = 256


@dataclass(frozen=True)
class Asked:
    """How a user writes which file it is, and which token ends a document: by options, or in a manifest."""

    tokenizer: str = "--tokenizer"
    eos: str = "--eos"


BY_OPTIONS = Asked()
IN_MANIFEST = Asked("tokenizer:", "eos:")


@dataclass(frozen=True)
class TextTokenizer:
    """A tokenizer and the token that ends each document: its id, or None where none is added.

    `vocabulary` is one more than the largest id.
    """

    name: str
    sha256: str
    eos: str | None
    eos_id: int | None
    vocabulary: int
    tokenizer: Any

    @property
    def token_size(self) -> int:
        """Bytes of a token: two while ids fit, else four, as datatrove decides it."""
        return 2 if self.vocabulary <= 1 << 16 else 4

    def settings(self) -> dict[str, Any]:
        """What stands in a record about it: a path says nothing to others, name and digest do."""
        return {"tokenizer": self.name, "tokenizer_sha256": self.sha256, "eos": self.eos}

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The tokens of texts, each with its end."""
        end = [] if self.eos_id is None else [self.eos_id]
        return [found.ids + end for found in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def lengths(self, texts: list[str]) -> list[int]:
        """How many tokens texts have, each with its end."""
        end = 0 if self.eos_id is None else 1
        return [len(found) + end for found in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def encoded(self, rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[int]]]:
        """Rows with the tokens of their text."""
        source = iter(rows)
        while batch := list(islice(source, BATCH)):
            yield from zip(batch, self.encode([row["text"] or "" for row in batch]), strict=True)


def load_tokenizer(path: Path, eos: str | None = None, asked: Asked = BY_OPTIONS) -> TextTokenizer:
    """A tokenizer of a file in the format of the library tokenizers (`tokenizer.json`).

    `eos` is the token that ends a document, `none` for no token; without it the one of END_TOKENS that the tokenizer
    has. Truncation and padding that the file asks for are left out, and special tokens that stand in a text are read as
    letters: no page can end a document or open another role. Raises UsageError.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UsageError("counting tokens needs the library tokenizers: install kamisuki[tokens]") from None
    if not path.is_file():
        raise UsageError(f"{asked.tokenizer} {path}: there is no such file; it is a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises a bare Exception for every fault of a file
        raise UsageError(f"{asked.tokenizer} {path}: cannot be read as a tokenizer.json: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if not vocabulary:
        raise UsageError(f"{asked.tokenizer} {path}: it has no vocabulary")
    chosen = _end(path, vocabulary, eos, asked)
    return TextTokenizer(
        name=path.name,
        sha256=file_digest(path),
        eos=chosen,
        eos_id=None if chosen is None else vocabulary[chosen],
        vocabulary=max(vocabulary.values()) + 1,
        tokenizer=tokenizer,
    )


def _end(path: Path, vocabulary: dict[str, int], eos: str | None, asked: Asked) -> str | None:
    if eos == "none":
        return None
    if eos is not None:
        if eos not in vocabulary:
            raise UsageError(f"{asked.eos} {eos}: {path.name} has no such token")
        return eos
    found = [token for token in END_TOKENS if token in vocabulary]
    if len(found) != 1:
        seen = f"several of them: {', '.join(found)}" if found else f"none of {', '.join(END_TOKENS)}"
        raise UsageError(
            f"which token ends a document? {path.name} has {seen}: name it with {asked.eos} TOKEN, or say "
            f"{asked.eos} none"
        )
    return found[0]
