"""The proof of the spending cap: a provider that keeps its own books, beside the gateway's ledger.

Run with `python -m bench.prove`. It talks to real gateway processes over HTTP, plays the provider, breaks what can
break, and then reads the database and the provider's books side by side. What it proves and what it does not stands
in docs/proof.md.

Independence: prices, token counts, bounds and every check are computed here, from the provider's side; nothing of
the product's money code is imported. From `qlaud` it takes the embedded PostgreSQL, to have a server, and `launch`
starts the product's own program, sometimes with a planted defect or a stepped clock, in a child process.
"""
