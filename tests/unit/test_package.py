"""What `import bhds` gives."""

import inspect
import subprocess
import sys

import pytest

import bhds
from bhds import reader


def test_importing_costs_nothing_until_something_is_read():
    script = (
        "import sys, bhds\n"
        "print('polars' in sys.modules, 'bhds.reader' in sys.modules)\n"
        "bhds.scan_klines\n"
        "print('polars' in sys.modules, 'bhds.reader' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["False", "False", "True", "True"]


def test_the_package_has_what_the_reader_has():
    assert set(bhds.__all__) == set(reader.__all__)
    for name in reader.__all__:
        assert getattr(bhds, name) is getattr(reader, name)
        assert name in dir(bhds)


def test_other_names_are_told_as_python_does():
    with pytest.raises(AttributeError, match="module 'bhds' has no attribute 'scan'"):
        _ = bhds.scan


@pytest.mark.parametrize("name", reader.__all__)
def test_what_is_read_is_documented_and_typed(name):
    function = getattr(reader, name)
    assert inspect.getdoc(function)
    signature = inspect.signature(function)
    assert "data_dir" in signature.parameters
    annotations = [p.annotation for p in signature.parameters.values()]
    assert inspect.Signature.empty not in [*annotations, signature.return_annotation]
