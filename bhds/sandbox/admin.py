"""The state and the actions of a running sandbox, in terms of JSON."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from pydantic import validate_call

from bhds.core.errors import ConfigError, SelectionError
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.limits import LimitPool
from bhds.sandbox.scenarios import INTERVALS, Actions, Scenario, load_scenarios


def state(exchange: Exchange) -> dict[str, Any]:
    """Return the clock, the changes, and the requests so far.

    `scenarios` has the numbers of those added. Of the API: `refused` counts the
    refusals by budgets, `weights` has of each budget the weight granted in each window
    (those without any are left out), `faults` are still to come, and `faults_served`
    counts those that were met.
    """
    publication, faults = exchange.publication, exchange.api_faults
    return {
        "now": publication.now.isoformat(),
        "scenarios": exchange.scenarios,
        "withheld": sorted(publication.withheld),
        "revisions": {key: each.number for key, each in publication.revisions.items()},
        "spoiled": publication.spoiled,
        "misnamed": publication.misnamed,
        "listing_faults": [asdict(each) for each in exchange.listing_faults.planned()],
        "download_faults": [
            asdict(each) for each in exchange.download_faults.planned()
        ],
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
    """Return the actions on the sandbox by name, with their parameters as fields."""

    def api_latency(latency_s: float) -> None:
        exchange.api_faults.latency_s = latency_s

    def advance_clock(seconds: float) -> None:
        exchange.set_now(exchange.now + dt.timedelta(seconds=seconds))

    return {
        "add_scenario": partial(add_scenario, exchange),
        "advance_scenario": partial(advance_scenario, exchange),
        "now": exchange.set_now,
        "advance_clock": advance_clock,
        "withhold": exchange.withhold,
        "release": exchange.release,
        "misname": exchange.misname,
        "republish": exchange.republish,
        "spoil": exchange.spoil,
        "repair": exchange.repair,
        "api_withhold": exchange.api_withhold,
        "api_latency": api_latency,
        "api_fail": exchange.api_faults.add,
        "api_clear": exchange.api_faults.clear,
        "listing_fail": exchange.listing_faults.add,
        "listing_clear": exchange.listing_faults.clear,
        "download_fail": exchange.download_faults.add,
        "download_clear": exchange.download_faults.clear,
    }


def act(exchange: Exchange, action: str, fields: Mapping[str, Any]) -> None:
    """Run an action of `actions`.

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


def add_scenario(exchange: Exchange, number: str) -> None:
    """Add a scenario: list its symbols and run its `setup`.

    Raises
    ------
    SelectionError
        If there is no scenario of that number.
    ConfigError
        If it was added already, the clock shows a time before it, the universe has a
        symbol of the same name, or the bucket serves other files.
    """
    scenario = _scenario(number)
    if number in exchange.scenarios:
        msg = f"scenario {number}: added already; add each once"
        raise ConfigError(msg)
    if exchange.now < scenario.since:
        msg = (
            f"scenario {number}: the exchange's clock shows {exchange.now:%Y-%m-%d}, "
            f"expected {scenario.since:%Y-%m-%d} or later; set it first"
        )
        raise ConfigError(msg)
    exchange.extend(scenario.symbols, outages=scenario.outages)
    _run(exchange, scenario.setup)
    exchange.scenarios.append(number)


def advance_scenario(exchange: Exchange, number: str) -> None:
    """Run the later events of a scenario: files appear, are replaced, ...

    Raises
    ------
    SelectionError
        If there is no scenario of that number, or nothing happens later in it, or it
        has happened.
    ConfigError
        If the scenario was not added.
    """
    scenario = _scenario(number)
    if number not in exchange.scenarios:
        msg = f"scenario {number}: not added yet; add it first"
        raise ConfigError(msg)
    if not scenario.later:
        known = [number for number, each in load_scenarios().items() if each.later]
        msg = f"scenario {number}: nothing happens later; use one of {known}"
        raise SelectionError(msg)
    _run(exchange, scenario.later)


def _scenario(number: str) -> Scenario:
    known = load_scenarios()
    if number not in known:
        first, *_, last = known
        msg = f"scenario {number!r}: expected one of {first} to {last}"
        raise SelectionError(msg)
    return known[number]


def _run(exchange: Exchange, steps: Actions) -> None:
    for step in steps:
        for action, fields in step.items():
            # A key with `{interval}` stands for the files of each interval.
            is_each = "{interval}" in fields.get("key", "")
            for interval in INTERVALS if is_each else ("",):
                act(
                    exchange,
                    action,
                    {
                        name: value.format(interval=interval) if is_each else value
                        for name, value in fields.items()
                    },
                )
