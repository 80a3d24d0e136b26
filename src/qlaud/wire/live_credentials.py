"""Credentials that browsers put among the sub-protocols of a handshake, because they cannot set its headers.

`realtime, openai-insecure-api-key.K` is OpenAI's form, `token, K` (or `bearer, K`) Deepgram's. What carries a key goes
no further, the other names do. The answer must choose one of the names, and never a key.
"""

OPENAI_KEY = "openai-insecure-api-key."
SCHEMES = frozenset(("token", "bearer"))


def read_subprotocols(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The credentials among `names`, and the names that go on to the provider."""
    keys: list[str] = []
    others: list[str] = []
    after_scheme = False
    for name in names:
        if after_scheme:
            keys.append(name)
            after_scheme = False
        elif name.lower() in SCHEMES:
            after_scheme = True
        elif name.startswith(OPENAI_KEY):
            keys.append(name[len(OPENAI_KEY) :])
        else:
            others.append(name)
    return tuple(keys), tuple(others)


def offered(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names an answer may choose from: those that carry no key, a scheme's own name last."""
    _, others = read_subprotocols(names)
    return (*others, *(name for name in names if name.lower() in SCHEMES))
