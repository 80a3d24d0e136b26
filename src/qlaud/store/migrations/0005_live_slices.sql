-- A live session is one call, however many slices its money is held in. Its first slice has the id of the session, the
-- others name it as their parent. They must not use up the requests a minute of a key, nor its calls at once.

CREATE FUNCTION is_live_slice(p_parent uuid, p_surface text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- On these surfaces nothing else has a parent.
    SELECT p_parent IS NOT NULL AND p_surface IN ('realtime', 'audio_speech', 'audio_transcription')
$$;

CREATE OR REPLACE FUNCTION ledger_hold(p_now bigint, p_markup_bp integer, p_prepaid boolean, p_asks hold_ask[]) RETURNS SETOF ledger_answer
LANGUAGE plpgsql AS $$
-- As in 0002, but a later slice of a live session is no call of its own: it meets no rpm_limit and no max_parallel, and
-- counts for neither; its session does, by its first slice and as long as any of its slices is held.
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
    v_slice    boolean;
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

        v_slice := is_live_slice(a.parent_id, a.surface);
        IF a.rpm_limit IS NOT NULL AND NOT v_slice THEN
            IF v_recent IS NULL THEN
                SELECT (SELECT count(*) FROM holds WHERE key_id = v_key AND created_at > p_now - 60000
                           AND NOT is_live_slice(parent_id, surface))
                     + (SELECT count(*) FROM usage_events WHERE key_id = v_key AND created_at > p_now - 60000
                           AND NOT is_live_slice(parent_id, surface))
                  INTO v_recent;
            END IF;
            o.rpm_used := v_recent;
            IF v_recent >= a.rpm_limit THEN
                SELECT c.created_at + 60000 - p_now INTO o.retry_after_ms
                  FROM (SELECT created_at FROM holds WHERE key_id = v_key AND created_at > p_now - 60000
                           AND NOT is_live_slice(parent_id, surface)
                        UNION ALL
                        SELECT created_at FROM usage_events WHERE key_id = v_key AND created_at > p_now - 60000
                           AND NOT is_live_slice(parent_id, surface)) AS c
                 ORDER BY c.created_at OFFSET v_recent - a.rpm_limit LIMIT 1;
                o.outcome := 'rate_limited';
                RETURN NEXT o;
                CONTINUE;
            END IF;
        END IF;
        IF a.max_parallel IS NOT NULL AND NOT v_slice THEN
            IF v_parallel IS NULL THEN
                SELECT count(DISTINCT CASE WHEN is_live_slice(parent_id, surface) THEN parent_id ELSE id END)
                  INTO v_parallel FROM holds WHERE key_id = v_key AND state = 'held';
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
        IF NOT v_slice THEN
            v_recent := v_recent + 1;
            v_parallel := v_parallel + 1;
        END IF;
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
