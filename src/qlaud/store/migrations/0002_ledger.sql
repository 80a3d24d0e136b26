-- The ledger's transitions. Every one of them locks the key rows it touches, in id order, then the wallet rows, in
-- account order; so transitions of one key are serial, batches never deadlock, and the policy of a key (revoked,
-- expired, cap, limits) is read under the very lock that admits the call. Time is an argument.

CREATE FUNCTION anchored_day(p_year integer, p_month integer, p_anchor integer) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- The anchor day of a month; short months use their last day.
    SELECT LEAST(make_date(p_year, p_month, 1) + (p_anchor - 1),
                 (make_date(p_year, p_month, 1) + interval '1 month' - interval '1 day')::date)
$$;

CREATE FUNCTION period_start(p_period text, p_anchor smallint, p_at bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
-- The first millisecond (UTC) of the cap period that holds p_at; 0 for a lifetime cap.
DECLARE
    v_day    date := date '1970-01-01' + (p_at / 86400000)::integer;
    v_before date;
    v_anchor date;
BEGIN
    IF p_period = 'lifetime' THEN
        RETURN 0;
    ELSIF p_period = 'week' THEN
        v_day := v_day - (EXTRACT(isodow FROM v_day)::integer - p_anchor + 7) % 7;
    ELSIF p_period = 'month' THEN
        v_anchor := anchored_day(EXTRACT(year FROM v_day)::integer, EXTRACT(month FROM v_day)::integer, p_anchor);
        IF v_anchor > v_day THEN
            v_before := v_day - EXTRACT(day FROM v_day)::integer; -- the last day of the month before
            v_anchor := anchored_day(EXTRACT(year FROM v_before)::integer, EXTRACT(month FROM v_before)::integer, p_anchor);
        END IF;
        v_day := v_anchor;
    END IF;
    RETURN (v_day - date '1970-01-01')::bigint * 86400000;
END $$;

CREATE FUNCTION period_end(p_period text, p_anchor smallint, p_at bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
-- The first millisecond after the cap period that holds p_at; NULL for a lifetime cap.
DECLARE
    v_start date := date '1970-01-01' + (period_start(p_period, p_anchor, p_at) / 86400000)::integer;
    v_next  date;
BEGIN
    IF p_period = 'lifetime' THEN
        RETURN NULL;
    ELSIF p_period = 'day' THEN
        v_next := v_start + 1;
    ELSIF p_period = 'week' THEN
        v_next := v_start + 7;
    ELSE
        v_next := (make_date(EXTRACT(year FROM v_start)::integer, EXTRACT(month FROM v_start)::integer, 1) + interval '1 month')::date;
        v_next := anchored_day(EXTRACT(year FROM v_next)::integer, EXTRACT(month FROM v_next)::integer, p_anchor);
    END IF;
    RETURN (v_next - date '1970-01-01')::bigint * 86400000;
END $$;

CREATE FUNCTION largest_output(p_free bigint, p_base bigint, p_slope bigint, p_markup_bp integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- The largest x with W(x) <= p_free (contract 6.2); NULL where the cost does not depend on an output limit.
    SELECT CASE WHEN p_slope = 0 THEN NULL
           ELSE GREATEST(0, FLOOR((FLOOR(p_free::numeric * 10000000000 / (10000 + p_markup_bp)) - p_base) / p_slope))::bigint END
$$;

CREATE FUNCTION worst_micros(p_output bigint, p_base bigint, p_slope bigint, p_markup_bp integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CEIL((p_base::numeric + p_output::numeric * p_slope) * (10000 + p_markup_bp) / 10000000000)::bigint
$$;

CREATE TYPE hold_ask AS (
    id              uuid,
    secret_sha256   bytea,
    is_retry        boolean, -- the commit of the first try is unknown: answer an existing hold as it stands
    has_waited      boolean, -- the budget of hold_wait_s is used up: no more `wait`
    model           text,
    provider        text,
    surface         text,
    price_version   text,
    is_priced       boolean,
    is_boundable    boolean, -- false: a provider tool whose cost nobody can bound
    want_output     bigint,  -- NULL where no output limit applies
    want_micros     bigint,
    floor_micros    bigint,
    base_picos      bigint,
    slope_picos     bigint,
    no_limit        boolean, -- the caller gave no output limit
    end_user_id     text,
    thread_id       uuid,
    parent_id       uuid
);

CREATE TYPE settlement AS (
    id                   uuid,
    key_id               uuid,
    account_id           uuid,
    mode                 text,
    on_wallet            boolean,
    hold_micros          bigint,
    created_at           bigint,
    model                text,
    provider             text,
    surface              text,
    price_version        text,
    end_user_id          text,
    thread_id            uuid,
    parent_id            uuid,
    cost_micros          bigint,
    provider_cost_micros bigint,
    input_tokens         bigint,
    cache_read_tokens    bigint,
    cache_write_tokens   bigint,
    output_tokens        bigint,
    reasoning_tokens     bigint,
    audio_ms             bigint,
    video_ms             bigint,
    characters           bigint,
    images               bigint,
    quantities           text,
    latency_ms           integer,
    first_token_ms       integer,
    status               smallint,
    stream               boolean,
    estimated            boolean,
    clamped              boolean,
    upstream_request_id  text
);

CREATE TYPE extension_ask AS (
    id         uuid,
    key_id     uuid,
    add_micros bigint,
    add_output bigint
);

CREATE TYPE ledger_answer AS (
    id                uuid,
    outcome           text,
    key_id            uuid,
    account_id        uuid,
    mode              text,
    on_wallet         boolean,
    amount_micros     bigint,  -- held; for a settlement: charged
    overage_micros    bigint,
    max_output        bigint,
    bounded           boolean,
    on_disconnect     text,
    created_at        bigint,
    remaining_micros  bigint,  -- of the key, after this hold; NULL without a cap
    cap_micros        bigint,
    spent_micros      bigint,
    in_flight_micros  bigint,
    affordable_output bigint,
    rpm_limit         integer,
    rpm_used          integer,
    retry_after_ms    bigint,
    max_parallel      integer
);

CREATE FUNCTION key_roll(p_key uuid, p_start bigint) RETURNS void
LANGUAGE sql AS $$
    -- Begin the period at p_start: nothing spent, nothing held, no credit. Holds of the old period stay with it.
    UPDATE keys SET period_start = p_start, credit_micros = 0, posted_micros = 0, held_micros = 0, lost_micros = 0,
                    ceiling_micros = max_spend_micros
     WHERE id = p_key AND period_start < p_start
$$;

CREATE FUNCTION ledger_hold(p_now bigint, p_markup_bp integer, p_prepaid boolean, p_asks hold_ask[]) RETURNS SETOF ledger_answer
LANGUAGE plpgsql AS $$
-- Admission (contract 6.3). The caller has locked the rows. Nothing is charged to any limit unless all limits admit.
DECLARE
    a          record;
    o          ledger_answer;
    v_key      uuid;    -- the key whose running state the variables below are
    v_account  uuid;
    v_mode     text;
    v_added    bigint;  -- held for v_key in this batch
    v_taken    bigint;  -- P + H + L of v_key, this batch included
    v_lost     bigint;
    v_posted   bigint;
    v_allow    bigint;  -- A of v_key
    v_start    bigint;
    v_recent   integer; -- model calls of the last 60 s, NULL: not counted yet
    v_parallel integer; -- calls in flight, NULL: not counted yet
    v_w_added  bigint;
    v_w_allow  bigint;
    v_w_taken  bigint;
    v_w_lost   bigint;
    v_w_posted bigint;
    v_free     bigint;
    v_reach    bigint;
    v_output   bigint;
    v_amount   bigint;
BEGIN
    FOR a IN
        SELECT q.*, k.id AS key_id, k.account_id, k.mode, k.max_spend_micros, k.cap_period, k.cap_anchor_day, k.on_cap,
               k.on_disconnect, k.rpm_limit, k.max_parallel, k.allowed_models, k.expires_at, k.revoked_at, k.period_start,
               k.credit_micros, k.posted_micros, k.held_micros, k.lost_micros
          FROM unnest(p_asks) WITH ORDINALITY AS q LEFT JOIN keys k ON k.secret_sha256 = q.secret_sha256
         ORDER BY k.account_id, k.mode, k.id, q.ordinality
    LOOP
        o := NULL;
        o.id := a.id;
        IF a.key_id IS NULL THEN
            o.outcome := 'invalid_key';
            RETURN NEXT o;
            CONTINUE;
        END IF;

        IF a.key_id IS DISTINCT FROM v_key THEN
            IF v_key IS NOT NULL AND v_added >= 0 THEN
                UPDATE keys SET held_micros = held_micros + v_added, last_used_at = p_now WHERE id = v_key;
            END IF;
            v_key := a.key_id;
            v_added := -1; -- nothing admitted yet
            v_recent := NULL;
            v_parallel := NULL;
            v_start := a.period_start;
            v_posted := a.posted_micros;
            v_lost := a.lost_micros;
            v_taken := a.posted_micros + a.held_micros + a.lost_micros;
            v_allow := a.max_spend_micros + a.credit_micros;
            IF a.cap_period <> 'lifetime' AND period_start(a.cap_period, a.cap_anchor_day, p_now) > v_start THEN
                v_start := period_start(a.cap_period, a.cap_anchor_day, p_now);
                PERFORM key_roll(v_key, v_start);
                v_posted := 0;
                v_lost := 0;
                v_taken := 0;
                v_allow := a.max_spend_micros;
            END IF;
        END IF;

        IF p_prepaid AND (a.account_id IS DISTINCT FROM v_account OR a.mode IS DISTINCT FROM v_mode) THEN
            IF v_w_added > 0 THEN
                UPDATE wallets SET held_micros = held_micros + v_w_added WHERE account_id = v_account AND mode = v_mode;
            END IF;
            v_account := a.account_id;
            v_mode := a.mode;
            v_w_added := 0;
            v_w_allow := 0;
            v_w_taken := 0;
            v_w_lost := 0;
            v_w_posted := 0;
            SELECT paid_in_micros, posted_micros + held_micros + lost_micros, lost_micros, posted_micros
              INTO v_w_allow, v_w_taken, v_w_lost, v_w_posted
              FROM wallets WHERE account_id = v_account AND mode = v_mode;
            v_w_allow := COALESCE(v_w_allow, 0);
            v_w_taken := COALESCE(v_w_taken, 0);
            v_w_lost := COALESCE(v_w_lost, 0);
            v_w_posted := COALESCE(v_w_posted, 0);
        END IF;

        o.key_id := a.key_id;
        o.account_id := a.account_id;
        o.mode := a.mode;
        o.on_disconnect := a.on_disconnect;
        o.rpm_limit := a.rpm_limit;
        o.max_parallel := a.max_parallel;

        IF a.is_retry THEN
            SELECT 'held', h.amount_micros, h.max_output, h.bounded, h.on_wallet, h.created_at
              INTO o.outcome, o.amount_micros, o.max_output, o.bounded, o.on_wallet, o.created_at
              FROM holds h WHERE h.id = a.id;
            IF FOUND THEN
                o.remaining_micros := v_allow - v_taken;
                RETURN NEXT o;
                CONTINUE;
            END IF;
        END IF;

        o.on_wallet := p_prepaid; -- after the look for a hold of this id, which leaves NULL where there is none
        o.bounded := v_allow IS NOT NULL OR p_prepaid;
        o.outcome := CASE
            WHEN a.revoked_at IS NOT NULL THEN 'revoked_key'
            WHEN a.expires_at <= p_now THEN 'expired_key'
            WHEN a.allowed_models IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM unnest(a.allowed_models) AS m
                 WHERE m = a.model OR (right(m, 1) = '*' AND starts_with(a.model, left(m, -1)))) THEN 'model_not_allowed'
            WHEN o.bounded AND NOT a.is_priced THEN 'model_not_priced'
            WHEN o.bounded AND NOT a.is_boundable THEN 'provider_tool_not_metered'
            END;
        IF o.outcome IS NOT NULL THEN
            RETURN NEXT o;
            CONTINUE;
        END IF;

        IF a.rpm_limit IS NOT NULL THEN
            IF v_recent IS NULL THEN
                SELECT (SELECT count(*) FROM holds WHERE key_id = v_key AND created_at > p_now - 60000)
                     + (SELECT count(*) FROM usage_events WHERE key_id = v_key AND created_at > p_now - 60000)
                  INTO v_recent;
            END IF;
            o.rpm_used := v_recent;
            IF v_recent >= a.rpm_limit THEN
                SELECT c.created_at + 60000 - p_now INTO o.retry_after_ms
                  FROM (SELECT created_at FROM holds WHERE key_id = v_key AND created_at > p_now - 60000
                        UNION ALL
                        SELECT created_at FROM usage_events WHERE key_id = v_key AND created_at > p_now - 60000) AS c
                 ORDER BY c.created_at OFFSET v_recent - a.rpm_limit LIMIT 1;
                o.outcome := 'rate_limited';
                RETURN NEXT o;
                CONTINUE;
            END IF;
        END IF;
        IF a.max_parallel IS NOT NULL THEN
            IF v_parallel IS NULL THEN
                SELECT count(*) INTO v_parallel FROM holds WHERE key_id = v_key AND state = 'held';
            END IF;
            IF v_parallel >= a.max_parallel THEN
                o.outcome := 'parallel_limited';
                RETURN NEXT o;
                CONTINUE;
            END IF;
        END IF;

        v_free := v_allow - v_taken;
        v_reach := v_allow - v_posted - v_lost;
        IF p_prepaid THEN
            v_free := LEAST(v_free, v_w_allow - v_w_taken);
            v_reach := LEAST(v_reach, v_w_allow - v_w_posted - v_w_lost);
        END IF;
        v_amount := a.want_micros;
        v_output := a.want_output;
        IF o.bounded AND a.want_micros > v_free THEN
            o.cap_micros := v_allow;
            o.spent_micros := v_posted;
            o.in_flight_micros := v_taken - v_posted;
            IF a.want_micros <= v_reach AND NOT a.has_waited THEN
                o.outcome := 'wait';
            ELSIF NOT (a.no_limit OR a.on_cap = 'clamp') THEN
                IF a.want_micros <= v_reach THEN
                    o.outcome := 'cap_contended';
                ELSE
                    o.outcome := CASE WHEN p_prepaid AND (v_allow IS NULL OR a.want_micros <= v_allow - v_posted - v_lost)
                                      THEN 'wallet_exhausted' ELSE 'key_cap_exceeded' END;
                    IF worst_micros(1, a.base_picos, a.slope_picos, p_markup_bp) <= v_reach THEN
                        o.affordable_output := largest_output(v_reach, a.base_picos, a.slope_picos, p_markup_bp);
                    END IF;
                END IF;
            ELSIF a.floor_micros <= v_free AND a.slope_picos > 0 THEN
                v_output := largest_output(v_free, a.base_picos, a.slope_picos, p_markup_bp);
                v_amount := worst_micros(v_output, a.base_picos, a.slope_picos, p_markup_bp);
            ELSIF a.floor_micros <= v_reach THEN
                o.outcome := CASE WHEN a.has_waited THEN 'cap_contended' ELSE 'wait' END;
            ELSE
                o.outcome := CASE WHEN p_prepaid AND (v_allow IS NULL OR a.floor_micros <= v_allow - v_posted - v_lost)
                                  THEN 'wallet_exhausted' ELSE 'key_cap_exceeded' END;
            END IF;
            IF o.outcome IS NOT NULL THEN
                RETURN NEXT o;
                CONTINUE;
            END IF;
        END IF;

        o.outcome := 'held';
        o.amount_micros := v_amount;
        o.max_output := v_output;
        o.created_at := GREATEST(p_now, v_start); -- a clock that stepped back cannot move a call into an old period
        INSERT INTO holds (id, key_id, account_id, mode, on_wallet, amount_micros, max_output, bounded, model, provider, surface,
                           price_version, end_user_id, thread_id, parent_id, created_at, renewed_at)
        VALUES (a.id, a.key_id, a.account_id, a.mode, p_prepaid, v_amount, v_output, o.bounded, a.model, a.provider, a.surface,
                a.price_version, a.end_user_id, a.thread_id, a.parent_id, o.created_at, p_now);
        v_added := GREATEST(v_added, 0) + v_amount;
        v_taken := v_taken + v_amount;
        v_recent := v_recent + 1;
        v_parallel := v_parallel + 1;
        o.rpm_used := v_recent;
        o.remaining_micros := v_allow - v_taken;
        IF p_prepaid THEN
            v_w_added := v_w_added + v_amount;
            v_w_taken := v_w_taken + v_amount;
        END IF;
        RETURN NEXT o;
    END LOOP;
    IF v_added >= 0 THEN
        UPDATE keys SET held_micros = held_micros + v_added, last_used_at = p_now WHERE id = v_key;
    END IF;
    IF v_w_added > 0 THEN
        UPDATE wallets SET held_micros = held_micros + v_w_added WHERE account_id = v_account AND mode = v_mode;
    END IF;
END $$;

CREATE FUNCTION ledger_take_excess(p_settlement settlement) RETURNS bigint
LANGUAGE plpgsql AS $$
-- What a provider billed beyond the hold: charged to key and wallet as far as it is free there, the rest to the
-- account's overage. Returns what was charged. A hold of a period that has ended leaves nothing free.
DECLARE
    v_hold    holds;
    v_excess  bigint;
    v_free    bigint;
    v_taken   bigint;
    v_wallet  boolean;
    v_created bigint;
BEGIN
    IF EXISTS (SELECT 1 FROM usage_events WHERE id = p_settlement.id) THEN
        RETURN 0;
    END IF;
    SELECT * INTO v_hold FROM holds WHERE id = p_settlement.id;
    v_excess := p_settlement.cost_micros - COALESCE(v_hold.amount_micros, 0);
    v_wallet := COALESCE(v_hold.on_wallet, p_settlement.on_wallet);
    v_created := COALESCE(v_hold.created_at, p_settlement.created_at);
    SELECT CASE WHEN max_spend_micros IS NULL THEN NULL
                WHEN v_created < period_start THEN 0
                ELSE max_spend_micros + credit_micros - posted_micros - held_micros - lost_micros END
      INTO v_free FROM keys WHERE id = p_settlement.key_id;
    IF v_wallet THEN
        SELECT LEAST(v_free, paid_in_micros - posted_micros - held_micros - lost_micros) INTO v_free
          FROM wallets WHERE account_id = p_settlement.account_id AND mode = p_settlement.mode;
        v_free := COALESCE(v_free, 0);
    END IF;
    v_taken := LEAST(v_excess, GREATEST(v_free, 0));
    IF v_free IS NULL THEN
        v_taken := v_excess;
    END IF;
    IF v_taken > 0 THEN
        UPDATE keys SET posted_micros = posted_micros + CASE WHEN v_created >= period_start THEN v_taken ELSE 0 END,
                        lifetime_micros = lifetime_micros + v_taken
         WHERE id = p_settlement.key_id;
        IF v_wallet THEN
            UPDATE wallets SET posted_micros = posted_micros + v_taken
             WHERE account_id = p_settlement.account_id AND mode = p_settlement.mode;
        END IF;
    END IF;
    IF v_taken < v_excess THEN
        UPDATE accounts SET overage_micros = overage_micros + v_excess - v_taken WHERE id = p_settlement.account_id;
    END IF;
    RETURN v_taken;
END $$;

CREATE FUNCTION ledger_settle(p_now bigint, p_settlements settlement[]) RETURNS SETOF ledger_answer
LANGUAGE plpgsql AS $$
-- Holds removed, costs posted, events written: once per id, however often it is called. The caller has locked the rows.
DECLARE
    s       settlement;
    v_ids   uuid[] := '{}';
    v_taken bigint[] := '{}';
BEGIN
    FOR s IN
        SELECT DISTINCT ON (st.account_id, st.id) st.* FROM unnest(p_settlements) AS st LEFT JOIN holds h ON h.id = st.id
         WHERE st.cost_micros > COALESCE(h.amount_micros, 0) ORDER BY st.account_id, st.id -- the order accounts are locked in
    LOOP
        v_ids := v_ids || s.id;
        v_taken := v_taken || ledger_take_excess(s);
    END LOOP;

    RETURN QUERY
    WITH st AS (
        SELECT * FROM unnest(p_settlements)
    ), gone AS (
        DELETE FROM holds h USING st WHERE h.id = st.id
        RETURNING h.id, h.key_id, h.account_id, h.mode, h.on_wallet, h.state, h.amount_micros, h.created_at,
                  LEAST(st.cost_micros, h.amount_micros) AS posted_micros
    ), per_key AS (
        SELECT g.key_id, sum(g.posted_micros) AS lifetime,
               COALESCE(sum(g.posted_micros) FILTER (WHERE g.created_at >= k.period_start), 0) AS posted,
               COALESCE(sum(g.amount_micros) FILTER (WHERE g.created_at >= k.period_start AND g.state = 'held'), 0) AS held,
               COALESCE(sum(g.amount_micros) FILTER (WHERE g.created_at >= k.period_start AND g.state = 'lost'), 0) AS lost
          FROM gone g JOIN keys k ON k.id = g.key_id GROUP BY g.key_id
    ), paid AS (
        UPDATE keys k SET posted_micros = k.posted_micros + p.posted, held_micros = k.held_micros - p.held,
                          lost_micros = k.lost_micros - p.lost, lifetime_micros = k.lifetime_micros + p.lifetime
          FROM per_key p WHERE k.id = p.key_id
    ), per_wallet AS (
        SELECT account_id, mode, sum(posted_micros) AS posted,
               COALESCE(sum(amount_micros) FILTER (WHERE state = 'held'), 0) AS held,
               COALESCE(sum(amount_micros) FILTER (WHERE state = 'lost'), 0) AS lost
          FROM gone WHERE on_wallet GROUP BY account_id, mode
    ), drawn AS (
        UPDATE wallets w SET posted_micros = w.posted_micros + p.posted, held_micros = w.held_micros - p.held,
                             lost_micros = w.lost_micros - p.lost
          FROM per_wallet p WHERE w.account_id = p.account_id AND w.mode = p.mode
    ), charged AS (
        SELECT st.id, COALESCE(g.posted_micros, 0) + COALESCE(x.taken, 0) AS cost, COALESCE(g.created_at, st.created_at) AS created_at,
               COALESCE(g.on_wallet, st.on_wallet) AS on_wallet
          FROM st LEFT JOIN gone g ON g.id = st.id
          LEFT JOIN unnest(v_ids, v_taken) AS x (id, taken) ON x.id = st.id
    ), written AS (
        INSERT INTO usage_events (
            id, key_id, account_id, mode, parent_id, thread_id, end_user_id, model, provider, surface, price_version, on_wallet,
            hold_micros, cost_micros, overage_micros, provider_cost_micros, input_tokens, cache_read_tokens, cache_write_tokens,
            output_tokens, reasoning_tokens, audio_ms, video_ms, characters, images, quantities, latency_ms, first_token_ms, status,
            stream, estimated, clamped, upstream_request_id, created_at, settled_at)
        SELECT st.id, st.key_id, st.account_id, st.mode, st.parent_id, st.thread_id, st.end_user_id, st.model, st.provider, st.surface,
               st.price_version, c.on_wallet, st.hold_micros, c.cost, st.cost_micros - c.cost, st.provider_cost_micros,
               st.input_tokens, st.cache_read_tokens, st.cache_write_tokens, st.output_tokens, st.reasoning_tokens, st.audio_ms,
               st.video_ms, st.characters, st.images, st.quantities::json, st.latency_ms, st.first_token_ms, st.status, st.stream,
               st.estimated, st.clamped, st.upstream_request_id, c.created_at, p_now
          FROM st JOIN charged c ON c.id = st.id
        ON CONFLICT (id) DO NOTHING
        RETURNING usage_events.id, usage_events.key_id, usage_events.cost_micros, usage_events.overage_micros
    )
    SELECT w.id, 'posted'::text, w.key_id, NULL::uuid, NULL::text, NULL::boolean, w.cost_micros, w.overage_micros, NULL::bigint,
           NULL::boolean, NULL::text, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
           NULL::integer, NULL::integer, NULL::bigint, NULL::integer
      FROM written w;
END $$;

CREATE FUNCTION ledger_extend(p_extensions extension_ask[]) RETURNS SETOF ledger_answer
LANGUAGE plpgsql AS $$
-- Incremental holds: all of what is asked, or nothing. A hold of a period that has ended cannot grow, its allowance
-- is closed. The caller has locked the rows.
DECLARE
    x      extension_ask;
    h      holds;
    o      ledger_answer;
    v_free bigint;
BEGIN
    FOREACH x IN ARRAY p_extensions LOOP
        o := NULL;
        o.id := x.id;
        o.outcome := 'refused';
        SELECT * INTO h FROM holds WHERE id = x.id AND state = 'held';
        IF FOUND THEN
            SELECT CASE WHEN max_spend_micros IS NULL THEN x.add_micros
                        WHEN h.created_at < period_start THEN -1
                        ELSE max_spend_micros + credit_micros - posted_micros - held_micros - lost_micros END
              INTO v_free FROM keys WHERE id = h.key_id;
            IF h.on_wallet THEN
                SELECT LEAST(v_free, paid_in_micros - posted_micros - held_micros - lost_micros) INTO v_free
                  FROM wallets WHERE account_id = h.account_id AND mode = h.mode;
            END IF;
            IF x.add_micros <= v_free THEN
                UPDATE holds SET amount_micros = amount_micros + x.add_micros, max_output = max_output + x.add_output WHERE id = x.id;
                UPDATE keys SET held_micros = held_micros + x.add_micros WHERE id = h.key_id AND h.created_at >= period_start;
                IF h.on_wallet THEN
                    UPDATE wallets SET held_micros = held_micros + x.add_micros WHERE account_id = h.account_id AND mode = h.mode;
                END IF;
                o.outcome := 'extended';
                o.amount_micros := h.amount_micros + x.add_micros;
                o.max_output := h.max_output + x.add_output;
            END IF;
        END IF;
        RETURN NEXT o;
    END LOOP;
END $$;

CREATE FUNCTION ledger_lock(p_hashes bytea[], p_keys uuid[], p_wallets boolean) RETURNS void
LANGUAGE plpgsql AS $$
-- The one order in which rows of the ledger are locked: keys by id, then wallets by account and mode.
DECLARE
    v_keys uuid[];
BEGIN
    IF cardinality(p_hashes) > 0 THEN
        SELECT array_agg(id) || p_keys INTO v_keys FROM keys WHERE secret_sha256 = ANY (p_hashes);
    ELSE
        v_keys := p_keys;
    END IF;
    PERFORM 1 FROM keys WHERE id = ANY (v_keys) ORDER BY id FOR NO KEY UPDATE;
    IF p_wallets THEN
        PERFORM 1 FROM wallets w
          WHERE (w.account_id, w.mode) IN (SELECT k.account_id, k.mode FROM keys k WHERE k.id = ANY (v_keys))
          ORDER BY w.account_id, w.mode FOR NO KEY UPDATE;
    END IF;
END $$;

CREATE FUNCTION ledger_apply(
    p_now bigint, p_markup_bp integer, p_prepaid boolean, p_wallets boolean,
    p_hashes bytea[], p_keys uuid[], p_asks hold_ask[], p_settlements settlement[], p_extensions extension_ask[]
) RETURNS SETOF ledger_answer
LANGUAGE plpgsql AS $$
-- One batch: everything that waited, one round trip, one commit. Settlements come first: they free money.
BEGIN
    PERFORM ledger_lock(p_hashes, p_keys, p_wallets);
    IF cardinality(p_settlements) > 0 THEN
        RETURN QUERY SELECT * FROM ledger_settle(p_now, p_settlements);
    END IF;
    IF cardinality(p_extensions) > 0 THEN
        RETURN QUERY SELECT * FROM ledger_extend(p_extensions);
    END IF;
    IF cardinality(p_asks) > 0 THEN
        RETURN QUERY SELECT * FROM ledger_hold(p_now, p_markup_bp, p_prepaid, p_asks);
    END IF;
END $$;

CREATE FUNCTION ledger_move_holds(p_ids uuid[], p_from text, p_to text, p_now bigint, p_before bigint) RETURNS SETOF holds
LANGUAGE plpgsql AS $$
-- held -> lost (not renewed since p_before) or lost -> held (its owner came back); the amounts move with the state.
BEGIN
    PERFORM ledger_lock('{}', ARRAY(SELECT DISTINCT key_id FROM holds WHERE id = ANY (p_ids)), true);
    RETURN QUERY
    WITH moved AS (
        UPDATE holds SET state = p_to, lost_at = CASE WHEN p_to = 'lost' THEN p_now END
         WHERE id = ANY (p_ids) AND state = p_from AND (p_before IS NULL OR renewed_at < p_before)
        RETURNING *
    ), per_key AS (
        SELECT m.key_id, sum(m.amount_micros) AS amount FROM moved m JOIN keys k ON k.id = m.key_id
         WHERE m.created_at >= k.period_start GROUP BY m.key_id
    ), on_key AS (
        UPDATE keys k SET held_micros = k.held_micros + CASE WHEN p_to = 'held' THEN p.amount ELSE -p.amount END,
                          lost_micros = k.lost_micros + CASE WHEN p_to = 'lost' THEN p.amount ELSE -p.amount END
          FROM per_key p WHERE k.id = p.key_id
    ), per_wallet AS (
        SELECT account_id, mode, sum(amount_micros) AS amount FROM moved WHERE on_wallet GROUP BY account_id, mode
    ), on_purse AS (
        UPDATE wallets w SET held_micros = w.held_micros + CASE WHEN p_to = 'held' THEN p.amount ELSE -p.amount END,
                             lost_micros = w.lost_micros + CASE WHEN p_to = 'lost' THEN p.amount ELSE -p.amount END
          FROM per_wallet p WHERE w.account_id = p.account_id AND w.mode = p.mode
    )
    SELECT * FROM moved;
END $$;

CREATE FUNCTION ledger_renew(p_ids uuid[], p_now bigint) RETURNS void
LANGUAGE plpgsql AS $$
-- The owner is alive: its holds are renewed, and one that was taken for lost is held again. A hold that another
-- transition has locked is left for the next time: renewals take no key's lock, so they must wait for nobody.
DECLARE
    v_lost uuid[];
BEGIN
    SELECT array_agg(id) INTO v_lost FROM holds WHERE id = ANY (p_ids) AND state = 'lost';
    IF v_lost IS NOT NULL THEN
        PERFORM ledger_move_holds(v_lost, 'lost', 'held', p_now, NULL);
    END IF;
    UPDATE holds SET renewed_at = p_now
     WHERE id IN (SELECT id FROM holds WHERE id = ANY (p_ids) AND state = 'held' FOR NO KEY UPDATE SKIP LOCKED);
END $$;

CREATE FUNCTION ledger_resolve(p_id uuid, p_cost bigint, p_now bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
-- End a lost hold by hand: post p_cost of it (0 <= p_cost <= its amount) and write its event, estimated. False if it
-- is not lost.
DECLARE
    h holds;
    s settlement;
BEGIN
    PERFORM ledger_lock('{}', ARRAY(SELECT key_id FROM holds WHERE id = p_id), true);
    SELECT * INTO h FROM holds WHERE id = p_id AND state = 'lost';
    IF NOT FOUND OR p_cost NOT BETWEEN 0 AND h.amount_micros THEN
        RETURN false;
    END IF;
    s.id := h.id;
    s.key_id := h.key_id;
    s.account_id := h.account_id;
    s.mode := h.mode;
    s.on_wallet := h.on_wallet;
    s.hold_micros := h.amount_micros;
    s.created_at := h.created_at;
    s.model := h.model;
    s.provider := h.provider;
    s.surface := h.surface;
    s.price_version := h.price_version;
    s.end_user_id := h.end_user_id;
    s.thread_id := h.thread_id;
    s.parent_id := h.parent_id;
    s.cost_micros := p_cost;
    s.input_tokens := 0;
    s.cache_read_tokens := 0;
    s.cache_write_tokens := 0;
    s.output_tokens := 0;
    s.reasoning_tokens := 0;
    s.audio_ms := 0;
    s.video_ms := 0;
    s.characters := 0;
    s.images := 0;
    s.status := 500;
    s.stream := false;
    s.estimated := true;
    s.clamped := false;
    PERFORM ledger_settle(p_now, ARRAY[s]);
    RETURN true;
END $$;

CREATE FUNCTION ledger_void(p_ids uuid[]) RETURNS bigint
LANGUAGE plpgsql AS $$
-- Give back holds, lost ones too, of calls that never left this machine: no event, as if they had not been asked.
-- Returns how many.
DECLARE
    v_count bigint;
BEGIN
    PERFORM ledger_lock('{}', ARRAY(SELECT DISTINCT key_id FROM holds WHERE id = ANY (p_ids)), true);
    WITH gone AS (
        DELETE FROM holds WHERE id = ANY (p_ids) RETURNING *
    ), per_key AS (
        SELECT g.key_id, COALESCE(sum(g.amount_micros) FILTER (WHERE g.state = 'held'), 0) AS held,
               COALESCE(sum(g.amount_micros) FILTER (WHERE g.state = 'lost'), 0) AS lost
          FROM gone g JOIN keys k ON k.id = g.key_id WHERE g.created_at >= k.period_start GROUP BY g.key_id
    ), on_key AS (
        UPDATE keys k SET held_micros = k.held_micros - p.held, lost_micros = k.lost_micros - p.lost
          FROM per_key p WHERE k.id = p.key_id
    ), per_wallet AS (
        SELECT account_id, mode, COALESCE(sum(amount_micros) FILTER (WHERE state = 'held'), 0) AS held,
               COALESCE(sum(amount_micros) FILTER (WHERE state = 'lost'), 0) AS lost
          FROM gone WHERE on_wallet GROUP BY account_id, mode
    ), on_purse AS (
        UPDATE wallets w SET held_micros = w.held_micros - p.held, lost_micros = w.lost_micros - p.lost
          FROM per_wallet p WHERE w.account_id = p.account_id AND w.mode = p.mode
    )
    SELECT count(*) INTO v_count FROM gone;
    RETURN v_count;
END $$;
