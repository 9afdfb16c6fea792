"""Wrong files of settings: one line each, with file, line and column."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bhds import config
from bhds.core.errors import ConfigError

SHIPPED = Path(__file__).parents[3] / "config" / "config.yaml"
DATASETS = "datasets:\n  - trade_type: um_futures\n"
LONGEST_S = 10
"""Far more than any of these files takes; without a limit some would take minutes."""


def of_dataset(text):
    return DATASETS + "".join(f"    {line}\n" for line in text.split("\n"))


WHOLE = {
    "alone": str,
    "top": lambda text: f"{text}\n{DATASETS}",
    "dataset": of_dataset,
}
"""How the rows of the table become files."""


def listed():
    """Yield the files of the table: text, line and column, words of the message."""
    for row in Path(__file__).with_name("wrong.tsv").read_text().splitlines():
        kind, text, place, words = row.split("\t")
        content = WHOLE[kind](text.encode().decode("unicode_escape"))
        yield pytest.param(content.encode(), place, words, id=f"{kind} {text}")


def nested(number):
    return "".join(f"{'  ' * depth}b:\n" for depth in range(number))


MADE = {
    "all twice": (DATASETS + DATASETS, "3:1", "'datasets' is set twice, first at "),
    "UTF-16": (DATASETS.encode("utf-16"), "1:1", "save it as UTF-8"),
    "UTF-16 without a mark": (DATASETS.encode("utf-16-le"), "1:1", "save it as UTF-8"),
    "UTF-16, big end first": (DATASETS.encode("utf-16-be"), "1:1", "save it as UTF-8"),
    "UTF-32": (DATASETS.encode("utf-32"), "1:1", "save it as UTF-8"),
    "latin-1": (b"as_of: \xe9\n", "1:8", "the byte 0xe9 is not UTF-8"),
    "half a letter": (of_dataset("symbols: [B").encode() + b"\xc3", "4:1", "0xc3"),
    "half a pair": (b"a: \xed\xa0\x80\n", "1:4", "the byte 0xed is not UTF-8"),
    "lists in lists": ("[" * 10_000, "1:21", "nested more than 20 deep"),
    "groups in groups": ("{a: " * 5_000, "1:78", "nested more than 20 deep"),
    "items in items": ("- " * 5_000 + "a", "1:41", "nested more than 20 deep"),
    "steps": (nested(40), "20:39", "nested more than 20 deep"),
    "large": ("a: " + "x" * (1 << 20), "1:1", "more than 1 MiB"),
    "after the end": (
        "as_of: 2025-01-01\n" + of_dataset("start: 2025-01-02"),
        *("4:12", "datasets[0].start: 2025-01-02 is after as_of"),
    ),
    "after its own end": (
        of_dataset("start: 2025-01-02\nend: 2025-01-01"),
        *("3:12", "datasets[0].start: 2025-01-02 is after end, 2025-01-01"),
    ),
    "more days before": (
        of_dataset("start: 30d\nend: 31d"),
        *("3:12", "datasets[0].start: 30d is after end, 31d; expected an earlier day"),
    ),
    "at the end": (f"{DATASETS}extra: 1\n", "3:1", "extra: unknown key"),
    "long folder": ("data_dir: " + "x" * 300, "1:11", "File name too long"),
    "deep folder": ("data_dir: " + "/x" * 3_000, "1:11", "File name too long"),
    "key of two lines": (f'{DATASETS}"a\\nb": 1\n', "3:1", r"'a\nb': unknown key"),
    "unseen in a key": (
        f"{DATASETS}\ufeffas_of: x\n",
        "3:1",
        r"'\ufeffas_of': unknown",
    ),
    "long key": (f"{DATASETS}? {'k' * 9_000}\n: 1\n", "3:3", "kkk...: unknown key"),
    "long key twice": (f"? {'k' * 9_000}\n: 1\n" * 2, "3:3", "is set twice, first at"),
    "many digits": ("http: {connections: " + "9" * 5_000 + "}", "1:21", "'999"),
    "long name": (of_dataset(f"symbols: [{'A' * 300}]"), "3:15", "at most 64 bytes"),
    "long interval": (
        of_dataset(f"results: {{resample: [{{interval: {'9' * 30}h}}]}}"),
        *("3:26", "at most 5 digits"),
    ),
}


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        *listed(),
        *(pytest.param(*row, id=name) for name, row in MADE.items()),
    ],
)
def test_a_wrong_file_is_one_line_with_file_line_and_column(
    tmp_path, monkeypatch, content, place, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.monotonic()

    with pytest.raises(ConfigError) as caught:
        config.read([path], command_line={}, environment={})

    message = str(caught.value)
    assert message.startswith(f"c.yaml:{place}: ")
    assert words in message
    assert "\n" not in message
    assert len(message) < 3_000
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + DATASETS.encode(), id="a byte order mark"),
        pytest.param(DATASETS.replace("\n", "\r\n").encode(), id="ends of lines"),
        pytest.param(b"---\n" + DATASETS.encode() + b"...\n", id="one document"),
        pytest.param(b'{"datasets": [{"trade_type": "spot"}]}', id="JSON"),
        pytest.param(
            f"{DATASETS}as_of: '2025-01-31'\n".encode(), id="a date in quotes"
        ),
        pytest.param(of_dataset("symbols: ['1000']").encode(), id="digits in quotes"),
        pytest.param(
            of_dataset("symbols: [币安人生USDT]").encode(), id="other letters"
        ),
        pytest.param(
            f"listing: {{max_age_hours: .5}}\n{DATASETS}".encode(), id="a half"
        ),
    ],
)
def test_a_right_file_is_read_as_yaml_says(tmp_path, content):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    raw = yaml.safe_load(content)

    found = config.read([path], command_line={}, environment={})

    assert found == config.load(raw, environment={})


@pytest.fixture
def two_files(tmp_path, monkeypatch):
    """Return a function that reads two files of which the second takes precedence."""
    monkeypatch.chdir(tmp_path)

    def read(first, second, command_line=None, environment=None):
        paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
        for path, text in zip(paths, (first, second), strict=True):
            path.write_text(text)
        return config.read(
            paths, command_line=command_line or {}, environment=environment or {}
        )

    return read


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        pytest.param(
            f"http: {{timeout_s: x}}\n{DATASETS}",
            "http: {connections: 3}\n",
            "a.yaml:1:19: http.timeout_s: 'x'",
            id="a group is merged",
        ),
        pytest.param(
            f"http: {{timeout_s: x}}\n{DATASETS}",
            "\nhttp: {timeout_s: y}\n",
            "b.yaml:2:19: http.timeout_s: 'y'",
            id="the second goes before",
        ),
        pytest.param(
            of_dataset("interval: 7m"),
            "datasets:\n  - interval: 1m\n",
            "b.yaml:2:5: datasets[0].trade_type: missing",
            id="a list is replaced",
        ),
    ],
)
def test_of_two_files_the_one_is_named_that_has_the_mistake(
    two_files, first, second, message
):
    with pytest.raises(ConfigError) as caught:
        two_files(first, second)

    assert str(caught.value).startswith(message)


def test_a_mistake_of_the_command_line_has_no_line(two_files):
    with pytest.raises(ConfigError) as caught:
        two_files(DATASETS, "offline: true\n", command_line={"offline": "maybe"})

    assert str(caught.value) == "--config: offline: 'maybe': expected true or false"


def test_a_mistake_of_the_environment_names_the_variable(two_files):
    with pytest.raises(ConfigError) as caught:
        two_files(
            DATASETS, "offline: true\n", environment={"HTTPS_PROXY": "localhost:80"}
        )

    assert str(caught.value).startswith("$HTTPS_PROXY: http.proxy: 'localhost:80'")


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://me:se@cret@host:99999", "'http://...@host:99999'"),
        ("me:secret@host:80", "'...@host:80'"),
        ("http://secret@host:0", "'http://...@host:0'"),
    ],
)
def test_messages_do_not_have_the_password_of_a_proxy(proxy, shown):
    raw = {"datasets": [{"trade_type": "spot"}]}

    with pytest.raises(ConfigError) as caught:
        config.load(raw, environment={"HTTPS_PROXY": proxy})

    assert shown in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_folder_that_is_a_link_to_nothing_is_named_so(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    raw = {"datasets": [{"trade_type": "spot"}], "data_dir": str(link)}

    with pytest.raises(ConfigError, match="link is a link to nothing"):
        config.load(raw, environment={})


def test_text_of_the_command_line_may_mean_a_number_or_a_truth(two_files):
    """Snakemake hands over what stands within a group as text."""
    found = two_files(
        DATASETS,
        "http: {connections: 3}\n",
        command_line={"http": {"timeout_s": "7"}, "api": {"enabled": "false"}},
    )

    assert (found.http.connections, found.http.timeout_s) == (3, 7)
    assert not found.api.enabled


def test_many_mistakes_are_counted(two_files):
    many = "".join(f"key{number}: 1\n" for number in range(50))

    with pytest.raises(ConfigError, match=r"; and 40 more$"):
        two_files(DATASETS, many)


@given(data=st.data())
def test_any_change_of_the_shipped_file_is_settings_or_one_line(tmp_path_factory, data):
    content = bytearray(SHIPPED.read_bytes()[-2_000:])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(
            st.binary(max_size=3)
            | st.sampled_from([b"\n", b"\t", b": ", b"- ", b"[", b"&a ", b"*a", b"!!"])
        )
        content[at : at + data.draw(st.integers(0, 3))] = new
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    path.write_bytes(content)

    message = message_of(path)

    assert message is None or ("\n" not in message and "changed.yaml:" in message)


def message_of(path):
    """Return what is wrong with a file; None if nothing is."""
    try:
        config.read([path], command_line={}, environment={})
    except ConfigError as error:
        return str(error)
    return None
