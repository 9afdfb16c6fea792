"""The symbols that the sandbox exchange lists, and how each of them trades."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import Interval, TradeType
from bhds.sandbox.timegrid import DAY_MS, HOUR_MS, MINUTE_MS, to_ms

SPOT_DECIMALS = 8
"""Spot files and answers show every price and volume with this many decimals."""
SATURDAY = 5
"""The first day of a week-end, as `datetime.weekday` counts."""
COIN_DECIMALS = 8
"""What cm trades are worth is shown in coins with this many decimals."""


def _in_utc(value: Any) -> Any:
    """Read a bare date or a time without a zone as UTC."""
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_in_utc)]
"""A moment; a bare date is its midnight, and a missing zone is UTC."""


class _Closed(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Halt(_Closed):
    """A stretch of time in which no bar exists at all."""

    start: Moment
    end: Moment
    price_change: Annotated[float, Field(gt=-1)] = 0.0
    """How far the price has moved when trading goes on: -0.3 is 30 % down."""


class FundingInterval(_Closed):
    """How often a perpetual paid funding until it was changed."""

    until: Moment
    """When it last was due after so many hours."""
    hours: Literal[1, 4, 8]


class Symbol(_Closed):
    """One symbol of one market: its listing period, decimals and trading."""

    market: TradeType
    name: str
    base_asset: str
    quote_asset: str = "USDT"
    contract_type: Literal[
        "",
        "PERPETUAL",
        "TRADIFI_PERPETUAL",
        "CURRENT_QUARTER",
        "NEXT_QUARTER",
        "VOLATILITY_INDEX",
        "UNDERLYING",
    ] = ""
    """What a future is; of the option market, whether the name is that of a volatility
    index or of what options are written on."""
    listed: Moment
    delisted: Moment | None = None
    halts: tuple[Halt, ...] = ()
    price: Annotated[Decimal, Field(gt=0)]
    """The level about which the price moves."""
    price_decimals: Annotated[int, Field(ge=0, le=8)]
    tick: Annotated[Decimal, Field(gt=0)]
    """The smallest step of the price, a multiple of the last decimal."""
    quantity_decimals: Annotated[int, Field(ge=0, le=8)]
    quantity_per_trade: Annotated[Decimal, Field(gt=0)]
    """Mean size of a trade, in base units (cm: contracts)."""
    trades_per_minute: Annotated[int, Field(gt=0)] = 120
    volatility: Annotated[float, Field(ge=0, le=0.9)] = 0.4
    """The furthest that the price goes from its level, as a share of it."""
    quiet_share: Annotated[float, Field(ge=0, le=0.95)] = 0.0
    """Share of bars (of the finest interval) in which nothing trades."""
    # This one, and three more below, are not in `repr`, which what other symbols' files
    # are cached under follows from.
    quiet_weekends: Annotated[bool, Field(repr=False)] = False
    """Whether nothing trades on Saturdays and Sundays (UTC), though there are bars."""
    seconds: bool = False
    """Whether 1s klines are published too (spot only)."""
    trades_published: Annotated[bool, Field(repr=False)] = False
    """Whether the bars are built from trades that are published too, one by one. A file
    of trades is large where there are many: a row has about 60 bytes."""
    contract_size: Annotated[int, Field(ge=0)] = 0
    """Quote currency a contract is worth (cm only)."""
    funding_interval_hours: Literal[1, 4, 8] = 8
    """The present funding interval, the only one that the API returns."""
    funding_interval_before: Annotated[FundingInterval | None, Field(repr=False)] = None
    """How often it was due before that, if it was changed."""
    dividends: Annotated[tuple[Moment, ...], Field(repr=False)] = ()
    """When a special event of funding falls into the minute of the regular one."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tick_units < 1:
            msg = f"tick {self.tick} is finer than price_decimals {self.price_decimals}"
            raise ValueError(msg)
        if self.market is TradeType.SPOT:
            if self.price_decimals + self.quantity_decimals > SPOT_DECIMALS:
                msg = f"a spot symbol has at most {SPOT_DECIMALS} decimals in all"
                raise ValueError(msg)
        elif self.seconds:
            msg = "seconds: only spot has 1s klines"
            raise ValueError(msg)
        if (self.market is TradeType.CM_FUTURES) != (self.contract_size > 0):
            msg = "contract_size: needed for cm_futures, and only there"
            raise ValueError(msg)
        is_option = self.contract_type in {"VOLATILITY_INDEX", "UNDERLYING"}
        if (self.market is TradeType.OPTION) != is_option:
            msg = (
                f"contract_type {self.contract_type!r}: expected VOLATILITY_INDEX or "
                "UNDERLYING for option, and only there"
            )
            raise ValueError(msg)
        if self.quiet_weekends and (
            self.trades_published or self.listed.weekday() >= SATURDAY
        ):
            msg = "quiet_weekends: neither with trades_published, nor listed on one"
            raise ValueError(msg)
        before = self.funding_interval_before
        if before and to_ms(before.until) % (before.hours * HOUR_MS):
            msg = "funding_interval_before: until must be when funding was due"
            raise ValueError(msg)
        every = self.funding_interval_hours * HOUR_MS
        is_due = all(to_ms(moment) % every == 0 for moment in self.dividends)
        if self.dividends and not (self.is_perpetual and is_due):
            msg = "dividends: expected times when funding of a perpetual is due"
            raise ValueError(msg)
        moments = [self.listed, self.delisted or self.listed]
        moments += [edge for halt in self.halts for edge in (halt.start, halt.end)]
        if any(to_ms(moment) % MINUTE_MS for moment in moments):
            msg = "listed, delisted and halts must be on whole minutes"
            raise ValueError(msg)
        return self

    @property
    def tick_units(self) -> int:
        """The tick in units of the price's last decimal."""
        return int(self.tick.scaleb(self.price_decimals))

    @property
    def units_per_trade(self) -> int:
        """Mean size of a trade, in units of the quantity's last decimal; 1 at least."""
        return max(1, int(self.quantity_per_trade.scaleb(self.quantity_decimals)))

    @property
    def is_perpetual(self) -> bool:
        """Whether the contract pays funding."""
        return self.contract_type in {"PERPETUAL", "TRADIFI_PERPETUAL"}

    @property
    def pair(self) -> str:
        """The pair that a contract is one of: `BTCUSD` of `BTCUSD_PERP`."""
        return self.name.partition("_")[0]

    @property
    def step_ms(self) -> int:
        """Length of the finest bar, from which all others are aggregated."""
        return 1_000 if self.seconds else MINUTE_MS

    def has_bars_of(self, interval: Interval) -> bool:
        """Check whether the finest bars add up to those of `interval`."""
        return interval.name != "1s" or self.seconds

    def phased(self, interval: Interval) -> Interval:
        """Return an interval with the phase of its 3d bars: that of the listing day."""
        return interval.with_phase_of([to_ms(self.listed) // DAY_MS])

    def listed_part(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Return the part of a range (its end is outside) in which it is listed."""
        start_ms = max(start_ms, to_ms(self.listed))
        if self.delisted is not None:
            end_ms = min(end_ms, to_ms(self.delisted))
        return start_ms, max(start_ms, end_ms)

    def is_listed(self, now: dt.datetime) -> bool:
        """Check whether the symbol trades, or is merely halted, at `now`."""
        return self.listed <= now and (self.delisted is None or now < self.delisted)


class Universe(_Closed):
    """Everything that the data of the sandbox exchange follow from."""

    seed: int = 0
    symbols: tuple[Symbol, ...] = ()
    outages: Mapping[TradeType, tuple[Halt, ...]] = Field(default_factory=dict)
    """Stretches in which a whole market stood still."""

    @cached_property
    def _by_name(self) -> dict[tuple[TradeType, str], Symbol]:
        return {(symbol.market, symbol.name): symbol for symbol in self.symbols}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self._by_name) != len(self.symbols):
            msg = "a symbol is given twice"
            raise ValueError(msg)
        return self

    def of_market(self, market: TradeType) -> list[Symbol]:
        """Return the symbols of `market`, in the given order."""
        return [symbol for symbol in self.symbols if symbol.market is market]

    def symbol(self, market: TradeType, name: str) -> Symbol:
        """Return one symbol.

        Raises
        ------
        SelectionError
            If the market has no such symbol.
        """
        try:
            return self._by_name[market, name]
        except KeyError:
            msg = (
                f"symbol {name!r}: expected one that the sandbox lists for {market}; "
                "add it to the universe"
            )
            raise SelectionError(msg) from None

    def halts(self, symbol: Symbol) -> tuple[Halt, ...]:
        """Return the symbol's halts and its market's outages, in time order."""
        both = (*symbol.halts, *self.outages.get(symbol.market, ()))
        return tuple(sorted(both, key=lambda halt: halt.start))

    def trading_spans(
        self, symbol: Symbol, *, start_ms: int, end_ms: int
    ) -> Iterator[tuple[int, int]]:
        """Yield, in order, the parts of a range in which the symbol has bars.

        `start_ms` and `end_ms` bound the range (the end is outside); parts are
        given in the same way.
        """
        at, end_ms = symbol.listed_part(start_ms, end_ms)
        for halt in self.halts(symbol):
            if at < min(to_ms(halt.start), end_ms):
                yield at, min(to_ms(halt.start), end_ms)
            at = max(at, to_ms(halt.end))
        if at < end_ms:
            yield at, end_ms

    def with_synthetic_symbols(self, count: int) -> "Universe":
        """Return this universe with `count` more um perpetuals, `S0000USDT` ..."""
        return self.extended(map(_synthetic_symbol, range(count)))

    def extended(
        self,
        symbols: Iterable[Symbol],
        *,
        outages: Mapping[TradeType, tuple[Halt, ...]] | None = None,
    ) -> "Universe":
        """Return this universe with more symbols and outages.

        Raises
        ------
        ConfigError
            If it has one of the symbols already.
        """
        more = tuple(symbols)
        for symbol in more:
            if (symbol.market, symbol.name) in self._by_name:
                msg = (
                    f"symbol {symbol.name!r} of {symbol.market}: expected a universe "
                    "without one of that name"
                )
                raise ConfigError(msg)
        joint = {**self.outages}
        for market, halts in (outages or {}).items():
            joint[market] = (*joint.get(market, ()), *halts)
        return Universe(seed=self.seed, symbols=(*self.symbols, *more), outages=joint)


def _synthetic_symbol(number: int) -> Symbol:
    return Symbol(
        market=TradeType.UM_FUTURES,
        name=f"S{number:04d}USDT",
        base_asset=f"S{number:04d}",
        contract_type="PERPETUAL",
        listed=dt.datetime(2024, 1, 1 + number % 28, tzinfo=dt.UTC),
        price=Decimal(1 + number % 97),
        price_decimals=4,
        tick=Decimal("0.0001"),
        quantity_decimals=1,
        quantity_per_trade=Decimal(25),
        quiet_share=(number % 4) / 10,
    )


def load_universe(path: Path | None = None) -> Universe:
    """Read a universe from the YAML file `path`, or the one that ships with BHDS.

    Raises
    ------
    ConfigError
        If the file cannot be read or does not describe a universe.
    """
    try:
        if path is None:
            shipped = resources.files("bhds.sandbox").joinpath("universe.yaml")
            text = shipped.read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        return Universe.model_validate(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        msg = f"universe {path or 'shipped with BHDS'}: {error}"
        raise ConfigError(msg) from error
