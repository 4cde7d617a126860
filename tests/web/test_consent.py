"""What must hold of consent: each signal refuses, allows or says nothing as its authors mean it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.consent import TRAINING_AGENTS, Consent, find_consent
from pipeline.web.page import read_page

UNKNOWN = Consent("unknown", None)


def consent_of(html: str = "", /, **headers: str | list[str]) -> Consent:
    named = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in headers.items()}
    return find_consent(read_page(html), named)


def meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{content}">'


@pytest.mark.parametrize(
    ("name", "content", "evidence"),
    [
        ("robots", "noai", "meta robots: noai"),
        ("ROBOTS", "index, NoAI, noimageai", "meta robots: noai"),
        ("robots", "noindex noai", "meta robots: noai"),
        ("CCBot", "noai", "meta ccbot: noai"),
        ("CCBot", "noindex", "meta ccbot: noindex"),
        ("GPTBot", "none", "meta gptbot: none"),
        ("tdm-reservation", " 1 ", "meta tdm-reservation: 1"),
    ],
)
def test_meta_that_refuses(name: str, content: str, evidence: str) -> None:
    assert consent_of(meta(name, content)) == Consent("refused", evidence)


@pytest.mark.parametrize(
    ("headers", "evidence"),
    [
        ({"x_robots_tag": "noai"}, "header x-robots-tag: noai"),
        ({"x_robots_tag": "noindex, NOAI"}, "header x-robots-tag: noai"),
        ({"x_robots_tag": ["nofollow", "CCBot: noindex, nofollow"]}, "header x-robots-tag: ccbot: noindex"),
        ({"x_robots_tag": "googlebot: nofollow, GPTBot: nofollow, none"}, "header x-robots-tag: gptbot: none"),
        ({"x_robots_tag": "unavailable_after: 25 Jun 2030 15:00:00 PST, noai"}, "header x-robots-tag: noai"),
        ({"tdm_reservation": "1"}, "header tdm-reservation: 1"),
        ({"content_signal": "search=yes, ai-train=no"}, "header content-signal: ai-train=no"),
        ({"content_usage": "search=y, train-ai=n;exp=1"}, "header content-usage: train-ai=n"),
    ],
)
def test_headers_that_refuse(headers: dict[str, str | list[str]], evidence: str) -> None:
    assert consent_of(**headers) == Consent("refused", evidence)


@pytest.mark.parametrize(
    ("html", "headers", "evidence"),
    [
        (meta("tdm-reservation", "0"), {}, "meta tdm-reservation: 0"),
        ("", {"tdm_reservation": " 0"}, "header tdm-reservation: 0"),
        ("", {"content_signal": "Search=yes, AI-train = Yes"}, "header content-signal: ai-train=yes"),
        ("", {"content_usage": "train-ai=y"}, "header content-usage: train-ai=y"),
    ],
)
def test_signals_that_allow(html: str, headers: dict[str, str], evidence: str) -> None:
    assert consent_of(html, **headers) == Consent("allowed", evidence)


@pytest.mark.parametrize(
    ("html", "headers"),
    [
        ("", {}),
        (meta("robots", "noindex, nofollow, noarchive, nocache"), {}),
        (meta("robots", "all, index"), {}),
        (meta("robots", "noimageai"), {}),
        (meta("robots", "noaix,no ai"), {}),
        (meta("robots", ""), {}),
        (meta("googlebot", "noai, noindex"), {}),
        (meta("CCBot", "nofollow"), {}),
        (meta("description", "noai"), {}),
        ("<meta content=noai>", {}),
        (f"<!-- {meta('robots', 'noai')} -->", {}),
        (meta("tdm-reservation", "yes"), {}),
        (meta("tdm-reservation", "10"), {}),
        ("", {"tdm_reservation": ""}),
        ("", {"x_robots_tag": "noindex, noarchive"}),
        ("", {"x_robots_tag": "googlebot: noai, noindex"}),
        ("", {"x_robots_tag": ": , ::"}),
        ("", {"content_signal": "search=no, ai-input=no"}),
        ("", {"content_signal": "ai-train, ai-train=, ai-train=maybe, xai-train=no"}),
        ("", {"content_usage": "train-ai=no, =n, train-ai"}),
    ],
)
def test_what_says_nothing_about_training(html: str, headers: dict[str, str]) -> None:
    assert consent_of(html, **headers) == UNKNOWN


SIGNALS = {
    "tdm_reservation": ("1", "0"),
    "content_signal": ("ai-train=no", "ai-train=yes"),
    "content_usage": ("train-ai=n", "train-ai=y"),
}


@given(st.permutations(list(SIGNALS)), st.lists(st.booleans(), min_size=3, max_size=3))
def test_one_refusal_beats_any_allowance(names: list[str], allowed: list[bool]) -> None:
    headers = {name: SIGNALS[name][allows] for name, allows in zip(names, allowed)}
    assert consent_of(**headers).verdict == ("allowed" if all(allowed) else "refused")
    assert consent_of(meta("robots", "noai"), **headers).verdict == "refused"


def test_training_agents_are_lower_case_and_hold_those_that_matter_here() -> None:
    assert {
        "ccbot",
        "gptbot",
        "claudebot",
        "google-extended",
        "cotoyogi",
        "icc-crawler",
        "sbintuitionsbot",
    } <= TRAINING_AGENTS
    assert all(agent == agent.lower().strip() for agent in TRAINING_AGENTS)
    assert not {"googlebot", "bingbot", "chatgpt-user", "oai-searchbot", "robots", ""} & TRAINING_AGENTS


@given(st.text() | st.text("noai,:;= 10CBtrain-y"), st.sampled_from(["robots", "ccbot", "tdm-reservation"]))
def test_any_value_is_taken(value: str, name: str) -> None:
    consent = consent_of(
        meta(name, value), x_robots_tag=value, tdm_reservation=value, content_signal=value, content_usage=value
    )
    assert (consent.evidence is None) is (consent.verdict == "unknown")
    assert consent.evidence is None or len(consent.evidence) <= 200
