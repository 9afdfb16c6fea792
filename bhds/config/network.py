"""The settings of servers: addresses, connections, listings, use of the REST API."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from bhds.config.values import Count, Flag, Number, ProxyUrl, Url


class Closed(BaseModel):
    """A group of settings, which has no other keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True
    )


class Endpoints(Closed):
    """Addresses of the archive and the REST APIs."""

    archive_listing: Url = Field(
        default="https://s3-ap-northeast-1.amazonaws.com/data.binance.vision",
        description="S3-compatible, path-style address of the bucket, for listings",
    )
    archive_download: Url = Field(
        default="https://data.binance.vision",
        description="address of the bucket, for downloads; keys are appended to it",
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


class Http(Closed):
    """Connections of listings, downloads and API requests."""

    proxy: ProxyUrl | None = Field(
        default=None, description="proxy; default $HTTPS_PROXY, else $HTTP_PROXY"
    )
    timeout_s: Number = Field(
        default=15,
        ge=1,
        le=600,
        description="seconds without progress after which a request is retried",
    )
    connections: Count = Field(
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


class ListingSettings(Closed):
    """How long a bucket listing is used."""

    max_age_hours: Number = Field(
        default=6,
        ge=0,
        le=87_600,
        description="hours after which a listing is fetched again while planning",
    )
    full_refresh_days: Number = Field(
        default=7,
        ge=0,
        le=3_650,
        description="days between full listings, which find replaced files; others "
        "are incremental; 0: every listing is full",
    )


class Api(Closed):
    """Use of the REST API."""

    enabled: Flag = Field(
        default=True, description="fetch rows that the archive misses from the REST API"
    )
