"""Subjects: what a sentence that names a license speaks of: the page's text, a thing on it, or something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from pipeline.web.license.names import mentions_in, normalized

# What a page calls its own text, in Japanese; those of one character only behind この, 本 or 当.
_OWN_NOUN = (
    "ウェブサイト|ウエブサイト|Webサイト|サイト|ホームページ|ウェブページ|Webページ|ページ|ブログ|ウェブログ|ウエブログ|weblog|"
    "作品|著作物|著作|文書|ドキュメント|ドキュメンテーション|マニュアル|手引|書籍|記事|論文|文章|テキスト|コンテンツ|内容|情報|資料|教材|"
    "翻訳|訳文|スライド|Wiki|ウィキ|利用ルール|規約|投稿|エントリ|小説|レポート|報告|ガイド|解説|日記|原稿|物語|サイトポリシー|"
    "プレプリント|総説|論説|紀要|講義|講座|レジュメ|チュートリアル|ノート|白書|冊子|パンフレット|リーフレット|手順書|仕様書|議事録|コラム|エッセイ|"
    "随筆|短編|長編|脚本|台本|シナリオ|事典|辞典|用語集|ニュースレター|メールマガジン|レビュー|レシピ|ヘルプ|(?:説明|紹介|感想|例|本|全)文"
)
_SHORT_NOUN = "書|稿|誌|文|訳|章|節|項|HP"
_POINTED = re.compile(
    rf"(?:この|本|当|弊社?|私の|わたしの|以下の)\s?(?:[^、。「」]{{0,6}}?(?:{_OWN_NOUN})|{_SHORT_NOUN}(?![一-鿿ァ-ヶ]))",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:すべての|全ての|全|各|掲載の|掲載している|公開している|ユーザーの?|利用者の?|サイトの|ページの|ブログの|ウィキの|Wikiの)*"
    r"(?:文章|文書|テキスト|コンテンツ|記事|ドキュメント|文|投稿|内容)+(?:[・、と及びおよびや]+[^、。の]{1,12})*"
)
_DEFINED = re.compile(
    r"以下[、,]?\s?「(?:当|本)(?:ウェブ|Web)?サイト」|(?:ウェブサイト|ホームページ)(?:で公開|に掲載|の)", re.IGNORECASE
)
# A body that is named and from then on called 当所 speaks of itself; so does who holds the rights in what it shows.
_CALLED = re.compile(r"以下[、,]?\s?「(?:当|本|弊)")
_OWNED = re.compile(
    r"(?:著作権|権利)[がは]([^、。]{1,30}?)に(?:帰属|属)(?:する|している)|"
    r"([^、。]{1,30}?)が(?:著作権|権利)を(?:有|保有|所有|持)[^、。]{0,6}?[るつ]"
)
_ITSELF = re.compile("[当本弊自]")
# When something holds is no topic; and who made a license is none of the sentence that names it.
_WHEN = re.compile(
    r"(?:以前|かつて|従来|当初|もともと|元々|現在|今|(?:これ|今|現在)まで|今後|以後|以降|"
    r"(?:令和|平成|昭和)?[\d元]{1,4}年[\d年月日/.]{0,8}(?:まで|から|より|以降|以前|現在)(?:のもの)?)(?:に?は|で?は)[、,]?"
)
_MADE = re.compile(r"[^、。]{0,12}?(?:発行|策定|公開|作成|提供|制定|公表|考案|定め|作っ|決め)[^、。]{0,6}\Z")
# What a page says of itself as it was.
_FORMER = re.compile(r"(?:以前|旧来|過去|かつて|従来)の|旧(?:版|サイト|ページ|規約|バージョン)|前の版")
_ENGLISH_FORMER = re.compile(
    r"(?<![A-Za-z])(?:(?:earlier|previous|prior|older|old|former|past)\s+(?:versions?|editions?|releases?|texts?|posts?|articles?)"
    r"|formerly|previously|used to be)(?![A-Za-z])",
    re.IGNORECASE,
)
_ENGLISH_TERMS = re.compile(
    r"(?<![A-Za-z])(?:these|this|our|the)\s+(?:terms|rules|conditions)(?:\s+of\s+use)?(?!\s+of)(?![A-Za-z])"
    r"|(?<![A-Za-z])(?:this|the current|the present)\s+(?:version|edition)(?!\s+of)(?![A-Za-z])",
    re.IGNORECASE,
)
# What a page shows or uses besides its text.
_OTHER_NOUN = (
    "画像|写真|イラスト|挿絵|図版|図|絵画|アイコン|ロゴ|動画|映像|音楽|音源|音声|曲|BGM|効果音|素材|フォント|書体|ソースコード|"
    "サンプルコード|コード|プログラム|ソフトウェア|ソフト|アプリ|ライブラリ|パッケージ|プラグイン|テーマ|テンプレート|スキン|デザイン|"
    "ファビコン|絵文字|アバター|サムネイル|楽譜|データセット|データ|語彙|辞書|地図|モデル|ツール|フレームワーク|モジュール|壁紙|撮影|ゲーム"
)
THING_NOUN = re.compile(_OTHER_NOUN)
_OWN = re.compile(rf"{_OWN_NOUN}|(?:本|この)(?:{_SHORT_NOUN})", re.IGNORECASE)
# 「当サイトに掲載している写真」 speaks of photographs.
_CLAUSE = re.compile(
    r"\A.*(?:[てで](?:い|おり|あり)?(?:ます)?る|れる|した|[いっん][ただ]|する|ある)(?=[一-鿿ァ-ヶA-Za-z])"
)
_TERMS_OF = re.compile(r"(.+)の(?:利用規約|利用ルール|ライセンス|利用条件|使用条件|著作権|権利)")
_TERMS = re.compile(
    r"ライセンス|規約|利用|表示|継承|条件|許諾|権利|著作権|詳細|こちら|\bcc\b|creative|commons|licen[sc]e|rights|terms|deed|©|copyright"
    r"|by|legal|here|details|https?:",
    re.IGNORECASE,
)
# A site that is called by its owner's name.
_NAMED_SITE = re.compile(r"([^、。「」]{2,30}?)の?(?:公式)?(?:ウェブ|Web)?(?:サイト|ホームページ)", re.IGNORECASE)
EXCEPTION = re.compile(
    r"[（(「][^（()）」]{0,80}(?:除|以外)[^（()）]{0,40}[)）」]|[^、。,()]{1,40}?(?:を除き|を除いて|を除く|以外)[、,]?|"
    r"(?:特に|別段の?|とくに)[^、。,]{0,20}(?:限り|かぎり|場合(?:に?は)?)[、,]?|[^、。,()]{1,40}?(?:な|無)い(?:限り|かぎり)[、,]?|(?:ただし|なお)[、,]?"
)
PARENTHESES = re.compile(r"\([^()]{0,200}\)")
TOPIC = re.compile(r"(?:に対して|について|において|では|には|とは|[はがを]|も(?![のとしうっ])|\s*[:：])[、,]?")
LABEL = re.compile(
    r"(?:[■●◆・※*>\s-]*(?:この[^、。]{0,12}の|本[^、。]{0,8}の)?(?:ライセンス|利用規約|利用ルール|利用条件|使用条件|利用許諾|使用許諾|許諾条件|著作権|権利)(?:表示|表記|について)?"
    r"|\s*(?:licen[sc]e|rights|copyright))\s*[:：/-]?\s*[「『(]?\s*",
    re.IGNORECASE,
)
_ENGLISH_OTHER = (
    "photo|photos|photograph|photography|image|images|picture|pictures|illustration|illustrations|icon|icons|font|fonts|"
    "theme|themes|template|templates|plugin|plugins|code|software|source|library|package|program|video|videos|music|"
    "sound|sounds|logo|logos|design|designed|dataset|data|map|maps|artwork|art|skin|built|powered|generated|credit|"
    "credits|courtesy|module|tool|app|framework|favicon|emoji|emojis|avatar|avatars|thumbnail|thumbnails"
)
_ENGLISH_OWN = (
    "work|works|page|site|website|web|blog|weblog|document|documents|documentation|docs|manual|book|article|articles|"
    "post|posts|text|texts|content|contents|tutorial|guide|wiki|publication|translation|material|materials|paper|"
    "contributions|lecture|notes|course|tutorials"
)
ENGLISH_NOUN = re.compile(rf"(?<![A-Za-z])(?:({_ENGLISH_OTHER})|({_ENGLISH_OWN}))(?![A-Za-z])", re.IGNORECASE)
# "This article uses material from …, which is released under …" speaks of the material.
_ENGLISH_USE = re.compile(
    r"(?<![A-Za-z])(?:(?<!for )(?<!to )(?<!of )uses?|using|contains?|includes?|incorporates?|"
    r"features|shows|displays|embeds|(?:is|are|was|were)?\s*(?:based|built|adapted|derived|taken)\s+(?:up)?(?:on|from|with))(?![A-Za-z])",
    re.IGNORECASE,
)
_ENGLISH_NAME = re.compile(r"((?:[A-Z][\w.'-]*\s+)+)\Z")
_NO_NAMES = frozenset(
    "all the this our community user users site page text texts original web wiki online website blog written these "
    "other any unless except most my we open access documentation content contents license licensed docs course "
    "book project article copyright written works work".split()
)
_ENGLISH_OTHERS = re.compile(
    r"(?<![A-Za-z])(?:many|several|some|his|her|their|your)\s+(?:\w+\s+){0,2}\Z", re.IGNORECASE
)
_ON_THIS_SITE = re.compile(
    r"(?:on|of|in|for)\s+(?:this|our|the)\s+(?:web\s?)?(?:site|page|blog|website|article|work)", re.IGNORECASE
)


class Subject(Enum):
    """Whose terms a sentence speaks of: the page's text, not said, something else, or a thing such as a picture."""

    OWN = 2
    NONE = 1
    OTHER = 0
    THING = -1


def _head(phrase: str) -> str:
    """What a phrase is mainly about: behind its last の, and behind the verb of a clause that tells more of it."""
    return _CLAUSE.sub("", phrase.rsplit("の", 1)[-1])


def speaks_of_text(phrase: str) -> bool:
    """Whether a Japanese phrase names a text, a page or what they hold."""
    return bool(_OWN.search(phrase))


def names_terms(text: str) -> bool:
    """Whether a link's text names a license or terms, or is none: else it names the work that is licensed."""
    text = normalized(text).strip()
    return not text or bool(_TERMS.search(text) or mentions_in(text))


def is_of_other(phrase: str) -> bool:
    """Whether what a Japanese phrase is mainly about is something that a page shows or uses besides its text."""
    head = _head(phrase)
    return bool(THING_NOUN.search(head)) and not _OWN.search(head)


def japanese_subject(prefix: str, is_waiver: bool, is_named: Callable[[str], bool]) -> Subject | None:
    """Whose terms a Japanese sentence speaks of, by its text before the license; None where it has no topic."""
    plain = _WHEN.sub("", EXCEPTION.sub("", PARENTHESES.sub("", prefix)))
    # An object behind which a clause ends is that clause's.
    clause = plain.rfind("、")
    topics = [topic for topic in TOPIC.finditer(plain) if not topic[0].startswith("を") or topic.end() > clause]
    if len(topics) > 1 and topics[-1][0].startswith("が") and _MADE.match(plain, topics[-1].end()):
        topics.pop()
    if is_waiver and not topics:
        phrase = plain.rstrip("の ")
        if not phrase:
            return Subject.NONE
    elif topics:
        phrase = re.split("[、。,;|]", plain[: topics[-1].start()])[-1].strip()
    else:
        return Subject.THING if THING_NOUN.search(plain) else None
    terms = _TERMS_OF.fullmatch(phrase)
    if is_of_other(phrase) or (terms is not None and is_of_other(terms[1])):
        return Subject.THING
    if _FORMER.search(phrase):
        return Subject.OTHER
    owned = _OWNED.search(phrase)
    if owned is not None and speaks_of_text(phrase[owned.end() :]):
        owner = owned[1] or owned[2]
        return Subject.OWN if _ITSELF.match(owner) or is_named(owner) else Subject.OTHER
    named = _NAMED_SITE.match(phrase)
    if named is not None and not _POINTED.match(phrase) and not is_named(named[1]) and not _CALLED.search(prefix):
        return Subject.OTHER
    if _CALLED.search(prefix) and speaks_of_text(phrase):
        return Subject.OWN
    if _POINTED.search(phrase) or _BARE.fullmatch(phrase) or _DEFINED.search(prefix):
        return Subject.OWN
    if LABEL.fullmatch(phrase):
        return None
    return Subject.OTHER if phrase else Subject.NONE


def english_subject(prefix: str, is_named: Callable[[str], bool]) -> Subject | None:
    """Whose terms an English sentence speaks of, by its first noun before the license; None where it has none."""
    if _ENGLISH_FORMER.search(prefix):
        return Subject.OTHER
    plain = _ON_THIS_SITE.sub(" ", prefix)
    noun = ENGLISH_NOUN.search(plain)
    terms = _ENGLISH_TERMS.search(plain)
    if terms is not None and (noun is None or terms.start() < noun.start()):
        return Subject.OWN
    if noun is None:
        return Subject.OWN if _ON_THIS_SITE.search(prefix) else None
    if noun[1]:
        return Subject.THING
    if _ENGLISH_OTHERS.search(plain, 0, noun.start()) or _ENGLISH_USE.search(plain, noun.end()):
        return Subject.OTHER
    name = _ENGLISH_NAME.search(plain, 0, noun.start())
    if name is not None and name[1].split()[-1].lower() not in _NO_NAMES and not is_named(name[1]):
        return Subject.OTHER
    return Subject.OWN


def is_japanese(text: str) -> bool:
    """Whether a text holds kana or kanji."""
    return bool(re.search("[ぁ-ゖァ-ヶ一-鿿]", text))
