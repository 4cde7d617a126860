"""What must hold of robots.txt: protego decides who may fetch, signals decide by path, and no bytes break it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from pipeline.web.consent.robots_txt import MAX_BYTES, RobotsTxt, decode_robots_txt
from pipeline.web.urls import host, path_and_query, site

AGENTS = ("CCBot", "GPTBot", "anthropic-ai", "Kangaroo Bot", "iaskspider/2.0")


def decide(text: str, path: str = "/", *agents: str) -> tuple[str, str]:
    return RobotsTxt(text).decide(path, agents or AGENTS)


@pytest.mark.parametrize(
    ("text", "path", "verdict", "evidence"),
    [
        ("", "/", "allowed", "no rule refuses"),
        ("User-agent: *\nDisallow:", "/", "allowed", "no rule refuses"),
        ("User-agent: *\nDisallow: /a", "/b", "allowed", "no rule refuses"),
        ("User-agent: *\nDisallow: /a", "/ab", "refused", "*: disallow: /a"),
        ("user-agent:ccbot\ndisallow:/", "/", "refused", "ccbot: disallow: /"),
        ("User-agent: Googlebot\nDisallow: /", "/", "allowed", "no rule refuses"),
        ("User-agent: *\nDisallow: /\nUser-agent: CCBot\nAllow: /", "/", "refused", "*: disallow: /"),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", "allowed", "no rule refuses"),
        ("User-agent: *\nDisallow: /a/b\nDisallow: /a", "/a/b/c", "refused", "*: disallow: /a/b"),
        ("Disallow: /", "/", "allowed", "no rule refuses"),
        # Groups (RFC 9309, 2.2.1): of one agent they are one, whatever stands between; names are whole tokens.
        ("User-agent: CCBot\nDisallow: /a\n\nUser-agent: *\nAllow: /\n\nUser-agent: CCBot\nDisallow: /b", "/b",
         "refused", "ccbot: disallow: /b"),
        ("User-agent: CCBot\n\n# both\n\nUser-agent: Googlebot\nDisallow: /", "/", "refused", "ccbot: disallow: /"),
        ("User-agent: *\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/b", "refused", "*: disallow: /b"),
        ("User-agent: CCBot\nDisallow: /b\nAllow: /b", "/b", "allowed", "no rule refuses"),
        ("User-agent: GPTBot/1.1\nDisallow: /", "/", "refused", "gptbot: disallow: /"),
        ("User-agent: IASKSPIDER/3.0 (new)\nDisallow: /", "/", "refused", "iaskspider: disallow: /"),
        ("User-agent: GPT*\nDisallow: /", "/", "refused", "gpt: disallow: /"),
        ("User-agent: CC\nDisallow: /", "/", "allowed", "no rule refuses"),
        ("User-agent: anthropic\nDisallow: /", "/", "allowed", "no rule refuses"),
        ("User-agent: CCBot-Images\nDisallow: /", "/", "allowed", "no rule refuses"),
        ("User-agent: *\nContent-Usage: /紙 train-ai=y\nContent-Usage: /%E7%B4 train-ai=n", "/%E7%B4%99", "allowed",
         "*: content-usage: /紙 train-ai=y"),
        ("User-agent: *\nContent-Usage: / train-ai=n, train-ai=y", "/", "allowed", "*: content-usage: train-ai=y"),
        ("User-agent: *\nContent-Usage: / Train-AI=n", "/", "allowed",
         "no rule refuses; *: content-usage: Train-AI=n (not understood)"),
        # Signals: as Cloudflare writes them, before any group, with a path, unknown, for another agent.
        ("User-agent: *\nContent-Signal: ai-train=no", "/", "refused", "*: content-signal: ai-train=no"),
        ("User-agent: *\nContent-signal: ai-train=yes", "/", "allowed", "*: content-signal: ai-train=yes"),
        ("Content-Signal: ai-train=no\nUser-agent: *\nAllow: /", "/", "refused", "*: content-signal: ai-train=no"),
        ("User-agent: *\nContent-Signal: /a ai-train=no", "/b", "allowed", "no rule refuses"),
        ("User-agent: *\nContent-Signal: ai-train=perhaps", "/", "allowed", "no rule refuses; "
         "*: content-signal: ai-train=perhaps (not understood)"),
        ("User-agent: Googlebot\nContent-Signal: ai-train=no", "/", "allowed", "no rule refuses"),
        ("User-agent: *\nContent-Usage: / train-ai=n", "/", "refused", "*: content-usage: train-ai=n"),
        ("User-agent: *\nContent-Usage: train-ai=n", "/", "refused", "*: content-usage: train-ai=n"),
        ("User-agent: *\nContent-Usage: / train-ai=y", "/", "allowed", "*: content-usage: train-ai=y"),
        ("User-agent: *\nContent-Usage: /a*c train-ai=n", "/abc", "refused", "*: content-usage: /a*c train-ai=n"),
        ("User-agent: *\nContent-Usage: /a train-ai=n\nContent-Usage: /a train-ai=y", "/a", "refused",
         "*: content-usage: /a train-ai=n; *: content-usage: /a train-ai=y"),
        ("User-agent: *\nContent-Usage: /", "/", "allowed", "no rule refuses"),
        ("User-agent: *\nContent-Usage: ", "/", "allowed", "no rule refuses"),
    ],
)  # fmt: skip
def test_verdict_and_evidence(text: str, path: str, verdict: str, evidence: str) -> None:
    assert decide(text, path) == (verdict, evidence)


def test_the_example_of_the_draft() -> None:
    text = (
        "User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: / train-ai=n\nContent-Usage: /ai-ok/ train-ai=y\n\n"
        "User-Agent: ExampleBot\nAllow: /\nContent-Usage: / train-ai=y\n"
    )
    found = {path: decide(text, path, "CCBot")[0] for path in ("/test", "/never/test", "/ai-ok/test")}
    assert found == {"/test": "refused", "/never/test": "refused", "/ai-ok/test": "allowed"}
    assert decide(text, "/test", "ExampleBot")[0] == "allowed"


def test_lines_end_where_the_standard_says() -> None:
    assert decide("User-agent: *\rDisallow: /a\r\nDisallow: /b", "/b")[0] == "refused"
    text = decode_robots_txt("User-agent: *\n# a comment\u2028Disallow: /\n# another\x0bDisallow: /".encode())
    assert decide(text)[0] == "allowed"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\xef\xbb\xbfUser-agent: *", "User-agent: *"),
        ("Disallow: /紙".encode(), "Disallow: /紙"),
        ("Disallow: /紙/表".encode("cp932"), "Disallow: /%8E%86/%95\\"),
        (b"\xff\xfe\x00", "%FF%FE\x00"),
        (b"", ""),
    ],
)
def test_bytes_to_text(body: bytes, text: str) -> None:
    assert decode_robots_txt(body) == text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_huge_file_is_cut_after_a_whole_line(end: str) -> None:
    body = (f"User-agent: *{end}" + f"Disallow: /long-path{end}" * 50_000).encode()
    text = decode_robots_txt(body)
    assert len(text) <= MAX_BYTES and text.endswith(f"/long-path{end}")
    assert decide(text, "/other")[0] == "allowed"
    assert decode_robots_txt(b"x" * 2 * MAX_BYTES) == ""


LINES = st.builds(
    lambda field, separator, value: field + separator + value,
    st.sampled_from(
        ["User-agent", "user agent", "Disallow", "disalow", "Allow", "Sitemap", "Content-Signal", "Crawl-delay", "Foo"]
    ),
    st.sampled_from([":", ": ", " ", " : ", ""]),
    st.sampled_from(
        [
            "*",
            "CCBot",
            "gptbot",
            "gpt*",
            "anthropic-ai",
            "mybot",
            "ai",
            "kangaroo bot",
            "iaskspider/2.0",
            "/",
            "/a",
            "/a*b$",
            "",
            "x: y",
            "#",
        ]
    ),
)


@given(st.lists(LINES, max_size=14), st.sampled_from(["/", "/a", "/ab", "/axb", "/c?d"]))
def test_agents_that_may_fetch_by_protego_may_fetch(lines: list[str], path: str) -> None:
    text = "\n".join(lines)
    rules = Protego.parse(text)
    refused = not all(rules.can_fetch(f"https://a.example{path}", agent) for agent in AGENTS)
    assert (decide(text, path)[0] == "refused") is refused


@given(
    st.binary() | st.lists(LINES, max_size=9).map(lambda lines: "\n".join(lines).encode("utf-16")),
    st.text(),
    st.lists(st.text(min_size=1), min_size=1, max_size=3),
)
def test_any_bytes_paths_and_agents_are_taken(body: bytes, path: str, agents: list[str]) -> None:
    verdict, evidence = RobotsTxt(decode_robots_txt(body)).decide(f"/{path}", agents)
    assert verdict in ("allowed", "refused") and 0 < len(evidence) <= 500


@pytest.mark.parametrize(
    ("url", "place", "path"),
    [
        ("https://a.example", ("https", "a.example", 443), "/"),
        ("HTTP://A.example/b?c#d", ("http", "a.example", 80), "/b?c"),
        ("http://a.example:8080/?", ("http", "a.example", 8080), "/?"),
        ("https://user:word@a.example:443/b", ("https", "a.example", 443), "/b"),
        ("https://a.example?c", ("https", "a.example", 443), "/?c"),
        ("https://[::1]:80/", ("https", "[::1]", 80), "/"),
        ("https://a.example:99999/", None, "/"),
        ("https://a.example:x/", None, "/"),
        ("ftp://a.example/b", None, "/b"),
        ("dns:a.example", None, "/a.example"),
        ("", None, "/"),
    ],
)
def test_sites_and_paths(url: str, place: tuple[str, str, int] | None, path: str) -> None:
    assert (site(url), path_and_query(url)) == (place, path)


@given(st.text() | st.text(":/?#[]@.a1 %\\").map("http://a".__add__))
def test_any_text_is_taken_as_a_url(url: str) -> None:
    place = site(url)
    assert place is None or place[1] == host(url)
    assert path_and_query(url).startswith("/")


@pytest.mark.parametrize(
    "piece",
    [
        "user-agent" + " " * 1_000,
        " ",
        "\t",
        "user-agent: ",
        "user-agent:*",
        "user-agent: a/",
        "user-agent\n",
        "*a",
        "/",
        ":",
    ],
)
@pytest.mark.parametrize("start", ["", "user-agent", "user-agent:", "user-agent: *\ndisallow: /"])
def test_a_file_as_large_as_may_be_is_read_in_one_go(start: str, piece: str) -> None:
    # One look back for each blank would take longer than a test may.
    text = start + piece * (500 * 1024 // len(piece))
    assert decide(text, "/a/b")[0] in ("allowed", "refused")
