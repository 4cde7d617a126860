"""Statements: whether a sentence that names a license says that the page's own text stands under it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from pipeline.web.license.names import Mention, mentions_in, normalized
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
    r"(?:文章|文書|テキスト|コンテンツ|記事|ドキュメント|文|投稿|内容)+(?:[・、と及びおよびや]+[^、。の]{1,12})*"
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
# 「当サイトに掲載している写真」 speaks of photographs.
_CLAUSE = re.compile(
    r"\A.*(?:[てで](?:い|おり|あり)?(?:ます)?る|れる|した|[いっん][ただ]|する|ある)(?=[一-鿿ァ-ヶA-Za-z])"
)
_TERMS = re.compile(
    r"ライセンス|規約|利用|表示|継承|条件|許諾|権利|著作権|詳細|こちら|\bcc\b|creative|commons|licen[sc]e|rights|terms|deed|©|copyright"
    r"|by|legal|here|details|https?:",
    re.IGNORECASE,
)
_CREDITS = re.compile(
    r"クレジット|参考(?:文献|資料|サイト|リンク)|出典|引用|関連|謝辞|使用(?:した|している)?(?:素材|画像|写真|ライブラリ)|オープンソース|オープンデータ|"
    r"\b(?:credits?|references|sources|acknowledge?ments|related|third[ -]party)\b",
    re.IGNORECASE,
)
# A site that is called by its owner's name.
_NAMED_SITE = re.compile(r"([^、。「」]{2,30}?)の?(?:公式)?(?:ウェブ|Web)?(?:サイト|ホームページ)", re.IGNORECASE)
_EXCEPTION = re.compile(
    r"[（(「][^（()）」]{0,80}(?:除|以外)[^（()）]{0,40}[)）」]|[^、。,()]{1,40}?(?:を除き|を除いて|を除く|以外)[、,]?|"
    r"(?:特に|別段の?|とくに)[^、。,]{0,20}(?:限り|かぎり)[、,]?|(?:ただし|なお)[、,]?"
)
_PARENTHESES = re.compile(r"\([^()]{0,200}\)")
_TOPIC = re.compile(r"(?:に対して|について|において|では|には|とは|[はがもを]|\s*[:：])[、,]?")
_LABEL = re.compile(
    r"(?:[■●◆・※*>\s-]*(?:この[^、。]{0,12}の|本[^、。]{0,8}の)?(?:ライセンス|利用規約|利用ルール|利用条件|使用条件|利用許諾|使用許諾|許諾条件|著作権|権利)(?:表示|表記|について)?"
    r"|\s*(?:licen[sc]e|rights|copyright))\s*[:：/-]?\s*[「『(]?\s*",
    re.IGNORECASE,
)
_TRIVIAL = re.compile(
    r"[\s()「」『』\[\].,、。:;・|/®™*※-]*(?:(?:ライセンス|に?準拠|licen[sc]e|deed|universal|全世界|国際|international)[\s()「」『』\[\].,、。:;|/-]*)*",
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
    r"(?:さ?れて|させて|して|いたして|致して|いただいて|し|され|いたし|致し)?(?:い|おり|い?ただき)?(?:ます|る|た|する|されます|される|です|(?<=し)|(?<=れ)|(?<=おり))(?:が|けれども?)?"
    + _ENDING
    + r"|(?:利用|使用|再利用|複製|頒布|改変|転載|閲覧|共有)[^。]{0,14}?(?:できます|"
    r"できる|可能です|可能|頂けます|いただけます|許諾されています|許可されています|"
    r"許諾します|許可します|ことができます|許可する|ください)"
    + _ENDING
    + r"|(?:従い|従って|従う|準じ|基づき|基づい|基づく|のっとり)(?:ます|ています|ております|"
    r"るものとします|[^。]{0,24}(?:ます|です|ください))?"
    + _ENDING
    + r"|\A(?:ライセンス)?[\s」』)\]]*(?:です|ですが|だが|である|であり|とします|とする|と?な(?:って|り)(?:い|おり)?ます|になっています|"
    r"とし|に置かれています|に置きます|に属します|に帰属します)" + _ENDING
)
_TALK_BEHIND = re.compile(
    r"\A[\s)」』]*(?:ライセンス)?(?:とは|って|について|という(?!ライセンス(?:の(?:下|もと|元)|で|に))|といった|など|の(?:意味|説明|違い|場合|素材|作品|論文|写真|画像|もの|サイト|コンテンツを)|にするか|か[、。]|(?:または|か)[^。]{0,30}(?:選|迷))"
)
_TALK = re.compile(
    r"ではな|ではあり|じゃな|でない|適用されま?せ|適用しま?せ|対象外|していません|できません|場合|たとえば|例えば|予定|参考に|しなけれ|"
    r"出典|引用元|転載元|原典|source:|探す|さがす|見つけ|選び|選べ|選択|迷っ|かもしれ|でしょう|would|should|"
    r"if you|\bnot (?:be )?(?:licen|under|avail|cover|in the)|"
    r"isn't|aren't|」と(?:書|記|表示|いう|あり|明)|例[:：]|ましょう|に置き換え|決定され|公表し",
    re.IGNORECASE,
)
# The license that stands before it, or behind it in English, is spoken of; others in the sentence are not.
_COMPATIBLE_BEHIND = re.compile(r"互換|compatible", re.IGNORECASE)
_COMPATIBLE_BEFORE = re.compile(r"compatible (?:with|to)", re.IGNORECASE)
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
# "This article uses material from …, which is released under …" speaks of the material.
_ENGLISH_USE = re.compile(
    r"(?<![A-Za-z])(?:uses?|using|contains?|includes?|incorporates?|features|shows|displays|embeds|"
    r"(?:is|are|was|were)?\s*(?:based|built|adapted|derived|taken)\s+(?:up)?(?:on|from|with))(?![A-Za-z])",
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


@dataclass(frozen=True, slots=True)
class Scope:
    """What stands over a line: the heading of its part and the name of its item (both may be empty), and whether a name
    is one of the page's own site.
    """

    heading: str
    item: str
    is_named: Callable[[str], bool]


NOWHERE = Scope("", "", lambda _: True)


class _Subject(Enum):
    OWN = 2
    NONE = 1
    OTHER = 0
    THING = -1


def is_talk(sentence: str) -> bool:
    """Whether a normalised sentence denies, asks, explains or advises rather than states."""
    return bool(_QUESTION.search(sentence) or _TALK.search(sentence))


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
    return bool(_OTHER.search(head)) and not _OWN.search(head)


def _japanese_subject(prefix: str, is_waiver: bool, is_named: Callable[[str], bool]) -> _Subject | None:
    """Whose terms a Japanese sentence speaks of, by its text before the license; None where it has no topic."""
    plain = _EXCEPTION.sub("", _PARENTHESES.sub("", prefix))
    # An object behind which a clause ends is that clause's.
    topics = [
        topic
        for topic in _TOPIC.finditer(plain)
        if not topic[0].startswith("を") or "、" not in plain[topic.end() :].rstrip("、 ")
    ]
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
    named = _NAMED_SITE.match(phrase)
    if named is not None and not _POINTED.match(phrase) and not is_named(named[1]):
        return _Subject.OTHER
    if _POINTED.search(phrase) or _BARE.fullmatch(phrase) or _DEFINED.search(prefix):
        return _Subject.OWN
    if _LABEL.fullmatch(phrase):
        return None
    return _Subject.OTHER if phrase else _Subject.NONE


def _english_subject(prefix: str, is_named: Callable[[str], bool]) -> _Subject | None:
    plain = _ON_THIS_SITE.sub(" ", prefix)
    noun = _ENGLISH_NOUN.search(plain)
    if noun is None:
        return _Subject.OWN if _ON_THIS_SITE.search(prefix) else None
    if noun[1]:
        return _Subject.THING
    if _ENGLISH_OTHERS.search(plain, 0, noun.start()) or _ENGLISH_USE.search(plain, noun.end()):
        return _Subject.OTHER
    name = _ENGLISH_NAME.search(plain, 0, noun.start())
    if name is not None and name[1].split()[-1].lower() not in _NO_NAMES and not is_named(name[1]):
        return _Subject.OTHER
    return _Subject.OWN


def _is_japanese(text: str) -> bool:
    return bool(re.search("[ぁ-ゖァ-ヶ一-鿿]", text))


def _judge(
    prefix: str, suffix: str, earlier: str, mention: Mention, place: Place, scope: Scope, is_link: bool
) -> Meaning:
    """The meaning of a license between the text before it in its clause, and the rest of its sentence."""
    kind = mention.kind
    if _is_japanese(prefix):
        subject = _japanese_subject(prefix, kind == "waiver", scope.is_named)
    else:
        subject = _english_subject(prefix, scope.is_named)
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
    if is_of_other(scope.heading):
        return Meaning.THING
    if scope.heading and _CREDITS.search(scope.heading):
        return Meaning.OTHER
    around = _EXCEPTION.sub("", earlier + prefix)
    other = _OTHER.search(around)
    noun = _ENGLISH_NOUN.search(around)
    if kind == "software":
        clean = place.foot and not other and noun is None
        return Meaning.OWN if clean and _SOFTWARE_SAYS.search(prefix + suffix) else Meaning.OTHER
    is_alone = _TRIVIAL.fullmatch(_PARENTHESES.sub("", suffix))
    if _LABEL.fullmatch(prefix) and is_alone:
        return Meaning.OWN
    if not is_link and _TRIVIAL.fullmatch(prefix) and is_alone and _LABEL.fullmatch(scope.heading):
        return Meaning.OWN
    if place.foot:
        if other or (noun is not None and noun[1]):
            return Meaning.THING
        alone = _TRIVIAL.fullmatch(prefix) or _COPYRIGHT_LINE.fullmatch(prefix) or _ENGLISH_PREDICATE.search(prefix)
        if alone and (not _is_japanese(suffix) or _TRIVIAL.fullmatch(suffix) or says):
            return Meaning.BARE if is_link and _TRIVIAL.fullmatch(prefix) else Meaning.OWN
        return Meaning.BARE if is_link else Meaning.OTHER
    if is_link and _TRIVIAL.fullmatch(prefix) and _TRIVIAL.fullmatch(suffix):
        is_of_item = scope.item and not (_LABEL.fullmatch(scope.item) or _COPYRIGHT_LINE.fullmatch(scope.item))
        return Meaning.OTHER if is_of_item else Meaning.BARE
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


def _is_quoted(line: str, start: int) -> bool:
    """Whether a license stands within quotation marks together with what is said of it: a sentence that is cited."""
    for opening, closing in ("「」", "『』", "“”"):
        begin = line.rfind(opening, 0, start)
        if begin >= 0 and closing not in line[begin:start] and _TOPIC.search(line, begin, start):
            return True
    return False


def meanings(
    line: str, mentions: list[Mention], links: frozenset[int], place: Place, scope: Scope = NOWHERE
) -> list[Meaning]:
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
        following = mentions[last].start if last < len(mentions) else len(line)
        talks = (
            is_talk(sentence)
            or _TALK_BEHIND.match(suffix)
            or _COMPATIBLE_BEHIND.search(line, end, min(close, following))
            or _COMPATIBLE_BEFORE.search(prefix)
            or _is_quoted(line, start)
        )
        for index in range(first, last):
            if talks:
                found.append(Meaning.OTHER)
            else:
                found.append(_judge(prefix, suffix, earlier, mentions[index], place, scope, index in links))
        behind = end
    return found
