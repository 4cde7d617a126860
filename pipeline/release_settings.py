"""Settings of a release: what decides its data files, beside the tables that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.release.layout import AXES

SEED = 20_240_607
VALIDATION = 0.01
SHARD_BYTES = 500_000_000


@dataclass(frozen=True)
class Settings:
    """`by` are columns, `validation` is the share of hosts held out, `shard_bytes` the size of a Parquet file,
    `license_tiers` those let in (None: all).
    """

    by: tuple[str, ...] = ("license_tier",)
    seed: int = SEED
    validation: float = VALIDATION
    shard_bytes: int = SHARD_BYTES
    license_tiers: tuple[str, ...] | None = None
    refused_consent: bool = False

    def check(self) -> None:
        """Raise UsageError for settings that make no release."""
        unknown = [axis for axis in self.by if axis not in AXES]
        if unknown:
            raise UsageError(f"--by {unknown[0]}: a release is cut by {', '.join(AXES)}")
        if len(set(self.by)) < len(self.by):
            raise UsageError("--by names a column twice: name it once")
        if not 0 <= self.validation < 1:
            raise UsageError(f"--validation {self.validation}: give a share of hosts from 0 to below 1, such as 0.01")
        if self.shard_bytes < 1:
            raise UsageError("--shard-bytes must be at least 1")

    def policy(self) -> dict[str, Any]:
        """What lets a row in, as the tasks read it."""
        tiers = sorted(self.license_tiers) if self.license_tiers is not None else None
        return {"license_tiers": tiers, "refused_consent": self.refused_consent}
