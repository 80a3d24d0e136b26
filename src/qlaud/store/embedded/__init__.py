"""The database that needs no setup: a real PostgreSQL from a wheel, kept under the data directory.

Only this package knows the wheel. `account` says as whom the server runs, `cluster` what lies on the disk,
`server` starts, shares, watches and stops it. `app` and the tests may call it.
"""

from qlaud.store.embedded.cluster import EmbeddedPostgresFailed
from qlaud.store.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed"]
