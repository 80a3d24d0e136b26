"""Jobs: what a provider goes on with after it has answered the call that began it (a video, a batch).

The hold of that call lives as long as the job. Invariant: a job is settled once, from its own record, however often
and by whomever that is read. Pure.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

from msgspec import Struct

from qlaud.core.ids import AccountId, KeyId, RequestId
from qlaud.core.keys import Mode
from qlaud.core.ledger import CallFacts, Hold
from qlaud.core.usage import Usage

CONTENT_FOR_MS = 86_400_000
"""How long the signed address of what a job made is good."""
FIRST_LOOK_MS = 2_000
LONGEST_PAUSE_MS = 60_000
LONGEST_BACK_OFF = 12
"""Attempts after which the pause does not grow any more."""
_AT_BYTES = 8
_TOKEN_BYTES = _AT_BYTES + 32


class JobTerms(Struct, frozen=True, gc=False):
    """What the settlement of a job needs, kept with it, so that any process can make it."""

    hold: Hold
    facts: CallFacts
    planned: Usage
    """What it costs if it does what was asked, for a provider that will not say."""
    host: str
    """The provider in the catalog whose prices hold; another one than that of the job where the simulator ran it."""
    upstream_model: str
    clamped: bool = False
    upstream_request_id: str | None = None


class Job(Struct, frozen=True, gc=False):
    """One job."""

    provider: str
    wire: str
    upstream_id: str
    """The provider's own id of it."""
    terms: JobTerms
    answered_at: int
    """When the provider last knew it."""
    content_key: bytes = b""
    """Signs the addresses of what it made. Given by the store."""
    attempts: int = 0
    """How often its record was looked at in vain."""
    ended: bool = False

    @property
    def id(self) -> RequestId:
        """Of its hold, of the request that began it, and of the usage event it ends in."""
        return self.terms.hold.id

    @property
    def mode(self) -> Mode:
        """Live, or of test keys."""
        return self.terms.hold.mode

    @property
    def created_at(self) -> int:
        """When its hold was taken."""
        return self.terms.hold.created_at


class Owner(Struct, frozen=True, gc=False):
    """Whose an object at a provider is."""

    key_id: KeyId
    account_id: AccountId
    created_at: int


def pause_ms(attempts: int) -> int:
    """How long to wait before a record is looked at again: 2 s at first, half as much more each time, 60 s at most."""
    if attempts >= LONGEST_BACK_OFF:
        return LONGEST_PAUSE_MS
    return min(LONGEST_PAUSE_MS, FIRST_LOOK_MS * 3**attempts // 2**attempts)


def content_token(content_key: bytes, job_id: UUID, until_ms: int) -> str:
    """A token that gives what this one job made, to whoever has it, up to `until_ms`."""
    until = until_ms.to_bytes(_AT_BYTES)
    return urlsafe_b64encode(until + _mac(content_key, job_id, until)).decode().rstrip("=")


def opens_content(token: str, content_key: bytes, job_id: UUID, now_ms: int) -> bool:
    """Whether `token` was made for this job and is still good."""
    try:
        given = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return False
    if len(given) != _TOKEN_BYTES:
        return False
    until, mac = given[:_AT_BYTES], given[_AT_BYTES:]
    return hmac.compare_digest(mac, _mac(content_key, job_id, until)) and now_ms < int.from_bytes(until)


def _mac(content_key: bytes, job_id: UUID, until: bytes) -> bytes:
    return hmac.digest(content_key, job_id.bytes + until, sha256)
