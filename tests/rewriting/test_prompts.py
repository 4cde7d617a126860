"""Prompts are files that name their places; what fills them cannot change them."""

import pytest

from pipeline.errors import UsageError
from pipeline.rewriting.prompts import find_prompt
from pipeline.shipped import configs_folder

SHIPPED = sorted(path.stem for path in (configs_folder() / "prompts").glob("*.txt"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_prompt_carries_its_version_and_ends_with_the_document(name):
    prompt = find_prompt(name)
    assert name.rpartition("-v")[2].isdigit()
    messages = prompt.fill("紙を漉く。", "題", "https://a.example/")
    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[-1]["content"].count("紙を漉く。") == 1
    assert "{text}" not in messages[-1]["content"]


def test_a_document_that_looks_like_a_place_stays_as_it_is():
    (*_, message) = find_prompt("ja-summary-v1").fill("波括弧の {text} と {url} と {")
    assert "波括弧の {text} と {url} と {" in message["content"]


def test_the_digest_follows_the_words(tmp_path):
    path = tmp_path / "mine-v1.txt"
    path.write_text("=== user\n要約：{text}\n", encoding="utf-8")
    first = find_prompt(str(path))
    assert (first.name, first.messages) == ("mine-v1", (("user", "要約：{text}"),))
    path.write_text("=== user\n要約して：{text}\n", encoding="utf-8")
    assert find_prompt(str(path)).digest != first.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("要約：{text}", "begin with === system"),
        ("=== user\n要約", "no place for the document"),
        ("=== user\n{text}\n=== assistant\nはい", "last a user's"),
        ("", "begin with === system"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused_with_the_repair(tmp_path, text, message):
    path = tmp_path / "wrong.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        find_prompt(str(path))


def test_an_unknown_prompt_names_those_that_there_are():
    with pytest.raises(UsageError, match="code-style-v1"):
        find_prompt("nothing-v1")
