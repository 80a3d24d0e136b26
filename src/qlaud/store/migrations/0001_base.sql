-- Accounts, keys, wallets, holds, usage events. Money is bigint micro-dollars, time is bigint epoch milliseconds.

CREATE TABLE accounts (
    id             uuid   PRIMARY KEY,
    name           text   NOT NULL,
    email          text,
    overage_micros bigint NOT NULL DEFAULT 0 CHECK (overage_micros >= 0), -- what providers billed beyond their holds and no key could pay
    created_at     bigint NOT NULL
);

CREATE TABLE keys (
    id               uuid     PRIMARY KEY,
    account_id       uuid     NOT NULL REFERENCES accounts,
    secret_sha256    bytea    NOT NULL UNIQUE CHECK (octet_length(secret_sha256) = 32),
    prefix           text     NOT NULL,
    name             text     NOT NULL,
    scope            text     NOT NULL CHECK (scope IN ('standard', 'admin')),
    mode             text     NOT NULL CHECK (mode IN ('live', 'test')),
    -- policy
    max_spend_micros bigint   CHECK (max_spend_micros >= 0),              -- NULL: no cap
    cap_period       text     NOT NULL DEFAULT 'lifetime' CHECK (cap_period IN ('lifetime', 'day', 'week', 'month')),
    cap_anchor_day   smallint NOT NULL DEFAULT 1 CHECK (cap_anchor_day BETWEEN 1 AND 31),
    on_cap           text     NOT NULL DEFAULT 'clamp' CHECK (on_cap IN ('clamp', 'refuse')),
    on_disconnect    text     CHECK (on_disconnect IN ('drain', 'cancel')), -- NULL: the deployment's setting
    rpm_limit        integer  CHECK (rpm_limit >= 1),
    max_parallel     integer  CHECK (max_parallel >= 1),
    allowed_models   text[],
    expires_at       bigint,
    external_id      text,
    metadata         json,
    created_at       bigint   NOT NULL,
    last_used_at     bigint,
    revoked_at       bigint,
    -- the running period: projections of credits, usage_events and holds with created_at >= period_start
    period_start     bigint   NOT NULL DEFAULT 0,
    credit_micros    bigint   NOT NULL DEFAULT 0 CHECK (credit_micros >= 0),
    posted_micros    bigint   NOT NULL DEFAULT 0 CHECK (posted_micros >= 0),
    held_micros      bigint   NOT NULL DEFAULT 0 CHECK (held_micros >= 0),
    lost_micros      bigint   NOT NULL DEFAULT 0 CHECK (lost_micros >= 0),
    lifetime_micros  bigint   NOT NULL DEFAULT 0 CHECK (lifetime_micros >= 0),
    -- The allowance, or what was already spent and held when the allowance was lowered below that.
    -- Only a change of the policy may move it, so no hold can pass it, whatever the admitting statement does.
    ceiling_micros   bigint,
    CONSTRAINT key_never_above_its_ceiling CHECK (posted_micros + held_micros + lost_micros <= ceiling_micros),
    CONSTRAINT key_ceiling_iff_capped CHECK ((ceiling_micros IS NULL) = (max_spend_micros IS NULL)),
    CONSTRAINT key_anchor_fits_week CHECK (cap_period <> 'week' OR cap_anchor_day <= 7)
) WITH (fillfactor = 75);
CREATE INDEX keys_by_account ON keys (account_id, id DESC);
CREATE INDEX keys_by_external_id ON keys (account_id, external_id) WHERE external_id IS NOT NULL;

-- Credit granted to a key. keys.credit_micros is the sum of those of the running period.
CREATE TABLE credits (
    id            uuid   PRIMARY KEY,
    key_id        uuid   NOT NULL REFERENCES keys,
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    created_at    bigint NOT NULL
);
CREATE INDEX credits_by_key ON credits (key_id, created_at);

CREATE TABLE wallets (
    account_id     uuid   NOT NULL REFERENCES accounts,
    mode           text   NOT NULL CHECK (mode IN ('live', 'test')),
    paid_in_micros bigint NOT NULL DEFAULT 0,
    posted_micros  bigint NOT NULL DEFAULT 0 CHECK (posted_micros >= 0),
    held_micros    bigint NOT NULL DEFAULT 0 CHECK (held_micros >= 0),
    lost_micros    bigint NOT NULL DEFAULT 0 CHECK (lost_micros >= 0),
    ceiling_micros bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, mode),
    CONSTRAINT wallet_never_above_its_ceiling CHECK (posted_micros + held_micros + lost_micros <= ceiling_micros)
) WITH (fillfactor = 50);

-- Money that entered or left a wallet other than by usage. wallets.paid_in_micros is their sum.
CREATE TABLE wallet_entries (
    id                   text   PRIMARY KEY,
    account_id           uuid   NOT NULL,
    mode                 text   NOT NULL,
    type                 text   NOT NULL CHECK (type IN ('topup', 'refund', 'adjustment')),
    amount_micros        bigint NOT NULL,
    balance_after_micros bigint NOT NULL,
    note                 text,
    created_at           bigint NOT NULL,
    FOREIGN KEY (account_id, mode) REFERENCES wallets
);
CREATE INDEX wallet_entries_by_account ON wallet_entries (account_id, mode, created_at);

-- Money set aside for a call before it leaves. A row lives from admission to settlement: held -> (posted | released)
-- by deleting it in the transaction that writes the usage event of the same id, or held -> lost -> resolved.
CREATE TABLE holds (
    id            uuid    PRIMARY KEY,
    key_id        uuid    NOT NULL,
    account_id    uuid    NOT NULL,
    mode          text    NOT NULL,
    on_wallet     boolean NOT NULL,
    state         text    NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'lost')),
    amount_micros bigint  NOT NULL CHECK (amount_micros >= 0),
    max_output    bigint,
    bounded       boolean NOT NULL,
    model         text    NOT NULL,
    provider      text    NOT NULL,
    surface       text    NOT NULL,
    price_version text    NOT NULL,
    end_user_id   text,
    thread_id     uuid,
    parent_id     uuid,
    created_at    bigint  NOT NULL,
    renewed_at    bigint  NOT NULL,
    lost_at       bigint
) WITH (fillfactor = 75);
CREATE INDEX holds_by_key ON holds (key_id, created_at);

CREATE TABLE usage_events (
    id                   uuid     PRIMARY KEY,
    key_id               uuid     NOT NULL,
    account_id           uuid     NOT NULL,
    mode                 text     NOT NULL,
    parent_id            uuid,
    thread_id            uuid,
    end_user_id          text,
    model                text     NOT NULL,
    provider             text     NOT NULL,
    surface              text     NOT NULL,
    price_version        text     NOT NULL,
    on_wallet            boolean  NOT NULL,
    hold_micros          bigint   NOT NULL,
    cost_micros          bigint   NOT NULL CHECK (cost_micros >= 0),     -- charged to key and wallet
    overage_micros       bigint   NOT NULL CHECK (overage_micros >= 0),  -- of the cost, what nobody but the operator could pay
    provider_cost_micros bigint,
    input_tokens         bigint   NOT NULL DEFAULT 0,
    cache_read_tokens    bigint   NOT NULL DEFAULT 0,
    cache_write_tokens   bigint   NOT NULL DEFAULT 0,
    output_tokens        bigint   NOT NULL DEFAULT 0,
    reasoning_tokens     bigint   NOT NULL DEFAULT 0,
    audio_ms             bigint   NOT NULL DEFAULT 0,
    video_ms             bigint   NOT NULL DEFAULT 0,
    characters           bigint   NOT NULL DEFAULT 0,
    images               bigint   NOT NULL DEFAULT 0,
    quantities           json,                                           -- every billed quantity that has no column, by name
    latency_ms           integer,
    first_token_ms       integer,
    status               smallint NOT NULL,
    stream               boolean  NOT NULL,
    estimated            boolean  NOT NULL,
    clamped              boolean  NOT NULL,
    upstream_request_id  text,
    created_at           bigint   NOT NULL,
    settled_at           bigint   NOT NULL
);
CREATE INDEX usage_events_by_key ON usage_events (key_id, created_at, id);
CREATE INDEX usage_events_by_parent ON usage_events (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX usage_events_by_time ON usage_events USING brin (created_at) WITH (pages_per_range = 16);

-- First answers of management POSTs, by caller and path. The answer is encrypted under the caller's own secret,
-- which is not stored here, and erased after 24 hours.
CREATE TABLE idempotency (
    key_id       uuid   NOT NULL,
    path         text   NOT NULL,
    idem_key     text   NOT NULL,
    body_sha256  bytea  NOT NULL,
    status       smallint,                    -- NULL while the first request runs
    answer       bytea,
    created_at   bigint NOT NULL,
    PRIMARY KEY (key_id, path, idem_key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
