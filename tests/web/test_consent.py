"""What must hold of a page's consent: each signal refuses, allows or says nothing as its authors mean it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.consent.agents import agent_sets, agents_of, training_agents
from pipeline.web.consent.page_signals import Consent, find_consent
from pipeline.web.page import read_page

UNKNOWN = Consent("unknown", None)
BEFORE_BING, SINCE_BING = date(2023, 9, 21), date(2023, 9, 22)


def consent_of(html: str = "", fetched_on: date | None = SINCE_BING, /, **headers: str | list[str]) -> Consent:
    named = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in headers.items()}
    return find_consent(read_page(html), named, fetched_on)


def meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{content}">'


@pytest.mark.parametrize(
    ("name", "content", "evidence"),
    [
        ("robots", "noai", "meta robots: noai"),
        ("ROBOTS", "index, NoAI, noimageai", "meta robots: noai; meta robots: noimageai"),
        ("robots", "noindex noai", "meta robots: noai"),
        ("robots", "index;noml", "meta robots: noml"),
        ("googlebot", "noai, noindex", "meta googlebot: noai"),
        ("CCBot", "noai", "meta ccbot: noai"),
        ("CCBot", "noindex", "meta ccbot: noindex"),
        ("CCBot", "noarchive", "meta ccbot: noarchive"),
        ("GPTBot", "none", "meta gptbot: none"),
        ("GPTBot", "index, nocache", "meta gptbot: nocache"),
        ("bingbot", "noarchive", "meta bingbot: noarchive"),
        ("msnbot", "nocache", "meta msnbot: nocache"),
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
        ({"x_robots_tag": "otherbot: noai"}, "header x-robots-tag: otherbot: noai"),
        ({"x_robots_tag": ["nofollow", "CCBot: noindex, nofollow"]}, "header x-robots-tag: ccbot: noindex"),
        ({"x_robots_tag": "googlebot: nofollow, GPTBot: nofollow, none"}, "header x-robots-tag: gptbot: none"),
        ({"x_robots_tag": "bingbot: noarchive"}, "header x-robots-tag: bingbot: noarchive"),
        ({"x_robots_tag": "unavailable_after: 25 Jun 2030 15:00:00 PST, noai"}, "header x-robots-tag: noai"),
        (
            {"x_robots_tag": "CCBot: unavailable_after: Wednesday, 25-Jun-30 15:00:00 PST, noindex"},
            "header x-robots-tag: ccbot: noindex",
        ),
        ({"tdm_reservation": "1"}, "header tdm-reservation: 1"),
        (
            {"tdm_reservation": "1", "tdm_policy": "https://a.example/terms"},
            "header tdm-reservation: 1; header tdm-policy: https://a.example/terms",
        ),
        (
            {"content_signal": "search=yes, ai-train=no, ai-input=no"},
            "header content-signal: ai-train=no; header content-signal: search=yes; header content-signal: ai-input=no",
        ),
        ({"content_signal": ["search=yes", "ai-train=no"]}, None),
        ({"content_usage": "train-ai=n;exp=1"}, "header content-usage: train-ai=n"),
        ({"content_usage": "bots=n"}, "header content-usage: bots=n"),
        (
            {"content_usage": "bots=y, train-genai=n"},
            "header content-usage: train-genai=n; header content-usage: bots=y",
        ),
        ({"content_usage": "train-ai=y, train-ai=n"}, "header content-usage: train-ai=n"),
        ({"content_usage": ["train-ai=y", "train-ai=n"]}, "header content-usage: train-ai=n"),
        ({"content_usage": 'x="a, train-ai=y", y=(1 "b";c);d=?0, z=:YQ==:, train-ai=n'}, None),
    ],
)
def test_headers_that_refuse(headers: dict[str, str | list[str]], evidence: str | None) -> None:
    found = consent_of(**headers)
    assert found.verdict == "refused"
    assert evidence is None or found.evidence == evidence


@pytest.mark.parametrize(
    ("html", "headers", "evidence"),
    [
        (meta("tdm-reservation", "0"), {}, "meta tdm-reservation: 0"),
        ("", {"tdm_reservation": " 0"}, "header tdm-reservation: 0"),
        ("", {"content_signal": "AI-train = Yes"}, "header content-signal: ai-train=yes"),
        ("", {"content_usage": "train-ai=y"}, "header content-usage: train-ai=y"),
        ("", {"content_usage": "train-ai=n, train-ai=y"}, "header content-usage: train-ai=y"),
        ("", {"content_usage": "train-ai;allow=n , train-ai=y;n"}, "header content-usage: train-ai=y"),
        ("", {"content_usage": 'note="say train-ai=n", train-ai=y'}, "header content-usage: train-ai=y"),
        ("", {"content_usage": "bots=n, train-ai=y"}, "header content-usage: train-ai=y; header content-usage: bots=n"),
        (meta("tdm-reservation", "0"), {"content_signal": "ai-train=often"}, None),
    ],
)
def test_signals_that_allow(html: str, headers: dict[str, str], evidence: str | None) -> None:
    found = consent_of(html, **headers)
    assert found.verdict == "allowed"
    assert evidence is None or found.evidence == evidence


@pytest.mark.parametrize(
    ("html", "headers", "evidence"),
    [
        (meta("tdm-reservation", "yes"), {}, "meta tdm-reservation: yes (not understood)"),
        (meta("tdm-reservation", "10"), {}, "meta tdm-reservation: 10 (not understood)"),
        ("", {"tdm_reservation": ""}, "header tdm-reservation:  (not understood)"),
        ("", {"tdm_policy": "https://a.example/"}, "header tdm-policy: https://a.example/"),
        (meta("robots", "no-ai"), {}, "meta robots: no-ai (not understood)"),
        ("", {"x_robots_tag": "no_image_ai"}, "header x-robots-tag: no_image_ai (not understood)"),
        ("", {"content_signal": "ai-train=maybe"}, "header content-signal: ai-train=maybe (not understood)"),
        ("", {"content_signal": "ai-train"}, "header content-signal: ai-train (not understood)"),
        ("", {"content_usage": "train-ai=no"}, "header content-usage: train-ai=no (not understood)"),
        ("", {"content_usage": "Train-AI=n"}, "header content-usage: Train-AI=n (not understood)"),
        ("", {"content_usage": "train-ai=N"}, "header content-usage: train-ai=N (not understood)"),
        ("", {"content_usage": "train-ai = n"}, "header content-usage: train-ai = n (not understood)"),
        ("", {"content_usage": "train-ai=n,"}, "header content-usage: train-ai=n, (not understood)"),
        ("", {"content_usage": "train-ai=y, train-ai"}, "header content-usage: train-ai (not understood)"),
        ("", {"content_usage": 'train-ai="n"'}, 'header content-usage: train-ai="n" (not understood)'),
    ],
)
def test_malformed_values_decide_nothing_and_are_named(html: str, headers: dict[str, str], evidence: str) -> None:
    assert consent_of(html, **headers) == Consent("unknown", evidence)


@pytest.mark.parametrize(
    ("html", "headers", "evidence"),
    [
        (meta("robots", "noindex, noarchive, nocache"), {}, "meta robots: noarchive; meta robots: nocache"),
        ("", {"x_robots_tag": "noindex, noarchive"}, "header x-robots-tag: noarchive"),
        (meta("robots", "noimageai"), {}, "meta robots: noimageai"),
        ("", {"content_signal": "search=no, ai-input=no"}, None),
        ("", {"content_usage": "search=n, ai-use=n"}, None),
    ],
)
def test_signals_of_other_uses_are_named_only(html: str, headers: dict[str, str], evidence: str | None) -> None:
    found = consent_of(html, **headers)
    assert found.verdict == "unknown" and found.evidence
    assert evidence is None or found.evidence == evidence


@pytest.mark.parametrize(
    ("html", "headers"),
    [
        ("", {}),
        (meta("robots", "all, index, noindex, nofollow, none"), {}),
        (meta("robots", "noaix,nonsense"), {}),
        (meta("robots", ""), {}),
        (meta("googlebot", "noindex"), {}),
        (meta("CCBot", "nofollow"), {}),
        (meta("description", "noai"), {}),
        ("<meta content=noai>", {}),
        (f"<!-- {meta('robots', 'noai')} -->", {}),
        ("", {"x_robots_tag": ": , ::"}),
        ("", {"x_robots_tag": "googlebot: noindex"}),
        ("", {"content_signal": "xai-train=no, =no"}),
        ("", {"content_usage": "=n, ,"}),
        ("", {"tdm_policy": ""}),
    ],
)
def test_what_says_nothing_about_training(html: str, headers: dict[str, str]) -> None:
    assert consent_of(html, **headers) == UNKNOWN


def test_noarchive_to_bing_speaks_of_training_since_microsoft_said_so() -> None:
    refusing = meta("bingbot", "noarchive")
    assert consent_of(refusing, SINCE_BING).verdict == "refused"
    assert consent_of(refusing, BEFORE_BING) == consent_of(refusing, None)
    assert consent_of(refusing, None) == Consent("unknown", "meta bingbot: noarchive")


SIGNALS = {
    "tdm_reservation": ("1", "0"),
    "content_signal": ("ai-train=no", "ai-train=yes"),
    "content_usage": ("train-ai=n", "train-ai=y"),
}


@given(st.permutations(list(SIGNALS)), st.lists(st.booleans(), min_size=3, max_size=3))
def test_one_refusal_beats_any_allowance_and_all_are_named(names: list[str], allowed: list[bool]) -> None:
    headers = {name: SIGNALS[name][allows] for name, allows in zip(names, allowed)}
    found = consent_of(**headers)
    assert found.verdict == ("allowed" if all(allowed) else "refused")
    assert found.evidence and all(value in found.evidence for value in headers.values())
    refusing = [value for name, value in headers.items() if value == SIGNALS[name][0]]
    assert not refusing or found.evidence.split("; ")[0].endswith(tuple(refusing))
    assert consent_of(meta("robots", "noai"), **headers).verdict == "refused"


def test_a_page_of_many_signals_is_decided_by_the_last_and_told_in_short() -> None:
    many = "".join(meta("tdm-reservation", f"word{number}") for number in range(5_000))
    found = consent_of(many + meta("robots", "noai"))
    assert found.verdict == "refused"
    assert found.evidence and found.evidence.startswith("meta robots: noai; ")
    assert len(found.evidence) <= 500


def test_the_sets_of_agents_hold_those_that_matter_here() -> None:
    wanted = {"ccbot", "gptbot", "claudebot", "google-extended", "cotoyogi", "icc-crawler", "sbintuitionsbot"}
    assert wanted <= training_agents()
    assert not {"googlebot", "bingbot", "chatgpt-user", "oai-searchbot", "robots", ""} & training_agents()
    listed = [agent.lower() for agent in agent_sets()["listed"]]
    assert len(listed) == len(set(listed)) > 150
    assert training_agents() <= set(listed)
    for agents in agent_sets().values():
        assert agents and all(agent == agent.strip() and agent for agent in agents)


def test_a_recipe_names_a_set_or_agents_of_its_own() -> None:
    assert agents_of("common-crawl") == ("CCBot",)
    assert agents_of(["A", "B"]) == ("A", "B")
    with pytest.raises(ValueError, match="unknown set 'trainers'; there are training, "):
        agents_of("trainers")


@given(st.text() | st.text("noaiml,:;= 10CBtrain-y_"), st.sampled_from(["robots", "ccbot", "tdm-reservation"]))
def test_any_value_is_taken(value: str, name: str) -> None:
    consent = consent_of(
        meta(name, value),
        x_robots_tag=value,
        tdm_reservation=value,
        tdm_policy=value,
        content_signal=value,
        content_usage=value,
    )
    assert consent.evidence is not None or consent.verdict == "unknown"
    assert consent.evidence is None or 0 < len(consent.evidence) <= 500


@given(st.binary(), st.sampled_from(["x-robots-tag", "tdm-reservation", "content-signal", "content-usage"]))
def test_any_bytes_of_a_header_are_taken(value: bytes, name: str) -> None:
    from pipeline.web.http_response import read_response

    response = read_response(b"HTTP/1.1 200 OK\r\n" + name.encode() + b": " + value + b"\r\n\r\n", 1_000_000)
    assert find_consent(read_page(""), response.headers, None).verdict in ("allowed", "refused", "unknown")
