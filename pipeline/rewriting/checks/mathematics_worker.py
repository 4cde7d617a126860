"""Whether two final answers are the same in mathematics. Runs in a child, since sympy may take any time."""

import logging


def work(item: list) -> bool | None:
    """Return whether the answers [source's, rewrite's] are equal; None where the source's cannot be read."""
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    expected, found = (parse(f"${each}$", parsing_timeout=None) or parse(each, parsing_timeout=None) for each in item)
    if not expected:
        return None
    return bool(found) and bool(verify(expected, found, timeout_seconds=None))
