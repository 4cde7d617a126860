"""One at a time on a release or a mix: its lock, with what killed writers left put away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from pipeline.files import remove_temporaries
from pipeline.release.manifest import LOCAL
from pipeline.run_folder import locked
from pipeline.storage import s3
from pipeline.storage.places import Place, RemotePath


@contextlib.contextmanager
def held(release: Place) -> Iterator[Callable[[], None]]:
    """Hold a release; gives what raises when the lock was lost. Raises UsageError where another holds it."""
    with locked(release / LOCAL) as check:
        if isinstance(release, RemotePath):
            s3.abort_uploads(release.url)
        remove_temporaries(release)
        yield check
