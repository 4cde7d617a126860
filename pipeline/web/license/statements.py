"""Statements: whether a sentence that names a license says that the page's own text stands under it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from pipeline.web.license.names import Mention
from pipeline.web.license.places import Place
from pipeline.web.license.subjects import (
    ENGLISH_NOUN,
    EXCEPTION,
    LABEL,
    PARENTHESES,
    THING_NOUN,
    TOPIC,
    Subject,
    english_subject,
    is_japanese,
    is_of_other,
    japanese_subject,
)

_CREDITS = re.compile(
    r"クレジット|参考(?:文献|資料|サイト|リンク)|出典|引用|関連|謝辞|使用(?:した|している)?(?:素材|画像|写真|ライブラリ)|オープンソース|オープンデータ|"
    r"\b(?:credits?|references|sources|acknowledge?ments|related|third[ -]party)\b",
    re.IGNORECASE,
)
_TRIVIAL = re.compile(
    r"[\s()「」『』\[\].,、。:;・|/®™*※-]*(?:(?:ライセンス|に?準拠|licen[sc]e|deed|universal|全世界|国際|international)[\s()「」『』\[\].,、。:;|/-]*)*",
    re.IGNORECASE,
)
_COPYRIGHT_LINE = re.compile(r"[^、。]{0,12}?(?:©|\(c\)|copyright|copyleft)[^、。]{0,80}", re.IGNORECASE)
_JOINING = re.compile(
    r"[\s()「」『』\[\],、.:;・|/®™*-]*"
    r"(?:および|及び|または|又は|もしくは|(?:or|and)(?: the)?|the|ライセンスの?|licen[sc]e|以下|の|一つ)?"
    r"[\s()「」『』\[\],、:・/-]*",
    re.IGNORECASE,
)
_ENDING = r"(?=\s*(?:[。.!)」,、;|(]|\Z))"
_PREDICATE = re.compile(
    r"(?:提供|公開|配布|頒布|掲載|リリース|ライセンス|許諾|許可|発行|発表|適用|共有|準拠|使用許諾)(?:が|を)?"
    r"(?:さ?れて|させて|して|いたして|致して|いただいて|し|され|いたし|致し)?(?:い|おり|い?ただき)?(?:ます|る|た|する|されます|される|です|(?<=し)|(?<=れ)|(?<=おり))(?:が|けれども?)?"
    + _ENDING
    + r"|(?:使って|利用|使用|再利用|複製|頒布|改変|転載|閲覧|共有)[^。]{0,14}?(?:できます|"
    r"できる|構いません|かまいません|自由です|可能です|可能|頂けます|いただけます|許諾されています|許可されています|"
    r"許諾します|許可します|ことができます|許可する|ください)"
    + _ENDING
    + r"|(?:従い|従って|従う|準じ|基づき|基づい|基づく|のっとり)(?:ます|ています|ております|"
    r"るものとします|[^。]{0,24}(?:ます|です|ください))?"
    + _ENDING
    # 「文章は CC BY、コードは CC0 です」: what ends the last clause holds for all.
    + r"|\A[\s」』)\]]*、[^。]{1,60}(?:です|とします|になります)"
    + _ENDING
    + r"|\A(?:ライセンス)?[\s」』)\]]*(?:に|へ)と?(?:変更|移行|改訂|改め|切り?替え)[^。]{0,12}(?:ます|ました|た)"
    + _ENDING
    + r"|\A(?:ライセンス)?[\s」』)\]]*(?:です|ですが|だが|である|であり|とします|とする|"
    r"と?な(?:って|り)(?:い|おり)?ます|になっています|"
    r"とし|に置かれています|に置きます|に属します|に帰属します)" + _ENDING
)
_TALK_BEHIND = re.compile(
    r"\A[\s)」』]*(?:ライセンス)?(?:とは|って|について|という(?!ライセンス(?:の(?:下|もと|元)|で|に))|といった|など|の(?:意味|説明|違い|場合|素材|作品|論文|写真|画像|もの|サイト|コンテンツを)|にするか|か[、。]|(?:または|か)[^。]{0,30}(?:選|迷)|に(?:従|したが)うことでも)"
)
_TALK = re.compile(
    r"ではな|ではあり|じゃな|でない|適用されま?せ|適用しま?せ|対象外|していません|できません|場合|たとえば|例えば|予定|参考に|しなけれ|"
    r"出典|引用元|転載元|原典|source:|探す|さがす|見つけ|選び|選べ|選択|迷っ|かもしれ|でしょう|would|should|"
    r"if you|\bnot (?:be )?(?:licen|under|avail|cover|in the)|"
    r"isn't|aren't|」と(?:書|記|表示|いう|あり|明)|例[:：]|ましょう|に置き換え|決定され|公表し|と(?:発表|表明|説明|述べ|語っ|話し|伝え|報じ|明らかに)",
    re.IGNORECASE,
)
# The license that stands before it, or behind it in English, is spoken of; others in the sentence are not.
_COMPATIBLE_BEHIND = re.compile(r"互換|compatible", re.IGNORECASE)
_COMPATIBLE_BEFORE = re.compile(r"compatible (?:with|to)", re.IGNORECASE)
_CALLING = re.compile(r"\(以下[^()]{0,60}\)")
# Terms that were given up for those that the sentence goes on to name, or for none.
_PAST = re.compile(r"[^。]{0,40}?(?:でした|ました|だった|ていた)(?:が|けれども?|けど|ものの)[、,]?")
_REPLACED = re.compile(r"(?:ライセンス)?から(?=[^。]{1,60}(?:変更|移行|改訂|改め|切り?替え))")
_ONCE = re.compile(r"以前|かつて|従来|当初|もともと|元々|まで[はに]?|旧")
_NOW = re.compile(r"現在|今は|今後|以後|以降|から[は、]|より[は、]|変更|終了|改め|廃止|やめ")
_QUESTION = re.compile(r"(?:\?|ますか|ですか|のか|でしょうか)\s*。?\s*\Z")
_SENTENCES = re.compile(r"(?<=[。!?;|\n])(?![)」])|(?<=[a-z)0-9]\.)\s+(?=[A-Z©])|(?=\s[|•·]\s)")
_ENGLISH_PREDICATE = re.compile(
    r"(?<![A-Za-z])(?:licen[sc]ed|available|released|published|provided|distributed|offered|covered|shared|reusable|"
    r"(?:may|can)\s+(?:\w+\s+)?be\s+(?:used|copied|reproduced|modified)|compatible with|subject to|"
    r"reused|waived|granted|permission|governed|dedicated|placed|is in|are in|is|are)(?![A-Za-z])",
    re.IGNORECASE,
)
_SOFTWARE_SAYS = re.compile(
    r"(?:licen[sc]ed|released|available|distributed|published|provided)\s+under|ライセンスで(?:公開|配布|提供)|(?:の下|のもと)で(?:公開|配布|提供)",
    re.IGNORECASE,
)
_EARLIER = 60
_SOON = 60


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


def is_talk(sentence: str) -> bool:
    """Whether a normalised sentence denies, asks, explains or advises rather than states."""
    if _QUESTION.search(sentence):
        return True
    return bool(_TALK.search(sentence) and _TALK.search(EXCEPTION.sub("", _CALLING.sub("", sentence))))


def _judge(
    prefix: str, suffix: str, earlier: str, mention: Mention, place: Place, scope: Scope, is_link: bool
) -> Meaning:
    """The meaning of a license between the text before it in its clause, and the rest of its sentence."""
    kind = mention.kind
    if is_japanese(prefix):
        subject = japanese_subject(prefix, kind == "waiver", scope.is_named)
    else:
        subject = english_subject(prefix, scope.is_named)
    if subject in (Subject.OTHER, Subject.THING):
        return Meaning.THING if subject is Subject.THING else Meaning.OTHER
    says = (
        kind == "waiver"
        or bool(_PREDICATE.search(suffix))
        or bool(_ENGLISH_PREDICATE.search(prefix))
        or prefix.rstrip().endswith(":")
    )
    if subject is Subject.OWN:
        return Meaning.OWN if says or (place.foot and _TRIVIAL.fullmatch(suffix)) else Meaning.OTHER
    if place.beside:
        return Meaning.OTHER
    if is_of_other(scope.heading):
        return Meaning.THING
    if scope.heading and _CREDITS.search(scope.heading):
        return Meaning.OTHER
    around = EXCEPTION.sub("", earlier + prefix)
    other = THING_NOUN.search(around)
    noun = ENGLISH_NOUN.search(around)
    if kind == "software":
        clean = place.foot and not other and noun is None
        return Meaning.OWN if clean and _SOFTWARE_SAYS.search(prefix + suffix) else Meaning.OTHER
    is_alone = _TRIVIAL.fullmatch(PARENTHESES.sub("", suffix))
    if LABEL.fullmatch(prefix) and is_alone:
        return Meaning.OWN
    if not is_link and _TRIVIAL.fullmatch(prefix) and is_alone and LABEL.fullmatch(scope.heading):
        return Meaning.OWN
    if place.foot:
        if other or (noun is not None and noun[1]):
            return Meaning.THING
        alone = _TRIVIAL.fullmatch(prefix) or _COPYRIGHT_LINE.fullmatch(prefix) or _ENGLISH_PREDICATE.search(prefix)
        if alone and (not is_japanese(suffix) or _TRIVIAL.fullmatch(suffix) or says):
            return Meaning.BARE if is_link and _TRIVIAL.fullmatch(prefix) else Meaning.OWN
        return Meaning.BARE if is_link else Meaning.OTHER
    if is_link and _TRIVIAL.fullmatch(prefix) and _TRIVIAL.fullmatch(suffix):
        is_of_item = scope.item and not (LABEL.fullmatch(scope.item) or _COPYRIGHT_LINE.fullmatch(scope.item))
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
        if begin >= 0 and closing not in line[begin:start] and TOPIC.search(line, begin, start):
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
    behind, spoken, former = 0, "", -1
    judged, talked = (-1, -1), False
    for first, last in _chains(line, mentions, bounds):
        start, end = mentions[first].start, mentions[last - 1].end
        begin = max((bound for bound in bounds if bound <= start), default=0)
        close = min((bound for bound in bounds if bound >= end), default=len(line))
        prefix, suffix = line[max(begin, behind) : start], line[end:close]
        earlier = line[max(0, begin - _EARLIER) : begin]
        if (begin, close) != judged:
            judged, talked = (begin, close), is_talk(line[begin:close])
        following = mentions[last].start if last < len(mentions) else len(line)
        replaced = _REPLACED.match(line, end + (line[end : end + 1] == " "), close)
        past = replaced or _PAST.match(line, end, close)
        if former == begin:
            prefix = spoken + line[behind:start]
        given_up = past is not None and (
            replaced or _ONCE.search(prefix) or _NOW.search(line, past.end(), min(close, past.end() + _SOON))
        )
        talks = (
            given_up
            or talked
            or _TALK_BEHIND.match(suffix)
            or _COMPATIBLE_BEHIND.search(line, end, min(close, following))
            or (mentions[first].kind != "government" and _COMPATIBLE_BEFORE.search(prefix))
            or _is_quoted(line, start)
        )
        for index in range(first, last):
            if talks:
                found.append(Meaning.OTHER)
            else:
                found.append(_judge(prefix, suffix, earlier, mentions[index], place, scope, index in links))
        behind = end
        if past is not None and given_up:
            behind, spoken, former = past.end(), spoken if former == begin else prefix, begin
    return found
