"""`python -m bhds` is `bhds`."""

from bhds.cli import main

if __name__ == "__main__":
    main()
