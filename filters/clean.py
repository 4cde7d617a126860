"""Cleaning: punctuation of one kind, footers, and runs of empty lines, as changes of a text and never as a new text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

RULE_VERSION = 1


class Change(NamedTuple):
    """Code points from `start` to `end` of a text give way to `replacement`; `detail` says why."""

    start: int
    end: int
    replacement: str
    detail: str | None


# Kana with their marks, iteration marks, kanji, and brackets that close: what a Japanese clause ends with.
_JAPANESE = "ぁ-ゖゝゞァ-ヺー-ヿｦ-ﾟ々〆〇㐀-䶿一-鿿豈-﫿𠀀-𲎯」』）】〕》〉"
_MARKS = {"，": "、", "．": "。"}
# A mark stays where it belongs to a number, a name or a heading: after a full-width digit or letter (as Swallow's
# kutoten.py has it), between ASCII digits (a point also between ASCII letters), and after the number of a line's start.
_INSIDE = {"，": "[0-9]", "．": "[0-9A-Za-z]"}
_WESTERN = {
    mark: re.compile(
        rf"(?<![０-９Ａ-Ｚａ-ｚ])(?<!^[0-9])(?<!^[0-9][0-9]){mark}(?!(?<={inside}.){inside})", re.MULTILINE
    )
    for mark, inside in _INSIDE.items()
}
_AFTER_JAPANESE = {mark: re.compile(f"(?<=[{_JAPANESE}]){mark}") for pair in _MARKS.items() for mark in pair}


def punctuation(text: str) -> list[Change]:
    """Turn ， into 、 and ． into 。, each where the Western form is what the text uses.

    That is, where it stands more often than the Japanese form after a Japanese character (Swallow Corpus, kutoten.py).
    """
    changes = []
    for western, japanese in _MARKS.items():
        if western in text and _count(text, western) > _count(text, japanese):
            changes += [
                Change(found.start(), found.end(), japanese, western) for found in _WESTERN[western].finditer(text)
            ]
    return sorted(changes)


def _count(text: str, mark: str) -> int:
    return sum(1 for _ in _AFTER_JAPANESE[mark].finditer(text))


# What links, forms and notices at the foot of Japanese pages are made of.
FOOTER_WORDS = (
    "コメント", "トラックバック", "プライバシーポリシー", "個人情報保護方針", "サイトマップ", "お問い合わせ",
    "お問合せ", "利用規約", "免責事項", "特定商取引法に基づく表記", "運営会社", "会社概要", "ホームへ戻る",
    "トップへ戻る", "ページトップ", "ページの先頭へ", "前の記事", "次の記事", "関連記事", "人気記事", "新着記事",
    "最新記事", "最近の記事", "記事一覧", "記事", "カテゴリー", "カテゴリ", "アーカイブ", "タグ", "検索",
    "ランキング", "シェア", "ツイート", "フォロー", "いいね", "ブックマーク", "はてなブックマーク", "メルマガ",
    "ログイン", "新規登録", "会員登録", "スポンサーリンク", "スポンサードリンク", "広告", "返信", "投稿者",
    "投稿日", "印刷", "一覧へ戻る", "一覧に戻る", "一覧", "もっと見る", "続きを読む", "無断転載", "転載禁止",
    "著作権", "Copyright", "copyright", "COPYRIGHT", "All Rights Reserved", "All rights reserved", "©",
    "Powered by", "PR", "RSS", "Facebook", "Twitter", "LINE", "Pocket", "Instagram",
)  # fmt: skip
_FOOTER = re.compile("|".join(map(re.escape, sorted(FOOTER_WORDS, key=len, reverse=True))))
# A line of so many letters that is not made of footer words is taken for prose, and so is all above it.
PROSE_LETTERS = 40
# A longer line is prose whatever its words: so the search for words costs no more on a page of one endless line.
MOST_FOOTER_LETTERS = 400


def footer_share(line: str) -> float:
    """Which share of a line's letters (white space left out) stands in footer words; 0 if it is very long."""
    letters = len("".join(line.split()))
    if not 0 < letters <= MOST_FOOTER_LETTERS:
        return 0.0
    return sum(len("".join(word.split())) for word in _FOOTER.findall(line)) / letters


def footer(text: str, lines: int = 10, share: float = 0.3) -> list[Change]:
    """Cut the footer: from the first of the last `lines` lines that footer words fill to more than `share`, to the end.

    The defaults are those of Swallow Corpus (footer.py). Unlike there, what is cut lies in the second half of the
    text's lines and below its last line of prose, so that no page is emptied and no prose goes with a word above it.
    """
    spans = [(found.start(), found.end()) for found in re.finditer(r"[^\n]+", text) if not found[0].isspace()]
    first = max(len(spans) - lines, (len(spans) + 1) // 2)
    begin: int | None = None
    for index in range(first, len(spans)):
        start, end = spans[index]
        line = text[start:end]
        if footer_share(line) > share:
            begin = index if begin is None else begin
        elif len("".join(line.split())) >= PROSE_LETTERS:
            begin = None
    if begin is None or begin == 0:
        return []
    start = spans[begin - 1][1]
    return [Change(start, len(text), "", text[spans[begin][0] : spans[begin][1]].strip()[:40])]


_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def empty_lines(text: str, most: int = 1) -> list[Change]:
    """Leave at most `most` empty lines in a row, and none at the beginning and at the end."""
    changes = []
    body = len(text) - len(text.lstrip()), len(text.rstrip())
    if body[0] >= body[1]:
        return [Change(0, len(text), "", None)] if text else []
    lead = text.rfind("\n", 0, body[0]) + 1
    if lead:
        changes.append(Change(0, lead, "", None))
    for found in _EMPTY_LINES.finditer(text, body[0], body[1]):
        keep = "\n" * min(most + 1, found[0].count("\n"))
        if keep != found[0]:
            changes.append(Change(found.start(), found.end(), keep, None))
    if body[1] < len(text) and "\n" in text[body[1] :]:
        changes.append(Change(body[1], len(text), "", None))
    return changes


def clean(text: str, changes: Sequence[Change]) -> str:
    """The text after changes, which do not overlap."""
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.replacement + text[change.end :]
    return text
