"""Verbs. They own the transactions; they reach the world only through `ports`."""
