-- Admission: one transaction takes the rate-limit slot, inserts the job and its parts, and notifies.

-- outcome: 'created', 'replayed', 'key_reused', 'rate', 'running', 'no_prefix', 'out_of_scope' or
-- 'no_account' (jq_submit_outcome). job is set for the first two. Repeating a call with the same
-- p_id is harmless: it gives the job that the first one made.
--
-- The account's row lock makes all of it exact over any number of replicas. Under READ COMMITTED every statement
-- after the lock sees what the previous holder committed; the time is taken after the lock as well, not from now(),
-- which is the start of the transaction and may lie before the previous holder's slot.
CREATE FUNCTION pcap_submit(
	p_account uuid, p_id uuid, p_type text, p_system text, p_time_limit_s integer,
	p_packet_limit integer, p_filter json, p_source cidr, p_destination cidr,
	p_selection_method text, p_selection_interval bigint, p_selection_space bigint,
	p_selection_probability_ppb bigint, p_selection_secret bytea,
	p_key text, p_body_sha256 bytea, p_key_ttl_s integer,
	p_silence_s integer, p_grace_s integer,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS TABLE (outcome text, retry_after_s integer, limit_value integer, job pcaps)
LANGUAGE plpgsql
AS $$
DECLARE
	v_account accounts;
	v_now timestamptz;
	v_next timestamptz;
	v_key idempotency_keys;
	v_job pcaps;
	v_parts integer;
	v_running integer;
BEGIN
	SELECT * INTO v_account FROM accounts a
		WHERE a.id = p_account AND NOT a.disabled FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'no_account', 0, 0, NULL::pcaps;
		RETURN;
	END IF;
	v_now := clock_timestamp();

	SELECT * INTO v_job FROM pcaps p WHERE p.account_id = p_account AND p.id = p_id;
	IF FOUND THEN
		RETURN QUERY SELECT 'created', 0, 0, v_job;
		RETURN;
	END IF;
	IF p_key IS NOT NULL THEN
		SELECT * INTO v_key FROM idempotency_keys k
			WHERE k.account_id = p_account AND k.key = p_key
				AND k.created_at > v_now - make_interval(secs => p_key_ttl_s)
				-- for the planner: which partitions; a day for the id's clock
				AND k.pcap_id >= uuid_floor(v_now - make_interval(secs => p_key_ttl_s + 86400));
		IF FOUND AND v_key.body_sha256 <> p_body_sha256 THEN
			RETURN QUERY SELECT 'key_reused', 0, 0, NULL::pcaps;
			RETURN;
		ELSIF FOUND THEN
			SELECT * INTO v_job FROM pcaps p
				WHERE p.account_id = p_account AND p.id = v_key.pcap_id;
			RETURN QUERY SELECT 'replayed', 0, 0, v_job;
			RETURN;
		END IF;
	END IF;

	IF NOT v_account.unrestricted THEN
		IF NOT EXISTS (SELECT FROM account_prefixes x WHERE x.account_id = p_account) THEN
			RETURN QUERY SELECT 'no_prefix', 0, 0, NULL::pcaps;
			RETURN;
		ELSIF NOT filter_within_reach(p_account, p_source, p_destination) THEN
			RETURN QUERY SELECT 'out_of_scope', 0, 0, NULL::pcaps;
			RETURN;
		END IF;
	END IF;

	SELECT count(*), min(p.submitted + make_interval(secs => p.time_limit_s))
		INTO v_running, v_next FROM pcaps p
		WHERE p.account_id = p_account AND p.stage IN ('capturing', 'ready', 'assembling');
	IF v_running >= v_account.running_max THEN
		RETURN QUERY SELECT 'running', seconds_until(v_now, v_next), v_account.running_max,
			NULL::pcaps;
		RETURN;
	END IF;
	v_next := v_account.last_collect_at + make_interval(secs => v_account.collect_interval_s);
	IF v_account.collect_interval_s > 0 AND v_next > v_now THEN
		RETURN QUERY SELECT 'rate', seconds_until(v_now, v_next),
			v_account.collect_interval_s, NULL::pcaps;
		RETURN;
	END IF;

	UPDATE accounts a SET last_collect_at = v_now WHERE a.id = p_account;
	INSERT INTO pcap_parts (account_id, pcap_id, sampler_id, sampler_name, colo, software, state)
		SELECT p_account, p_id, s.id, s.name, s.colo, s.software, 'assigned'
		FROM samplers_available(p_silence_s) s;
	GET DIAGNOSTICS v_parts = ROW_COUNT;
	INSERT INTO pcaps AS p (account_id, id, type, system, time_limit_s, packet_limit, filter,
			selection_method, selection_interval, selection_space,
			selection_probability_ppb, selection_secret, submitted, deadline, stage,
			parts_total, parts_assigned, claim_at)
		VALUES (p_account, p_id, p_type, p_system, p_time_limit_s, p_packet_limit, p_filter,
			p_selection_method, p_selection_interval, p_selection_space,
			p_selection_probability_ppb, p_selection_secret, v_now,
			v_now + make_interval(secs => p_time_limit_s + p_grace_s),
			CASE WHEN v_parts = 0 THEN 'ready' ELSE 'capturing' END,
			v_parts, v_parts, CASE WHEN v_parts = 0 THEN v_now END)
		RETURNING * INTO v_job;
	IF p_key IS NOT NULL THEN
		INSERT INTO idempotency_keys (account_id, key, pcap_id, body_sha256, created_at)
			VALUES (p_account, p_key, p_id, p_body_sha256, v_now);
	END IF;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'pcap.submit', p_id, 'ok');
	PERFORM pg_notify(CASE WHEN v_parts = 0 THEN 'edgecap_ready' ELSE 'edgecap_job' END,
		id_text(p_account) || ' ' || id_text(p_id));
	RETURN QUERY SELECT 'created', 0, 0, v_job;
END
$$;

-- Can a filter with these addresses (NULL: any) match a packet of the account's scope? The same as
-- filter_within_reach of packet/filter.h, for an account that is not unrestricted.
CREATE FUNCTION filter_within_reach(p_account uuid, p_source cidr, p_destination cidr)
RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT EXISTS (
		SELECT FROM account_prefixes x
		WHERE x.account_id = p_account
			AND (coalesce(p_source, p_destination) IS NULL
				OR family(x.prefix) = family(coalesce(p_source, p_destination)))
			AND (p_source IS NULL OR p_destination IS NULL
				OR x.prefix && p_source OR x.prefix && p_destination))
$$;

-- Whole seconds from p_now to p_then, at least 1: for Retry-After.
CREATE FUNCTION seconds_until(p_now timestamptz, p_then timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE
AS $$ SELECT greatest(1, ceil(extract(epoch FROM p_then - p_now)))::integer $$;

-- A tenant's stop. False when there is no such job. Nothing changes on a job that is not capturing.
CREATE FUNCTION pcap_stop(p_account uuid, p_id uuid, p_audit uuid, p_actor_id uuid, p_actor text,
	p_source_address text, p_request_id text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
	v_stage text;
	v_stopped boolean;
BEGIN
	SELECT stage, stop_requested INTO v_stage, v_stopped FROM pcaps
		WHERE account_id = p_account AND id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF v_stage = 'capturing' AND NOT v_stopped THEN
		UPDATE pcaps SET stop_requested = true WHERE account_id = p_account AND id = p_id;
		PERFORM pg_notify('edgecap_job', id_text(p_account) || ' ' || id_text(p_id));
	END IF;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'pcap.stop', p_id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN true;
END
$$;
