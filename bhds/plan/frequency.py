"""Choose, month by month, between a month's zip and the zips of its days."""

import csv
import datetime as dt
from dataclasses import dataclass
from functools import cache
from importlib import resources

import polars as pl

from bhds.config import FrequencyChoice
from bhds.core.markets import Frequency, TradeType

_ANY = "*"


@dataclass(frozen=True)
class BadMonth:
    """A month whose monthly zips are known to lack rows, or to hold stale ones.

    A row of `bhds/data/known_bad_months.csv`; there, names are parted by spaces and
    `*` stands for any.
    """

    trade_type: TradeType
    data_type: str
    symbols: frozenset[str] | None
    """None: any."""
    intervals: frozenset[str] | None
    """None: any, and data types without intervals."""
    month: dt.date
    """The first UTC day of the month."""
    issues: tuple[int, ...]
    """Numbers of issues of binance/binance-public-data."""
    what: str
    """What is wrong."""

    def is_of(
        self, trade_type: TradeType, data_type: str, interval: str | None
    ) -> bool:
        """Return whether a series has bad zips of the month, of a symbol or more."""
        return (self.trade_type, self.data_type) == (trade_type, data_type) and (
            self.intervals is None or interval in self.intervals
        )

    @property
    def covers(self) -> pl.Expr:
        """Whether a zip (`symbol`, `first_day`) is of the month and its symbols."""
        is_of_month = _MONTH.eq(self.month)
        if self.symbols is None:
            return is_of_month
        return is_of_month & pl.col("symbol").is_in(sorted(self.symbols))


_MONTH = pl.col("first_day").dt.truncate("1mo")


def choose_frequency(
    archives: pl.DataFrame,
    choice: FrequencyChoice,
    *,
    trade_type: TradeType,
    data_type: str,
    interval: str | None,
) -> pl.DataFrame:
    """Keep the zips that cover each day once, or twice where once is not enough.

    `auto` takes the monthly zip of a month and, for months that have none (yet), the
    daily ones. A month that is known to be bad comes from its daily zips; unless there
    is one for each of its days, its monthly zip is taken as well, and the rows of daily
    zips take precedence over it where they are parsed. `monthly` and `daily` take one
    kind alone.

    Parameters
    ----------
    archives
        One row per zip: `symbol`, `frequency`, `first_day`, and any other columns.
    choice
        As in the settings.
    trade_type, data_type, interval
        What the zips are of; the interval is None if the data type has none.

    Returns
    -------
    polars.DataFrame
        Rows of `archives`, monthly ones first.
    """
    is_monthly = pl.col("frequency") == Frequency.MONTHLY
    if choice != "auto":
        return archives.filter(is_monthly if choice == "monthly" else ~is_monthly)
    catalogue = [
        bad.covers
        for bad in known_bad_months()
        if bad.is_of(trade_type, data_type, interval)
    ]
    is_bad = pl.any_horizontal(pl.lit(value=False), *catalogue)
    dated = archives.with_columns(month=_MONTH)
    months, days = dated.filter(is_monthly), dated.filter(~is_monthly)
    key = ["symbol", "month"]
    bad_days = days.filter(is_bad)
    other_days = days.filter(~is_bad).join(months, on=key, how="anti")
    complete = (
        bad_days.group_by(key)
        .agg(days=pl.col("first_day").n_unique())
        .filter(pl.col("days") == pl.col("month").dt.days_in_month())
    )
    needed_months = months.join(complete, on=key, how="anti")
    return pl.concat([needed_months, bad_days, other_days]).drop("month")


@cache
def known_bad_months() -> tuple[BadMonth, ...]:
    """Return the catalogue that comes with BHDS, in its order."""
    table = resources.files("bhds").joinpath("data", "known_bad_months.csv")
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return tuple(
        BadMonth(
            TradeType(row["trade_type"]),
            row["data_type"],
            _names(row["symbol"]),
            _names(row["interval"]),
            dt.date.fromisoformat(f"{row['month']}-01"),
            tuple(map(int, row["issues"].split())),
            row["what"],
        )
        for row in rows
    )


def _names(cell: str) -> frozenset[str] | None:
    return None if cell == _ANY else frozenset(cell.split())
