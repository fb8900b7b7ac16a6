-- Removal: a tenant has a job's files deleted, an account may have a retention of its own, and audit rows are kept for longer than
-- jobs.

ALTER TABLE accounts ADD COLUMN retention_s integer
	CHECK (retention_s BETWEEN 1 AND 315360000); -- NULL: the service's

ALTER TABLE pcaps
	ADD COLUMN delete_requested_at timestamptz,
	ADD COLUMN deleted_at timestamptz, -- seen then: nothing of it is in the store
	ADD COLUMN erase_at timestamptz, -- when an assembler is to remove it and look (again); NULL: never
	ADD CONSTRAINT pcaps_delete_check CHECK (delete_requested_at IS NOT NULL
		OR (deleted_at IS NULL AND erase_at IS NULL));
CREATE INDEX pcaps_erase ON pcaps (erase_at) WHERE erase_at IS NOT NULL;

-- A tenant's deletion: 'absent', 'under_way' (it has not ended), or 'deleted', also when it was before. From now on nobody
-- downloads it; an assembler removes what is in the store. A failed job cannot be assembled again.
CREATE FUNCTION pcap_delete(p_account uuid, p_id uuid, p_audit uuid, p_actor_id uuid, p_actor text,
	p_source_address text, p_request_id text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	v_stage text;
	v_deleted boolean;
BEGIN
	SELECT stage, delete_requested_at IS NOT NULL INTO v_stage, v_deleted FROM pcaps
		WHERE account_id = p_account AND id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 'absent';
	ELSIF v_stage IN ('capturing', 'ready', 'assembling') THEN
		RETURN 'under_way';
	END IF;
	IF NOT v_deleted THEN
		UPDATE pcaps SET delete_requested_at = clock_timestamp(), erase_at = clock_timestamp(),
			stage = CASE stage WHEN 'done' THEN 'expired' ELSE stage END,
			expires = CASE stage WHEN 'failed' THEN NULL ELSE expires END
			WHERE account_id = p_account AND id = p_id;
		PERFORM pg_notify('edgecap_garbage', id_text(p_account) || ' ' || id_text(p_id));
	END IF;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'pcap.delete', p_id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN 'deleted';
END
$$;

DROP FUNCTION garbage_find(integer, integer);

-- What may be removed from the store. First what tenants want deleted (erase), and what was and is to be looked at again
-- (erase_again). Then, oldest first: done jobs past their retention (files), and chunks of jobs that ended p_grace_s ago, when
-- no upload URL is valid any more; of failed jobs when their retention is over.
CREATE FUNCTION garbage_find(p_max integer, p_grace_s integer)
RETURNS TABLE (account_id uuid, pcap_id uuid, files boolean, erase boolean, erase_again boolean)
LANGUAGE sql STABLE
AS $$
	SELECT g.account_id, g.id, g.files, g.erase, g.erase_again FROM (
		(SELECT account_id, id, true AS files, true AS erase,
				deleted_at IS NOT NULL AS erase_again, erase_at AS since FROM pcaps
			WHERE erase_at <= clock_timestamp()
			ORDER BY erase_at LIMIT p_max)
		UNION ALL
		(SELECT account_id, id, true, false, false, expires FROM pcaps
			WHERE stage = 'done' AND expires <= now()
			ORDER BY expires LIMIT p_max)
		UNION ALL
		(SELECT account_id, id, false, false, false, completed FROM pcaps
			WHERE stage IN ('done', 'failed') AND NOT chunks_removed
				AND completed <= now() - make_interval(secs => p_grace_s)
				AND (expires IS NULL OR (expires > now()) = (stage = 'done'))
				AND erase_at IS NULL
			ORDER BY completed LIMIT p_max)
	) AS g
	ORDER BY g.erase DESC, g.since LIMIT p_max
$$;

-- Nothing of a deleted job is left in the store. p_found: something was there. While an upload URL may still be used (p_grace_s
-- after the end) what comes is not known; so it is looked at once more, and what had come moves the time.
CREATE FUNCTION garbage_erased(p_account uuid, p_id uuid, p_found boolean, p_grace_s integer)
RETURNS void
LANGUAGE sql
AS $$
	UPDATE pcaps SET
		chunks_removed = true,
		deleted_at = CASE WHEN p_found OR deleted_at IS NULL THEN clock_timestamp()
			ELSE deleted_at END,
		erase_at = CASE WHEN clock_timestamp() < coalesce(completed, delete_requested_at)
				+ make_interval(secs => p_grace_s)
			THEN coalesce(completed, delete_requested_at)
				+ make_interval(secs => p_grace_s) END
	WHERE account_id = p_account AND id = p_id AND erase_at <= clock_timestamp()
$$;

-- Until when what is kept from now on is kept: the account's retention, else p_service.
CREATE FUNCTION kept_until(p_account uuid, p_service timestamptz) RETURNS timestamptz
LANGUAGE sql
AS $$
	SELECT coalesce((SELECT clock_timestamp() + make_interval(secs => a.retention_s) FROM accounts a
		WHERE a.id = p_account), p_service)
$$;

-- What has ended already is kept no longer than a job that ends now; for edgecap-admin. SECURITY DEFINER: the operator's role
-- does this with jobs and nothing else.
CREATE FUNCTION retention_shorten(p_account uuid, p_retention_s integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	UPDATE pcaps SET expires = completed + make_interval(secs => p_retention_s)
		WHERE account_id = p_account AND stage IN ('done', 'failed')
			AND expires > completed + make_interval(secs => p_retention_s);
	PERFORM set_config('edgecap.scope', v_scope, true);
END
$$;
REVOKE ALL ON FUNCTION retention_shorten(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_shorten(uuid, integer) TO edgecap_admin;

-- As before, with the account's retention. p_expires NULL: never.
CREATE OR REPLACE FUNCTION job_complete(p_account uuid, p_id uuid, p_fence bigint, p_packets bigint,
	p_cut bigint, p_rejected bigint, p_stop_reason text, p_warnings json,
	p_pcap_key text, p_pcapng_key text, p_pcap_bytes bigint, p_pcapng_bytes bigint,
	p_pcap_sha256 text, p_pcapng_sha256 text, p_expires timestamptz,
	p_sampler uuid[], p_packets_stored bigint[], p_chunks integer[]) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET
		stage = 'done', completed = clock_timestamp(),
		expires = CASE WHEN p_expires IS NOT NULL THEN kept_until(p_account, p_expires) END,
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

-- As before, with the account's retention. p_expires NULL: the chunks are of no use.
CREATE OR REPLACE FUNCTION job_fail(p_account uuid, p_id uuid, p_fence bigint, p_stop_reason text,
	p_message text, p_expires timestamptz) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET stage = 'failed', completed = clock_timestamp(), stop_reason = p_stop_reason,
		error_message = p_message, claim_at = NULL,
		expires = CASE WHEN p_expires IS NOT NULL THEN kept_until(p_account, p_expires) END
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling';
	RETURN FOUND OR EXISTS (SELECT FROM pcaps
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'failed');
END
$$;

DROP FUNCTION partition_drop(text, integer);
DROP FUNCTION partitions_old(integer);

-- Tables of audit rows: their months are kept for longer than the jobs', and wait for no job's files.
CREATE FUNCTION audit_parents() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY['audit_events'] $$;

-- Names of the partitions that only hold ids older than p_history months before this one (of audit rows: p_audit), oldest first.
-- The running month and the one before it stay whatever the caller says, who could otherwise drop today's audit.
CREATE FUNCTION partitions_old(p_history integer, p_audit integer) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
	SELECT c.relname::text
	FROM pg_inherits i
	JOIN pg_class c ON c.oid = i.inhrelid
	JOIN pg_class parent ON parent.oid = i.inhparent
	WHERE parent.relname = ANY (partition_parents())
		AND parent.relnamespace = 'public'::regnamespace
		AND c.relname ~ ('^' || parent.relname || '_[0-9]{6}$')
		AND right(c.relname, 6) < to_char((now() AT TIME ZONE 'UTC') - make_interval(months =>
			greatest(1, CASE WHEN parent.relname = ANY (audit_parents()) THEN p_audit ELSE p_history END)), 'YYYYMM')
	ORDER BY right(c.relname, 6), c.relname
$$;

-- Drop one of partitions_old. False when the month still has a job whose files or chunks are in the store, because they could never
-- be found again, or one that a tenant wants deleted; a full job's file is in the tenant's bucket. Audit rows name no object, so they
-- wait for nobody. The scope is set here whatever the caller's is: a month whose jobs are not seen would be dropped. One table in a
-- transaction, and it waits for a second at the most, so that a long reader does not hold up everybody else behind the lock.
CREATE FUNCTION partition_drop(p_name text, p_history integer, p_audit integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
	v_jobs text := 'pcaps_' || right(p_name, 6);
	v_kept boolean := false;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('edgecap partitions'));
	IF p_name NOT IN (SELECT partitions_old(p_history, p_audit)) THEN
		RETURN false;
	END IF;
	IF left(p_name, -7) <> ALL (audit_parents()) AND to_regclass(v_jobs) IS NOT NULL THEN
		PERFORM set_config('edgecap.scope', 'fleet', true);
		EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE NOT chunks_removed
			OR erase_at IS NOT NULL
			OR (stage NOT IN (''failed'', ''expired'')
				AND NOT (stage = ''done'' AND expires IS NULL)))', v_jobs) INTO v_kept;
		PERFORM set_config('edgecap.scope', v_scope, true);
	END IF;
	IF v_kept THEN
		RETURN false;
	END IF;
	PERFORM set_config('lock_timeout', '1s', true);
	EXECUTE format('DROP TABLE %I', p_name);
	RETURN true;
END
$$;

REVOKE ALL ON FUNCTION partitions_old(integer, integer), partition_drop(text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION partitions_old(integer, integer), partition_drop(text, integer, integer)
	TO edgecap_assembler;
