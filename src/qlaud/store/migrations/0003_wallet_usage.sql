-- The usage half of a wallet's entries, in the order the money left. Without prepaid wallets it stays empty.

CREATE INDEX usage_events_by_wallet ON usage_events (account_id, mode, settled_at, (id::text)) WHERE on_wallet AND cost_micros > 0;
