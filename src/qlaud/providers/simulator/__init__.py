"""The simulator: a provider inside the process, for test keys, demos, benchmarks and tests.

It answers Anthropic Messages, its token counts, and OpenAI Chat Completions, and is as honest on those wires
as a real provider: limits are respected, usage is the provider's. The same body gets the same bytes, always.
Only `app` and tests import it; the names exported here are its whole interface.
"""

from qlaud.providers.simulator.upstream import Pause, Simulator

__all__ = ["Pause", "Simulator"]
