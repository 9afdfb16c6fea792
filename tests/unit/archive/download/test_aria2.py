import importlib.util
import os
import re
import signal
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from bhds.archive.download import aria2, aria2_console
from bhds.archive.download.aria2 import Download
from bhds.archive.download.aria2_console import Failure, Outcome
from bhds.core.errors import FetchError

CONSOLE = """
10/05 14:10:48 [ERROR] CUID#9 - Download aborted. URI=http://nohost.invalid/x.zip
Exception: [AbstractCommand.cc:351] errorCode=19 URI=http://nohost.invalid/x.zip
  -> [AbstractCommand.cc:789] errorCode=19 CUID#9 - Name resolution for nohost.invalid \
failed:Domain name not found

10/05 14:10:48 [ERROR] CUID#7 - Download aborted. URI=http://127.0.0.1:80/none.zip
Exception: [AbstractCommand.cc:351] errorCode=3 URI=http://127.0.0.1:80/none.zip
  -> [HttpSkipResponseCommand.cc:218] errorCode=3 Resource not found

10/05 14:10:48 [ERROR] CUID#8 - Download aborted. URI=http://127.0.0.1:1/refused.zip
Exception: [AbstractCommand.cc:856] errorCode=1 Failed to establish connection, cause: \
Connection refused

aria2 will resume download if the transfer is restarted.
"""


@pytest.fixture
def fake(tmp_path):
    """Make an executable of a shell script, to stand in for aria2c."""

    def fake(script, *, name="aria2c"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return fake


def run(executable, directory, *, names=("a",), **changes):
    settings = {"proxy": None, "timeout_s": 5, "connections": 16}
    downloads = [Download(f"http://127.0.0.1:1/{name}", name) for name in names]
    return aria2.run(
        changes.pop("downloads", downloads),
        directory=directory,
        executable=executable,
        on_tick=changes.pop("on_tick", lambda: None),
        **(settings | changes),
    )


def arguments(path):
    return dict(
        line.removeprefix("--").split("=", 1)
        for line in path.read_text().splitlines()
        if "=" in line
    )


# --- finding it ---------------------------------------------------------------------


def test_the_search_path_comes_first(fake, monkeypatch):
    path = fake("exit 0")
    monkeypatch.setenv("PATH", str(path.parent))

    assert aria2.find_executable() == path


def test_the_wheel_is_found_off_the_search_path(fake, tmp_path, monkeypatch):
    path = fake("exit 0")  # laid out as in the wheel: <module>/bin/aria2c
    spec = ModuleSpec("aria2c", loader=None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)

    assert aria2.find_executable() == path


def test_an_executable_beside_the_interpreter_is_found(fake, monkeypatch):
    path = fake("exit 0")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "executable", str(path.with_name("python")))

    assert aria2.find_executable() == path


def test_without_aria2c_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(FetchError, match=r"not found .*apt-get .*conda .*pip install"):
        aria2.find_executable()


# --- running it ---------------------------------------------------------------------


def test_no_downloads_start_nothing(tmp_path):
    outcome = run(tmp_path / "nothing", tmp_path, names=())

    assert outcome == Outcome(0, {})


def test_each_file_is_an_entry_of_the_input_file(fake, tmp_path):
    path = fake(
        f'for a in "$@"; do echo "$a" >> {tmp_path}/args; done\n'
        f'cp "${{1#--input-file=}}" {tmp_path}/input'
    )

    run(path, tmp_path / "to", names=("x/龙.zip.e1", "b c"))

    as_files = "  follow-torrent=false\n  follow-metalink=false\n"
    assert (tmp_path / "input").read_text(encoding="utf-8") == (
        f"http://127.0.0.1:1/x/龙.zip.e1\n  out=x/龙.zip.e1\n{as_files}"
        f"http://127.0.0.1:1/b c\n  out=b c\n{as_files}"
    )
    given = arguments(tmp_path / "args")
    assert given["dir"] == str(tmp_path / "to")
    assert given["stop-with-process"] == str(os.getpid())
    assert not Path(given["input-file"]).exists()


@pytest.mark.parametrize(
    ("files", "connections", "split"),
    [(1, 16, 16), (4, 16, 4), (100, 16, 1), (1, 40, 16)],
)
def test_few_files_share_all_the_connections(fake, tmp_path, files, connections, split):
    path = fake(f'for a in "$@"; do echo "$a" >> {tmp_path}/args; done')

    run(path, tmp_path, names=[str(n) for n in range(files)], connections=connections)

    given = arguments(tmp_path / "args")
    assert given["max-concurrent-downloads"] == str(connections)
    assert given["split"] == given["max-connection-per-server"] == str(split)


@pytest.mark.parametrize(
    ("sizes", "interval_s"),
    [
        pytest.param([100, aria2.SMALL_BYTES], "0", id="small"),
        pytest.param([100, aria2.SMALL_BYTES + 1], "2", id="one large"),
        pytest.param([100, None], "2", id="one of unknown size"),
    ],
)
def test_records_are_kept_where_a_file_is_large(fake, tmp_path, sizes, interval_s):
    path = fake(f'for a in "$@"; do echo "$a" >> {tmp_path}/args; done')
    downloads = [Download(f"http://127.0.0.1:1/{n}", "a", n) for n in sizes]

    run(path, tmp_path, downloads=downloads)

    assert arguments(tmp_path / "args")["auto-save-interval"] == interval_s


def test_folders_are_there_before_aria2c_is(fake, tmp_path):
    path = fake(f"ls {tmp_path}/to > {tmp_path}/found")

    run(path, tmp_path / "to", names=("x/y/a", "z/b", "c"))

    assert (tmp_path / "found").read_text().split() == ["x", "z"]
    assert (tmp_path / "to/x/y").is_dir()


ABORTED = """
10/05 14:10:48 [ERROR] CUID#7 - Download aborted. URI=http://127.0.0.1:1/a
  -> [RequestGroup.cc:1] errorCode=9 Not enough disk space
"""


KILLED, GIVEN_UP = "kill -9 $$", f"echo '{ABORTED}'; exit 9"


@pytest.mark.parametrize(
    ("script", "size", "names"),
    [
        pytest.param(KILLED, 9, [], id="killed"),
        pytest.param(KILLED, 9, ["a", "a.aria2"], id="killed, recorded"),
        pytest.param(KILLED, 4, ["a"], id="killed, but whole"),
        pytest.param(KILLED, None, ["a"], id="killed, of unknown size"),
        pytest.param(GIVEN_UP, 9, [], id="given up"),
        pytest.param(GIVEN_UP, 9, ["a", "a.aria2"], id="given up, recorded"),
        pytest.param("exit 3", 9, ["a"], id="another given up"),
        pytest.param("exit 0", 9, ["a"], id="shorter than listed"),
    ],
)
def test_only_parts_that_nothing_tells_from_whole_files_are_deleted(
    fake, tmp_path, script, size, names
):
    folder = tmp_path / "to"
    folder.mkdir()
    for name in names or ["a"]:
        (folder / name).write_bytes(b"part")

    run(fake(script), folder, downloads=[Download("http://127.0.0.1:1/a", "a", size)])

    assert sorted(path.name for path in folder.iterdir()) == names


def test_the_guard_is_the_only_proxy_and_not_to_be_read_by_others(
    fake, tmp_path, monkeypatch
):
    for name in ("https_proxy", "HTTP_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "http://other:1")
    path = fake(f'echo "$@" > {tmp_path}/args; env > {tmp_path}/env')

    run(path, tmp_path, proxy="me:secret@proxy:3128")

    arguments = (tmp_path / "args").read_text()
    environment = (tmp_path / "env").read_text()
    assert "@" not in arguments
    assert not re.search("other:1|secret", environment)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        assert re.search(rf"^{name}=http://bhds:\w+@127.0.0.1:\d+$", environment, re.M)


@pytest.mark.parametrize(("proxy", "direct"), [(None, "127.0.0.1"), ("proxy:3128", "")])
def test_only_without_a_proxy_is_the_host_reached_directly(
    fake, tmp_path, proxy, direct
):
    path = fake(f'for a in "$@"; do echo "$a" >> {tmp_path}/args; done')

    run(path, tmp_path, proxy=proxy)

    assert arguments(tmp_path / "args")["no-proxy"] == direct


def test_a_trusted_bundle_of_authorities_is_named(fake, tmp_path, monkeypatch):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    path = fake(f'for a in "$@"; do echo "$a" >> {tmp_path}/args; done')

    run(path, tmp_path)

    assert arguments(tmp_path / "args")["ca-certificate"] == str(bundle)


def test_the_child_is_ended_by_an_exception(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(aria2, "_TICK_S", 0.05)
    path = fake(
        f"echo $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid\n"
        "exec sleep 60"
    )

    def interrupt():
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path, on_tick=interrupt)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_handler_of_sigterm_is_put_back(fake, tmp_path):
    before = signal.getsignal(signal.SIGTERM)

    run(fake("exit 0"), tmp_path)

    assert signal.getsignal(signal.SIGTERM) is before


# --- what went wrong ----------------------------------------------------------------


def test_failures_are_read_with_their_innermost_reason():
    assert aria2_console.parse_failures(CONSOLE) == {
        "http://nohost.invalid/x.zip": Failure(
            19, "Name resolution for nohost.invalid failed:Domain name not found"
        ),
        "http://127.0.0.1:80/none.zip": Failure(3, "Resource not found"),
        "http://127.0.0.1:1/refused.zip": Failure(
            1, "Failed to establish connection, cause: Connection refused"
        ),
    }


def test_the_installed_aria2c_says_what_is_understood(tmp_path):
    outcome = run(aria2.find_executable(), tmp_path)

    assert outcome.exit_code == 1
    failure = outcome.failures["http://127.0.0.1:1/a"]
    assert "Connection refused" in failure.text


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("exit 9", Failure(9, "there is no space left on the disk")),
        ("exit 19", Failure(19, "the host's name could not be resolved")),
        ("exit 77", Failure(77, "ended for an unknown reason")),
        ("kill -9 $$", Failure(-9, "was ended by SIGKILL")),
    ],
)
def test_exit_codes_are_put_into_words(fake, tmp_path, script, failure):
    assert run(fake(script), tmp_path).failure == failure


def test_a_refused_option_is_told(tmp_path):
    with pytest.raises(FetchError, match=r"refused its options \(.*timeout.*1 to 600"):
        run(aria2.find_executable(), tmp_path, timeout_s=601)


def test_an_executable_that_cannot_start_is_told(tmp_path):
    with pytest.raises(FetchError, match="nothing: cannot be started"):
        run(tmp_path / "nothing", tmp_path)
