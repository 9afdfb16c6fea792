"""`python -m bhds` is `bhds`."""

from bhds.cli import app

if __name__ == "__main__":
    app(prog_name="bhds")
