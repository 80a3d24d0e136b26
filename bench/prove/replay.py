"""One run again, from the seed that a finding printed."""

import random
from collections.abc import Callable

from bench.prove import deaths
from bench.prove.campaign import Ground
from bench.prove.kinds import KINDS, kind_of


async def replay(ground: Ground, seed: str, times: int, say: Callable[[str], None]) -> list[str]:
    """Perform the run of `seed` several times on a deployment of its kind; what was found."""
    number = seed.rpartition(":")[2]
    name = kind_of(int(number))
    kind = KINDS[name]
    death = random.Random(seed).choice(deaths.KINDS) if kind.dies else None
    found: list[str] = []
    async with ground.stage("replay", kind) as stage:
        for turn in range(times):
            verdict = await ground.perform(stage, seed, death)
            say(
                f"{name}{f' ({death})' if death else ''} {seed}, turn {turn + 1}: {len(verdict.findings)} findings"
            )
            for text in verdict.findings:
                say(f"  {text}")
            found += verdict.findings
    return found
