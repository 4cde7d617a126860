"""Signals of consent: what the values of robots directives, TDMRep, Content-Signal and Content-Usage say of training.

Every reader takes one value as it was written and yields (verdict, evidence) pairs. Verdicts are `refused`,
`allowed`, and `named` for what belongs to a signal but decides nothing: another use, or a value that has no meaning.
"""

import datetime
import re
from collections.abc import Iterator

from pipeline.web.consent.agents import training_agents

REFUSED, ALLOWED, NAMED = "refused", "allowed", "named"
Signal = tuple[str, str]

LONGEST_VALUE = 80
_NOT_UNDERSTOOD = " (not understood)"

EVERYONE = frozenset(("", "*", "robots"))
# Crawlers of search engines that robots meta elements are addressed to.
SEARCH_AGENTS = frozenset(
    (
        "applebot",
        "baiduspider",
        "bingbot",
        "duckduckbot",
        "googlebot",
        "googlebot-news",
        "msnbot",
        "slurp",
        "yandex",
        "yeti",
    )
)
# noai and noimageai: DeviantArt, 2022-11-11; noml: Mojeek, 2023. All speak of AI and of nothing else.
_NO_AI = frozenset(("noai", "noml"))
_NO_AI_IMAGES = frozenset(("noimageai",))
_ALMOST_NO_AI = re.compile(r"no[-_]?(?:image)?[-_]?(?:ai|ml)s?")
# To a crawler whose only index is a training set, these refuse training.
_NOT_KEPT = frozenset(("noindex", "none", "noarchive", "nocache"))
# Microsoft gave these two a meaning for the training of its models on 2023-09-22 (blogs.bing.com/webmaster,
# "Announcing new options for webmasters to control usage of their content in Bing Chat"); before, and to all others,
# they speak of cached copies.
_CACHING = frozenset(("noarchive", "nocache"))
_BING = frozenset(("bingbot", "msnbot"))
_BING_SINCE = datetime.date(2023, 9, 22)


def _shown(value: str) -> str:
    value = " ".join(value.split())
    return value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "…"


def read_directive(agent: str, directive: str, fetched_on: datetime.date | None) -> Iterator[Signal]:
    """What one robots directive to an agent says, both in lower case.

    noai and noml refuse whoever they are addressed to; noindex, none, noarchive and nocache where they are addressed
    to a training crawler by name, whose index is a training set; noarchive and nocache to Bing's crawler on pages
    fetched since Microsoft made them speak of training. To everyone, the last two are only named.
    """
    shown = f"{agent}: {directive}" if agent else directive
    if directive in _NO_AI:
        yield REFUSED, shown
    elif directive in _NO_AI_IMAGES:
        yield NAMED, shown
    elif agent in training_agents() and directive in _NOT_KEPT:
        yield REFUSED, shown
    elif directive in _CACHING and agent in _BING:
        refuses = fetched_on is not None and fetched_on >= _BING_SINCE
        yield REFUSED if refuses else NAMED, shown
    elif directive in _CACHING and agent in EVERYONE:
        yield NAMED, shown
    elif directive[:2] == "no" and _ALMOST_NO_AI.fullmatch(directive):
        yield NAMED, shown + _NOT_UNDERSTOOD


def read_reservation(value: str) -> Iterator[Signal]:
    """tdm-reservation (TDM Reservation Protocol, W3C CG, 2024-05-10): 1 reserves the rights, 0 does not."""
    value = value.strip()
    verdict = {"1": REFUSED, "0": ALLOWED}.get(value, NAMED)
    yield verdict, _shown(value) if verdict != NAMED else _shown(value) + _NOT_UNDERSTOOD


def read_policy(value: str) -> Iterator[Signal]:
    """tdm-policy: where the terms of a reservation stand. Without the reservation it decides nothing."""
    if value.strip():
        yield NAMED, _shown(value)


def _settings(value: str) -> Iterator[tuple[str, str | None]]:
    """Keys and values of a comma-separated list, in lower case and without parameters; None where there is no `=`."""
    for part in value.lower().split(","):
        name, equals, setting = part.partition("=")
        if name.strip():
            yield name.strip(), setting.partition(";")[0].strip() if equals else None


def read_content_signal(value: str) -> Iterator[Signal]:
    """Cloudflare's Content Signals Policy (contentsignals.org, 2025-09-24): ai-train=no or yes.

    `search`, `ai-input` and `use` speak of other uses and are named.
    """
    for key, setting in _settings(value):
        if key == "ai-train":
            verdict = {"no": REFUSED, "yes": ALLOWED}.get(setting or "", NAMED)
            note = _NOT_UNDERSTOOD if verdict == NAMED else ""
            yield verdict, _shown(key if setting is None else f"{key}={setting}") + note
        elif key in ("search", "ai-input", "use"):
            yield NAMED, _shown(key if setting is None else f"{key}={setting}")


# Labels of the vocabulary that cover the training of language models, the narrowest first: `train-ai` is that of
# draft-ietf-aipref-vocab-08 (2026-09-14); earlier drafts had `train-genai` below it and automated processing, `bots`
# or `all`, above it, whose preference holds for what lies below unless that has its own.
_TRAINING_LABELS = ("train-genai", "train-ai", "bots", "all")
_OTHER_LABELS = ("ai-use", "search")


# A dictionary of structured fields (RFC 9651, 3.2): keys in lower case with an item, an inner list or nothing (true),
# and parameters.
_KEY = r"[a-z*][a-z0-9_\-.*]*"
_ITEM = (
    r"(?:[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*|\"(?:[ !#-\[\]-~]|\\[\"\\])*\"|-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
    r"|\?[01]|:[A-Za-z0-9+/=]*:|@-?[0-9]{1,15}|%\"[ !#-~]*\")"
)
_PARAMETERS = rf"(?:; *{_KEY}(?:={_ITEM})?)*"
_INNER_LIST = rf"\( *(?:{_ITEM}{_PARAMETERS}(?: +|(?=\))))*\)"
_MEMBER = re.compile(rf"({_KEY})(?:=({_INNER_LIST}|{_ITEM}))?{_PARAMETERS}")
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def _dictionary(value: str) -> dict[str, str | None] | None:
    """The members of a structured dictionary without parameters, None for a key alone; None where it is none.

    Of a key that stands twice the last holds.
    """
    found: dict[str, str | None] = {}
    value = value.strip(" ")
    position = 0
    while position < len(value):
        member = _MEMBER.match(value, position)
        if member is None:
            return None
        found[member[1]] = member[2]
        if member.end() == len(value):
            return found
        comma = _COMMA.match(value, member.end())
        if comma is None or comma.end() == len(value):
            return None
        position = comma.end()
    return found


def read_content_usage(value: str) -> Iterator[Signal]:
    """Content-Usage (draft-ietf-aipref-attach-05, 2026-08-19): a structured dictionary, `y` allows and `n` disallows.

    The narrowest label that has a meaning decides. A value that is no dictionary says nothing, as the draft has it
    (draft-ietf-aipref-vocab-08, "Processing Algorithm"): it is named where it speaks of training.
    """
    found = _dictionary(value)
    if found is None:
        if any(label in value.lower() for label in _TRAINING_LABELS):
            yield NAMED, _shown(value) + _NOT_UNDERSTOOD
        return
    decided = False
    for label in (*_TRAINING_LABELS, *_OTHER_LABELS):
        if label not in found:
            continue
        setting = found[label]
        shown = _shown(label if setting is None else f"{label}={setting}")
        if label in _OTHER_LABELS or (decided and setting in ("n", "y")):
            yield NAMED, shown
        elif setting == "n":
            yield REFUSED, shown
        elif setting == "y":
            yield ALLOWED, shown
        else:
            yield NAMED, shown + _NOT_UNDERSTOOD
        decided = decided or (label in _TRAINING_LABELS and setting in ("n", "y"))
