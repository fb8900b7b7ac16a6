-- What API replicas write for the edge, and what is given up when the edge falls silent.
--
-- Lock order, everywhere: account, then jobs by (account, id), then their parts. samplers are locked by
-- edge_flush alone (in order of id, before the jobs), so no cycle is possible.

-- Recount the parts of jobs whose rows the caller has locked, in a statement of its own so that it
-- sees what others committed before the lock was had. Here and nowhere else a job becomes ready.
-- Ids that name no job come back as ended.
CREATE FUNCTION jobs_settle(p_account uuid[], p_pcap uuid[])
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
			SELECT p.account_id, p.id, p.stage, p.captured, p.packet_limit, p.stop_requested
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
			RETURNING p.account_id, p.id, p.captured, p.stage
		)
		SELECT asked.a, asked.i, coalesce(m.captured, j.captured, 0) AS captured,
			coalesce(j.stop_requested OR coalesce(m.captured, j.captured) >= j.packet_limit, true)
				AS stop,
			coalesce(coalesce(m.stage, j.stage) <> 'capturing', true) AS ended,
			m.stage = 'ready' AS became_ready,
			j.captured < j.packet_limit AND m.captured >= j.packet_limit AS reached
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

-- Lock jobs that are still capturing, in the one order that everybody keeps.
CREATE FUNCTION jobs_lock(p_account uuid[], p_pcap uuid[]) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM FROM pcaps p
		JOIN (SELECT DISTINCT t.a, t.i FROM unnest(p_account, p_pcap) AS t(a, i)) AS asked
			ON p.account_id = asked.a AND p.id = asked.i
		WHERE p.stage = 'capturing'
		ORDER BY p.account_id, p.id
		FOR NO KEY UPDATE OF p;
END
$$;

-- A replica's heartbeat. A gap of more than p_gap_s means that nobody can say what was sent to it.
CREATE FUNCTION replica_heartbeat(p_replica uuid, p_gap_s integer) RETURNS void
LANGUAGE sql
AS $$
	INSERT INTO api_replicas AS r (id, heartbeat, serving_since)
		VALUES (p_replica, clock_timestamp(), clock_timestamp())
	ON CONFLICT (id) DO UPDATE SET
		heartbeat = excluded.heartbeat,
		serving_since = CASE
			WHEN excluded.heartbeat > r.heartbeat + make_interval(secs => p_gap_s)
			THEN excluded.heartbeat ELSE r.serving_since END
$$;

-- Samplers that were heard of. Ages, not times: the replica's clock is not the database's.
CREATE FUNCTION samplers_seen(p_sampler uuid[], p_age_us bigint[], p_host text[],
	p_software text[], p_interfaces text[]) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM FROM samplers s WHERE s.id = ANY (p_sampler) ORDER BY s.id FOR NO KEY UPDATE;
	UPDATE samplers s SET
		last_seen = greatest(s.last_seen, clock_timestamp() - seen.age),
		host = seen.host, software = seen.software, interfaces = seen.interfaces::json
	FROM (
		SELECT DISTINCT ON (t.id) t.id, greatest(t.age_us, 0) * interval '1 microsecond' AS age,
			t.host, t.software, t.interfaces
		FROM unnest(p_sampler, p_age_us, p_host, p_software, p_interfaces)
			AS t(id, age_us, host, software, interfaces)
		ORDER BY t.id, t.age_us
	) AS seen
	WHERE s.id = seen.id;
END
$$;

-- What a batch of samplers said of their parts, in one transaction. Columns are arrays of one length.
-- An ended part does not change, a counter never falls, and a process other than the one that a part
-- runs under can only end it; so a repeated or late message does no harm.
CREATE FUNCTION edge_flush(
	p_replica uuid, p_gap_s integer,
	p_seen_sampler uuid[], p_seen_age_us bigint[], p_seen_host text[], p_seen_software text[],
	p_seen_interfaces text[],
	p_account uuid[], p_pcap uuid[], p_sampler uuid[], p_boot uuid[], p_state text[],
	p_reason text[], p_error text[], p_started timestamptz[], p_ended timestamptz[],
	p_clock_offset_us bigint[], p_chunks integer[],
	p_observed bigint[], p_accepted bigint[], p_delivered bigint[], p_matched bigint[],
	p_selected bigint[], p_captured bigint[], p_bytes bigint[], p_dropped_kernel bigint[],
	p_dropped_interface bigint[], p_dropped_spool bigint[], p_dropped_limit bigint[])
RETURNS TABLE (account_id uuid, pcap_id uuid, captured bigint, stop boolean, ended boolean)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
	PERFORM replica_heartbeat(p_replica, p_gap_s);
	PERFORM samplers_seen(p_seen_sampler, p_seen_age_us, p_seen_host, p_seen_software,
		p_seen_interfaces);
	IF cardinality(p_pcap) = 0 THEN
		RETURN;
	END IF;
	PERFORM jobs_lock(p_account, p_pcap);
	UPDATE pcap_parts x SET
		state = said.state,
		reason = said.reason,
		error = said.error,
		boot = coalesce(x.boot, said.boot),
		started = coalesce(x.started, said.started),
		ended = coalesce(said.ended, x.ended),
		clock_offset_us = said.clock_offset_us,
		chunks_stored = greatest(x.chunks_stored, said.chunks),
		observed = greatest(x.observed, said.observed),
		accepted = greatest(x.accepted, said.accepted),
		delivered = greatest(x.delivered, said.delivered),
		matched = greatest(x.matched, said.matched),
		selected = greatest(x.selected, said.selected),
		captured = greatest(x.captured, said.captured),
		bytes = greatest(x.bytes, said.bytes),
		dropped_kernel = greatest(x.dropped_kernel, said.dropped_kernel),
		dropped_interface = greatest(x.dropped_interface, said.dropped_interface),
		dropped_spool = greatest(x.dropped_spool, said.dropped_spool),
		dropped_limit = greatest(x.dropped_limit, said.dropped_limit)
	FROM (
		SELECT DISTINCT ON (t.account_id, t.pcap_id, t.sampler_id) t.*
		FROM unnest(p_account, p_pcap, p_sampler, p_boot, p_state, p_reason, p_error, p_started,
				p_ended, p_clock_offset_us, p_chunks, p_observed, p_accepted, p_delivered,
				p_matched, p_selected, p_captured, p_bytes, p_dropped_kernel,
				p_dropped_interface, p_dropped_spool, p_dropped_limit)
			AS t(account_id, pcap_id, sampler_id, boot, state, reason, error, started, ended,
				clock_offset_us, chunks, observed, accepted, delivered, matched, selected,
				captured, bytes, dropped_kernel, dropped_interface, dropped_spool,
				dropped_limit)
		-- should one call name a part twice: the end, else the most
		ORDER BY t.account_id, t.pcap_id, t.sampler_id, t.state = 'running', t.captured DESC
	) AS said
	WHERE x.account_id = said.account_id AND x.pcap_id = said.pcap_id
		AND x.sampler_id = said.sampler_id
		AND x.state IN ('assigned', 'running')
		AND (x.boot IS NULL OR x.boot = said.boot OR said.state <> 'running');
	RETURN QUERY SELECT * FROM jobs_settle(p_account, p_pcap);
END
$$;

-- Give up parts: of samplers silent for p_silence_s, and of jobs past their deadline. Only while some replica has
-- been serving for p_silence_s without a gap of p_gap_s. Returns the number of parts given up; at
-- most p_jobs jobs are looked at in one call.
CREATE FUNCTION edge_reap(p_silence_s integer, p_gap_s integer, p_jobs integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
	v_silence interval := make_interval(secs => p_silence_s);
	v_account uuid[];
	v_pcap uuid[];
	v_given_up integer;
BEGIN
	IF NOT EXISTS (
		SELECT FROM api_replicas
		WHERE heartbeat > clock_timestamp() - make_interval(secs => p_gap_s)
			AND serving_since <= clock_timestamp() - v_silence
	) THEN
		RETURN 0;
	END IF;
	SELECT array_agg(c.account_id), array_agg(c.id) INTO v_account, v_pcap FROM (
		SELECT p.account_id, p.id FROM pcaps p
			WHERE p.stage = 'capturing' AND p.deadline <= now()
		UNION
		SELECT x.account_id, x.pcap_id FROM pcap_parts x
			JOIN samplers s ON s.id = x.sampler_id
			WHERE x.state IN ('assigned', 'running')
				AND (s.last_seen IS NULL OR s.last_seen <= now() - v_silence)
		LIMIT p_jobs
	) AS c;
	IF v_pcap IS NULL THEN
		RETURN 0;
	END IF;
	PERFORM jobs_lock(v_account, v_pcap);
	-- judged again: while we waited for the locks, a flush may have heard of them
	UPDATE pcap_parts x SET
		state = 'lost',
		reason = CASE WHEN judged.late THEN 'deadline' ELSE 'silent' END
	FROM (
		SELECT y.account_id, y.pcap_id, y.sampler_id, p.deadline <= clock_timestamp() AS late
		FROM unnest(v_account, v_pcap) AS t(a, i)
		JOIN pcaps p ON p.account_id = t.a AND p.id = t.i AND p.stage = 'capturing'
		JOIN pcap_parts y ON y.account_id = p.account_id AND y.pcap_id = p.id
			AND y.state IN ('assigned', 'running')
		LEFT JOIN samplers s ON s.id = y.sampler_id
		WHERE p.deadline <= clock_timestamp()
			OR s.last_seen IS NULL OR s.last_seen <= clock_timestamp() - v_silence
	) AS judged
	WHERE x.account_id = judged.account_id AND x.pcap_id = judged.pcap_id
		AND x.sampler_id = judged.sampler_id AND x.state IN ('assigned', 'running');
	GET DIAGNOSTICS v_given_up = ROW_COUNT;
	PERFORM jobs_settle(v_account, v_pcap);
	RETURN v_given_up;
END
$$;
