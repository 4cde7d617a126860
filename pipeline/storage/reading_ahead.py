"""Many small reads of object storage: several under way at a time, their results in order, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pipeline.storage.places import READERS, Place, RemotePath

# What may be read and not yet taken; one item that is larger is read alone.
AHEAD_BYTES = 32_000_000

Item = TypeVar("Item")
Found = TypeVar("Found")


def are_remote(places: Iterable[Place]) -> bool:
    """Whether reading these places means waiting for a server."""
    return any(isinstance(place, RemotePath) for place in places)


def read_ahead(
    items: Iterable[Item],
    read: Callable[[Item], Found],
    remote: bool,
    size: Callable[[Item], int] = lambda item: 0,
) -> Iterator[Found]:
    """What `read` makes of each item, in the items' order.

    Where the items are `remote`, up to READERS of them are read or wait to be taken at a time, as long as the bytes
    that `size` says of them are no more than AHEAD_BYTES; else one after the other as they are taken. The first error,
    in the items' order, is raised.
    """
    if not remote:
        yield from map(read, items)
        return
    waiting: deque[tuple[Future[Found], int]] = deque()
    ahead = 0
    pool = ThreadPoolExecutor(READERS)
    try:
        for item in items:
            more = size(item)
            while waiting and (len(waiting) == READERS or ahead + more > AHEAD_BYTES):
                found, bytes_of_it = waiting.popleft()
                yield found.result()
                ahead -= bytes_of_it
            waiting.append((pool.submit(read, item), more))
            ahead += more
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
