"""`make demo`: a gateway of its own, shown from outside with the vendors' own SDKs.

Run as `python -m qlaud.demo`, a process of its own: it alone imports the SDKs. It uses the gateway only as any client
does, over HTTP, and every step asserts what it says.
"""
