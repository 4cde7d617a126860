"""Preambles, refusals and what else a model says about its answer instead of giving it."""

from __future__ import annotations

import re

import pyarrow as pa

from pipeline.rewriting.checks.check import FAILED, PASSED, PairCheck

# Words of a preamble stand at the begin, of a refusal there too, and of a closing at the end.
_REACH = 300
_WORK = "(?:書き換え|書き直|リライト|言い換え|要約|翻訳|修正|改善|整形|抽出|変換|作成|まとめ|再構成)"
_OPENINGS = {
    "preamble": rf"""
        (?:はい[、。!！][ \t]*)?(?:もちろん|承知|了解|かしこまり|わかり|分かり)(?:です|いた|致|し|まし)[^\n]{{0,20}}
        | (?:以下|下記|次(?=に示|の(?:文章|テキスト|とおり|通り|よう)))(?:は|が|に|の|、|、?ご)[^\n]{{0,80}}?
          (?:です|ます|ました|ください|とおり|通り)
          [。:：、]?[ \t]*(?:\n|$|(?<=[。:：]))
        | (?:[^\n。]{{0,30}}(?:文章|テキスト|記事|コード|内容|ページ|文書|本文)[^\n。]{{0,20}})?
          {_WORK}(?:し|いたし|え|まし)?(?:た|ました|ます|たもの|た文章|たテキスト|後の文章|結果)[^\n。]{{0,20}}(?:[。:：]|です|\n)
        | (?:sure|certainly|of\ course|absolutely|okay|great)\b[^\n]{{0,5}}[,!.:]
        | (?:here(?:'s|’s|\ is|\ are)|below\ is|the\ following\ is|this\ is)\ (?:the|a|an|your|my)\b[^\n]{{0,120}}
          (?:version|rewrit|summar|text|article|answer|code|list|translation|page|passage|:)
        | i(?:'ve|’ve|\ have)\ (?:rewritten|summari[sz]ed|translated|improved|updated|refactored)\b
    """,
    "refusal": r"""
        [^\n]{0,80}?(?:申し訳(?:あり|ござい)ません(?:が|、)|申し訳ないのですが|お手伝い(?:は|することが)?(?:でき|致しかね|いたしかね)
          |お(?:応|答)え(?:でき|いたしかね|致しかね)|対応(?:でき|いたしかね|致しかね)(?:ません|ます)|ご要望にはお応え)
        | [^\n]{0,60}?(?:AI|人工知能|大規模言語モデル|言語モデル)(?:アシスタント|モデル)?
          (?:として|なので|であり|ですので|である私)
        | [^\n]{0,80}?\bas\ an?\ (?:AI|artificial\ intelligence|large\ language\ model|language\ model)\b
        | (?:i['’]?m|i\ am)\ (?:sorry|afraid|unable)\b | i\ apologi[sz]e\b | sorry,\ (?:but|i)\b
        | i\ (?:cannot|can['’]?t|can\ not|won['’]?t|do\ not|don['’]?t)
          \ (?:assist|help|provide|comply|fulfill|rewrite|complete|have)\b
    """,
}
_CLOSING = r"""
    (?:何か|他に|ほかに|もし)[^\n]{0,40}(?:ご質問|質問|ご不明|不明な点|ご要望|ご希望)[^\n]{0,40}(?:ください|お知らせ|お申し付け)
    | お役に立(?:て|ち)[^\n]{0,20}(?:幸い|嬉し|うれし|ば|ら)
    | \b(?:let\ me\ know\ if|feel\ free\ to\ ask|i\ hope\ this\ helps|hope\ this\ helps|would\ you\ like\ me\ to)\b
"""
_LEFT = (
    r"<\|[a-z_]+\|>|</?think>|\[/?INST\]|<</?SYS>>"
    r"|^#{2,}[ \t]*(?:Response|Instruction|Assistant)\b|^(?:assistant|user|system):[ \t]*$"
)

_MARKUP = r"\A[\s#>*_「『\"'`(（【\[-]*"
_AT_BEGIN = {
    kind: re.compile(f"{_MARKUP}(?:{pattern})", re.VERBOSE | re.IGNORECASE) for kind, pattern in _OPENINGS.items()
}
_AT_END = re.compile(_CLOSING, re.VERBOSE | re.IGNORECASE)
_ANYWHERE = re.compile(_LEFT, re.IGNORECASE | re.MULTILINE)


def what_is_said(source: str, answer: str) -> tuple[str, str] | None:
    """The kind and the words of what a model said about its answer: refusal, preamble, closing, template; or None.

    What the source says too is not the model's.
    """
    begin, end = answer[:_REACH], answer[-_REACH:]
    for kind in ("refusal", "preamble"):
        found = _AT_BEGIN[kind].search(begin)
        if found is not None and found[0].strip() not in source:
            return kind, found[0].strip()
    found = _AT_END.search(end)
    if found is not None and found[0] not in source:
        return "closing", found[0]
    for found in _ANYWHERE.finditer(answer):
        if found[0] not in source:
            return "template", found[0]
    return None


def _preamble(source: str, answer: str) -> tuple[str, str | None]:
    said = what_is_said(source, answer)
    return (PASSED, None) if said is None else (FAILED, said[0])


PREAMBLE = PairCheck("preamble", {"preamble": pa.string(), "preamble_kind": pa.string()}, _preamble)
