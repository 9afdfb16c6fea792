"""The model of the settings: keys, defaults and limits."""

import datetime as dt
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bhds.config.network import Api, Closed, Endpoints, Http, ListingSettings
from bhds.config.problems import ConflictError
from bhds.config.values import (
    ONCE,
    ArchiveInterval,
    Bound,
    DataTypeName,
    Flag,
    Folder,
    LastDay,
    Number,
    Symbol,
    SymbolPattern,
)
from bhds.core.errors import ConfigError
from bhds.core.markets import Frequency, Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.schemas import datatypes
from bhds.schemas.datatypes import DataType, Feed

FrequencyChoice = Literal["auto", "monthly", "daily"]
RawChoice = Literal["keep", "discard"]
ContractType = Literal["PERPETUAL", "DELIVERY", "TRADIFI_PERPETUAL", "SETTLED"]

_FUTURES = {TradeType.UM_FUTURES, TradeType.CM_FUTURES}


def _resolved(day: dt.date | str | None, as_of: dt.date) -> dt.date | None:
    """Return the day of a setting that may be a number of days before `as_of`."""
    if isinstance(day, str):
        return as_of - dt.timedelta(days=int(day.removesuffix("d")))
    return day


def _symbols_form(value: object) -> str:
    return "names" if isinstance(value, list) else "filter"


class SymbolFilter(Closed):
    """The selected symbols of the bucket, which includes delisted ones."""

    quote: Annotated[list[Symbol], ONCE] | None = Field(
        default=None, min_length=1, description="quote assets; null: any"
    )
    contract_type: Annotated[list[ContractType], ONCE] | None = Field(
        default=None, min_length=1, description="futures only; null: any"
    )
    stable_pairs: Flag = Field(
        default=True, description="keep pairs of two stable assets, such as USDCUSDT"
    )
    leveraged: Flag = Field(
        default=True, description="keep leveraged tokens, such as BTCUPUSDT"
    )
    include: Annotated[list[SymbolPattern], ONCE] = Field(
        default=[], description="names or globs to add, regardless of the other keys"
    )
    exclude: Annotated[list[SymbolPattern], ONCE] = Field(
        default=[],
        description="names or globs to leave out, regardless of the other keys",
    )


class SplitRule(Closed):
    """When a gap ends one segment and begins the next; see `bhds.bars.gaps`.

    A result's rule has these fields as its parameter: one more field builds all results
    again.
    """

    enabled: Flag = Field(default=True, description="split at long halts")
    min_days: Number = Field(
        default=1,
        gt=0,
        le=36_500,
        description="a halt of more days splits if the price changed; twice as many "
        "days without a published bar always split",
    )
    min_price_change: Number = Field(
        default=0.1,
        ge=0,
        le=1_000,
        description="change of price, as a fraction, above which a long halt splits",
    )
    max_price_ratio: Number = Field(
        default=5,
        gt=1,
        le=100_000,
        description="factor of price, up or down, above which a halt of any length "
        "splits",
    )


class Split(SplitRule):
    """The rule that splits a symbol's history into segments."""

    tradifi_min_days: Number = Field(
        default=3,
        gt=0,
        le=36_500,
        description="min_days of contracts on shares and commodities, if greater; "
        "these do not trade on week-ends",
    )
    files: Flag = Field(
        default=False, description="write one file per segment as well (split_all)"
    )

    def rule_for(self, *, is_tradifi: bool) -> dict[str, Any]:
        """Return the fields of `SplitRule` for one contract."""
        rule = self.model_dump(include={*SplitRule.model_fields})
        if is_tradifi:
            rule["min_days"] = max(self.min_days, self.tradifi_min_days)
        return rule


class Resample(Closed):
    """One rule by which results are resampled."""

    interval: str = Field(
        description="length of a bar, such as 1h; 3d bars open on different days per "
        "symbol, as those of the exchange"
    )
    offset: str | None = Field(
        default=None,
        description="shift of the bars from the grid, such as 5m; in paths 60m is 1h",
    )

    @property
    def rule(self) -> ResampleRule:
        """The rule of the two values."""
        name = (
            self.interval if self.offset is None else f"{self.interval}_{self.offset}"
        )
        return ResampleRule.parse(name)

    @model_validator(mode="after")
    def _is_a_rule(self) -> "Resample":
        try:
            _ = self.rule
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self


class ResultSettings(Closed):
    """Steps from partitions to results."""

    vwap: Flag = Field(default=True, description="compute the column vwap")
    funding: Flag = Field(
        default=True,
        description="join the funding events of perpetuals, and download them",
    )
    fill: Flag = Field(
        default=True, description="insert missing bars, with source = filled"
    )
    split: Split = Split()
    resample: list[Resample] = Field(
        default=[], description="resampled bars to build from the results"
    )


class Dataset(Closed):
    """One series of the archive, for a selection of symbols."""

    trade_type: TradeType = Field(strict=False, description="the market")
    data_type: DataTypeName = Field(
        default="klines", description="the type of the files, named as in the bucket"
    )
    interval: ArchiveInterval | None = Field(
        default=None, description="interval of bars; null: 1m for data types with bars"
    )
    frequency: FrequencyChoice = Field(
        default="auto",
        description="auto: monthly zips of closed months, daily ones of other days",
    )
    raw: RawChoice = Field(
        default="keep",
        description="keep zips, or discard those of each partition once it is built; "
        "parse jobs then download them",
    )
    start: Bound | None = Field(
        default=None,
        description="first UTC day; `30d`: the first day of the month that was 30 days "
        "before `as_of`; null: all history",
    )
    end: Bound | None = Field(
        default=None,
        description="last UTC day; `30d`: 30 days before `as_of`; null: `as_of`",
    )
    symbols: Annotated[
        Annotated[list[Symbol], Field(min_length=1), ONCE, Tag("names")]
        | Annotated[SymbolFilter, Tag("filter")],
        Discriminator(_symbols_form),
        Field(description="a list of names, or a filter"),
    ] = SymbolFilter()
    results: ResultSettings = ResultSettings()

    @property
    def entry(self) -> DataType:
        """The registry's entry of the data type."""
        return datatypes.data_type(self.data_type)

    @property
    def has_results(self) -> bool:
        """Whether results are built from the partitions."""
        return self.data_type == "klines"

    @property
    def base_interval(self) -> str:
        """The interval of bars; empty for other data types."""
        return self.interval or ""

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The names of the rules that results are resampled by."""
        return tuple(resample.rule.name for resample in self.results.resample)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The feeds that the files are taken from, at least one."""
        return tuple(
            feed
            for feed in self.entry.feeds_of(self.trade_type, self.interval)
            if self.frequency in {"auto", feed.frequency}
        )

    @cached_property
    def is_supplemented(self) -> bool:
        """Whether daily zips supply the days that monthly zips miss."""
        return {feed.frequency for feed in self.feeds} == {*Frequency}

    def first_day(self, as_of: dt.date) -> dt.date | None:
        """Return the first UTC day wanted; None: all history.

        One that is relative to `as_of` begins its month, or each new day would change
        the partition that it falls into.
        """
        day = _resolved(self.start, as_of)
        return day.replace(day=1) if day and isinstance(self.start, str) else day

    def last_day(self, as_of: dt.date) -> dt.date:
        """Return the last UTC day wanted, which is no later than `as_of`."""
        return min(_resolved(self.end, as_of) or as_of, as_of)

    def check_days(self, as_of: dt.date) -> None:
        """Raise a `ConflictError` if the first day is after the last one."""
        first = _resolved(self.start, as_of)
        for name, value in (("end", self.end), ("as_of", as_of)):
            last = _resolved(value, as_of)
            if first and last and first > last:
                msg = f"{self.start} is after {name}, {value}; expected an earlier day"
                raise ConflictError(("start",), msg)

    @property
    def discards(self) -> bool:
        """Whether zips are removed once their partition is built."""
        return self.raw == "discard"

    @property
    def ended(self) -> dt.date | None:
        """The last UTC day ever published, for a data type that has ended."""
        days = [feed.last_day for feed in self.feeds]
        return None if None in days else max(day for day in days if day)

    @field_validator("interval")
    @classmethod
    def _default_interval(cls, value: str | None, info: ValidationInfo) -> str | None:
        entry = datatypes.DATA_TYPES.get(info.data.get("data_type", ""))
        if entry is None:
            return value
        if value is not None and not entry.has_intervals:
            msg = f"{entry.name} has no intervals; remove it"
            raise ValueError(msg)
        return value or ("1m" if entry.has_intervals else None)

    @model_validator(mode="after")
    def _starts_before_its_end(self) -> "Dataset":
        if type(self.start) is type(self.end):  # or else it depends on the day
            self.check_days(dt.date.max)
        return self

    @model_validator(mode="after")
    def _is_published(self) -> "Dataset":
        if self.feeds:
            return self
        entry, market = self.entry, self.trade_type
        if market not in entry.trade_types:
            known = ", ".join(entry.trade_types)
            msg = f"{entry.name} is not published for {market}, only for {known}"
            raise ConflictError(("data_type",), msg)
        if not entry.feeds_of(market, self.interval):
            known = ", ".join(entry.intervals_of(market))
            msg = (
                f"interval {self.interval!r} of {entry.name} is not published for "
                f"{market}; expected one of {known}"
            )
            raise ConflictError(("interval",), msg)
        series = " ".join(filter(None, (market, entry.name, self.interval)))
        msg = f"{series} has no {self.frequency} files; set frequency: auto"
        raise ConflictError(("frequency",), msg)

    @model_validator(mode="after")
    def _only_parsed_zips_are_discarded(self) -> "Dataset":
        if self.discards and self.entry.table is None:
            msg = f"{self.data_type} is not parsed, only downloaded; set raw: keep"
            raise ConflictError(("raw",), msg)
        return self

    @model_validator(mode="after")
    def _only_futures_have_contracts(self) -> "Dataset":
        chosen = self.symbols
        is_set = isinstance(chosen, SymbolFilter) and chosen.contract_type is not None
        if is_set and self.trade_type not in _FUTURES:
            msg = f"{self.trade_type} has no contract types, only futures; remove it"
            raise ConflictError(("symbols", "contract_type"), msg)
        return self

    @model_validator(mode="after")
    def _only_klines_have_results(self) -> "Dataset":
        if not self.has_results and self.results != ResultSettings():
            msg = (
                f"results: only klines become results, not {self.data_type}; remove it"
            )
            raise ConflictError(("results",), msg)
        return self

    @model_validator(mode="after")
    def _rules_differ(self) -> "Dataset":
        first_of: dict[tuple[object, dt.timedelta], str] = {}
        rules = [resample.rule for resample in self.results.resample]
        for number, rule in enumerate(rules):
            bars = (rule.interval.duration or rule.interval.name, rule.offset)
            if bars in first_of:
                msg = (
                    f"resample rules {first_of[bars]!r} and {rule.name!r} make the "
                    "same bars; remove one"
                )
                raise ConflictError(("results", "resample", number), msg)
            first_of[bars] = rule.name
        return self

    @model_validator(mode="after")
    def _rules_fit_the_base(self) -> "Dataset":
        for number, resample in enumerate(self.results.resample):
            try:
                resample.rule.check_base(Interval.parse(self.base_interval))
            except ConfigError as error:
                at = ("results", "resample", number, "interval")
                raise ConflictError(at, str(error)) from error
        return self


class Settings(Closed):
    """All settings."""

    data_dir: Folder | None = Field(
        default=None,
        description="default $CRYPTO_BASE_DIR/binance_data, else ./binance_data",
    )
    as_of: Annotated[
        Literal["yesterday"] | dt.date,
        LastDay,
        Field(description="last UTC day to build: yesterday, or a date"),
    ] = "yesterday"
    offline: Flag = Field(
        default=False,
        description="contact no server: use existing listings and files, and fail for "
        "zips that are missing",
    )
    fail_on_incomplete: Flag = Field(
        default=False,
        description="exit code 1 if zips are corrupt or vanished, or API "
        "requests unanswered",
    )
    endpoints: Endpoints = Endpoints()
    http: Http = Http()
    listing: ListingSettings = ListingSettings()
    api: Api = Api()
    datasets: Annotated[list[Dataset], Field(min_length=1)]

    @model_validator(mode="after")
    def _starts_before_the_end(self) -> "Settings":
        as_of = self.last_day(dt.datetime.now(dt.UTC))
        for number, dataset in enumerate(self.datasets):
            try:
                dataset.check_days(as_of)
            except ConflictError as error:
                raise ConflictError(("datasets", number, "start"), str(error)) from None
        return self

    @property
    def download_http(self) -> dict[str, Any]:
        """The fields of `http`, with the proxy of `endpoints.archive_download`."""
        proxy = self.http.proxy_for(self.endpoints.archive_download)
        return self.http.model_dump() | {"proxy": proxy}

    def last_day(self, now: dt.datetime) -> dt.date:
        """Return the last UTC day to build at the time `now` (UTC)."""
        if isinstance(self.as_of, dt.date):
            return self.as_of
        return (now - dt.timedelta(days=1)).date()
