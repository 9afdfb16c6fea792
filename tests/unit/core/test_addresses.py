import pytest

from bhds.core.addresses import address_fault


@pytest.mark.parametrize(
    "address",
    [
        "https://data.binance.vision",
        "http://127.0.0.1:8080/bucket/data.binance.vision/",
        "http://[::1]:80/a%20b",
        "HTTPS://HOST_1",
    ],
)
def test_an_address_has_scheme_host_port_and_path(address):
    assert address_fault(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "ftp://host",
        "https://",
        "https://:80",
        "https:///path",
        "https://host\n  out=x",
        "https://host\n",
        " https://host",
        "https://ho st",
        "https://host\t/a",
        "https://host/\x00",
        "https://host?prefix=x",
        "https://host?",
        "https://host/#a",
        "https://user:pass@host",
        "https://@host",
        "https://host:99999",
        "https://host:0",
        "https://host:x",
        "https://[::1",
        "https://-host",
        "https://ho%73t",
        "https://hóst",
        "https://host\\a",
    ],
)
def test_another_address_is_refused_in_one_line(address):
    fault = address_fault(address)

    assert fault is not None
    assert "\n" not in fault


def test_a_proxy_may_have_a_user():
    assert address_fault("http://user:pass@proxy:3128", with_user=True) is None
    assert address_fault("http://user:pa ss@proxy:3128", with_user=True) is not None
