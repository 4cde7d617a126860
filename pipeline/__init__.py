"""The flow: from WARC files to a chosen Japanese corpus, stage by stage, on Ray."""

import os

__version__ = "0.1.0"

# Milliseconds. Arrow's allocator gives memory back to the system 10 ms after a batch is freed, and takes as much anew
# with the next one: up to a tenth of a release's time. It reads this when pyarrow is loaded, in workers too.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "10000")

if not os.access(os.path.join(os.path.dirname(__file__), "__pycache__"), os.W_OK):
    # Before a first function is compiled; elsewhere numba does not need to be told.
    from pipeline.compiled import use_installed_code

    use_installed_code()
