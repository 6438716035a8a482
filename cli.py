"""Runs cmgems from a checkout: `python cli.py ls` is `cmgems ls`."""

from cmgems.cli.main import main

if __name__ == "__main__":
    main()
