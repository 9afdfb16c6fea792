"""A part of the soak: what it tried, and what was lost."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field

HANG_S = 600
"""What takes longer, hangs: nothing here takes a tenth of it on a sound machine."""
MEMORY_BOUND = 1 << 30
"""Bytes of memory that one process may have in use at most."""


@dataclass
class Part:
    """A part that goes on until its time is over, and tries something once at least."""

    name: str
    seed: int
    seconds: float
    tried: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    took_s: float = 0.0

    def __post_init__(self):
        self.random = random.Random(f"{self.seed} {self.name}")
        self.begin()

    def begin(self):
        """Count the time from now on."""
        self.began = time.monotonic()

    @property
    def left_s(self):
        return self.began + self.seconds - time.monotonic()

    @property
    def goes_on(self):
        self.took_s = time.monotonic() - self.began
        return not self.tried or self.left_s > 0

    def count(self, what, fault=None, *, times=1):
        """Count what was tried, and keep what was lost by it, if anything was."""
        self.tried[what] += times
        if fault is not None:
            self.lost.append(f"{self.name}: {what}: {fault}")
