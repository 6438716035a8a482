"""`python -m cmgems` is the `cmgems` command."""

from cmgems.cli.main import main

if __name__ == "__main__":
    main()
