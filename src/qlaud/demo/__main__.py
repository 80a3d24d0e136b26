"""`python -m qlaud.demo [--once] [--port N]`: the tour, then a gateway to play with until Ctrl-C.

Exit codes: 0 every step did what it says, 1 one did not or the gateway did not start, 2 wrong usage.
"""

import argparse
import os
import signal
import sys

import anthropic
import openai

from qlaud.demo.gateway import Gateway, NoGateway, own_gateway
from qlaud.demo.tour import StepFailed, Tour

PORT = 8787
FOR_OTHERS = ("ANTHROPIC_", "OPENAI_")
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})

AFTER = """
In an app two lines change: the address and the key. Model names, bodies and streams stay as they are.
  client = Anthropic(base_url="{origin}", api_key="qlk_live_...")
  client = OpenAI(base_url="{origin}/v1", api_key="qlk_live_...")
Claude Code takes them from the environment:
  export ANTHROPIC_BASE_URL={origin}
  export ANTHROPIC_AUTH_TOKEN=qlk_live_...
For real models give the gateway your provider's key, which no caller ever sees:
  ANTHROPIC_API_KEY=sk-ant-... OPENAI_API_KEY=sk-... {qlaud} serve
"""
PLAYGROUND = """
{origin} goes on until Ctrl-C; its database is removed then (`qlaud serve` keeps one).
  master key: {master_key}
  user_42:    {user_key}
  the simulated models are sim/echo, sim/slow, sim/long, sim/thinking, sim/tool-use; their API is at {origin}/docs
"""


def main() -> int:
    """Walk; the exit code."""
    asked = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell may have SIGINT ignored
        signal.signal(number, signal.default_int_handler)  # like Ctrl-C
    environ = dict(os.environ)
    _forget_others()
    try:
        print(
            "qlaud demo: a gateway with a simulated provider. Nothing leaves this machine, nothing costs money."
        )
        with own_gateway(asked.port, environ) as gateway:
            print(f"It serves on {gateway.origin}.")
            tour = Tour(gateway)
            steps = tour.walk()
            print(f"\nAll {steps} steps did what they say.")
            print(AFTER.format(origin=gateway.origin, qlaud=_program()), end="", flush=True)
            if not asked.once:
                _keep_serving(gateway, tour)
    except (StepFailed, NoGateway, anthropic.APIError, openai.APIError) as failure:
        print(f"qlaud demo failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 1 if asked.once else 0
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="qlaud demo", description="A gateway with a simulated provider, and a tour."
    )
    parser.add_argument("--once", action="store_true", help="end after the tour instead of serving on")
    parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}; 0 takes a free one")
    return parser.parse_args()


def _keep_serving(gateway: Gateway, tour: Tour) -> None:
    user_key = tour.users["user_42"].secret
    print(
        PLAYGROUND.format(origin=gateway.origin, master_key=gateway.master_key, user_key=user_key), flush=True
    )
    gateway.process.wait()
    raise NoGateway("the gateway ended by itself")


def _forget_others() -> None:
    """The SDKs of this process must see no key, address or proxy that is meant for somebody else."""
    for name in list(os.environ):
        if name.startswith(FOR_OTHERS) or name.upper() in PROXIES:
            del os.environ[name]


def _program() -> str:
    """How the user calls qlaud from where they are."""
    program = os.path.join(os.path.dirname(sys.executable), "qlaud")
    return min(program, os.path.relpath(program), key=len)


if __name__ == "__main__":
    sys.exit(main())
