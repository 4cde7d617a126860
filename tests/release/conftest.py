"""Fixtures of releases and of what is made of them."""

from __future__ import annotations

import pytest

from tests.release.handmade import export_rows
from tests.release.mixes import make_releases
from tests.release.test_takedown import copied


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """A folder with releases to mix."""
    folder = tmp_path_factory.mktemp("releases")
    make_releases(folder)
    return folder


@pytest.fixture
def place(origin, tmp_path):
    """A release that a test may change, a copy of its module's `origin` with what lies beside it."""
    return copied(origin, tmp_path / "here")


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory):
    """A byte-level BPE tokenizer of the test's own texts, with an end of text and the traps that files may hold."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([row["text"] for row in export_rows()], trainer)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(pad_token="<pad>", length=512)
    path = tmp_path_factory.mktemp("tokenizer") / "small.json"
    tokenizer.save(str(path))
    return path
