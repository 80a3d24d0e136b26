-- Jobs: what a provider goes on with after it has answered the call that began it (videos, batches). The hold of that
-- call lives as long as the job and is settled from the job's own record, by any worker, also after a restart.

CREATE TABLE jobs (
    id          uuid    PRIMARY KEY,                    -- of its hold, its request and the usage event it ends in
    provider    text    NOT NULL,
    wire        text    NOT NULL,
    upstream_id text    NOT NULL,                       -- the provider's own id of it
    state       text    NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'ended')),
    terms       json    NOT NULL,                       -- what its settlement needs: hold, facts, planned usage
    content_key bytea   NOT NULL DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), -- signs addresses of what it made
    created_at  bigint  NOT NULL,
    due_at      bigint  NOT NULL,                       -- when to look at its record next; whoever looks moves it on first
    attempts    integer NOT NULL DEFAULT 0,
    answered_at bigint  NOT NULL,                       -- when the provider last knew it
    ended_at    bigint,
    CONSTRAINT job_of_a_provider UNIQUE (provider, upstream_id),
    CONSTRAINT job_ends_once CHECK ((state = 'ended') = (ended_at IS NOT NULL))
) WITH (fillfactor = 75);
CREATE INDEX jobs_due ON jobs (due_at) WHERE state = 'running';
CREATE INDEX jobs_by_upstream_id ON jobs (upstream_id);
CREATE INDEX jobs_by_end ON jobs (ended_at) WHERE state = 'ended';

-- Whose a provider's object is, where one account of the operator's holds those of all keys: jobs, stored responses.
CREATE TABLE owned (
    provider    text   NOT NULL,
    upstream_id text   NOT NULL,
    key_id      uuid   NOT NULL,
    account_id  uuid   NOT NULL,
    created_at  bigint NOT NULL,
    PRIMARY KEY (provider, upstream_id)
);
CREATE INDEX owned_by_age ON owned (created_at);

CREATE FUNCTION job_begin(
    p_id uuid, p_provider text, p_wire text, p_upstream_id text, p_terms json, p_key uuid, p_account uuid, p_created bigint,
    p_now bigint, p_due bigint
) RETURNS boolean
LANGUAGE plpgsql AS $$
-- The hold p_id is the job's from here on. False: the provider has given this id before, to another call. The hold is
-- renewed once more, because its owner is alive, and by nobody after that.
BEGIN
    PERFORM ledger_renew(ARRAY[p_id], p_now);
    INSERT INTO jobs (id, provider, wire, upstream_id, terms, created_at, due_at, answered_at)
    VALUES (p_id, p_provider, p_wire, p_upstream_id, p_terms, p_created, p_due, p_now)
    ON CONFLICT DO NOTHING;
    INSERT INTO owned VALUES (p_provider, p_upstream_id, p_key, p_account, p_created) ON CONFLICT DO NOTHING;
    RETURN EXISTS (SELECT 1 FROM jobs WHERE id = p_id AND provider = p_provider AND upstream_id = p_upstream_id);
END $$;
