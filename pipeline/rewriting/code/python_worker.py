"""What one text is as Python: whether it compiles, its tokens, and its public interface. Runs in a child."""

import ast
import io
import tokenize
import warnings


def work(text: str) -> dict:
    """Return {"error", "comment_share", "public"}: why it does not compile, comments among tokens, what it defines.

    `comment_share` is None where the text has no tokens to count; `public` is None where it does not compile.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = _error(text)
        return {
            "error": error,
            "comment_share": _comment_share(text),
            "public": None if error else [list(entry) for entry in _public(ast.parse(text).body, "")],
        }


def _error(text: str) -> str | None:
    try:
        compile(text, "<text>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        # ValueError: NUL bytes and lone surrogates. RecursionError and MemoryError: nesting too deep for the parser.
        return f"{type(error).__name__}: {error}"
    return None


def _comment_share(text: str) -> float | None:
    """Comment tokens among all tokens, as SwallowCode v1 counts them (tokenize's, with NEWLINE, INDENT and so on)."""
    tokens = comments = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            tokens += 1
            comments += token.type == tokenize.COMMENT
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    return comments / tokens if tokens else None


def _public(body: list, prefix: str) -> list[tuple[str, str, str, int, int, str]]:
    """(name, kind, parameters, least and most positional arguments, shape) of what others can use, in order.

    Most is -1 with *args. `shape` is the structure of the body without names and documentation, by which a renamed
    function is known again. Definitions under `if` and `try` at the top count; those inside functions do not.
    """
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if _is_public(node.name):
                parameters, least, most = _parameters(node.args)
                kind = "async function" if isinstance(node, ast.AsyncFunctionDef) else "function"
                found.append((prefix + node.name, kind, parameters, least, most, _shape(node.body)))
        elif isinstance(node, ast.ClassDef):
            if _is_public(node.name):
                found.append((prefix + node.name, "class", "", 0, 0, _shape(node.body)))
                found += _public(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try):
            parts = [node.body, node.orelse, *([node.finalbody] if isinstance(node, ast.Try) else [])]
            for part in parts:
                found += _public(part, prefix)
    return found


def _is_public(name: str) -> bool:
    return not name.startswith("_") or (name in ("__init__", "__call__"))


def _parameters(arguments: ast.arguments) -> tuple[str, int, int]:
    """Names of the parameters with their marks, and the least and most positional arguments."""
    positional = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    least, most = len(positional) - len(arguments.defaults), len(positional)
    names = [name + ("=" if place >= least else "") for place, name in enumerate(positional)]
    if arguments.vararg:
        names.append("*" + arguments.vararg.arg)
        most = -1
    elif arguments.kwonlyargs:
        names.append("*")
    names += [
        argument.arg + ("=" if default is not None else "")
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        names.append("**" + arguments.kwarg.arg)
    return ", ".join(names), least, most


def _shape(body: list) -> str:
    """The kinds of the nodes of a body in order, without names, literals, annotations and documentation."""
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    kinds: list[str] = []
    for statement in body:
        for node in ast.walk(statement):
            if not isinstance(node, ast.expr_context | ast.Constant | ast.Name | ast.arg):
                kinds.append(type(node).__name__)
    return " ".join(kinds[:400])
