"""Consent: whether a page or its response allows or refuses the use of its text to train models."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.web.page import Page

# Crawlers that gather training data, or names that stand for that use of another crawler's pages, in lower case:
# those of ai-robots-txt/ai.robots.txt (738c80d, 2026-08-22; 166 names) that train. Left out are the list's fetchers for
# search or for a user at the keyboard, and general crawlers. CCBot matters most: it fetched Common Crawl's pages.
TRAINING_AGENTS: frozenset[str] = frozenset(
    (
        "ai2bot",
        "ai2bot-dolma",
        "anthropic-ai",
        "applebot-extended",
        "bytespider",
        "ccbot",
        "chatglm-spider",
        "claude-web",
        "claudebot",
        "cohere-ai",
        "cohere-training-data-crawler",
        "cotoyogi",
        "deepseekbot",
        "facebookbot",
        "google-extended",
        "gptbot",
        "icc-crawler",
        "img2dataset",
        "laion-huggingface-processor",
        "laiondownloader",
        "meta-externalagent",
        "omgili",
        "omgilibot",
        "pangubot",
        "sbintuitionsbot",
        "timpibot",
        "velenpublicwebcrawler",
        "webzio-extended",
    )
)

# Directives of X-Robots-Tag that have a value of their own behind a colon, and so are no crawler's name.
_VALUED_DIRECTIVES = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))
_EVERYONE = frozenset(("", "*", "robots"))
_META_NAMES = (_EVERYONE | TRAINING_AGENTS | {"tdm-reservation"}) - {""}
_REFUSED_TO_ALL = frozenset(("noai",))
_REFUSED_TO_TRAINERS = frozenset(("noai", "noindex", "none"))
_LONGEST_EVIDENCE = 200
_DIRECTIVE_SEPARATORS = re.compile(r"[,\s]+")


@dataclass(frozen=True, slots=True)
class Consent:
    """The verdict "allowed", "refused" or "unknown", and the signal that decided it."""

    verdict: str
    evidence: str | None


def _refusing_directive(agent: str, directives: Sequence[str]) -> str | None:
    """The first directive by which an agent's robots rule refuses training, if any."""
    if agent in _EVERYONE:
        refusing = _REFUSED_TO_ALL
    elif agent in TRAINING_AGENTS:
        refusing = _REFUSED_TO_TRAINERS
    else:
        return None
    return next((directive for directive in directives if directive in refusing), None)


def _robots_header(value: str) -> Iterator[tuple[str, str]]:
    """(agent, directive) pairs of an X-Robots-Tag value; an agent's name holds until the next one."""
    agent = ""
    for part in value.lower().split(","):
        name, colon, rest = part.partition(":")
        if colon and name.strip() not in _VALUED_DIRECTIVES:
            agent, part = name.strip(), rest
        for directive in part.split():
            yield agent, directive


def _preferences(value: str, key: str) -> Iterator[str]:
    """The values of a key in a header of comma-separated key=value pairs, without parameters, in lower case."""
    for part in value.lower().split(","):
        name, equals, setting = part.partition("=")
        if equals and name.strip() == key:
            yield setting.partition(";")[0].strip()


# Header, key and the values that refuse and allow: Cloudflare's Content Signals (2025), and Content-Usage of the IETF
# working group AI Preferences (draft-ietf-aipref-attach).
_PREFERENCE_HEADERS = (("content-signal", "ai-train", "no", "yes"), ("content-usage", "train-ai", "n", "y"))
# TDM Reservation Protocol (W3C community group, 2024): 1 reserves the right to text and data mining, 0 does not.
_RESERVATION = {"1": "refused", "0": "allowed"}


def _signals(page: Page, http_headers: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """(verdict, evidence) of every signal that speaks of training."""
    for value in http_headers.get("x-robots-tag", ()):
        for agent, directive in _robots_header(value):
            if _refusing_directive(agent, (directive,)):
                yield "refused", f"header x-robots-tag: {f'{agent}: ' if agent else ''}{directive}"
    for value in http_headers.get("tdm-reservation", ()):
        if value.strip() in _RESERVATION:
            yield _RESERVATION[value.strip()], f"header tdm-reservation: {value.strip()}"
    for header, key, refusing, allowing in _PREFERENCE_HEADERS:
        for value in http_headers.get(header, ()):
            for setting in _preferences(value, key):
                if setting in (refusing, allowing):
                    yield "refused" if setting == refusing else "allowed", f"header {header}: {key}={setting}"
    for element, written in page.values("meta", "name"):
        name = written.strip().lower()
        if name not in _META_NAMES:
            continue
        content = (page.attribute(element, "content") or "").strip().lower()
        if name == "tdm-reservation" and content in _RESERVATION:
            yield _RESERVATION[content], f"meta tdm-reservation: {content}"
        else:
            refusal = _refusing_directive(name, _DIRECTIVE_SEPARATORS.split(content))
            if refusal is not None:
                yield "refused", f"meta {name}: {refusal}"


def find_consent(page: Page, http_headers: Mapping[str, list[str]]) -> Consent:
    """Whether the use for training is refused or allowed, from meta elements and HTTP headers (names in lower case).

    Refusals: noai for all robots; noai, noindex or none for a crawler of TRAINING_AGENTS by name, whose only index
    is a training set; tdm-reservation 1; Content-Signal ai-train=no; Content-Usage train-ai=n. Allowances: the
    opposite values of the last three. A refusal beats any allowance, and the first signal of the deciding kind is
    the evidence. Malformed values count for nothing.

    noindex, noarchive and nocache for all robots do not refuse: they speak of search results and of cached copies,
    are older than training, and stand on pages of every kind (tag lists, carts). noimageai is about pictures.
    """
    allowance: str | None = None
    for verdict, evidence in _signals(page, http_headers):
        if verdict == "refused":
            return Consent("refused", evidence[:_LONGEST_EVIDENCE])
        allowance = allowance or evidence
    return Consent("unknown", None) if allowance is None else Consent("allowed", allowance[:_LONGEST_EVIDENCE])
