"""Which class a symbol of the bucket belongs to, and which symbols a filter selects.

The bucket says nothing of a symbol but its name, and the exchange's own list,
exchangeInfo, shows only what trades today. So a class is read from the name and from
the tables in `bhds/data`, each row of which names its source; where a recorded
exchangeInfo exists, it takes precedence (`known`).
"""

from bhds.instruments.classes import (
    ContractType,
    SymbolClass,
    classify,
    tradifi_table_day,
)
from bhds.instruments.exchange_info import (
    Known,
    exchange_info_path,
    parse_exchange_info,
    read_exchange_info,
    record_exchange_info,
)
from bhds.instruments.selection import (
    SETTLED,
    ExclusionReason,
    Selection,
    select,
    select_named,
)
from bhds.instruments.settlements import settlements, settlements_day

__all__ = [
    "SETTLED",
    "ContractType",
    "ExclusionReason",
    "Known",
    "Selection",
    "SymbolClass",
    "classify",
    "exchange_info_path",
    "parse_exchange_info",
    "read_exchange_info",
    "record_exchange_info",
    "select",
    "select_named",
    "settlements",
    "settlements_day",
    "tradifi_table_day",
]
