-- Full captures: whole packets of one colo or metro, written into the tenant's bucket. And: a job whose assembly
-- failed keeps its chunks until its retention ends, so that an operator can have it assembled again.

ALTER TABLE accounts ADD COLUMN full_running_max integer NOT NULL DEFAULT 1
	CHECK (full_running_max BETWEEN 1 AND 1000);

-- As the tenant sees a full job (jobqueue/job_state.h); capturing is 'pending' until the first host is armed
-- (job_status of jobqueue/job.h).
ALTER TABLE job_stages ADD COLUMN full_status text;
UPDATE job_stages s SET full_status = t.full_status FROM (VALUES
	('capturing', 'running'),
	('ready', 'conversion_pending'),
	('assembling', 'conversion_running'),
	('done', 'success'),
	('failed', 'failed'),
	('expired', 'success')) AS t(stage, full_status)
	WHERE t.stage = s.stage;
ALTER TABLE job_stages ALTER full_status SET NOT NULL;

INSERT INTO job_moves (from_stage, to_stage) VALUES ('failed', 'ready'); -- pcap_reassemble

ALTER TABLE pcaps
	ADD COLUMN byte_limit bigint CHECK (byte_limit > 0), -- NULL: none
	ADD COLUMN colo_name text, -- a full job's; NULL: all edge hosts
	ALTER packet_limit DROP NOT NULL; -- NULL: none

-- A colo's name names it (ord02, in any case). Capitals alone name a metro: all colos with these letters and a number (ORD). Names
-- are ASCII; the database's own rules may have other capitals (Turkish: i). Not STRICT, so that it is inlined: 5,000 hosts are
-- 4 ms, not 24.
CREATE FUNCTION colo_matches(p_colo text, p_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
	SELECT lower(p_colo COLLATE "C") = lower(p_name COLLATE "C")
		OR (p_name COLLATE "C" ~ '^[A-Z]+$'
			AND upper(p_colo COLLATE "C") ~ ('^' || p_name || '[0-9]+$'))
$$;

DROP FUNCTION samplers_available(integer);

-- The edge hosts that a new job gets parts on. SECURITY DEFINER: a tenant's scope does not see samplers.
-- p_colo NULL: all.
CREATE FUNCTION samplers_available(p_silence_s integer, p_colo text)
RETURNS TABLE (id uuid, name text, colo text, software text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
	SELECT id, name, colo, software
	FROM samplers
	WHERE enabled AND last_seen > clock_timestamp() - make_interval(secs => p_silence_s)
		AND (p_colo IS NULL OR colo_matches(colo, p_colo))
	ORDER BY id
$$;

-- Is there an edge host there, heard of or not? SECURITY DEFINER as above; it tells no more than this.
CREATE FUNCTION colo_known(p_colo text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$ SELECT EXISTS (SELECT FROM samplers WHERE enabled AND colo_matches(colo, p_colo)) $$;

REVOKE ALL ON FUNCTION samplers_available(integer, text), colo_known(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION samplers_available(integer, text), colo_known(text) TO edgecap_api;

DROP FUNCTION pcap_submit;

-- outcome: as jq_submit_outcome. job is set for 'created' and 'replayed'. Repeating a call with the same
-- p_id is harmless: it gives the job that the first one made.
--
-- The account's row lock makes all of it exact over any number of replicas. Under READ COMMITTED every statement
-- after the lock sees what the previous holder committed; the time is taken after the lock as well, not from now(),
-- which is the start of the transaction and may lie before the previous holder's slot.
--
-- p_type 'full' has p_colo, p_bucket (a bucket's canonical destination) and p_byte_limit; these are NULL otherwise. The
-- collect interval is for the others; full jobs have a limit of their own.
CREATE FUNCTION pcap_submit(
	p_account uuid, p_id uuid, p_type text, p_system text, p_time_limit_s integer,
	p_packet_limit integer, p_byte_limit bigint, p_colo text, p_bucket text,
	p_filter json, p_source cidr, p_destination cidr,
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
	v_key idempotency_keys;
	v_job pcaps;
	v_parts integer;
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

	RETURN QUERY SELECT r.outcome, r.retry_after_s, r.limit_value, NULL::pcaps
		FROM pcap_refusal(v_account, v_now, p_type, p_source, p_destination, p_colo, p_bucket) r;
	IF FOUND THEN
		RETURN;
	END IF;

	IF p_type <> 'full' THEN
		UPDATE accounts a SET last_collect_at = v_now WHERE a.id = p_account;
	END IF;
	INSERT INTO pcap_parts (account_id, pcap_id, sampler_id, sampler_name, colo, software, state)
		SELECT p_account, p_id, s.id, s.name, s.colo, s.software, 'assigned'
		FROM samplers_available(p_silence_s, p_colo) s;
	GET DIAGNOSTICS v_parts = ROW_COUNT;
	INSERT INTO pcaps AS p (account_id, id, type, system, time_limit_s, packet_limit, byte_limit,
			colo_name, destination, filter,
			selection_method, selection_interval, selection_space,
			selection_probability_ppb, selection_secret, submitted, deadline, stage,
			parts_total, parts_assigned, claim_at)
		VALUES (p_account, p_id, p_type, p_system, p_time_limit_s, p_packet_limit, p_byte_limit,
			p_colo, p_bucket, p_filter,
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

-- Why a new job cannot be taken: one row, or none when it can. First what is wrong with the request, then what it has to
-- wait for. The account's row is locked by the caller, and the bucket's here, so that it is not removed meanwhile.
CREATE FUNCTION pcap_refusal(p_account accounts, p_now timestamptz, p_type text, p_source cidr,
	p_destination cidr, p_colo text, p_bucket text)
RETURNS TABLE (outcome text, retry_after_s integer, limit_value integer)
LANGUAGE plpgsql
AS $$
DECLARE
	v_validated timestamptz;
	v_next timestamptz;
	v_running integer;
	v_full integer;
BEGIN
	IF NOT p_account.unrestricted THEN
		IF NOT EXISTS (SELECT FROM account_prefixes x WHERE x.account_id = p_account.id) THEN
			RETURN QUERY SELECT 'no_prefix', 0, 0;
			RETURN;
		ELSIF NOT filter_within_reach(p_account.id, p_source, p_destination) THEN
			RETURN QUERY SELECT 'out_of_scope', 0, 0;
			RETURN;
		END IF;
	END IF;
	IF p_type = 'full' THEN
		SELECT b.validated INTO v_validated FROM buckets b
			WHERE b.account_id = p_account.id AND b.destination = p_bucket FOR KEY SHARE;
		IF NOT FOUND OR v_validated IS NULL THEN
			RETURN QUERY SELECT CASE WHEN FOUND THEN 'bucket_pending' ELSE 'no_bucket' END, 0, 0;
			RETURN;
		ELSIF NOT colo_known(p_colo) THEN
			RETURN QUERY SELECT 'no_colo', 0, 0;
			RETURN;
		END IF;
	END IF;

	SELECT count(*), count(*) FILTER (WHERE p.type = 'full') INTO v_running, v_full FROM pcaps p
		WHERE p.account_id = p_account.id AND p.stage IN ('capturing', 'ready', 'assembling');
	IF p_type = 'full' AND v_full >= p_account.full_running_max THEN
		v_next := room_at(p_account.id, true, v_full - p_account.full_running_max);
		RETURN QUERY SELECT 'full_running', seconds_until(p_now, v_next),
			p_account.full_running_max;
		RETURN;
	ELSIF v_running >= p_account.running_max THEN
		v_next := room_at(p_account.id, false, v_running - p_account.running_max);
		RETURN QUERY SELECT 'running', seconds_until(p_now, v_next), p_account.running_max;
		RETURN;
	END IF;
	v_next := p_account.last_collect_at + make_interval(secs => p_account.collect_interval_s);
	IF p_type <> 'full' AND p_account.collect_interval_s > 0 AND v_next > p_now THEN
		RETURN QUERY SELECT 'rate', seconds_until(p_now, v_next), p_account.collect_interval_s;
	END IF;
END
$$;

-- When the windows of so many jobs (full ones alone or all) will have ended that there is room for one more. p_too_many: how many
-- run beyond the limit, because it was lowered.
CREATE FUNCTION room_at(p_account uuid, p_full boolean, p_too_many integer) RETURNS timestamptz
LANGUAGE sql STABLE
AS $$
	SELECT p.submitted + make_interval(secs => p.time_limit_s) FROM pcaps p
		WHERE p.account_id = p_account AND p.stage IN ('capturing', 'ready', 'assembling')
			AND (p.type = 'full' OR NOT p_full)
		ORDER BY 1 OFFSET p_too_many LIMIT 1
$$;

-- As before, and the byte limit is a job's budget as well; a job may have either, both or none.
CREATE OR REPLACE FUNCTION jobs_settle(p_account uuid[], p_pcap uuid[])
RETURNS TABLE (account_id uuid, pcap_id uuid, captured bigint, stop boolean, ended boolean)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
	v_job record;
BEGIN
	FOR v_job IN
		WITH asked AS (
			SELECT DISTINCT t.a, t.i FROM unnest(p_account, p_pcap) AS t(a, i)
		), job AS (
			SELECT p.account_id, p.id, p.stage, p.captured, p.stop_requested,
				budget_reached(p.captured, p.packet_limit, p.bytes, p.byte_limit) AS reached
			FROM asked JOIN pcaps p ON p.account_id = asked.a AND p.id = asked.i
		), total AS (
			SELECT x.account_id, x.pcap_id,
				count(*) FILTER (WHERE x.state = 'assigned') AS assigned,
				count(*) FILTER (WHERE x.state = 'running') AS running,
				count(*) FILTER (WHERE x.state = 'done') AS done,
				count(*) FILTER (WHERE x.state = 'failed') AS failed,
				count(*) FILTER (WHERE x.state = 'lost') AS lost,
				sum(x.observed)::bigint AS observed,
				sum(x.accepted)::bigint AS accepted,
				sum(x.delivered)::bigint AS delivered,
				sum(x.matched)::bigint AS matched,
				sum(x.selected)::bigint AS selected,
				sum(x.captured)::bigint AS captured,
				sum(x.bytes)::bigint AS bytes,
				sum(x.dropped_kernel)::bigint AS dropped_kernel,
				sum(x.dropped_interface)::bigint AS dropped_interface,
				sum(x.dropped_spool)::bigint AS dropped_spool,
				sum(x.dropped_limit)::bigint AS dropped_limit
			FROM job JOIN pcap_parts x ON x.account_id = job.account_id AND x.pcap_id = job.id
			WHERE job.stage = 'capturing'
			GROUP BY x.account_id, x.pcap_id
		), moved AS (
			UPDATE pcaps p SET
				parts_assigned = t.assigned, parts_running = t.running,
				parts_done = t.done, parts_failed = t.failed, parts_lost = t.lost,
				observed = t.observed, accepted = t.accepted, delivered = t.delivered,
				matched = t.matched, selected = t.selected, captured = t.captured,
				bytes = t.bytes, dropped_kernel = t.dropped_kernel,
				dropped_interface = t.dropped_interface,
				dropped_spool = t.dropped_spool, dropped_limit = t.dropped_limit,
				stage = CASE WHEN t.assigned + t.running = 0 THEN 'ready' ELSE p.stage END,
				claim_at = CASE WHEN t.assigned + t.running = 0 THEN clock_timestamp() END
			FROM total t
			WHERE p.account_id = t.account_id AND p.id = t.pcap_id AND p.stage = 'capturing'
			RETURNING p.account_id, p.id, p.captured, p.stage,
				budget_reached(p.captured, p.packet_limit, p.bytes, p.byte_limit) AS reached
		)
		SELECT asked.a, asked.i, coalesce(m.captured, j.captured, 0) AS captured,
			coalesce(j.stop_requested OR coalesce(m.reached, j.reached), true) AS stop,
			coalesce(coalesce(m.stage, j.stage) <> 'capturing', true) AS ended,
			m.stage = 'ready' AS became_ready,
			m.reached AND NOT j.reached AS reached
		FROM asked
		LEFT JOIN job j ON j.account_id = asked.a AND j.id = asked.i
		LEFT JOIN moved m ON m.account_id = asked.a AND m.id = asked.i
	LOOP
		IF v_job.became_ready THEN
			PERFORM pg_notify('edgecap_ready', id_text(v_job.a) || ' ' || id_text(v_job.i));
		ELSIF v_job.reached THEN
			PERFORM pg_notify('edgecap_job', id_text(v_job.a) || ' ' || id_text(v_job.i));
		END IF;
		account_id := v_job.a;
		pcap_id := v_job.i;
		captured := v_job.captured;
		stop := v_job.stop;
		ended := v_job.ended;
		RETURN NEXT;
	END LOOP;
END
$$;

-- Have the hosts together reached what the job may have? A limit of NULL is none.
CREATE FUNCTION budget_reached(p_packets bigint, p_packet_limit bigint, p_bytes bigint,
	p_byte_limit bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
	SELECT coalesce(p_packets >= p_packet_limit, false) OR coalesce(p_bytes >= p_byte_limit, false)
$$;

DROP FUNCTION job_fail;

-- Give up: no file. False when another has taken over. p_expires: until then the chunks are kept (NULL: they are of no use).
CREATE FUNCTION job_fail(p_account uuid, p_id uuid, p_fence bigint, p_stop_reason text,
	p_message text, p_expires timestamptz) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET stage = 'failed', completed = clock_timestamp(), stop_reason = p_stop_reason,
		error_message = p_message, expires = p_expires, claim_at = NULL
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling';
	RETURN FOUND OR EXISTS (SELECT FROM pcaps
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'failed');
END
$$;

-- For the operator: assemble a failed job again from the chunks that were kept. 'ready', 'absent' (no such job), 'not_failed', or
-- 'removed' (its chunks are gone, or will be in the next minute).
CREATE FUNCTION pcap_reassemble(p_id uuid) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	v_job pcaps;
BEGIN
	SELECT * INTO v_job FROM pcaps WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 'absent';
	ELSIF v_job.stage <> 'failed' THEN
		RETURN 'not_failed';
	ELSIF v_job.chunks_removed OR v_job.expires IS NULL
			OR v_job.expires <= clock_timestamp() + interval '1 minute' THEN
		RETURN 'removed';
	END IF;
	UPDATE pcaps SET stage = 'ready', claim_at = clock_timestamp(), attempts = 0,
		completed = NULL, expires = NULL, error_message = NULL, stop_reason = ''
		WHERE account_id = v_job.account_id AND id = v_job.id;
	PERFORM pg_notify('edgecap_ready', id_text(v_job.account_id) || ' ' || id_text(v_job.id));
	RETURN 'ready';
END
$$;

REVOKE ALL ON FUNCTION pcap_reassemble(uuid) FROM PUBLIC;

-- What may be removed from the store, oldest first: done jobs past their retention (files), and chunks of
-- jobs that ended p_grace_s ago, when no upload URL is valid any more; of failed jobs when their retention is over.
CREATE OR REPLACE FUNCTION garbage_find(p_max integer, p_grace_s integer)
RETURNS TABLE (account_id uuid, pcap_id uuid, files boolean)
LANGUAGE sql STABLE
AS $$
	SELECT g.account_id, g.id, g.files FROM (
		(SELECT account_id, id, true AS files, expires AS since FROM pcaps
			WHERE stage = 'done' AND expires <= now()
			ORDER BY expires LIMIT p_max)
		UNION ALL
		(SELECT account_id, id, false, completed FROM pcaps
			WHERE stage IN ('done', 'failed') AND NOT chunks_removed
				AND completed <= now() - make_interval(secs => p_grace_s)
				AND (expires IS NULL OR (expires > now()) = (stage = 'done'))
			ORDER BY completed LIMIT p_max)
	) AS g
	ORDER BY g.since LIMIT p_max
$$;

-- As before; a full job's file is in the tenant's bucket, so nothing of it is in the store when its chunks are removed.
CREATE OR REPLACE FUNCTION partition_drop(p_name text, p_history integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_jobs text := 'pcaps_' || right(p_name, 6);
	v_kept boolean := false;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('edgecap partitions'));
	IF p_name NOT IN (SELECT partitions_old(p_history)) THEN
		RETURN false;
	END IF;
	IF to_regclass(v_jobs) IS NOT NULL THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE NOT chunks_removed
			OR (stage NOT IN (''failed'', ''expired'')
				AND NOT (stage = ''done'' AND expires IS NULL)))', v_jobs) INTO v_kept;
	END IF;
	IF v_kept THEN
		RETURN false;
	END IF;
	PERFORM set_config('lock_timeout', '1s', true);
	EXECUTE format('DROP TABLE %I', p_name);
	RETURN true;
END
$$;
