"""`python -m bhds` is `bhds`."""

from bhds.cli.app import main

if __name__ == "__main__":
    main()
