"""What a tap costs: CPU microseconds an event of every wire that streams.

Unlike the rest of the bench this looks at the product from inside: a few microseconds cannot be told apart over a
socket. Streams are written by us in the form of the vendors' recorded ones (tests/recorded), and long.
"""
