"""Write the reference of the commands into a page, from the commands themselves.

`python -m bhds.cli.reference docs/cli.md` replaces what stands between the two
marks of the page, and leaves the rest.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bhds.cli.app import COMMANDS, load
from bhds.core.errors import ConfigError
from bhds.io.job_log import one_line_errors

BEGIN = "<!-- begin of the reference: python -m bhds.cli.reference docs/cli.md -->"
END = "<!-- end of the reference -->"

_MARKUP = re.compile(r"\[/?bold\]")
_EXAMPLES = "Examples"


def reference() -> str:
    """Return the reference of all commands, in Markdown."""
    blocks: list[str] = []
    for name in COMMANDS:
        command = load(name)
        leaves = getattr(command, "commands", None)
        if leaves is None:
            blocks += _described(command, f"bhds {name}", level="###")
            continue
        blocks += [f"### bhds {name}", COMMANDS[name].help]
        for leaf in leaves.values():
            blocks += _described(leaf, f"bhds {name} {leaf.name}", level="####")
    return "\n\n".join(blocks)


def rewritten(page: str) -> str:
    """Return a page with the reference between its marks.

    Raises
    ------
    ConfigError
        If it does not have both marks, in their order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        msg = f"the page lacks {END if begin else BEGIN!r}; expected both marks, add it"
        raise ConfigError(msg)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _described(command: Any, path: str, *, level: str) -> Iterator[str]:
    params = [param for param in command.params if not getattr(param, "hidden", False)]
    arguments = [p for p in params if p.param_type_name == "argument"]
    options = [p for p in params if p.param_type_name == "option" and p.name != "help"]
    yield f"{level} {path}"
    yield _text(command.help)
    words = [path, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)]
    yield f"```text\n{' '.join(words)}\n```"
    if arguments:
        rows = [(_usage(p), _text(p.help)) for p in arguments]
        yield _table(("argument", ""), rows)
    if options:
        rows = [(_names(p), _text(p.help) + _default(p)) for p in options]
        yield _table(("option", ""), rows)
    if examples := list(_examples(command.epilog)):
        yield (
            "```console needs=commands\n"
            + "\n".join(f"$ {line}" for line in examples)
            + "\n```"
        )


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    if argument.nargs != 1:
        name += "..."
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    return f"{names} {option.metavar or option.name.upper()}"


def _default(option: Any) -> str:
    default = option.default
    shown = isinstance(default, int | float | str) and not isinstance(default, bool)
    return f" Default: `{default}`." if shown and default != "" else ""


def _text(help_text: str | None) -> str:
    return " ".join((help_text or "").split()).replace("|", "\\|")


def _examples(epilog: str | None) -> Iterator[str]:
    for line in _MARKUP.sub("", epilog or "").splitlines():
        if line.strip() and line.strip() != _EXAMPLES:
            yield line.strip()


def _table(headings: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [headings, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right} |" for left, right in lines)


def main(arguments: list[str]) -> None:
    """Rewrite the pages that are named."""
    with one_line_errors():
        for path in map(Path, arguments):
            page = path.read_text(encoding="utf-8")
            path.write_text(rewritten(page), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
