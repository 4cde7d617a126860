"""Words: what the names in class, id, role and itemprop say of an element, as one bit for each group of words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.page.lean import lean_njit

# A word counts wherever it stands in a name ("maincontents"); one behind "=" only where the name's words are parted
# around it ("ad-top", "topAd", not "shadow"). Words of Japanese in Roman letters stand beside the English ones.
WORD_GROUPS: dict[str, str] = {
    "article": "article story honbun kiji newsbody",
    "content": "content naiyou",
    "entry": "entry =post blog diary nikki",
    "body": "body text txt =main maincol",
    "title": "title headline heading midashi subject =ttl",
    "navigation": "nav menu toolbar drawer hamburger =tab =tabs",
    "header": "header masthead =head =hd banner",
    "footer": "foot =ft copyright =copy",
    "sidebar": "side widget =rail secondary complementary",
    "breadcrumb": "crumb topicpath pankuzu",
    "related": "relat recommend similar kanren osusume pickup popular ninki rank trend latest recent =also =more =new "
    "=news",
    "share": "share sns social twitter facebook hatena =line =like follow bookmark =btn button",
    "comment": "comment respond =reply discuss disqus review",
    "advertisement": "=ad =ads advert sponsor promo adsense =pr affiliate =dfp =gpt",
    "meta": "meta byline author =date =time posted publish category =cat =tag =tags profile writer credit =info",
    "pager": "pager paging pagination =page =prev =next previous",
    "form": "login signin =form search subscribe newsletter =mail register member =cart modal popup cookie dialog",
    "list": "list ichiran =item card grid archive =feed =index",
    "product": "product price =shop goods =sku spec =buy stock",
    "code": "=code highlight syntax source =pre",
    "contents_table": "=toc mokuji table-of-contents tableofcontents",
    "image": "caption image =img photo figure gallery slide carousel video media thumb",
    "thread": "question answer =qa forum topic message =msg thread =posts",
    "unseen": "hide hidden sr-only screen-reader visually =skip noprint noscript",
    "notice": "paywall premium restrict notice alert warning announce =note",
    "wrapper": "wrap container inner section =block =box module =area",
    "footnote": "footnote reference citation =cite",
    "lead": "=lead excerpt summary description =desc abstract intro",
    # Signs that a site's program puts behind headings: links to them, and links to edit them.
    "heading_mark": "headerlink editsection header-anchor heading-anchor anchorjs",
}
GROUPS = len(WORD_GROUPS)
# Letters of a name that are looked at: all but the names of hostile pages.
MAX_NAME = 400

_LETTERS = 28  # a to z, what parts words, and anything else
_PARTING, _OTHER = 26, 27


def _letter_classes() -> npt.NDArray[np.uint8]:
    classes = np.full(256, _OTHER, dtype=np.uint8)
    for letter in range(26):
        classes[ord("a") + letter] = classes[ord("A") + letter] = letter
    for letter in b" \t\n\r\f-_:./,;0123456789":
        classes[letter] = _PARTING
    return classes


def _automaton() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Transitions (states, letters) of an Aho-Corasick automaton, the groups found in each state, and letters' classes.

    What parts words is a letter of the parted words themselves, at both ends.
    """
    children: list[dict[int, int]] = [{}]
    found: list[int] = [0]
    classes = _letter_classes()
    for group, words in enumerate(WORD_GROUPS.values()):
        for word in words.split():
            letters = [int(classes[letter]) for letter in word.removeprefix("=").encode()]
            if word.startswith("="):
                letters = [_PARTING, *letters, _PARTING]
            state = 0
            for letter in letters:
                if letter not in children[state]:
                    children.append({})
                    found.append(0)
                    children[state][letter] = len(children) - 1
                state = children[state][letter]
            found[state] |= 1 << group
    moves = np.zeros((len(children), _LETTERS), dtype=np.int32)
    fallback = [0] * len(children)
    queue = [0]
    for state in queue:
        for letter in range(_LETTERS):
            child = children[state].get(letter)
            behind = int(moves[fallback[state], letter]) if state else 0
            if child is None:
                moves[state, letter] = behind
            else:
                moves[state, letter] = child
                fallback[child] = behind
                found[child] |= found[behind]
                queue.append(child)
    return moves, np.array(found, dtype=np.uint32), classes


MOVES, FOUND, LETTER_CLASSES = _automaton()


@lean_njit
def word_groups(
    source: npt.NDArray[np.uint8],
    start: int,
    end: int,
    moves: npt.NDArray[np.int32],
    found: npt.NDArray[np.uint32],
    classes: npt.NDArray[np.uint8],
) -> np.uint32:
    """The groups of words in source[start:end], a bit each; a capital behind a small letter parts words too."""
    groups = np.uint32(0)
    state = moves[0, _PARTING]
    small = False
    for position in range(start, min(end, start + MAX_NAME)):
        letter = source[position]
        capital = 0x41 <= letter <= 0x5A
        if capital and small:
            state = moves[state, _PARTING]
            groups |= found[state]
        small = 0x61 <= letter <= 0x7A
        state = moves[state, classes[letter]]
        groups |= found[state]
    state = moves[state, _PARTING]
    return groups | found[state]
