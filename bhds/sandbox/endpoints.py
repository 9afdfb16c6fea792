"""Where a running sandbox is found, as BHDS's settings want to know it."""

from dataclasses import asdict, dataclass

import yaml

from bhds.sandbox.listing import BUCKET

LISTING_ROOT = f"/{BUCKET}"
DOWNLOAD_ROOT = "/archive"
ADMIN_ROOT = "/_sandbox"


@dataclass(frozen=True)
class SandboxEndpoints:
    """The URLs of one sandbox, without a slash at the end; keys as in the settings."""

    archive_listing: str
    """Answers `?prefix=...&delimiter=/&marker=...`."""
    archive_download: str
    """Keys are below it: `<archive_download>/data/spot/...`."""
    api_spot: str
    """`/api/v3/klines` and the others are below it; the next two likewise."""
    api_um: str
    api_cm: str

    @classmethod
    def at(cls, root: str) -> "SandboxEndpoints":
        """Return the endpoints of the sandbox at `root`: `http://127.0.0.1:8080`."""
        return cls(root + LISTING_ROOT, root + DOWNLOAD_ROOT, root, root, root)

    @property
    def admin(self) -> str:
        """Where the sandbox itself is changed."""
        return self.api_spot + ADMIN_ROOT

    def as_yaml(self, *, flow: bool = False) -> str:
        """Return the `endpoints:` part of a configuration, in one line if `flow`."""
        return yaml.safe_dump(
            {"endpoints": asdict(self)},
            sort_keys=False,
            default_flow_style=flow,
            width=10_000,
        )
