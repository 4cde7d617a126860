"""The pages of the embedded sample: address, template, text, encoding, declarations, and what the demo must make of each."""
# ruff: noqa: E501 (a page is a row)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from sample_texts import FOREIGN_TEXTS, SPECIAL_TEXTS, TEXTS


@dataclass(frozen=True)
class Page:
    """One response of the sample.

    `meta` is the charset that the page declares, `header` the one of its Content-Type header (None: silent); `charset` is the encoding of
    the bytes. `edits` are replacements in the text, `mirror` is the address of a page whose bytes these are, `day` the fetch date when it matters, `coding` the way the body travels.
    """

    url: str
    template: str
    text: str
    kind: str
    detail: str = ""
    outcome: str = "corpus"
    charset: str = "utf-8"
    meta: str | None = "UTF-8"
    header: str | None = None
    lang: str = "ja"
    day: str | None = None
    head: str = ""
    footer: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    edits: tuple[tuple[str, str], ...] = ()
    coding: str = "identity"
    body: bytes | None = None
    mirror: str | None = None
    status: str = "200 OK"
    content_type: str = "text/html"


def _sentences(words: str, particles: str, endings: str, repeats: int, count: int) -> str:
    """A nursery rhyme of `count` different lines in which one word returns `repeats` times a line."""
    particle, ending = cycle(particles), cycle(endings.split())
    lines = ("".join(words + next(particle) for _ in range(repeats)) + next(ending) + "。" for _ in range(count))
    return "\n".join(lines)


# The periods put the top n-gram just where one rule falls and the others hold: 2-gram .27; 3-gram .19; 4-gram .17.
RHYMES = {
    "rhyme_2": "ねこの数え歌\n"
    + _sentences("ねこ", "がのともはにをへやで", "よぶ まつ みる ゆく くる すわる はしる", 4, 28),
    "rhyme_3": "かもめの数え歌\n"
    + _sentences("かもめ", "がのとをはにへやで", "よぶよ まつの ゆくね ねるぞ くるわ さわぐさ とぶか", 4, 47),
    "rhyme_4": "かまきりの数え歌\n"
    + _sentences("かまきり", "がのとをはにへやで", "よぶ ねる ゆく くる とぶ まつ ねむる", 5, 32),
}
ALL_TEXTS = {**TEXTS, **SPECIAL_TEXTS, **FOREIGN_TEXTS, **RHYMES}

SITES = {
    "kagaku": "まちの科学室", "shiryo": "街道資料室", "daidokoro": "台所ノート", "kumiai": "青葉協同組合", "town": "白波町", "nikki": "くらしの日記",
    "rail": "線路ぎわのページ", "kikigaki": "聞き書きの会", "soudan": "みんなの相談室", "soft": "小さな道具箱", "tabi": "ゆっくり旅", "monogatari": "物語の棚",
    "gakko": "青葉小学校", "kenko": "からだの手帖", "uta": "合唱通信", "hatake": "ベランダ畑", "kotoba": "ことばの散歩", "boki": "やさしい家計",
    "kojo": "三日月ばね工業", "hon": "本の虫", "mise": "道具の店つきしろ", "shinbun": "白波日報", "jiten": "くらしの事典", "yado": "宿の案内所", "aruku": "町を歩く会", "kenkyu": "紙の研究室",
}  # fmt: skip


def site_name(url: str) -> str:
    """The name of the site that a page belongs to."""
    return SITES.get(url.split("/")[2].split(".")[0], url.split("/")[2])


def _license(url: str, label: str) -> str:
    return f'<a rel="license" href="{url}">{label}</a> '


CC = "https://creativecommons.org"
SJIS: dict[str, Any] = {"charset": "cp932", "meta": "Shift_JIS"}
EUC: dict[str, Any] = {"charset": "euc-jp", "meta": "EUC-JP"}
JIS: dict[str, Any] = {"charset": "iso-2022-jp", "meta": "ISO-2022-JP"}

HOME = '<link rel="canonical" href="https://yado.example.com/">\n'
KEPT = [
    Page("https://kagaku.example.jp/frost", "blog", "frost", "science column", "kept of the cluster of three near duplicates", header="UTF-8"),
    Page("https://kagaku.example.jp/tide", "table", "tide", "table layout in CP932", **SJIS),
    Page("https://kagaku.example.jp/koji", "news", "kouji", "science article", 'published=2023-04-01 by article:published_time', head='<meta property="article:published_time" content="2023-04-01T09:00:00+09:00">\n'),
    Page("https://kagaku.example.jp/soudan/31", "print", "rainbow", "print view, EUC-JP, nothing declared", charset="euc-jp", meta=None),
    Page("https://shiryo.example.jp/shukuba.html", "xhtml", "shukuba", "XHTML with xml:lang", "xml:lang=ja only; XML declaration"),
    Page("https://shiryo.example.jp/washi", "news", "washi", "article under a licence", "license=CC-BY-4.0 by rel-license-a", footer=_license(CC + "/licenses/by/4.0/deed.ja", "CC BY 4.0")),
    Page("https://shiryo.example.jp/tokei", "wiki", "clock", "wiki page under a licence", "license=CC-BY-SA-2.1-JP by rel-license-link", head=f'<link rel="license" href="{CC}/licenses/by-sa/2.1/jp/">\n'),
    Page("https://daidokoro.example.com/recipe/12", "blog", "tamagoyaki", "recipe"),
    Page("https://daidokoro.example.com/nuka", "blog", "nukadoko", "diary of a kitchen", "consent=unknown: noarchive and noindex speak of search", head='<meta name="robots" content="noindex,noarchive">\n'),
    Page("http://daidokoro.example.com/curry.htm", "homepage", "curry", "1999 style in CP932", **SJIS),
    Page("https://kumiai.example.jp/kiyaku", "table", "terms", "terms of use in EUC-JP", **EUC),
    Page("https://town.example.jp/kanban", "news", "kanban", "notice of a town", "license=LicenseRef-PDL-1.0 by a plain link", footer='<a href="https://www.digital.go.jp/resources/open_data/public_data_license_v1.0">公共データ利用規約（第1.0版）</a> '),
    Page("https://town.example.jp/library", "print", "library", "UTF-8 with byte order mark", charset="utf-8-sig", meta=None),
    Page("https://nikki.example.com/2023/11/03", "blog", "move", "diary", "published=2023-11-03 by time datetime", head='<meta name="generator" content="tegami 2.1">\n', footer='<time datetime="2023-11-03T21:10:00+09:00" pubdate>2023年11月3日</time> '),
    Page("https://nikki.example.com/ame", "blog", "rainyday", "essay under a licence", "license=CC-BY-NC-4.0 by rel-license-a", footer=_license(CC + "/licenses/by-nc/4.0/", "表示-非営利")),
    Page("http://rail.example.jp/~kanri/no12.html", "homepage", "railway", "1999 style, CP932, x-sjis", "full-width tilde in the title, full-width digits", charset="cp932", meta="x-sjis"),
    Page("https://kikigaki.example.jp/tofu", "news", "tofu", "interview"),
    Page("https://kikigaki.example.jp/kutsu", "print", "shoes", "interview, CP932 declared by header only", charset="cp932", meta=None, header="Windows-31J"),
    Page("https://soudan.example.com/q/1001", "forum", "slowpc", "Q&A forum"),
    Page("https://soudan.example.com/q/1002", "forum", "pigeon", "Q&A forum, charset by header only", meta=None, header="utf-8"),
    Page("https://soudan.example.com/q/1003", "forum", "keigo", "Q&A forum in EUC-JP", **EUC),
    Page("https://soft.example.com/hikae/", "manual", "backup", "software manual", "license=CC0-1.0 by rel-license-a", footer=_license(CC + "/publicdomain/zero/1.0/", "CC0")),
    Page("https://soft.example.com/chijimi/conf", "manual", "settings", "software manual", "license=CC-BY-SA-4.0 by http-link", headers=(("Link", f'<{CC}/licenses/by-sa/4.0/>; rel="license"'),)),
    Page("https://soft.example.com/faq/regex", "manual", "regex", "software FAQ in ISO-2022-JP", **JIS),
    Page("https://tabi.example.com/shima", "blog", "island", "travel, chunked transfer", coding="chunked"),
    Page("https://tabi.example.com/koya", "blog", "hut", "travel, gzip content encoding", coding="gzip"),
    Page("https://tabi.example.com/bus", "blog", "nightbus", "travel, gzip and chunked", coding="gzip chunked"),
    Page("https://monogatari.example.jp/mizu/1", "print", "novel1", "chapter of a novel"),
    Page("https://monogatari.example.jp/kansoku", "xhtml", "novel2", "application/xhtml+xml", content_type="application/xhtml+xml"),
    Page("https://monogatari.example.jp/mujina", "homepage", "tale", "tale in ISO-2022-JP, nothing declared", charset="iso-2022-jp", meta=None),
    Page("https://monogatari.example.jp/onsen", "news", "ruby", "tale with ruby"),
    Page("https://gakko.example.jp/pta/r5-2", "table", "pta", "minutes, EUC-JP with vendor row 13", "row 13 ①②③", **EUC),
    Page("https://town.example.jp/matsuri", "table", "chonaikai", "minutes of a festival, nothing declared", meta=None),
    Page("https://kotoba.example.com/eikaiwa", "blog", "bilingual", "bilingual page", "Japanese with English sentences"),
    Page("https://kenko.example.com/nemuri", "news", "sleep", "health column", "license=CC-BY-4.0 by JSON-LD", head=f'<script type="application/ld+json">{{"@type": "Article", "license": "{CC}/licenses/by/4.0/"}}</script>\n'),
    Page("https://boki.example.com/mikka", "blog", "kakeibo", "household column, CP932 that says UTF-8", "meta lies", charset="cp932", meta="utf-8"),
    Page("https://gakko.example.jp/shogi", "news", "shogi", "school club report, UTF-8 that says Shift_JIS", "meta lies", meta="Shift_JIS"),
    Page("https://uta.example.jp/kyufu", "blog", "choir", "essay, EUC-JP that the header calls Shift_JIS", "header lies; the date 2023-04-01 stands only in the footer's text", charset="euc-jp", meta=None, header="Shift_JIS", footer="公開日：2023年4月1日 "),
    Page("https://hatake.example.com/tomato", "blog", "tomato", "gardening, CP932 that the header calls ISO-8859-1", "header lies", charset="cp932", meta=None, header="ISO-8859-1"),
    Page("https://nikki.example.com/inu", "blog", "dog", "essay", "license: the stricter of CC-BY-4.0 and CC-BY-NC-ND-4.0, with disagreement", footer=_license(CC + "/licenses/by/4.0/", "文章") + _license(CC + "/licenses/by-nc-nd/4.0/", "写真")),
    Page("https://kagaku.example.jp/tanjobi", "wiki", "birthday", "mathematics column, CP932 with one broken byte", "one replacement", coding="broken byte", **SJIS),
    Page("https://kagaku.example.jp/ryusei", "news", "meteor", "astronomy guide, numeric character references", "ASCII bytes", charset="ascii", meta=None),
    Page("https://kotoba.example.com/naosu", "blog", "dialect", "language column"),
    Page("https://town.example.jp/bousai", "news", "bousai", "disaster report", "kept of a near pair"),
    Page("https://gakko.example.jp/donguri/18", "table", "gakkyu", "school letter, CP932 without a declaration", charset="cp932", meta=None),
    Page("https://kojo.example.jp/saiyo", "table", "job", "job offer, CP932 with vendor characters", "㈱ ① 髙 ㎡", **SJIS),
    Page("https://hon.example.com/review/7", "blog", "review", "book review", "consent=allowed by header tdm-reservation: 0", headers=(("tdm-reservation", "0"),)),
    Page("https://mise.example.com/item/88", "shop", "kettle", "shop page in EUC-JP", "x-euc-jp", charset="euc-jp", meta="x-euc-jp"),
    Page("https://shinbun.example.jp/news/501", "news", "ferry_news", "news article, both charsets declared", header="utf-8", day="2024-05-20"),
    Page("https://shinbun.example.jp/news/502", "news", "timetable", "news article", "consent=unknown: noimageai speaks of images", head='<meta name="robots" content="noimageai">\n'),
    Page("https://shinbun.example.jp/tenki/fog", "news", "fog", "weather column", "kept of an exact pair, recoded", day="2024-05-21"),
    Page("https://jiten.example.com/wiki/engawa", "wiki", "engawa", "wiki page", "license=CC-BY-SA-3.0 by a plain link", footer=f'<a href="{CC}/licenses/by-sa/3.0/">CC BY-SA 3.0</a> '),
    Page("https://jiten.example.com/wiki/haze", "wiki", "fish", "wiki page", 'lang attribute after others: <html class lang="ja">'),
    Page("https://kagaku.example.jp/mitsubachi", "news", "beekeeping", "article, UTF-8 that the header calls EUC-JP", "header lies, meta is right", header="EUC-JP"),
    Page("https://hon.example.com/tegami", "blog", "handwriting", "essay", "kept of an exact pair in two templates", day="2024-05-22"),
    Page("https://daidokoro.example.com/pan", "blog", "bakery", "cooking, declared in English", 'lang="en" although the text is Japanese', lang="en"),
    Page("https://soft.example.com/tanmatsu", "table", "halfwidth", "half-width kana in CP932", **SJIS),
    Page("https://kotoba.example.com/myoji", "news", "astral", "astral ideograph and combining dakuten", "U+20BB7, U+304B U+3099"),
    Page("https://nikki.example.com/dagashi", "blog", "ng_one", "essay with one listed word", "ng_word_ratio under the limit"),
    Page("https://town.example.jp/asaichi", "news", "event_new", "event, new capture", "the newest capture of the URL", day="2024-06-20"),
    Page("https://town.example.jp/pool", "table", "hours_new", "opening hours, new capture", "the newest capture of the URL", day="2024-06-21"),
    Page("https://town.example.jp/oshirase/9", "news", "short_a", "short notice", "kept of an exact pair of short texts", day="2024-05-23"),
    Page("https://town.example.jp/oshirase/10", "news", "short_b", "short notice", "another short text: no duplicate"),
    Page("https://yado.example.com/hamanasu", "table", "template_a", "page from a form", "shares sentences and the canonical address, its home page, with the next, far under the limit", head=HOME),
    Page("https://yado.example.com/yamaboushi", "table", "template_b", "page from a form", "shares sentences and the canonical address with the one before, far under the limit", head=HOME),
]  # fmt: skip

DUPLICATES = [
    Page("https://utsushi.example.com/shimobashira", "news", "frost", "near duplicate", "kept https://kagaku.example.jp/frost", "near", day="2024-02-02", edits=(("さくさくと音がする", "ざくざくと音がする"), ("と言える。", "である。"))),
    Page("https://matome.example.com/a/77", "blog", "frost", "near duplicate", "kept https://kagaku.example.jp/frost", "near", day="2024-01-15", edits=(("日の出の前に懐中電灯を持って", "夜明け前に明かりを持って"),)),
    Page("https://bousai.example.com/taiken/4", "news", "bousai", "near duplicate in EUC-JP", "kept https://town.example.jp/bousai", "near", day="2024-02-20", edits=(("三年前の地震", "数年前の地震"), ("いちばんの備えだと", "一番の備えだと")), **EUC),
    Page("https://hon.example.com/print/tegami", "print", "handwriting", "exact duplicate in a print view", "kept https://hon.example.com/tegami", "exact", day="2024-02-03"),
    Page("https://tenki.example.com/kiri", "news", "fog", "exact duplicate, recoded in CP932", "kept https://shinbun.example.jp/tenki/fog", "exact", day="2024-02-04", **SJIS),
    Page("https://tenki.example.com/old/kiri", "news", "fog", "exact duplicate, recoded in ISO-2022-JP", "kept https://shinbun.example.jp/tenki/fog", "exact", day="2024-01-04", **JIS),
    Page("https://kaikan.example.jp/info", "blog", "short_a", "exact duplicate of a short text", "kept https://town.example.jp/oshirase/9", "exact", day="2024-02-05"),
    Page("https://shinbun.example.jp/news/501", "news", "ferry_news", "recapture, the same text", "kept https://shinbun.example.jp/news/501", "exact", day="2024-02-06"),
    Page("https://town.example.jp/asaichi", "news", "event_old", "recapture, another text", "kept https://town.example.jp/asaichi", "same_url", day="2024-03-20"),
    Page("http://town.example.jp:80/pool#top", "table", "hours_old", "recapture by http, another text", "kept https://town.example.jp/pool", "same_url", day="2024-03-21"),
]  # fmt: skip

REFUSED = [
    Page("https://refuse.example.com/enzetsu", "news", "speech", "opt-out", "meta robots: noai", "consent_not_allowed", head='<meta name="robots" content="noai, noimageai">\n'),
    Page("https://refuse.example.com/amime", "blog", "knitting", "opt-out", "header x-robots-tag: noai", "consent_not_allowed", headers=(("X-Robots-Tag", "noai"),)),
    Page("https://refuse.example.com/jitensha", "blog", "cycling", "opt-out", "header tdm-reservation: 1", "consent_not_allowed", headers=(("tdm-reservation", "1"),)),
    Page("https://refuse.example.com/tofu", "news", "tofu", "opt-out of a newer copy", "meta tdm-reservation: 1; the older copy https://kikigaki.example.jp/tofu stays in the corpus", "consent_not_allowed", day="2024-06-25", head='<meta name="tdm-reservation" content="1">\n'),
    Page("https://refuse.example.com/hashi", "print", "shogi", "opt-out of an older copy", "header content-signal: ai-train=no", "consent_not_allowed", day="2024-01-25", headers=(("Content-Signal", "search=yes, ai-train=no"),)),
]  # fmt: skip

BELOW = [
    Page("https://jyunbi.example.jp/", "print", "too_few_1", "page under construction", "some 60 letters", "too_few_japanese_letters"),
    Page("https://kumiai.example.jp/form/done", "print", "too_few_2", "form sent", "some 50 letters, in CP932", "too_few_japanese_letters", **SJIS),
    Page("https://ginko.example.com/shiten", "print", "kanji_list", "list of addresses", "hardly any hiragana", "too_low_hiragana_ratio"),
    Page("https://neji.example.com/catalog", "shop", "katakana_list", "list of goods in katakana", "no hiragana", "too_low_hiragana_ratio"),
    Page("https://renraku.example.com/log", "print", "short_sentences", "chat of very short sentences", "mean sentence length some 5", "too_low_mean_sentence_length"),
    Page("https://shinbun.example.jp/new", "print", "ellipsis", "list of teasers", "nearly all sentences end in …", "too_high_ellipsis_sentence_ratio"),
    Page("https://hakubutsu.example.jp/koe", "print", "duplicate_lines", "visitors' remarks", "one short line returns after each remark", "too_high_duplicate_line_ratio"),
    Page("https://kashidashi.example.jp/list", "print", "duplicate_characters", "things to borrow", "one long line stands twice among short ones", "too_high_duplicate_line_character_ratio"),
    Page("https://warabe.example.com/neko", "print", "rhyme_2", "nursery rhyme", "a 2-gram of more than a fifth", "too_high_top_2gram_ratio"),
    Page("https://warabe.example.com/kamome", "print", "rhyme_3", "nursery rhyme", "a 3-gram of .19", "too_high_top_3gram_ratio"),
    Page("https://warabe.example.com/kamakiri", "print", "rhyme_4", "nursery rhyme", "a 4-gram of .17", "too_high_top_4gram_ratio"),
    Page("https://taikai.example.com/kekka", "news", "ng_many", "page of listed words", "configs/demo-ng-words.txt", "too_high_ng_word_ratio"),
]  # fmt: skip

COMMENT_FORM = '<form id="respond"><h3>コメントをどうぞ</h3><label>お名前（必須）</label><input><label>メールアドレスは公開されません</label><textarea></textarea><input type="submit" value="コメントを送信する"></form>'
DICTIONARY = '<script>var messages = {"more": "もっと見る", "close": "とじる", "sent": "メッセージを送りました", "error": "エラーがおきました"};</script>\n'

OTHER_LANGUAGES = [
    Page("https://canal.example.com/walk", "english", "en", "English page", "no kana", "no_kana", lang="en"),
    Page("https://travel.example.com/hongye", "foreign", "zh_cn", "Chinese page in GB18030", "", "no_kana", "gb18030", "gb18030", lang="zh-CN"),
    Page("https://library.example.com/story", "foreign", "zh_tw", "Chinese page in Big5", "", "no_kana", "big5", "big5", lang="zh-TW"),
    Page("https://books.example.com/stop", "foreign", "ko", "Korean page in EUC-KR", "", "no_kana", "euc-kr", "euc-kr", lang="ko"),
    Page("https://sad.example.com/yabloki", "foreign", "ru", "Russian page in windows-1251", "", "no_kana", "windows-1251", "windows-1251", lang="ru"),
    Page("https://dorf.example.com/wetter", "foreign", "de", "German page in Latin-1, by header only", "", "no_kana", "windows-1252", None, "ISO-8859-1", lang="de"),
    Page("https://marche.example.com/jeudi", "foreign", "fr", "French page with a language switcher", "日本語 among twelve languages", "no_kana", lang="fr", footer='<ul class="lang"><li>English</li><li>Deutsch</li><li>Español</li><li>Français</li><li>Italiano</li><li>한국어</li><li>Nederlands</li><li>Polski</li><li>Português</li><li>Русский</li><li>中文</li><li lang="ja">日本語</li></ul>'),
    Page("https://lab.example.com/calibration", "foreign", "en_2", "English page with a Japanese comment form", "kana in the form only", "not_japanese", lang="en", footer=COMMENT_FORM),
    Page("https://lab.example.com/release/4", "foreign", "en_3", "English page with a Japanese dictionary in script", "kana in the script only", "not_japanese", lang="en", head=DICTIONARY),
    Page("https://nihongo.example.com/zhuci", "foreign", "zh_kana", "Chinese page with a few kana", "Chinese about Japanese particles", "not_japanese", lang="zh-CN"),
]  # fmt: skip

LATER = [
    Page("https://kagami.example.com/hon/tegami", "", "", "mirror of a page, byte by byte", "kept https://hon.example.com/tegami", "payload", day="2024-02-07", mirror="https://hon.example.com/tegami"),
    Page("https://hon.example.com/tegami?from=top", "news", "handwriting", "near duplicate that names the address of the kept page as its own", "kept https://hon.example.com/tegami", "same_canonical", day="2024-02-08", head='<link rel="canonical" href="https://hon.example.com/tegami">\n', edits=(("二十年前の半分", "三十年前の三分の一"), ("便せんを一冊買った", "便せんを二冊買った"))),
    Page("https://aruku.example.com/ishidan", "print", "walk_a", "walk with a notice", "the notice of three lines, on all pages of the site, is cut"),
    Page("https://aruku.example.com/watashi", "print", "walk_b", "walk with a notice", "the same notice is cut"),
    Page("https://aruku.example.com/matsu", "print", "walk_c", "short walk with a notice", "too short once the notice is cut", "too_few_japanese_letters"),
    Page("https://kenkyu.example.jp/omosa", "print", "western_marks", "report with ， and ．", "，． become 、。, but not in numbers"),
    Page("https://aruku.example.com/suisha", "print", "with_footer", "page with a footer in its text", "the last three lines are cut"),
]  # fmt: skip

PRELUDE = '<!DOCTYPE html>\n<html lang="ja"><head><meta charset="UTF-8"><title>{}</title></head><body>\n'


def _raw(url: str, kind: str, detail: str, outcome: str, body: str | bytes, **more: Any) -> Page:
    return Page(url, "", "", kind, detail, outcome, body=body.encode() if isinstance(body, str) else body, **more)


def hostile_pages() -> Iterator[Page]:
    """Pages that have no text, break off, explode, or are no pages at all."""
    yield _raw("https://kowareta.example.com/empty", "empty body", "200 with no byte", "no_kana", b"")
    script = (
        PRELUDE.format("")
        + '<script>document.write("ここから先はスクリプトが書きます。しばらくお待ちください。");</script><img src="a.png" alt="さくらの写真">\n</body></html>\n'
    )
    yield _raw(
        "https://kowareta.example.com/app",
        "page written by script",
        "kana in script and attributes only",
        "no_text",
        script,
    )
    many = (
        PRELUDE.format("たくさんの要素")
        + "<p>ここには空の要素がたくさんあります。</p>\n"
        + "<b></b>" * 100_001
        + "\n</body></html>\n"
    )
    yield _raw(
        "https://kowareta.example.com/many", "100,001 empty elements", "", "too_many_elements", many, coding="gzip"
    )
    big = PRELUDE.format("とても大きなページ") + "<p>" + "ながいながいながい。" * 280_000 + "</p>\n</body></html>\n"
    yield _raw(
        "https://kowareta.example.com/big", "8.4 MB that travel as 8 kB", "", "body_too_large", big, coding="gzip"
    )
    text = PRELUDE.format("とどかない頁") + "<p>この文章は、とどく前にこわれてしまいました。</p></body></html>"
    yield _raw(
        "https://kowareta.example.com/gzip",
        "gzip content encoding that is broken",
        "gzip header, then noise",
        "bad_content_encoding",
        text,
        coding="broken gzip",
    )
    yield _raw(
        "https://kowareta.example.com/tls",
        "response without an HTTP header",
        "bytes of another protocol",
        "bad_http_header",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 256)),
        coding="no header",
    )
    yield _raw(
        "https://town.example.jp/old/index.html", "redirect", "", "http_status", b"", status="301 Moved Permanently"
    )
    missing = (
        PRELUDE.format("見つかりません")
        + "<h1>ページが見つかりません</h1><p>お探しのページは、移動したか、削除された可能性があります。</p></body></html>"
    )
    yield _raw("https://town.example.jp/nai", "404 in Japanese", "", "http_status", missing, status="404 Not Found")
    busy = (
        PRELUDE.format("混み合っています")
        + "<p>ただいま混み合っています。しばらくしてから、もう一度お試しください。</p></body></html>"
    )
    yield _raw(
        "https://mise.example.com/sale", "503 in Japanese", "", "http_status", busy, status="503 Service Unavailable"
    )
    pdf = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
    yield _raw("https://town.example.jp/koho.pdf", "PDF", "", "not_html", pdf, content_type="application/pdf")
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55"
    yield _raw("https://town.example.jp/logo.png", "image", "", "not_html", png, content_type="image/png")
