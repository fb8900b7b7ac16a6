-- Leases of the assemblers. Every call that follows a claim names the fencing number; a call that
-- comes again after it was committed (its answer was lost) succeeds and changes nothing.

-- Lease up to p_max jobs to the call p_lease: those that are ready and due, and those whose lease has
-- run out. The caller reads them by lease_id in the same transaction.
CREATE FUNCTION jobs_claim(p_owner uuid, p_lease uuid, p_max integer, p_lease_ms integer)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
	v_had integer;
	v_got integer;
BEGIN
	SELECT count(*) INTO v_had FROM pcaps WHERE lease_id = p_lease AND stage = 'assembling';
	UPDATE pcaps p SET
		stage = 'assembling',
		fence = p.fence + 1,
		attempts = p.attempts + 1,
		lease_owner = p_owner,
		lease_id = p_lease,
		claim_at = clock_timestamp() + p_lease_ms * interval '1 millisecond'
	FROM (
		SELECT account_id, id FROM pcaps
		WHERE stage IN ('ready', 'assembling') AND claim_at <= now()
		ORDER BY claim_at
		LIMIT greatest(0, p_max - v_had)
		FOR NO KEY UPDATE SKIP LOCKED
	) AS c
	WHERE p.account_id = c.account_id AND p.id = c.id;
	GET DIAGNOSTICS v_got = ROW_COUNT;
	RETURN v_had + v_got;
END
$$;

-- True when the lease is (still) the caller's and was extended.
CREATE FUNCTION job_lease_renew(p_account uuid, p_id uuid, p_fence bigint, p_lease_ms integer)
RETURNS boolean
LANGUAGE sql
AS $$
	WITH renewed AS (
		UPDATE pcaps SET claim_at = clock_timestamp() + p_lease_ms * interval '1 millisecond'
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling'
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM renewed)
$$;

-- Record the files and what was found in the parts. False when another has taken over.
CREATE FUNCTION job_complete(p_account uuid, p_id uuid, p_fence bigint, p_packets bigint,
	p_cut bigint, p_rejected bigint, p_stop_reason text, p_warnings json,
	p_pcap_key text, p_pcapng_key text, p_pcap_bytes bigint, p_pcapng_bytes bigint,
	p_pcap_sha256 text, p_pcapng_sha256 text, p_expires timestamptz,
	p_sampler uuid[], p_packets_stored bigint[], p_chunks integer[]) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET
		stage = 'done', completed = clock_timestamp(), expires = p_expires,
		stop_reason = p_stop_reason, warnings = p_warnings,
		packets_in_file = p_packets, packets_cut = p_cut, packets_rejected = p_rejected,
		pcap_key = p_pcap_key, pcapng_key = p_pcapng_key,
		pcap_bytes = p_pcap_bytes, pcapng_bytes = p_pcapng_bytes,
		pcap_sha256 = p_pcap_sha256, pcapng_sha256 = p_pcapng_sha256, claim_at = NULL
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling';
	IF NOT FOUND THEN
		RETURN EXISTS (SELECT FROM pcaps
			WHERE account_id = p_account AND id = p_id AND fence = p_fence
				AND stage IN ('done', 'expired'));
	END IF;
	UPDATE pcap_parts x SET packets_stored = t.packets, chunks_found = t.chunks
		FROM unnest(p_sampler, p_packets_stored, p_chunks) AS t(sampler, packets, chunks)
		WHERE x.account_id = p_account AND x.pcap_id = p_id AND x.sampler_id = t.sampler;
	RETURN true;
END
$$;

-- Give up: no file. False when another has taken over.
CREATE FUNCTION job_fail(p_account uuid, p_id uuid, p_fence bigint, p_stop_reason text,
	p_message text) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET stage = 'failed', completed = clock_timestamp(), stop_reason = p_stop_reason,
		error_message = p_message, claim_at = NULL
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling';
	RETURN FOUND OR EXISTS (SELECT FROM pcaps
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'failed');
END
$$;

-- Give back, to be claimed again in p_delay_ms. False when another has taken over.
CREATE FUNCTION job_retry(p_account uuid, p_id uuid, p_fence bigint, p_delay_ms integer,
	p_message text) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET stage = 'ready', last_error = p_message,
		claim_at = clock_timestamp() + p_delay_ms * interval '1 millisecond'
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling';
	RETURN FOUND OR EXISTS (SELECT FROM pcaps
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'ready');
END
$$;

-- What may be removed from the store, oldest first: done jobs past their retention (files), and chunks of
-- jobs that ended p_grace_s ago, when no upload URL is valid any more.
CREATE FUNCTION garbage_find(p_max integer, p_grace_s integer)
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
				AND (expires IS NULL OR expires > now())
			ORDER BY completed LIMIT p_max)
	) AS g
	ORDER BY g.since LIMIT p_max
$$;

-- It was removed. No error when it was recorded before or the job is gone.
CREATE FUNCTION garbage_removed(p_account uuid, p_id uuid, p_files boolean) RETURNS void
LANGUAGE sql
AS $$
	UPDATE pcaps SET
		chunks_removed = true,
		stage = CASE WHEN p_files AND stage = 'done' THEN 'expired' ELSE stage END
	WHERE account_id = p_account AND id = p_id AND stage IN ('done', 'failed')
$$;

-- Hourly: partitions for the next months, and rows that nobody will ask for again. Partitions that
-- may be dropped are named by partitions_old and dropped one by one.
CREATE FUNCTION housekeeping(p_ahead integer, p_key_ttl_s integer) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM partitions_make(p_ahead);
	DELETE FROM idempotency_keys
		WHERE created_at < clock_timestamp() - make_interval(secs => p_key_ttl_s);
	DELETE FROM api_replicas WHERE heartbeat < clock_timestamp() - interval '1 day';
END
$$;
