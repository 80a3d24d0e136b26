"""Keys as people read them: a row, a page, and the one look at a secret."""

import typer

from qlaud.cli.output import NOTHING, clean, count, moment, money, print_json, print_table, tell
from qlaud.cli.shapes import Shape
from qlaud.core.errors import usd_text
from qlaud.core.keys import Key
from qlaud.flows.keys import Secretive

KeyAndShape = tuple[Key, Shape]
SecretAndShape = tuple[Secretive, Shape]


def print_secret(made: SecretAndShape, as_json: bool) -> None:
    """The secret of a key that was just given one."""
    secretive, shape = made
    if as_json:
        print_json(shape)
        return
    key = secretive.key
    typer.echo(f"{clean(key.policy.name)}  {key.id}  {_cap(key)}")
    typer.echo(secretive.secret)
    tell("this is the secret; it is shown once, keep it")


def print_key(found: KeyAndShape, as_json: bool) -> None:
    """Everything that is set on the key."""
    key, shape = found
    if as_json:
        print_json(shape)
        return
    policy = key.policy
    models = None if policy.allowed_models is None else ", ".join(policy.allowed_models)
    lines = (
        ("name", policy.name),
        ("id", str(key.id)),
        ("prefix", key.prefix),
        ("scope", _scope(key)),
        ("cap", _cap(key)),
        ("credit", money(key.balance.credit_micros)),
        ("spent", money(key.balance.posted_micros)),
        ("held", money(key.balance.held_micros + key.balance.lost_micros)),
        ("remaining", money(key.remaining_micros)),
        ("spent in all", money(key.balance.lifetime_micros)),
        ("models", models),
        ("calls a minute", count(policy.rpm_limit)),
        ("calls at once", count(policy.max_parallel)),
        ("external id", policy.external_id),
        ("expires", moment(policy.expires_at)),
        ("made", moment(key.created_at)),
        ("last used", moment(key.last_used_at)),
        ("revoked", moment(key.revoked_at)),
    )
    print_table(("", ""), [(name, text) for name, text in lines if text not in (None, NOTHING)])


def key_row(key: Key, now_ms: int) -> tuple[str, ...]:
    """Its line in the list."""
    balance = key.balance
    return (
        key.policy.name,
        str(key.id),
        _scope(key),
        _cap(key),
        money(balance.posted_micros),
        money(balance.held_micros + balance.lost_micros),
        money(key.remaining_micros),
        _state(key, now_ms),
    )


def _scope(key: Key) -> str:
    return f"{key.scope} (test)" if key.mode == "test" else key.scope


def _cap(key: Key) -> str:
    if key.policy.max_spend_micros is None:
        return "no cap"
    text = usd_text(key.policy.max_spend_micros, shortest=True)
    if key.balance.credit_micros:
        text += f" + {usd_text(key.balance.credit_micros, shortest=True)}"
    return text if key.policy.cap_period == "lifetime" else f"{text} a {key.policy.cap_period}"


def _state(key: Key, now_ms: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.policy.expires_at is not None and key.policy.expires_at <= now_ms:
        return "expired"
    return "cap reached" if key.remaining_micros == 0 else "active"
