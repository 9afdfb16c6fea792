"""The tables of gaps and days, and of what checks found: `results_data/.../quality`."""

import polars as pl

from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME
from bhds.schemas.columns import DAY, SYMBOL, TRADED, Column, TableSchema
from bhds.schemas.klines import OPEN_TIME, SOURCE, bar_columns

_MISSING_TRADE_IDS = Column(
    "missing_trade_ids",
    pl.Int64(),
    "Ids of trades that the day's aggTrades skip; 0 where there are none",
    unit="ids",
)

API_ANSWERS = pl.Enum(["not_requested", "unanswered", "pending", "refused", "empty"])
"""What the API says of missing bars: they were not requested; it did not answer; it
cannot have them yet; it refuses; it has none."""

GAPS = TableSchema(
    SYMBOL,
    Column(
        "prev_open_time",
        TIME,
        "Start of the last bar with trades before the gap",
        unit="UTC",
    ),
    Column(
        "next_open_time",
        TIME,
        "Start of the first bar with trades after the gap; null if there "
        "was no trade since",
        unit="UTC",
    ),
    Column(
        "missing_bars",
        pl.Int64(),
        "Bars within the gap that were never published",
        unit="bars",
    ),
    Column(
        "untraded_bars",
        pl.Int64(),
        "Bars within the gap that were published without trades",
        unit="bars",
    ),
    Column(
        "duration",
        pl.Duration("us"),
        "From `prev_open_time` to `next_open_time` or, without a trade "
        "since, to the last published bar",
        unit="time",
    ),
    Column(
        "price_change",
        pl.Float64(),
        "From the close before the gap to the open after it; null if "
        "there was no trade since",
        unit="fraction",
    ),
    Column("split", pl.Boolean(), "Whether the history is cut here into two segments"),
    Column(
        "trimmed",
        pl.Boolean(),
        "Whether the symbol has ended, or was not listed for some time, "
        "so that bars of the gap are left out of the result",
    ),
)
"""The gaps between traded bars."""

GAP_EVIDENCE = TableSchema(
    *GAPS.columns,
    Column("empty_days", pl.Int32(), "Whole UTC days within the gap", unit="days"),
    Column(
        "absent_days",
        pl.Int32(),
        "UTC days touched by the gap of which the archive has no usable file",
        unit="days",
    ),
    Column("first_absent_day", pl.Date(), "The first of these", unit="UTC"),
    Column(
        "truncated",
        pl.Boolean(),
        "Whether a file ends where the gap begins, and no usable file "
        "follows within it",
    ),
    Column(
        "api",
        API_ANSWERS,
        "What the API says of the missing bars: not requested, it did not "
        "answer, cannot know yet, refuses the symbol, has none; null "
        "where none are missing",
    ),
)
"""Gaps, with what archive and API say of them."""

GAP_CLASSES = pl.Enum(
    [
        "outage",
        "missing_file",
        "truncated",
        "halt",
        "relisting",
        "unexplained",
        "delisted_tail",
    ]
)
"""Why a symbol did not trade; `bhds.quality.gap_classes.classify` says how
each is recognised."""

CLASSIFIED_GAPS = TableSchema(
    *GAP_EVIDENCE.columns,
    Column(
        "n_peers",
        pl.Int32(),
        "Other symbols that traded before the gap and after it; null if "
        "the symbol did not trade since",
        unit="symbols",
    ),
    Column(
        "n_peers_silent",
        pl.Int32(),
        "Those of them with a gap at the same time",
        unit="symbols",
    ),
    Column(
        "outage",
        TIME,
        "Start of the known outage that the gap lies in, else null",
        unit="UTC",
    ),
    Column("class", GAP_CLASSES, "Why the symbol did not trade"),
)
"""The gaps of all symbols."""


def conflicts(trade_type: TradeType) -> TableSchema:
    """Return the columns of the bars that were published twice with other values.

    `source` is that of the bar that was dropped and `key` its zip, null where it came
    from the API; what was kept in its place stands beside it as `kept_<column>`. A
    bar may be kept here, and another source take precedence in a further row.
    """
    bars = [column for column in bar_columns(trade_type) if column is not OPEN_TIME]
    key = Column(
        "key",
        pl.String(),
        "The zip of the bar that was dropped; null where it came from the API",
    )
    dropped = (SOURCE.but("Where the bar that was dropped comes from"), key, *bars)
    kept = [
        Column(
            f"kept_{c.name}",
            c.dtype,
            f"`{c.name}` of the bar that was kept",
            unit=c.unit,
        )
        for c in dropped
    ]
    return TableSchema(SYMBOL, OPEN_TIME, *dropped, *kept)


DAYS = TableSchema(
    SYMBOL,
    DAY,
    Column(
        "expected",
        pl.Int32(),
        "Rows that there should be; null where that is not known",
        unit="rows",
    ),
    Column("daily", pl.Int32(), "Rows from daily zips", unit="rows"),
    Column("monthly", pl.Int32(), "Rows from monthly zips", unit="rows"),
    Column("api", pl.Int32(), "Rows from the API", unit="rows"),
    Column("filled", pl.Int32(), "Rows that were never published", unit="rows"),
    Column(
        "volume",
        pl.Float64(),
        "What the volumes of the day's bars, or the quantities of its trades, "
        "add up to; null of other rows",
        unit=TRADED,
    ),
    Column(
        "conflicts",
        pl.Int32(),
        "Rows that lost to others of the same key with different values",
        unit="rows",
    ),
    Column(
        "impossible",
        pl.Int32(),
        "Rows whose values cannot be, such as a low above the high; 0 "
        "where there are none",
        unit="rows",
    ),
    Column(
        "off_grid",
        pl.Int32(),
        "Bars of 5m and longer that open more than a minute off the grid; "
        "0 where there are none",
        unit="bars",
    ),
    Column(
        "frozen",
        pl.Int32(),
        "Rows of bands of bookDepth that did not move for hours; 0 where "
        "there are none",
        unit="rows",
    ),
    Column(
        "missing_ids",
        pl.Int64(),
        "Ids that the day's trades skip; 0 where there are none",
        unit="ids",
    ),
    _MISSING_TRADE_IDS,
    Column(
        "has_file",
        pl.Boolean(),
        "Whether the archive has a file of the day that can be used",
    ),
    Column("is_corrupt", pl.Boolean(), "Whether it has only such as cannot be used"),
    Column(
        "api_answer",
        API_ANSWERS,
        "What the API says of the requested rows that it does not have "
        "(`refused`: it refuses the symbol); null where none",
    ),
)
"""The rows of each UTC day of a symbol, from its first to the last that is wanted."""

DAY_FAULTS = ("impossible", "off_grid", "frozen", "missing_ids")
"""The counts of `DAYS` of which each makes its day `degraded`."""

CONDITIONS = pl.Enum(["available", "degraded", "missing", "pending", "not_listed"])

CONDITION = TableSchema(
    *DAYS.columns,
    Column(
        "not_reconciled",
        pl.Int32(),
        "Resampled bars of the exchange that differ from the day's; 0 where "
        "there are none",
        unit="bars",
    ),
    Column("condition", CONDITIONS, "What there is of the day"),
    Column(
        "reason",
        pl.String(),
        "Why the day is not `available`: `conflict`, `impossible_values`, "
        "`off_grid`, `frozen`, `not_reconciled`, `missing_rows`, "
        "`missing_file`, `corrupt_file`, `not_published`, "
        "`not_yet_listed`, `no_longer_listed`, or the class of the day's "
        "longest gap",
    ),
    Column(
        "last_modified",
        TIME,
        "When the server last changed a zip of the day; null without one",
        unit="UTC",
    ),
)
"""The condition of each day."""

NOT_RECONCILED = TableSchema(
    SYMBOL,
    DAY.but("A day that the bar speaks against"),
    Column("interval", pl.String(), "Length of the bar of the exchange"),
    OPEN_TIME.but(
        "Start of the bar of the exchange, which differs from the bars of the result"
    ),
)
"""The days that differ from resampled bars that the exchange published: a row for each
day that a bar speaks against."""

RECONCILIATION = TableSchema(
    SYMBOL,
    Column("interval", pl.String(), "Length of the resampled bars"),
    Column("column", pl.String(), "The column that is compared"),
    Column("n_compared", pl.Int64(), "Bars that both have", unit="bars"),
    Column(
        "n_equal",
        pl.Int64(),
        "Bars of which the column is the same, sums within the cost of adding up",
        unit="bars",
    ),
    Column(
        "off_grid",
        pl.Int64(),
        "Bars that were not compared, because a day of theirs has shorter "
        "bars more than a minute off the grid",
        unit="bars",
    ),
    Column(
        "max_abs_diff",
        pl.Float64(),
        "The largest absolute difference",
        unit="as the column",
    ),
    Column(
        "max_abs_diff_time",
        TIME,
        "Start of the bar that has it; null where all are the same",
        unit="UTC",
    ),
)
"""How bars made from shorter ones agree with those that the exchange published."""

VOLUME_CHECKS = TableSchema(
    SYMBOL,
    DAY,
    Column(
        "compared_with",
        pl.Enum(["trades", "aggTrades"]),
        "The trades that were added up: single trades where the day has "
        "them, else aggTrades",
    ),
    Column(
        "trades_quantity",
        pl.Float64(),
        "What the quantities of its trades add up to",
        unit=TRADED,
    ),
    Column("bars_volume", pl.Float64(), "The volume of its bars", unit=TRADED),
    Column("difference", pl.Float64(), "The former less the latter", unit=TRADED),
    _MISSING_TRADE_IDS,
    Column(
        "agrees",
        pl.Boolean(),
        "Whether that is no more than adding up may cost; null where "
        "aggTrades skip trades and have less than the bars, which proves nothing",
    ),
)
"""What the trades of each UTC day add up to, and the volume of its bars, both in base
currency or, of COIN-M, in contracts: single trades where the day has them, else
aggTrades. `difference` is the former less the latter, and `agrees` is whether it is
no more than adding up may cost; null where aggTrades skip `missing_trade_ids` and have
less than the bars, so that nothing can be concluded: not all trades are aggregated."""
