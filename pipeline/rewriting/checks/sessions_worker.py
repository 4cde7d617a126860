"""The doctests of a program. Runs in a child, which only parses."""

import ast
import doctest

_MOST = 200


def work(text: str) -> list:
    """Return for each docstring with doctests its examples: [statement, what it should write, what it should raise]."""
    found = []
    parser = doctest.DocTestParser()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            try:
                examples = parser.get_examples(ast.get_docstring(node) or "")
            except ValueError:
                continue
            if examples:
                found.append([[each.source, each.want, each.exc_msg] for each in examples])
    return found[:_MOST]
