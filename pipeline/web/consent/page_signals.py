"""Signals of a page: robots meta elements, X-Robots-Tag, TDMRep, Content-Signal and Content-Usage."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.web.consent.agents import training_agents
from pipeline.web.consent.signals import (
    ALLOWED,
    NAMED,
    REFUSED,
    SEARCH_AGENTS,
    Signal,
    read_content_signal,
    read_content_usage,
    read_directive,
    read_policy,
    read_reservation,
)
from pipeline.web.page import Page

# Directives of X-Robots-Tag that have a value of their own behind a colon, and so are no crawler's name.
_VALUED_DIRECTIVES = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))
_DIRECTIVE_SEPARATORS = re.compile(r"[,;\s]+")
# More than any honest page has: the rest of a hostile one's still decides, but is not written down.
MOST_SIGNALS = 12
LONGEST_EVIDENCE = 500

_HEADERS = {
    "tdm-reservation": read_reservation,
    "tdm-policy": read_policy,
    "content-signal": read_content_signal,
    "content-usage": read_content_usage,
}
_META = {"tdm-reservation": read_reservation, "tdm-policy": read_policy}


@dataclass(frozen=True, slots=True)
class Consent:
    """The verdict "allowed", "refused" or "unknown", and every signal that was found, the deciding ones first."""

    verdict: str
    evidence: str | None


UNKNOWN = Consent("unknown", None)


def _robots_header(value: str) -> Iterator[tuple[str, str]]:
    """(agent, directive) pairs of an X-Robots-Tag value; an agent's name holds until the next one."""
    agent = ""
    for part in value.lower().split(","):
        name, colon, rest = part.partition(":")
        # A date of unavailable_after may hold a comma and colons.
        if colon and name.strip() not in _VALUED_DIRECTIVES and not name.strip()[:1].isdigit():
            agent, part = name.strip(), rest
        for directive in part.split():
            yield agent, directive


def _header_signals(headers: Mapping[str, list[str]], fetched_on: datetime.date | None) -> Iterator[Signal]:
    for value in headers.get("x-robots-tag", ()):
        for agent, directive in _robots_header(value):
            for verdict, shown in read_directive(agent, directive, fetched_on):
                yield verdict, f"header x-robots-tag: {shown}"
    for name, read in _HEADERS.items():
        values = headers.get(name, ())
        # Lines of a structured field are one (RFC 9651, 4.2).
        for value in [", ".join(values)] if name == "content-usage" and values else values:
            for verdict, shown in read(value):
                yield verdict, f"header {name}: {shown}"


def _meta_signals(page: Page, fetched_on: datetime.date | None) -> Iterator[Signal]:
    agents = training_agents()
    for element, written in page.values("meta", "name"):
        name = written.strip().lower()
        if name in _META:
            for verdict, shown in _META[name](page.attribute(element, "content") or ""):
                yield verdict, f"meta {name}: {shown}"
        elif name == "robots" or name in agents or name in SEARCH_AGENTS:
            content = (page.attribute(element, "content") or "").lower()
            agent = "" if name == "robots" else name
            for directive in _DIRECTIVE_SEPARATORS.split(content):
                for verdict, shown in read_directive(agent, directive, fetched_on):
                    yield verdict, f"meta {shown if agent else f'robots: {shown}'}"


def combine(signals: Iterator[Signal]) -> Consent:
    """The verdict of several signals: a refusal beats an allowance, and what is only named decides nothing."""
    # As keys, since a page may say the same thing many times.
    found: dict[str, dict[str, None]] = {REFUSED: {}, ALLOWED: {}, NAMED: {}}
    for verdict, shown in signals:
        if len(found[verdict]) <= MOST_SIGNALS:
            found[verdict][shown] = None
    if not any(found.values()):
        return UNKNOWN
    verdict = REFUSED if found[REFUSED] else ALLOWED if found[ALLOWED] else "unknown"
    texts = [shown for each in found.values() for shown in each]
    more = "; …" if len(texts) > MOST_SIGNALS else ""
    evidence = "; ".join(texts[:MOST_SIGNALS]) + more
    return Consent(verdict, evidence[:LONGEST_EVIDENCE])


def find_consent(page: Page, http_headers: Mapping[str, list[str]], fetched_on: datetime.date | None = None) -> Consent:
    """Whether the use for training is refused or allowed, from meta elements and HTTP headers (names in lower case).

    A refusal beats any allowance (as draft-ietf-aipref-vocab, "Combining Preferences", has it for its own). Values
    without a meaning decide nothing and are named as not understood. Never raises.

    noindex for all robots does not refuse: it speaks of search results, is older than training, and stands on pages of
    every kind (tag lists, carts). noarchive and nocache for all robots speak of cached copies, noimageai of pictures:
    they are named.
    """

    def signals() -> Iterator[Signal]:
        yield from _header_signals(http_headers, fetched_on)
        yield from _meta_signals(page, fetched_on)

    return combine(signals())
