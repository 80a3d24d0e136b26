"""The bench: this gateway, nginx and a plain FastAPI proxy, measured in one run on one machine.

Run with `python -m bench`. Everything stays on loopback, is bounded in count and time, and stops what it
started. It uses the product only from outside, over HTTP, so it imports nothing of `qlaud`; but for `bench.taps`,
which measures single microseconds.
"""
