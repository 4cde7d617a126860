"""Page templates of the embedded sample: HTML as blogs, news sites, forums, shops, wikis and old homepages write it."""
# ruff: noqa: E501 (lines of HTML as templates write them)

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RUBY = re.compile(r"\{([^|}]+)\|([^}]+)\}")


@dataclass(frozen=True)
class Parts:
    """What a template puts together; `head`, `related` and `footer` are HTML, the others plain text."""

    title: str
    lines: Sequence[str]
    site: str
    lang: str
    head: str
    related: Sequence[tuple[str, str]]
    footer: str


def inline(line: str) -> str:
    """Escape a line and write its ruby as elements."""
    return RUBY.sub(r"<ruby>\1<rp>（</rp><rt>\2</rt><rp>）</rp></ruby>", html.escape(line, quote=False))


def blocks(lines: Sequence[str]) -> str:
    """Write a text's lines as modern, closed block elements."""
    parts: list[str] = []
    for line in lines:
        if line.startswith("## "):
            parts.append(f"<h2>{inline(line[3:])}</h2>")
        elif line.startswith("- "):
            parts.append(f"<li>{inline(line[2:])}</li>")
        elif line.startswith("| "):
            parts.append("<tr>" + "".join(f"<td>{inline(cell)}</td>" for cell in line[2:].split(" | ")) + "</tr>")
        elif line.startswith("$ "):
            parts.append(f"<pre><code>{inline(line[2:])}</code></pre>")
        elif line.startswith("@"):
            parts.append(f'<p class="poster">{inline(line[1:])} さんの投稿</p>')
        else:
            parts.append(f"<p>{inline(line)}</p>")
    body = "\n".join(parts)
    body = re.sub(r"(?:<li>.*</li>\n?)+", lambda found: f"<ul>\n{found.group()}</ul>\n", body)
    return re.sub(r"(?:<tr>.*</tr>\n?)+", lambda found: f"<table>\n{found.group()}</table>\n", body)


def links(related: Sequence[tuple[str, str]]) -> str:
    """Write related pages as list items."""
    return "".join(f'<li><a href="{html.escape(url)}">{inline(title)}</a></li>' for url, title in related)


def blog(page: Parts) -> str:
    return f"""<!DOCTYPE html>
<html lang="{page.lang}">
<head>
{page.head}<title>{page.title} | {page.site}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<div id="header"><a href="/">{page.site}</a></div>
<div id="nav"><ul><li><a href="/">ホーム</a></li><li><a href="/about">自己紹介</a></li><li><a href="/archive">月別の記事</a></li></ul></div>
<div id="main"><div class="post">
<h1 class="entry-title">{page.title}</h1>
<div class="entry-content">
{blocks(page.lines)}
</div>
</div></div>
<div id="sidebar"><h3>最近の記事</h3><ul>{links(page.related)}</ul><h3>カテゴリー</h3><ul><li><a href="/c/1">日々のこと</a></li><li><a href="/c/2">本</a></li></ul></div>
<div id="footer">{page.footer}Copyright {page.site}</div>
</body>
</html>
"""


def news(page: Parts) -> str:
    return f"""<!doctype html>
<html lang="{page.lang}" prefix="og: https://ogp.me/ns#">
<head>
{page.head}<meta name="viewport" content="width=device-width">
<meta property="og:type" content="article">
<title>{page.title}｜{page.site}</title>
<script>window.dataLayer = window.dataLayer || []; function push(value) {{ dataLayer.push(value); }}</script>
</head>
<body>
<header><p class="logo"><a href="/">{page.site}</a></p>
<nav><ul><li><a href="/local">地域</a></li><li><a href="/life">くらし</a></li><li><a href="/sports">スポーツ</a></li><li><a href="/weather">天気</a></li></ul></nav></header>
<main><article>
<header><h1>{page.title}</h1></header>
<div class="article-body">
{blocks(page.lines)}
</div>
</article></main>
<aside><h2>関連する記事</h2><ul>{links(page.related)}</ul></aside>
<footer>{page.footer}<small>&copy; {page.site}　記事の無断転載を禁じます</small></footer>
</body>
</html>
"""


def forum(page: Parts) -> str:
    posts: list[list[str]] = []
    for line in page.lines:
        if line.startswith("@") or not posts:
            posts.append([])
        posts[-1].append(line)
    written = "\n".join(f'<div class="message" id="m{i}">{blocks(post)}</div>' for i, post in enumerate(posts, 1))
    return f"""<!DOCTYPE html>
<html lang="{page.lang}">
<head>
{page.head}<title>{page.title} - {page.site}</title>
</head>
<body>
<div class="breadcrumb"><a href="/">{page.site}</a> &gt; <a href="/board/3">相談の部屋</a></div>
<form action="/search"><input name="q" value=""><input type="submit" value="さがす"></form>
<h1>{page.title}</h1>
<article class="thread">
{written}
</article>
<div class="pager"><a href="?p=1">前のページ</a> <a href="?p=2">次のページ</a></div>
<ul class="related">{links(page.related)}</ul>
<div class="footer">{page.footer}<a href="/rules">投稿のきまり</a></div>
</body>
</html>
"""


def shop(page: Parts) -> str:
    return f"""<!DOCTYPE html>
<html lang="{page.lang}">
<head>
{page.head}<title>{page.title}【{page.site}】</title>
</head>
<body>
<div class="global-nav"><a href="/cart">買い物かご</a>｜<a href="/login">ログイン</a>｜<a href="/guide">ご利用案内</a></div>
<div class="item"><h1>{page.title}</h1>
<img src="/img/1.jpg" alt="商品の写真">
<div class="description">
{blocks(page.lines)}
</div>
<form action="/cart" method="post"><select name="n"><option>1</option><option>2</option></select><button>かごに入れる</button></form>
</div>
<div class="recommend"><h3>こちらもおすすめ</h3><ul>{links(page.related)}</ul></div>
<div class="footer">{page.footer}<a href="/law">特定商取引法に基づく表記</a></div>
</body>
</html>
"""


def wiki(page: Parts) -> str:
    return f"""<!DOCTYPE html>
<html class="client-nojs" lang="{page.lang}" dir="ltr">
<head>
{page.head}<title>{page.title} - {page.site}</title>
</head>
<body>
<div id="content" class="mw-body" role="main">
<h1 id="firstHeading">{page.title}</h1>
<div id="bodyContent"><div id="mw-content-text" class="mw-content-ltr">
{blocks(page.lines)}
</div></div>
</div>
<div id="mw-navigation"><ul><li><a href="/wiki/main">メインページ</a></li><li><a href="/wiki/recent">最近の更新</a></li>{links(page.related)}</ul></div>
<div id="footer">{page.footer}<a href="/wiki/about">{page.site}について</a></div>
</body>
</html>
"""


def homepage(page: Parts) -> str:
    """The manner of 1999: upper case, fonts, line breaks, no end tags."""
    lines = [f"■{inline(line[3:])}" if line.startswith("## ") else inline(line.lstrip("-@| ")) for line in page.lines]
    listed = " ".join(f"[<A HREF={url}>{inline(title)}</A>]" for url, title in page.related)
    return f"""<HTML>
<HEAD>
{page.head}<TITLE>{page.title}</TITLE>
</HEAD>
<BODY BGCOLOR=#FFFFE0 TEXT=#333333 LINK=blue>
<CENTER><FONT SIZE=5 COLOR=#006600><B>{page.title}</B></FONT></CENTER>
<HR>
<FONT SIZE=3>
<P>{"<BR><BR>".join(lines)}
</FONT>
<HR>
<P ALIGN=center>{listed}
<BR><A HREF=index.html>もどる</A> <A HREF=bbs.cgi>掲示板</A>
<BR>{page.footer}{page.site}
</BODY>
</HTML>
"""


def table_layout(page: Parts) -> str:
    listed = "<br>".join(f'<a href="{url}">{inline(title)}</a>' for url, title in page.related)
    return f"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">
<html lang="{page.lang}">
<head>
{page.head}<title>{page.site}：{page.title}</title>
</head>
<body bgcolor="#ffffff">
<table width="760" border="0" cellspacing="0">
<tr><td colspan="2" bgcolor="#336699"><font color="#ffffff">{page.site}のホームページへようこそ</font></td></tr>
<tr><td width="160" valign="top"><a href="/">トップ</a><br><a href="/map">地図</a><br>{listed}</td>
<td valign="top"><h2>{page.title}</h2>
{blocks(page.lines)}
</td></tr>
<tr><td colspan="2" align="center"><font size="2">{page.footer}お問い合わせは {page.site} 広報係まで</font></td></tr>
</table>
</body>
</html>
"""


def manual(page: Parts) -> str:
    return f"""<!DOCTYPE html>
<html lang="{page.lang}">
<head>
{page.head}<title>{page.title} - {page.site}</title>
</head>
<body>
<nav class="toc"><p>目次</p><ol>{links(page.related)}</ol></nav>
<main class="chapter"><section>
<h1>{page.title}</h1>
{blocks(page.lines)}
</section></main>
<footer>{page.footer}<a href="prev.html">前の章</a> <a href="next.html">次の章</a></footer>
</body>
</html>
"""


def xhtml(page: Parts) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="{page.lang}">
<head>
{page.head}<title>{page.title}</title>
</head>
<body>
<div id="menu"><ul>{links(page.related)}</ul></div>
<div id="contents">
<h1>{page.title}</h1>
{blocks(page.lines)}
</div>
<div id="address"><address>{page.footer}{page.site}</address></div>
</body>
</html>
"""


def printed(page: Parts) -> str:
    """A print view: the text and nothing else."""
    return f"""<html><head>
{page.head}<title>印刷用：{page.title}</title></head><body>
<article><header><h1>{page.title}</h1></header>
{blocks(page.lines)}
</article></body></html>
"""


TEMPLATES: dict[str, Callable[[Parts], str]] = {
    "blog": blog,
    "news": news,
    "forum": forum,
    "shop": shop,
    "wiki": wiki,
    "homepage": homepage,
    "table": table_layout,
    "manual": manual,
    "xhtml": xhtml,
    "print": printed,
}
