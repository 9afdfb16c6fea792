"""What the archive publishes: one entry for every data type.

Which markets, frequencies and intervals a type has, and when it ended, is in the
registry (`bhds.schemas.datatypes`); an entry here says which symbols have it, and what
its files hold. A further data type is a further `PublishedType` in `DATA_TYPES`.
"""

from bhds.sandbox.datasets.bars import Klines, ReferenceKlines
from bhds.sandbox.datasets.book import BookDepth, BookTicker
from bhds.sandbox.datasets.feed import FolderFeed, PublishedType, member_time
from bhds.sandbox.datasets.funding import FundingRate
from bhds.sandbox.datasets.liquidations import LiquidationSnapshot
from bhds.sandbox.datasets.metrics import Metrics
from bhds.sandbox.datasets.options import BVOLIndex, EOHSummary
from bhds.sandbox.datasets.trades import AggTrades, Trades
from bhds.sandbox.references import Reference

__all__ = ["DATA_TYPES", "FolderFeed", "PublishedType", "member_time"]

DATA_TYPES: tuple[PublishedType, ...] = (
    Klines(),
    ReferenceKlines("markPriceKlines", Reference.MARK),
    ReferenceKlines("indexPriceKlines", Reference.INDEX),
    ReferenceKlines("premiumIndexKlines", Reference.PREMIUM),
    FundingRate(),
    LiquidationSnapshot(),
    Metrics(),
    AggTrades(),
    Trades(),
    BookDepth(),
    BookTicker(),
    BVOLIndex(),
    EOHSummary(),
)
"""All that the sandbox's archive publishes."""
