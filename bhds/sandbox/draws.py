"""Random numbers by counter: the value at any place without those before it.

SplitMix64 on 64-bit unsigned integers that wrap, so the numbers are the same on
every machine and with every version of Polars, whose own `hash` promises neither.

Notes
-----
Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014;
constants as in Vigna's public-domain splitmix64.c.
"""

import hashlib

import polars as pl

_GAMMA = 0x9E3779B97F4A7C15
_FIRST_MULTIPLIER = 0xBF58476D1CE4E5B9
_SECOND_MULTIPLIER = 0x94D049BB133111EB


def stream_key(*parts: object) -> int:
    """Return the 64-bit key of the stream of draws that `parts` name."""
    name = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def draw(counter: pl.Series, key: int) -> pl.Series:
    """Return 64 random bits (UInt64) for every value of `counter`.

    Parameters
    ----------
    counter
        Whole numbers from 0 on, of any integer type.
    key
        The stream, from `stream_key`.
    """
    state = counter.cast(pl.UInt64) * _GAMMA + key
    # Step by step on series: an expression would hold each step twice.
    state = (state ^ (state // (1 << 30))) * _FIRST_MULTIPLIER
    state = (state ^ (state // (1 << 27))) * _SECOND_MULTIPLIER
    return state ^ (state // (1 << 31))


def bit_field(drawn: pl.Series, *, offset: int, width: int) -> pl.Series:
    """Return `width` bits of `drawn` from bit `offset` on, as Int64 from 0 on."""
    return (drawn // (1 << offset) % (1 << width)).cast(pl.Int64)
