"""The check of words in pages, docstrings and messages."""

import re

from docs import prose


def test_a_word_is_found_in_prose_with_its_line_and_not_in_code(tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    patterns = [(re.compile(r"made\s+of"), "built from")]
    page, module = tmp_path / "a.md", tmp_path / "a.py"
    page.write_text("`made of`\n```\nmade of\n```\nIt is made\nof files.\n")
    module.write_text('x = "of"  # made of\n\n\ny = f"{x} is made of files"\n')
    assert list(prose.findings(page, patterns)) == [
        "a.md:5: 'made of'; write: built from"
    ]
    assert list(prose.findings(module, patterns)) == [
        "a.py:4: 'made of'; write: built from"
    ]
