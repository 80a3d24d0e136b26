"""qlaud: a gateway that mints a key per end user, caps it, meters it and bills it."""

__version__ = "0.1.0"
