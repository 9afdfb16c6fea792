"""Settings from files and from the command line, as Snakemake takes them."""

import datetime as dt
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bhds.cli import settings
from bhds.cli.app import app
from bhds.cli.settings import read_data_dir, read_settings
from bhds.core.errors import ConfigError

DATASET = {"trade_type": "spot", "interval": "1h"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty current directory, of a package in no checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "_CHECKOUT", tmp_path / "checkout")
    return tmp_path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def read(configfile=None, *values, environment=None):
    files = None if configfile is None else [configfile]
    return read_settings(files, values=values, environment=environment or {})


@pytest.fixture
def default(here):
    content = {"datasets": [DATASET], "http": {"connections": 3, "timeout_s": 5}}
    return write(here / "config" / "config.yaml", content)


@pytest.mark.usefixtures("default")
def test_the_default_file_is_the_one_here(here):
    write(here / "checkout/config/config.yaml", {"datasets": [{"trade_type": "x"}]})

    assert read().datasets[0].interval == "1h"


def test_without_it_that_of_the_checkout_is_the_default(here):
    write(here / "checkout/config/config.yaml", {"datasets": [DATASET]})

    assert read().datasets[0].trade_type == "spot"


def test_the_checkout_has_settings():
    assert (settings._CHECKOUT / "config" / "config.yaml").is_file()


@pytest.mark.usefixtures("default")
def test_a_named_file_goes_before_the_default_one_as_with_snakemake(here):
    named = write(
        here / "mine.yaml",
        {"http": {"connections": 7}, "datasets": [{"trade_type": "um_futures"}]},
    )

    found = read(named)

    assert [dataset.trade_type for dataset in found.datasets] == ["um_futures"]
    assert (found.http.connections, found.http.timeout_s) == (7, 5)


@pytest.mark.usefixtures("default")
def test_of_several_files_the_last_takes_precedence_and_is_named(here):
    write(here / "1.yaml", "http: {connections: 7, timeout_s: 8}\n")
    write(here / "2.yaml", "http:\n  timeout_s: never\n")
    options = ["--configfile", "1.yaml", "--configfile", "2.yaml"]

    refused = CliRunner().invoke(app, ["plan", *options]).exception

    assert "2.yaml:2:14: http.timeout_s: 'never': expected" in str(refused)
    write(here / "2.yaml", "http: {timeout_s: 9}\n")
    both = [Path("1.yaml"), Path("2.yaml")]
    found = read_settings(both, values=(), environment={})
    assert (found.http.connections, found.http.timeout_s) == (7, 9)
    assert len(found.datasets) == 1


def test_a_named_file_is_enough(here):
    assert read(write(here / "mine.yaml", {"datasets": [DATASET]})).datasets


@pytest.mark.usefixtures("default")
@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        pytest.param("offline=true", "offline", True, id="a truth"),
        pytest.param("as_of=2025-01-31", "as_of", dt.date(2025, 1, 31), id="a date"),
        pytest.param(
            "listing.max_age_hours=0", "listing.max_age_hours", 0, id="in a group"
        ),
        pytest.param(
            "http={connections: 9}", "http.connections", 9, id="a group in YAML"
        ),
        pytest.param("http.proxy=http://a:1", "http.proxy", "http://a:1", id="text"),
        pytest.param(
            "http.proxy=http://a:1/b=c", "http.proxy", "http://a:1/b=c", id="a ="
        ),
        pytest.param("http.proxy=", "http.proxy", None, id="nothing"),
    ],
)
def test_a_value_goes_before_all_files(value, key, expected):
    found = read(None, "listing.max_age_hours=3", value)

    for name in key.split("."):
        found = getattr(found, name)
    assert found == expected


@pytest.mark.usefixtures("default")
def test_a_value_leaves_the_rest_of_its_group():
    found = read(None, "http.connections=9")

    assert (found.http.connections, found.http.timeout_s) == (9, 5)


@pytest.mark.usefixtures("default")
def test_a_list_is_replaced():
    found = read(None, "datasets=[{trade_type: cm_futures}]")

    assert [dataset.trade_type for dataset in found.datasets] == ["cm_futures"]


@pytest.mark.usefixtures("default")
def test_the_environment_counts(here):
    found = read(environment={"CRYPTO_BASE_DIR": str(here)})

    assert found.data_dir == here / "binance_data"


@pytest.mark.usefixtures("default")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("offline", "--config 'offline': expected KEY=VALUE", id="no ="),
        pytest.param("=1", "--config '=1': expected KEY=VALUE", id="no key"),
        pytest.param("http.=1", "expected KEY=VALUE", id="no key in the group"),
        pytest.param("a." * 5_000 + "b=1", "...: expected KEY=VALUE", id="deep"),
        pytest.param("http.proxy=http://a:b@c: [", "proxy=http://...@c: ", id="user"),
        pytest.param("as_of=[1", "--config 'as_of=[1': ", id="no YAML"),
        pytest.param("listing.max_age=1", "unknown key; did you mean", id="unknown"),
    ],
)
def test_a_value_of_another_form_is_refused_in_one_line(value, message):
    with pytest.raises(ConfigError) as caught:
        read(None, value)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("a: [", "expected YAML", id="no YAML"),
        pytest.param("- a", "holds no settings", id="a list"),
        pytest.param("", "holds no settings", id="empty"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(here, content, message):
    with pytest.raises(ConfigError) as caught:
        read(write(here / "mine.yaml", content))

    assert str(caught.value).startswith("mine.yaml:1:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("default")
def test_a_file_that_is_not_there_is_refused(here):
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        read(here / "none.yaml")


@pytest.mark.usefixtures("here")
def test_without_any_file_it_is_said_how_to_name_one():
    with pytest.raises(ConfigError, match="--configfile"):
        read()


@pytest.mark.usefixtures("default")
def test_a_data_directory_that_is_named_goes_before_all_settings(here):
    found = read_settings(
        None, values=["data_dir=other"], data_dir=here / "mine", environment={}
    )

    assert found.data_dir == here / "mine"


@pytest.mark.usefixtures("default")
def test_the_data_directory_alone_is_that_of_the_settings(here):
    (here / "base" / "binance_data").mkdir(parents=True)
    (here / "named").mkdir()
    base = {"CRYPTO_BASE_DIR": str(here / "base")}

    found = read_data_dir(None, values=[], environment=base)
    named = read_data_dir(None, values=["data_dir=named"], environment=base)

    assert found == here / "base" / "binance_data"
    assert named.absolute() == here / "named"


def test_the_data_directory_alone_needs_no_settings_file(here):
    (here / "data").mkdir()

    assert read_data_dir(None, values=[], data_dir=here / "data") == here / "data"


@pytest.mark.parametrize("is_file", [True, False])
def test_no_data_directory_is_refused(here, is_file):
    path = here / "data"
    if is_file:
        path.write_text("")

    with pytest.raises(ConfigError, match=r"data.*--data-dir"):
        read_data_dir(None, values=[], data_dir=path)


@pytest.mark.usefixtures("default")
def test_a_date_that_no_calendar_has_is_told_with_its_key(here):
    with pytest.raises(
        ConfigError, match=r"--config: as_of: '2025-13-01': no calendar"
    ):
        read(None, "as_of=2025-13-01")
    named = write(here / "mine.yaml", "as_of: 2025-02-30\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:1:8: as_of: '2025-02-30': no"):
        read(named)
