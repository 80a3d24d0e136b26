"""Nouns. Pure: no I/O, no clock, no dice, no asyncio. Imported by everyone, imports nobody."""
