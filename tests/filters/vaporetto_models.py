"""A model of Vaporetto made by hand: its wheel brings none. A few words, a weight for each place in and around them."""

from __future__ import annotations

from pathlib import Path

from filters.assets import Asset

# Vaporetto 0.6's own mark, then its fields as bincode's standard configuration writes them.
_MAGIC = b"VaporettoTokenizer 0.5.0\n"
_WINDOW = bytes([3])
# A boundary stands before and behind these words and nowhere inside.
WORDS = ("紙漉き", "の", "里", "和紙", "を", "は", "。")


def vaporetto_model(path: Path) -> Asset:
    """Write the model."""
    records = [_text(word) + _list([_integer(weight) for weight in _weights(word)]) + _text("") for word in WORDS]
    character_ngrams, type_ngrams, tags, bias = _list([]), _list([]), _list([]), _integer(-50)
    path.write_bytes(_MAGIC + character_ngrams + type_ngrams + _list(records) + bias + _WINDOW * 2 + tags)
    return Asset.of(path)


def _weights(word: str) -> list[int]:
    return [300, *[-900] * (len(word) - 1), 300]


def _unsigned(number: int) -> bytes:
    return bytes([number]) if number < 251 else b"\xfb" + number.to_bytes(2, "little")


def _integer(number: int) -> bytes:
    return _unsigned(number * 2 if number >= 0 else -number * 2 - 1)


def _text(text: str) -> bytes:
    return _unsigned(len(text.encode())) + text.encode()


def _list(items: list[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)
