"""Statements: whether a sentence that names a license says that the page's own text stands under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from pipeline.web.license.names import Mention
from pipeline.web.license.places import Place

# What a page calls its own text, in Japanese; those of one character only behind この, 本 or 当.
_OWN_NOUN = (
    "ウェブサイト|ウエブサイト|Webサイト|サイト|ホームページ|ウェブページ|Webページ|ページ|ブログ|ウェブログ|ウエブログ|weblog|"
    "作品|著作物|著作|文書|ドキュメント|ドキュメンテーション|マニュアル|手引|書籍|記事|論文|文章|テキスト|コンテンツ|内容|情報|資料|教材|"
    "翻訳|訳文|スライド|Wiki|ウィキ|利用ルール|規約|投稿|エントリ|小説|レポート|報告|ガイド|解説|日記|原稿|物語|サイトポリシー"
)
_SHORT_NOUN = "書|稿|誌|文|訳|章|節|項|HP"
_POINTED = re.compile(
    rf"(?:この|本|当|弊社?|私の|わたしの|以下の)\s?(?:[^、。「」]{{0,6}}?(?:{_OWN_NOUN})|{_SHORT_NOUN}(?![一-鿿ァ-ヶ]))",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:すべての|全ての|全|各|掲載の|掲載している|公開している|ユーザーの|利用者の|サイトの|ページの)*"
    r"(?:文章|文書|テキスト|コンテンツ|記事|ドキュメント|文|投稿|内容)(?:[・、と及びおよびや]+[^、。の]{1,12})*"
)
_DEFINED = re.compile(
    r"以下[、,]?\s?「(?:当|本)(?:ウェブ|Web)?サイト」|(?:ウェブサイト|ホームページ)(?:で公開|に掲載|の)", re.IGNORECASE
)
# What a page shows or uses besides its text.
_OTHER_NOUN = (
    "画像|写真|イラスト|挿絵|図版|図|絵画|アイコン|ロゴ|動画|映像|音楽|音源|音声|曲|BGM|効果音|素材|フォント|書体|ソースコード|"
    "サンプルコード|コード|プログラム|ソフトウェア|ソフト|アプリ|ライブラリ|パッケージ|プラグイン|テーマ|テンプレート|スキン|デザイン|"
    "ファビコン|絵文字|アバター|サムネイル|楽譜|データセット|データ|語彙|辞書|地図|モデル|ツール|フレームワーク|モジュール|壁紙|撮影|ゲーム"
)
_OTHER = re.compile(_OTHER_NOUN)
_OWN = re.compile(rf"{_OWN_NOUN}|(?:本|この)(?:{_SHORT_NOUN})", re.IGNORECASE)
_EXCEPTION = re.compile(
    r"[（(「][^（()）」]{0,80}(?:除|以外)[^（()）]{0,40}[)）」]|[^、。,()]{1,40}?(?:を除き|を除いて|を除く|以外)[、,]?|"
    r"(?:特に|別段の?|とくに)[^、。,]{0,20}(?:限り|かぎり)[、,]?|(?:ただし|なお)[、,]?"
)
_PARENTHESES = re.compile(r"\([^()]{0,200}\)")
_TOPIC = re.compile(r"(?:に対して|について|において|では|には|とは|[はがもを]|\s*[:：])[、,]?")
_LABEL = re.compile(
    r"(?:[■●◆・※*>\s-]*(?:この[^、。]{0,12}の|本[^、。]{0,8}の)?(?:ライセンス|利用条件|使用条件|利用許諾|使用許諾|許諾条件|著作権|権利)(?:表示|表記|について)?"
    r"|\s*(?:licen[sc]e|rights|copyright))\s*[:：/-]?\s*[「『(]?\s*",
    re.IGNORECASE,
)
_TRIVIAL = re.compile(
    r"[\s()「」『』\[\].,、。:;・|/®™*※-]*(?:(?:ライセンス|licen[sc]e|deed|universal|全世界|国際|international)[\s()「」『』\[\].,、。:;|/-]*)*",
    re.IGNORECASE,
)
_COPYRIGHT_LINE = re.compile(r"[^、。]{0,12}?(?:©|\(c\)|copyright|copyleft)[^、。]{0,80}", re.IGNORECASE)
_JOINING = re.compile(
    r"[\s()「」『』\[\],、.:;・|/®™*-]*(?:および|及び|または|又は|もしくは|or|and|the|ライセンスの?|licen[sc]e|以下|の|一つ)?[\s()「」『』\[\],、:・/-]*",
    re.IGNORECASE,
)

_ENDING = r"(?=\s*(?:[。.!)」,、;|(]|\Z))"
_PREDICATE = re.compile(
    r"(?:提供|公開|配布|頒布|掲載|リリース|ライセンス|許諾|許可|発行|発表|適用|共有|準拠|使用許諾)(?:が|を)?"
    r"(?:さ?れて|させて|して|いたして|致して|いただいて|し|され|いたし|致し)?(?:い|おり|い?ただき)?(?:ます|る|た|する|されます|される|です)"
    + _ENDING
    + r"|(?:利用|使用|再利用|複製|頒布|改変|転載|閲覧|共有)[^。]{0,14}?(?:できます|"
    r"できる|可能です|可能|頂けます|いただけます|許諾されています|許可されています|"
    r"許諾します|許可します|ことができます|許可する|ください)"
    + _ENDING
    + r"|(?:従い|従って|従う|準じ|基づき|基づい|基づく|のっとり)(?:ます|ています|ております|"
    r"るものとします|[^。]{0,24}(?:ます|です|ください))?"
    + _ENDING
    + r"|\A(?:ライセンス)?[\s」』)]*(?:です|である|とします|とする|"
    r"とし|に置かれています|に置きます|に属します|に帰属します)" + _ENDING
)
_TALK_BEHIND = re.compile(
    r"\A[\s)」』]*(?:ライセンス)?(?:とは|って|について|という|といった|など|の(?:意味|説明|違い|場合|素材|作品|論文|写真|画像|もの|サイト|コンテンツを)|にするか|か[、。]|(?:または|か)[^。]{0,30}(?:選|迷))"
)
_TALK = re.compile(
    r"ではな|ではあり|じゃな|でない|適用されま?せ|適用しま?せ|対象外|していません|できません|場合|たとえば|例えば|予定|参考に|しなけれ|互換|compatible|"
    r"出典|引用元|転載元|原典|source:|探す|さがす|見つけ|選び|選べ|選択|迷っ|かもしれ|でしょう|would|should|"
    r"if you|\bnot (?:be )?(?:licen|under|avail|cover|in the)|"
    r"isn't|aren't|」と(?:書|記|表示|いう|あり|明)|例[:：]|ましょう|に置き換え|決定され|公表し",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"(?:\?|ますか|ですか|のか|でしょうか)\s*。?\s*\Z")
_SENTENCES = re.compile(r"(?<=[。!?;|\n])(?![)」])|(?<=[a-z)0-9]\.)\s+(?=[A-Z©])|(?=\s[|•·]\s)")

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
_ENGLISH_NOUN = re.compile(rf"(?<![A-Za-z])(?:({_ENGLISH_OTHER})|({_ENGLISH_OWN}))(?![A-Za-z])", re.IGNORECASE)
_ENGLISH_OTHERS = re.compile(
    r"(?<![A-Za-z])(?:many|several|some|his|her|their|your)\s+(?:\w+\s+){0,2}\Z", re.IGNORECASE
)
_ON_THIS_SITE = re.compile(
    r"(?:on|of|in|for)\s+(?:this|our|the)\s+(?:web\s?)?(?:site|page|blog|website|article|work)", re.IGNORECASE
)
_ENGLISH_PREDICATE = re.compile(
    r"(?<![A-Za-z])(?:licen[sc]ed|available|released|published|provided|distributed|offered|covered|shared|reusable|"
    r"reused|waived|granted|permission|governed|dedicated|placed|is in|are in|is|are)(?![A-Za-z])",
    re.IGNORECASE,
)
_SOFTWARE_SAYS = re.compile(
    r"(?:licen[sc]ed|released|available|distributed|published|provided)\s+under|ライセンスで(?:公開|配布|提供)|(?:の下|のもと)で(?:公開|配布|提供)",
    re.IGNORECASE,
)
_EARLIER = 60


class Meaning(Enum):
    """What a mention of a license speaks of.

    OWN the page's text; BARE perhaps it, as nothing else stands beside it; THING a picture, a program or the like;
    OTHER something else, or licenses themselves.
    """

    OWN = 3
    BARE = 2
    OTHER = 1
    THING = 0


class _Subject(Enum):
    OWN = 2
    NONE = 1
    OTHER = 0
    THING = -1


def is_talk(sentence: str) -> bool:
    """Whether a normalised sentence denies, asks, explains or advises rather than states."""
    return bool(_QUESTION.search(sentence) or _TALK.search(sentence))


def _head(phrase: str) -> str:
    """What a phrase is mainly about: behind its last の."""
    return phrase.rsplit("の", 1)[-1]


def is_of_other(phrase: str) -> bool:
    """Whether what a Japanese phrase is mainly about is something that a page shows or uses besides its text."""
    head = _head(phrase)
    return bool(_OTHER.search(head)) and not _OWN.search(head)


def _japanese_subject(prefix: str, is_waiver: bool) -> _Subject | None:
    """Whose terms a Japanese sentence speaks of, by its text before the license; None where it has no topic."""
    plain = _EXCEPTION.sub("", _PARENTHESES.sub("", prefix))
    topics = list(_TOPIC.finditer(plain))
    if is_waiver and not topics:
        phrase = plain.rstrip("の ")
        if not phrase:
            return _Subject.NONE
    elif topics:
        phrase = re.split("[、。,;|]", plain[: topics[-1].start()])[-1].strip()
    else:
        return _Subject.THING if _OTHER.search(plain) else None
    if is_of_other(phrase):
        return _Subject.THING
    if _POINTED.search(phrase) or _BARE.fullmatch(phrase) or _DEFINED.search(prefix):
        return _Subject.OWN
    if _LABEL.fullmatch(phrase):
        return None
    return _Subject.OTHER if phrase else _Subject.NONE


def _english_subject(prefix: str) -> _Subject | None:
    plain = _ON_THIS_SITE.sub(" ", prefix)
    noun = _ENGLISH_NOUN.search(plain)
    if noun is not None and noun[2] and _ENGLISH_OTHERS.search(plain, 0, noun.start()):
        return _Subject.OTHER
    if noun is None and _ON_THIS_SITE.search(prefix):
        return _Subject.OWN
    if noun is None:
        return None
    return _Subject.THING if noun[1] else _Subject.OWN


def _is_japanese(text: str) -> bool:
    return bool(re.search("[ぁ-ゖァ-ヶ一-鿿]", text))


def _judge(prefix: str, suffix: str, earlier: str, kind: str, place: Place, is_link: bool) -> Meaning:
    """The meaning of a license between the text before it in its clause, and the rest of its sentence."""
    subject = _japanese_subject(prefix, kind == "waiver") if _is_japanese(prefix) else _english_subject(prefix)
    if subject in (_Subject.OTHER, _Subject.THING):
        return Meaning.THING if subject is _Subject.THING else Meaning.OTHER
    says = (
        kind == "waiver"
        or bool(_PREDICATE.search(suffix))
        or bool(_ENGLISH_PREDICATE.search(prefix))
        or prefix.rstrip().endswith(":")
    )
    if subject is _Subject.OWN:
        return Meaning.OWN if says or (place.foot and _TRIVIAL.fullmatch(suffix)) else Meaning.OTHER
    if place.beside:
        return Meaning.OTHER
    other = _OTHER.search(earlier + prefix)
    noun = _ENGLISH_NOUN.search(earlier + prefix)
    if kind == "software":
        clean = place.foot and not other and noun is None
        return Meaning.OWN if clean and _SOFTWARE_SAYS.search(prefix + suffix) else Meaning.OTHER
    if _LABEL.fullmatch(prefix) and _TRIVIAL.fullmatch(_PARENTHESES.sub("", suffix)):
        return Meaning.OWN
    if place.foot:
        if other or (noun is not None and noun[1]):
            return Meaning.THING
        alone = _TRIVIAL.fullmatch(prefix) or _COPYRIGHT_LINE.fullmatch(prefix) or _ENGLISH_PREDICATE.search(prefix)
        if alone and (not _is_japanese(suffix) or _TRIVIAL.fullmatch(suffix) or says):
            return Meaning.BARE if is_link and _TRIVIAL.fullmatch(prefix) else Meaning.OWN
        return Meaning.BARE if is_link else Meaning.OTHER
    if is_link and _TRIVIAL.fullmatch(prefix) and _TRIVIAL.fullmatch(suffix):
        return Meaning.BARE
    return Meaning.OTHER


def _chains(line: str, mentions: list[Mention], bounds: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of mentions that stand in one sentence with nothing but brackets, "or" and the like between them."""
    first = 0
    for index in range(1, len(mentions) + 1):
        joined = index < len(mentions) and (
            _JOINING.fullmatch(line, mentions[index - 1].end, mentions[index].start)
            and not any(mentions[index - 1].end <= bound <= mentions[index].start for bound in bounds)
        )
        if not joined:
            yield first, index
            first = index


def meanings(line: str, mentions: list[Mention], links: frozenset[int], place: Place) -> list[Meaning]:
    """What each mention in a normalised line says of the page's text; `links` are the numbers of those that are links.

    Mentions are given in the line's order and do not overlap. One that follows another with nothing but brackets or
    "or" between them says what that one says.
    """
    if place.other:
        return [Meaning.OTHER] * len(mentions)
    found: list[Meaning] = []
    bounds = [match.start() for match in _SENTENCES.finditer(line)]
    behind = 0
    for first, last in _chains(line, mentions, bounds):
        start, end = mentions[first].start, mentions[last - 1].end
        begin = max((bound for bound in bounds if bound <= start), default=0)
        close = min((bound for bound in bounds if bound >= end), default=len(line))
        prefix, suffix = line[max(begin, behind) : start], line[end:close]
        earlier = line[max(0, begin - _EARLIER) : begin]
        sentence = line[begin:close]
        talks = is_talk(sentence) or _TALK_BEHIND.match(suffix)
        for index in range(first, last):
            if talks:
                found.append(Meaning.OTHER)
            else:
                found.append(_judge(prefix, suffix, earlier, mentions[index].kind, place, index in links))
        behind = end
    return found
