"""How the sandbox is looked at and changed by other processes, in terms of JSON."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from pydantic import validate_call

from bhds.core.errors import SelectionError
from bhds.sandbox import museum
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.faults import Manner
from bhds.sandbox.limits import LimitPool


def state(exchange: Exchange) -> dict[str, Any]:
    """Return the clock, what is amiss, and what was asked for so far.

    `exhibited` has the numbers of the defects on display. Of the API: `refused` counts
    what the budgets refused, `weights` has of each budget what was granted in each
    window (those without any are left out), `faults` are still to come, and
    `faults_served` counts those that have come.
    """
    publication, faults = exchange.publication, exchange.api_faults
    return {
        "now": publication.now.isoformat(),
        "exhibited": exchange.exhibited,
        "withheld": sorted(publication.withheld),
        "revisions": {key: each.number for key, each in publication.revisions.items()},
        "spoiled": publication.spoiled,
        "misnamed": publication.misnamed,
        "listing_faults": [asdict(each) for each in exchange.bucket_faults.planned()],
        "requests": dict(exchange.requests),
        "api": {
            "refused": exchange.limiter.refused,
            "weights": {
                pool.value: exchange.limiter.weights(pool) for pool in LimitPool
            },
            "withheld": [asdict(hole) for hole in publication.holes],
            "latency_s": faults.latency_s,
            "faults": [asdict(fault) for fault in faults.planned()],
            "faults_served": faults.served,
        },
    }


def actions(exchange: Exchange) -> dict[str, Callable[..., None]]:
    """Return what can be done to the sandbox, by name.

    `now` (which is `set_now`), `withhold`, `release`, `misname`, `republish`, `spoil`,
    `mend`, `api_withhold` and `api_release` are the exchange's methods, with their
    parameters as fields. `api_refuse`, `api_cut_off`, `api_halve`, `api_stall` and
    `api_clear` are those of its `api_faults`, of which `api_latency` sets `latency_s`;
    `bucket_refuse`, ... `bucket_clear` are those of its `bucket_faults`, and
    `download_spoil` and `download_clear` those of its `transfers`. `exhibit` and
    `advance` are those of `museum`.
    """
    faults, bucket_faults = exchange.api_faults, exchange.bucket_faults

    def api_latency(latency_s: float) -> None:
        faults.latency_s = latency_s

    of_faults = {
        f"{place}_{manner}": getattr(of_place, manner)
        for place, of_place in (("api", faults), ("bucket", bucket_faults))
        for manner in Manner
    }
    return of_faults | {
        "exhibit": partial(museum.exhibit, exchange),
        "advance": partial(museum.advance, exchange),
        "now": exchange.set_now,
        "withhold": exchange.withhold,
        "release": exchange.release,
        "misname": exchange.misname,
        "republish": exchange.republish,
        "spoil": exchange.spoil,
        "mend": exchange.mend,
        "api_withhold": exchange.api_withhold,
        "api_release": exchange.api_release,
        "api_clear": faults.clear,
        "bucket_clear": bucket_faults.clear,
        "download_spoil": exchange.transfers.spoil,
        "download_clear": exchange.transfers.clear,
        "api_latency": api_latency,
    }


def act(exchange: Exchange, action: str, fields: Mapping[str, Any]) -> None:
    """Do what `actions` has under a name.

    Times are in ISO 8601, members of enumerations their values.

    Raises
    ------
    ValueError
        If fields are missing, unknown or not of their types.
    BhdsError
        As the method does; `SelectionError` also if there is no such action.
    """
    known = actions(exchange)
    if action not in known:
        msg = f"action {action!r}: expected one of {sorted(known)}"
        raise SelectionError(msg)
    validate_call(known[action])(**fields)
