"""The settings of a run: one closed, typed model, checked before anything else.

`config/config.yaml` documents every key. A wrong setting is one `ConfigError` that
names the key, its value and what was expected.
"""

import datetime as dt
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from bhds import datatypes
from bhds.datatypes import DataType, Feed
from bhds.errors import ConfigError
from bhds.markets import ARCHIVE_INTERVALS, Frequency, Interval, TradeType
from bhds.results.resample import ResampleRule

_Model = TypeVar("_Model", bound=BaseModel)

FrequencyChoice = Literal["auto", "monthly", "daily"]
ContractType = Literal["PERPETUAL", "DELIVERY", "TRADIFI_PERPETUAL", "SETTLED"]


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        msg = "expected an address such as https://host or http://host:port/path"
        raise ValueError(msg)
    return value.rstrip("/")


def _archive_interval(value: str) -> str:
    if value not in ARCHIVE_INTERVALS:
        msg = f"expected one of {', '.join(ARCHIVE_INTERVALS)}"
        raise ValueError(msg)
    return value


def _data_type(value: str) -> str:
    try:
        return datatypes.data_type(value).name
    except ConfigError as error:
        raise ValueError(str(error).partition(": ")[2]) from error


def _folder(value: object) -> object:
    """Read the path of a folder that is there and can be written, or can be made."""
    if not isinstance(value, str | Path) or not str(value).strip():
        msg = "expected the path of a folder"
        raise ValueError(msg)
    path = Path(value).expanduser()
    nearest = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not nearest.is_dir():
        msg = f"expected a folder, but {nearest} is a file; choose another data_dir"
        raise ValueError(msg)
    if not os.access(nearest, os.W_OK | os.X_OK):
        msg = f"{nearest} cannot be written to; change its rights or choose another"
        raise ValueError(msg)
    return path


def _day(value: object) -> object:
    """Read a UTC day; YAML hands over dates as dates, the command line as text."""
    if value is None or (isinstance(value, dt.date) and type(value) is dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        msg = "expected a date such as 2025-01-31"
        raise ValueError(msg) from None


def _as_of(value: object) -> object:
    try:
        return value if value == "yesterday" else _day(value)
    except ValueError:
        msg = "expected yesterday, or a date such as 2025-01-31"
        raise ValueError(msg) from None


def _symbols_form(value: object) -> str:
    return "names" if isinstance(value, list) else "filter"


Url = Annotated[str, AfterValidator(_url)]
ArchiveInterval = Annotated[
    str,
    AfterValidator(_archive_interval),
    WithJsonSchema({"enum": list(ARCHIVE_INTERVALS)}),
]
DataTypeName = Annotated[
    str,
    AfterValidator(_data_type),
    WithJsonSchema({"enum": list(datatypes.DATA_TYPES)}),
]
Day = Annotated[dt.date, BeforeValidator(_day)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Endpoints(_Closed):
    """Where the archive and the REST APIs are."""

    archive_listing: Url = Field(
        default="https://s3-ap-northeast-1.amazonaws.com/data.binance.vision",
        description="S3-compatible, path-style address of the bucket, for listings",
    )
    archive_download: Url = Field(
        default="https://data.binance.vision",
        description="address that keys are appended to",
    )
    api_spot: Url = Field(
        default="https://data-api.binance.vision",
        description="REST API of the spot market",
    )
    api_um: Url = Field(
        default="https://fapi.binance.com",
        description="REST API of USD-margined futures",
    )
    api_cm: Url = Field(
        default="https://dapi.binance.com",
        description="REST API of coin-margined futures",
    )


class Http(_Closed):
    """How BHDS connects."""

    proxy: Url | None = Field(
        default=None, description="proxy; default $HTTPS_PROXY, else $HTTP_PROXY"
    )
    timeout_s: float = Field(
        default=15,
        ge=1,
        le=600,
        description="seconds without progress after which a request is retried",
    )
    connections: PositiveInt = Field(
        default=16,
        le=64,
        description="connections at once, for listings and in each batch",
    )

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy to reach `url` through; None: connect directly.

        This machine's own loopback is never reached through a proxy.
        """
        host = urlsplit(url).hostname or ""
        is_loopback = host == "localhost" or host.startswith("127.") or host == "::1"
        return None if is_loopback else self.proxy


class Listing(_Closed):
    """How long a bucket listing is believed."""

    max_age_h: float = Field(
        default=6,
        ge=0,
        le=87_600,
        description="hours after which a listing is fetched again while planning",
    )
    full_every_d: float = Field(
        default=7,
        ge=0,
        le=3_650,
        description="days after which it is fetched whole, to notice replaced files; "
        "in between only its newest part is; 0: always whole",
    )


class Api(_Closed):
    """Whether the REST API may be asked."""

    enabled: bool = Field(
        default=True, description="ask the REST API for what the archive lacks"
    )


class SymbolFilter(_Closed):
    """Which of the bucket's symbols are wanted. Delisted symbols are in the bucket."""

    quote: list[str] | None = Field(
        default=None, min_length=1, description="quote assets; null: any"
    )
    contract_type: list[ContractType] | None = Field(
        default=None, min_length=1, description="futures only; null: any"
    )
    stable_pairs: bool = Field(
        default=True, description="keep pairs of two stable assets, such as USDCUSDT"
    )
    leveraged: bool = Field(
        default=True, description="keep leveraged tokens, such as BTCUPUSDT"
    )
    include: list[str] = Field(
        default=[], description="names or globs to add, whatever the rest says"
    )
    exclude: list[str] = Field(
        default=[], description="names or globs to leave out, whatever the rest says"
    )


class Split(_Closed):
    """Where one symbol's history is cut into segments."""

    enabled: bool = Field(default=True, description="cut at long halts")
    files: bool = Field(
        default=False, description="write one file a segment as well (split_all)"
    )
    min_days: float = Field(
        default=1,
        gt=0,
        le=36_500,
        description="days without trades above which a price change splits; twice as "
        "many without a published bar always do",
    )
    tradifi_min_days: float = Field(
        default=3,
        gt=0,
        le=36_500,
        description="the same of contracts on shares and commodities, which rest at "
        "week-ends, where it is more",
    )
    min_price_change: float = Field(
        default=0.1,
        ge=0,
        le=1_000,
        description="change across the halt, as a fraction, above which it splits",
    )
    max_price_ratio: float = Field(
        default=5,
        gt=1,
        le=100_000,
        description="factor by which the price may rise or fall across time without a "
        "trade, however short; beyond it splits",
    )


class Resample(_Closed):
    """One rule by which results become longer bars."""

    interval: str = Field(
        description="length of a bar, such as 1h; bars of 3d open on days that differ "
        "per symbol, as those of the exchange"
    )
    offset: str | None = Field(
        default=None, description="how far past the grid a bar starts, such as 5m"
    )

    @property
    def rule(self) -> ResampleRule:
        """The rule that the two values make."""
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


class Results(_Closed):
    """How partitions become results."""

    vwap: bool = Field(default=True, description="fill the column vwap")
    funding: bool = Field(
        default=True, description="join funding events, where there are any"
    )
    fill: bool = Field(
        default=True, description="insert the bars that are missing, flagged as filled"
    )
    split: Split = Split()
    resample: list[Resample] = Field(
        default=[], description="longer bars to make from the results"
    )


class Dataset(_Closed):
    """One series of the archive, for a selection of symbols."""

    trade_type: TradeType = Field(description="the market")
    data_type: DataTypeName = Field(default="klines", description="what is published")
    interval: ArchiveInterval | None = Field(
        default=None, description="of klines and their like: 1m unless said otherwise"
    )
    frequency: FrequencyChoice = Field(
        default="auto",
        description="auto: monthly zips of closed months, daily ones of other days",
    )
    start: Day | None = Field(
        default=None, description="first UTC day; null: all history"
    )
    symbols: Annotated[
        Annotated[list[str], Field(min_length=1), Tag("names")]
        | Annotated[SymbolFilter, Tag("filter")],
        Discriminator(_symbols_form),
        Field(description="a list of names, or a filter"),
    ] = SymbolFilter()
    results: Results = Results()

    @property
    def entry(self) -> DataType:
        """What the registry says of the type of data."""
        return datatypes.data_type(self.data_type)

    @property
    def has_results(self) -> bool:
        """Whether partitions become results; if not, they are the end."""
        return self.data_type == "klines"

    @property
    def base_interval(self) -> str:
        """The interval of klines and their like; empty for other types of data."""
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
        """Whether daily zips supply the days that monthly zips lack."""
        return {feed.frequency for feed in self.feeds} == {*Frequency}

    @property
    def ended(self) -> dt.date | None:
        """The last UTC day ever published, of a type of data that has ended."""
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
    def _is_published(self) -> "Dataset":
        if self.feeds:
            return self
        entry, market = self.entry, self.trade_type
        if market not in entry.trade_types:
            known = ", ".join(entry.trade_types)
            msg = f"{entry.name} is not published for {market}, only for {known}"
        elif not entry.feeds_of(market, self.interval):
            known = ", ".join(entry.intervals_of(market))
            msg = (
                f"interval {self.interval!r} of {entry.name} is not published for "
                f"{market}; expected one of {known}"
            )
        else:
            series = " ".join(filter(None, (market, entry.name, self.interval)))
            msg = f"{series} has no {self.frequency} files; set frequency: auto"
        raise ValueError(msg)

    @model_validator(mode="after")
    def _only_klines_have_results(self) -> "Dataset":
        if not self.has_results and self.results != Results():
            msg = (
                f"results: only klines become results, not {self.data_type}; remove it"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rules_differ(self) -> "Dataset":
        first_of: dict[tuple[object, dt.timedelta], str] = {}
        for rule in (resample.rule for resample in self.results.resample):
            bars = (rule.interval.duration or rule.interval.name, rule.offset)
            if bars in first_of:
                msg = (
                    f"resample rules {first_of[bars]!r} and {rule.name!r} make the "
                    "same bars; remove one"
                )
                raise ValueError(msg)
            first_of[bars] = rule.name
        return self

    @model_validator(mode="after")
    def _rules_fit_the_base(self) -> "Dataset":
        for resample in self.results.resample:
            try:
                resample.rule.check_base(Interval.parse(self.base_interval))
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self


class Settings(_Closed):
    """Everything that can be set."""

    data_dir: Annotated[Path, BeforeValidator(_folder)] | None = Field(
        default=None,
        description="default $CRYPTO_BASE_DIR/binance_data, else ./binance_data",
    )
    as_of: Annotated[
        Literal["yesterday"] | dt.date,
        BeforeValidator(_as_of),
        Field(description="last UTC day wanted: yesterday, or a date"),
    ] = "yesterday"
    offline: bool = Field(
        default=False, description="plan with the listings at hand; ask no server"
    )
    endpoints: Endpoints = Endpoints()
    http: Http = Http()
    listing: Listing = Listing()
    api: Api = Api()
    datasets: Annotated[list[Dataset], Field(min_length=1)]

    @property
    def download_http(self) -> dict[str, Any]:
        """The fields of `http`, with the proxy of `endpoints.archive_download`."""
        proxy = self.http.proxy_for(self.endpoints.archive_download)
        return self.http.model_dump() | {"proxy": proxy}

    def last_day(self, now: dt.datetime) -> dt.date:
        """Return the last UTC day wanted, seen from the moment `now` (UTC)."""
        if isinstance(self.as_of, dt.date):
            return self.as_of
        return (now - dt.timedelta(days=1)).date()


def load(raw: Mapping[str, Any], *, environment: Mapping[str, str]) -> Settings:
    """Check `raw` and return the settings, with the environment's defaults.

    Parameters
    ----------
    raw
        The configuration as read from YAML and the command line.
    environment
        `CRYPTO_BASE_DIR` overrides `data_dir` when that is null; `HTTPS_PROXY`,
        `HTTP_PROXY` (or in lower case) stand in for `http.proxy`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not what was expected; all of them in one
        message.
    """
    return validated(Settings, _with_environment(raw, environment))


def validated(
    model: type[_Model], raw: Mapping[str, Any], *, where: str = ""
) -> _Model:
    """Return `raw` as a `model` of this module; messages begin with `where`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not what was expected.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(detail, model, where) for detail in error.errors()]
        raise ConfigError("; ".join(dict.fromkeys(problems))) from error


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return the data directory where the settings name none."""
    return Path(environment.get("CRYPTO_BASE_DIR") or ".") / "binance_data"


def _with_environment(
    raw: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    settings = dict(raw)
    if settings.get("data_dir") is None:
        settings["data_dir"] = str(default_data_dir(environment))
    http = settings.get("http") or {}
    if isinstance(http, Mapping) and http.get("proxy") is None:
        names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
        proxy = next((environment[n] for n in names if environment.get(n)), None)
        settings["http"] = {**http, "proxy": proxy}
    return settings


_UNION_PARTS = {"names", "filter", "date", "literal['yesterday']", "constrained-str"}


def _explain(detail: ErrorDetails, model: type[BaseModel], where: str) -> str:
    location = [part for part in detail["loc"] if part not in _UNION_PARTS]
    path = where + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    )
    path = path.removeprefix(".")
    if detail["type"] == "extra_forbidden":
        return _explain_unknown(
            path, known=list(_model_at(location[:-1], model).model_fields)
        )
    if detail["type"] == "missing":
        return f"{path}: missing; expected a value"
    value = "" if isinstance(detail["input"], dict) else f" {detail['input']!r}:"
    return f"{path or 'settings'}:{value} {_expected(detail, location, model)}"


_EXPECTED = {
    "bool": "expected true or false",
    "int": "expected a whole number",
    "float": "expected a number",
    "string": "expected text",
    "too": "expected at least one",
}
"""By the first word of the type of a problem: none of these says what of a value."""


def _expected(
    detail: ErrorDetails, location: Sequence[str | int], model: type[BaseModel]
) -> str:
    """Say what would have been right, in the words of who writes settings."""
    kind = detail["type"]
    if kind == "list_type":
        value = detail["input"]
        return "expected a list" + (f": [{value}]" if isinstance(value, str) else "")
    if kind == "model_type":
        of_names = "a list of names, or " if location[-1:] == ["symbols"] else ""
        known = ", ".join(_model_at(location, model).model_fields)
        return f"expected {of_names}a group of keys (known here: {known})"
    told = _EXPECTED.get(kind.partition("_")[0])
    if told is not None:
        return told
    expected = detail["msg"].removeprefix("Value error, ")
    return expected.replace("Input should be", "expected")


def _explain_unknown(path: str, *, known: list[str]) -> str:
    nearest = difflib.get_close_matches(path.rpartition(".")[-1], known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "remove it"
    return f"{path}: unknown key; {hint} (known here: {', '.join(known)})"


def _model_at(location: Sequence[str | int], model: type[BaseModel]) -> type[BaseModel]:
    for part in location:
        if isinstance(part, str):
            model = next(_models_in(model.model_fields[part].annotation))
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
