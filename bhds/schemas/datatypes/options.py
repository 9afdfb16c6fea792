"""Options: files that are downloaded and verified only."""

import datetime as dt

from bhds.core.markets import TradeType
from bhds.schemas.datatypes.entry import DAILY, DataType, Feed

DATA_TYPES = (
    DataType("BVOLIndex", feeds=(Feed(TradeType.OPTION, DAILY),)),
    DataType(
        "EOHSummary",
        feeds=(Feed(TradeType.OPTION, DAILY, last_day=dt.date(2023, 10, 23)),),
    ),
)
