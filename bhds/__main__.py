"""The command `bhds`, also as `python -m bhds`.

Ctrl-C while the commands are imported would end in a traceback: it ends without a word.
"""

import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(INTERRUPTED))
    from bhds.cli import app  # noqa: PLC0415 -- see above

    app.main()


if __name__ == "__main__":
    main()
