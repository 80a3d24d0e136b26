"""`python -m qlaud` and the `qlaud` program."""

from qlaud.cli import main

if __name__ == "__main__":
    main()
