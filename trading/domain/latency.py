"""How long things take: histograms of fixed size that can be added together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Final

SUB_BITS: Final = 5  # 32 buckets for every doubling: a bucket is at most 3.2 % wide
_SUB: Final = 1 << SUB_BITS
LARGEST_US: Final = (1 << 36) - 1  # 19 hours; longer counts as this
BUCKETS: Final = (36 - SUB_BITS + 1) * _SUB


def bucket_of(microseconds: int) -> int:
    """Return the bucket of a duration; below zero counts as zero, above 19 h as 19 h."""
    us = min(max(microseconds, 0), LARGEST_US)
    if us < _SUB:
        return us
    shift = us.bit_length() - 1 - SUB_BITS
    return (shift + 1) * _SUB + (us >> shift) - _SUB


def upper_us(bucket: int) -> int:
    """Return the largest duration of `bucket`, microseconds."""
    if bucket < _SUB:
        return bucket
    shift, sub = divmod(bucket, _SUB)
    return ((sub + _SUB + 1) << (shift - 1)) - 1


@dataclass(slots=True)
class Histogram:
    """Counts of durations in logarithmic buckets.

    A clock that runs backwards cannot make a latency negative: such a sample counts as zero and in `backwards`.

    Source:
        G. Tene, HdrHistogram (linear sub-buckets in every power of two).
    """

    counts: dict[int, int] = field(default_factory=dict)  # bucket -> count, at most BUCKETS entries
    backwards: int = 0

    @property
    def samples(self) -> int:
        """How many durations were recorded."""
        return sum(self.counts.values())

    def record_ns(self, duration_ns: int) -> None:
        """Count one duration."""
        if duration_ns < 0:
            self.backwards += 1
        bucket = bucket_of(duration_ns // 1_000)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def add(self, other: "Histogram") -> None:
        """Add every count of `other`."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.backwards += other.backwards

    def percentile_ms(self, percent: float) -> float | None:
        """Return the upper edge of the bucket that holds the `percent` smallest samples, ms; None without samples.

        Raises:
            ValueError: `percent` is outside 0..100.
        """
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"percent is {percent}; use 0 to 100.")
        samples = self.samples
        if samples == 0:
            return None
        rank, seen = max(1, ceil(samples * percent / 100.0)), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return upper_us(bucket) / 1_000
        raise AssertionError("counts of a histogram changed while it was read")

    def to_json(self) -> dict[str, int]:
        """Return the counts with text keys, for a JSON column."""
        return {str(bucket): self.counts[bucket] for bucket in sorted(self.counts)}

    @classmethod
    def from_json(cls, counts: Mapping[str, int]) -> "Histogram":
        """Return the histogram of `to_json`.

        Raises:
            ValueError: a bucket does not exist or a count is not a positive whole number.
        """
        histogram = cls()
        for text, count in counts.items():
            bucket = int(text)
            if not 0 <= bucket < BUCKETS or isinstance(count, bool) or not isinstance(count, int) or count <= 0:
                raise ValueError(
                    f"latency bucket {text!r}: {count!r}; expected a bucket below {BUCKETS} and a count above 0."
                )
            histogram.counts[bucket] = count
        return histogram
