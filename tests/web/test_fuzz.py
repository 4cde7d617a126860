"""What `make fuzz-inputs` does for ten minutes: what was found before, and some mutated inputs, seeded."""

from __future__ import annotations

import random

import pytest
from fuzz_targets import INPUTS, TARGETS, check_license, check_warc, inputs

MUTATIONS = {"warc": 150, "charset": 600, "license": 200, "consent": 200}
WORDS = [
    line.strip('"').encode("latin-1").decode("unicode_escape").encode("latin-1")
    for line in (INPUTS.parents[1] / "web" / "fuzz_words.txt").read_text("ascii").splitlines()
    if line.startswith('"')
]


def _mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The input after one to six cuts, repeats, changed bytes, words put in and splices."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((1, 4, 40, 400)))
        place = chance.randint(0, len(other))
        put = (
            b"",
            data[start:end] * chance.randint(2, 9),
            bytes([chance.randrange(256)]),
            chance.choice(WORDS) + data[start:end],
            chance.choice(WORDS) * chance.choice((1, 200)),
            other[place : place + 400],
        )
        data = data[:start] + chance.choice(put) + data[end:]
    return data


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_holds(target: str) -> None:
    given = inputs(target)
    assert given
    for data in (*given, b"", b"\0"):
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_mutated_inputs_hold(target: str) -> None:
    chance = random.Random(20_261_126)
    given = inputs(target)
    for _ in range(MUTATIONS[target]):
        TARGETS[target](_mutated(chance.choice(given), chance.choice(given), chance))


def test_targets_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that misplaces records, or a license without evidence, is noticed."""
    import fuzz_targets

    right, found = fuzz_targets.read_record_at, fuzz_targets.find_license
    monkeypatch.setattr(fuzz_targets, "read_record_at", lambda path, offset, length, most: right(path, 0, 10**6, most))
    with pytest.raises((AssertionError, ValueError)):
        check_warc((INPUTS / "warc" / "plain").read_bytes())
    facts = iter(("public-domain", "unknown"))
    monkeypatch.setattr(
        fuzz_targets,
        "find_license",
        lambda *given: type(found(*given))(None, None, None, next(facts)),
    )
    with pytest.raises(AssertionError):
        check_license((INPUTS / "license" / "english").read_bytes())
