"""Which results are cut into segment files, and where these go.

All paths are relative to the data directory. How many segments a symbol has is known
when its result is there, so their names are handed in.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property

from bhds import layout
from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType
from bhds.plan.dataset import PlannedDataset
from bhds.plan.plan import Plan


class SegmentFiles:
    """The segment files of the configured datasets that have `split.files`."""

    def __init__(self, plan: Plan) -> None:
        self._datasets = [
            planned for planned in plan.datasets if planned.dataset.results.split.files
        ]

    @cached_property
    def series(self) -> list[tuple[TradeType, str]]:
        """(trade_type, interval) of every table of segments."""
        datasets = [planned.dataset for planned in self._datasets]
        return sorted({(d.trade_type, d.base_interval) for d in datasets})

    def results(self, trade_type: str, interval: str) -> list[str]:
        """Return the results that are cut, of one market and interval.

        Raises
        ------
        SelectionError
            If no dataset of that market and interval has `split.files`.
        """
        found = [
            layout.result(trade_type, interval, symbol)
            for planned in self._of(trade_type, interval)
            for symbol in planned.symbols
            if symbol in planned.symbols_with_any
        ]
        if not found:
            msg = (
                f"{trade_type} {interval}: no dataset of it has segment files; set "
                "`results.split.files: true` for one"
            )
            raise SelectionError(msg)
        return found

    def folders(self, trade_type: str, interval: str) -> list[str]:
        """Return the folders that segment files are written to, plain and resampled."""
        rules = {
            rule
            for planned in self._of(trade_type, interval)
            for rule in planned.dataset.rule_names
        }
        return [
            layout.segment_folder(trade_type, interval),
            *(layout.resampled_segment_folder(trade_type, r) for r in sorted(rules)),
        ]

    def paths(
        self, trade_type: str, interval: str, names: Mapping[str, str]
    ) -> list[str]:
        """Return the paths of segment files, plain and resampled.

        `names` holds the symbol of each segment file by the file's name.
        """
        paths = []
        for planned in self._of(trade_type, interval):
            symbols = set(planned.symbols)
            for name in (name for name, symbol in names.items() if symbol in symbols):
                paths.append(layout.segment(trade_type, interval, name))
                paths += [
                    layout.resampled_segment(trade_type, rule, name)
                    for rule in planned.dataset.rule_names
                ]
        return paths

    def _of(self, trade_type: str, interval: str) -> Iterator[PlannedDataset]:
        for planned in self._datasets:
            dataset = planned.dataset
            if (dataset.trade_type, dataset.base_interval) == (trade_type, interval):
                yield planned
