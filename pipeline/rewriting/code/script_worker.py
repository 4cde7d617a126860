"""Comments among the tokens of a text in a language that Pygments knows. Runs in a child."""


def work(item: list) -> float | None:
    """Return the share of [language, text]; None where the text has no tokens but white space."""
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment, Text, Whitespace

    language, text = item
    tokens = comments = 0
    for kind, value in get_lexer_by_name(language).get_tokens(text):
        if kind in Whitespace or (kind in Text and not value.strip()):
            continue
        tokens += 1
        comments += kind in Comment and kind not in Comment.Preproc
    return comments / tokens if tokens else None
