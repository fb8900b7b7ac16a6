-- Row-level security for everybody, the owner too, and the least rights for each program's role: the lists of 0006 and 0010, again
-- and whole, with what was added since.
--
-- A policy names no role: whoever says nothing sees nothing. Only superusers and roles with BYPASSRLS are above it.

-- Protect a tenants' table, or a partition of one: rows of the account that is named, or all for 'fleet' and 'admin'. The sub-selects
-- make PostgreSQL read the settings once a statement. Their form is for the planner, which takes half of the rows to pass a bare
-- boolean, but one in a hundred where a setting is compared in the condition itself; it then reads and sorts all jobs of an account
-- for the newest 50.
CREATE FUNCTION tenant_policy_make(p_table text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
	EXECUTE format('CREATE POLICY %I ON %I USING (
		(SELECT current_setting(''edgecap.scope'', true) IN (''fleet'', ''admin''))
		OR account_id = (SELECT CASE WHEN current_setting(''edgecap.scope'', true) = ''account''
			THEN nullif(current_setting(''edgecap.account_id'', true), '''')::uuid END))',
		p_table || '_scope', p_table);
END
$$;
REVOKE ALL ON FUNCTION tenant_policy_make(text) FROM PUBLIC;

-- A partition has its table's policy: who is let in through the parent is let in by the parent's alone, but a partition can be
-- addressed by its own name.
DO $$
DECLARE
	v_table text;
	v_scope text := 'current_setting(''edgecap.scope'', true)';
	v_account text := 'nullif(current_setting(''edgecap.account_id'', true), '''')::uuid';
BEGIN
	FOREACH v_table IN ARRAY partition_parents() || ARRAY['account_prefixes', 'buckets'] LOOP
		EXECUTE format('DROP POLICY %I ON %I', v_table || '_scope', v_table);
		PERFORM tenant_policy_make(v_table);
	END LOOP;
	FOR v_table IN
		SELECT c.relname FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid
		WHERE c.relkind = 'r' AND i.inhparent::regclass::text = ANY (partition_parents())
	LOOP
		PERFORM tenant_policy_make(v_table);
	END LOOP;

	-- an account is also seen while a credential is looked up
	EXECUTE format('ALTER POLICY accounts_scope ON accounts TO PUBLIC USING (
		(SELECT %s IN (''fleet'', ''auth'', ''admin''))
		OR id = (SELECT CASE WHEN %s = ''account'' THEN %s END))', v_scope, v_scope, v_account);
	-- an account's admins list its tokens
	ALTER POLICY api_tokens_scope ON api_tokens TO PUBLIC USING (
		((SELECT current_setting('edgecap.scope', true)) = 'account'
			AND account_id = (SELECT nullif(current_setting('edgecap.account_id', true), '')::uuid))
		OR (SELECT current_setting('edgecap.scope', true)) IN ('auth', 'admin'));
	FOREACH v_table IN ARRAY ARRAY['users', 'memberships', 'api_keys'] LOOP
		EXECUTE format('ALTER POLICY %I ON %I TO PUBLIC USING ((SELECT %s IN (''auth'', ''admin'')))',
			v_table || '_scope', v_table, v_scope);
	END LOOP;
	EXECUTE format('ALTER POLICY samplers_scope ON samplers TO PUBLIC USING (
		(SELECT %s IN (''fleet'', ''auth'', ''admin'')))', v_scope);
	FOREACH v_table IN ARRAY ARRAY['accounts', 'users', 'memberships', 'api_keys', 'api_tokens', 'samplers'] LOOP
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
	END LOOP;
END
$$;

-- As before; with the policy.
CREATE OR REPLACE FUNCTION partition_make(p_parent text, p_month timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_from timestamptz := month_floor(p_month);
	v_to timestamptz := month_floor(v_from + interval '32 days');
	v_name text := p_parent || '_' || to_char(v_from AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
	IF p_parent <> ALL (partition_parents()) THEN
		RAISE EXCEPTION 'no partitioned table %', p_parent;
	END IF;
	IF to_regclass(v_name) IS NOT NULL THEN
		RETURN;
	END IF;
	-- room on each page, so that the counters are updated in place
	EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = 80)', v_name,
		p_parent);
	PERFORM tenant_policy_make(v_name);
	EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_parent,
		v_name, uuid_floor(v_from), uuid_floor(v_to));
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION samplers_available(p_silence_s integer, p_colo text)
RETURNS TABLE (id uuid, name text, colo text, software text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	RETURN QUERY SELECT s.id, s.name, s.colo, s.software
		FROM samplers s
		WHERE s.enabled AND s.last_seen > clock_timestamp() - make_interval(secs => p_silence_s)
			AND (p_colo IS NULL OR colo_matches(s.colo, p_colo))
		ORDER BY s.id;
	PERFORM set_config('edgecap.scope', v_scope, true);
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION colo_known(p_colo text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
	v_known boolean;
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	v_known := EXISTS (SELECT FROM samplers WHERE enabled AND colo_matches(colo, p_colo));
	PERFORM set_config('edgecap.scope', v_scope, true);
	RETURN v_known;
END
$$;

-- As before, and SECURITY DEFINER: the operator's role does this with jobs and nothing else.
CREATE OR REPLACE FUNCTION pcap_reassemble(p_id uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
	v_job pcaps;
	v_outcome text := 'ready';
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	SELECT * INTO v_job FROM pcaps WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		v_outcome := 'absent';
	ELSIF v_job.stage <> 'failed' THEN
		v_outcome := 'not_failed';
	ELSIF v_job.chunks_removed OR v_job.expires IS NULL
			OR v_job.expires <= clock_timestamp() + interval '1 minute' THEN
		v_outcome := 'removed';
	ELSE
		UPDATE pcaps SET stage = 'ready', claim_at = clock_timestamp(), attempts = 0,
			completed = NULL, expires = NULL, error_message = NULL, stop_reason = ''
			WHERE account_id = v_job.account_id AND id = v_job.id;
		PERFORM pg_notify('edgecap_ready', id_text(v_job.account_id) || ' ' || id_text(v_job.id));
	END IF;
	PERFORM set_config('edgecap.scope', v_scope, true);
	RETURN v_outcome;
END
$$;

-- The functions of buckets, so that nobody but the assembler reads the sealed keys: a row as a whole is not asked for any more.

DROP FUNCTION bucket_save, bucket_validate, bucket_delete, bucket_in_use, bucket_status;

-- The public status. A challenge that nobody answered in time has failed; a new one can be had.
CREATE FUNCTION bucket_status(p_validated timestamptz, p_expires timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT CASE WHEN p_validated IS NOT NULL THEN 'success'
		WHEN p_expires <= now() THEN 'failed' ELSE 'pending' END
$$;

-- Is a job under way that writes there?
CREATE FUNCTION bucket_in_use(p_account uuid, p_destination text) RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT EXISTS (SELECT FROM pcaps p
		WHERE p.account_id = p_account AND p.destination = p_destination
			AND p.stage IN ('capturing', 'ready', 'assembling'))
$$;

-- A challenge was written into the bucket: keep it. A bucket that is there gets the new challenge and the new keys; one that
-- was validated stays so. outcome: 'saved', 'full' (the account has p_max), 'conflict' (the same destination was
-- just added under another id) or 'no_account' (jq_bucket_outcome). The row is that of the bucket when it was saved.
-- Repeating a call is harmless.
CREATE FUNCTION bucket_save(p_account uuid, p_id uuid, p_destination text, p_credentials bytea,
	p_filename text, p_token_sha256 bytea, p_expires timestamptz, p_max integer,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS TABLE (outcome text, id uuid, status text, destination text, filename text, submitted timestamptz,
	validated timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
	v_id uuid;
BEGIN
	PERFORM FROM accounts a WHERE a.id = p_account AND NOT a.disabled FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'no_account', NULL::uuid, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz;
		RETURN;
	END IF;
	SELECT b.id INTO v_id FROM buckets b
		WHERE b.account_id = p_account AND b.destination = p_destination;
	IF FOUND AND v_id <> p_id THEN
		RETURN QUERY SELECT 'conflict', NULL::uuid, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz;
		RETURN;
	ELSIF v_id IS NULL
			AND (SELECT count(*) FROM buckets b WHERE b.account_id = p_account) >= p_max THEN
		RETURN QUERY SELECT 'full', NULL::uuid, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz;
		RETURN;
	ELSIF v_id IS NULL THEN
		INSERT INTO buckets (account_id, id, destination, credentials, filename, submitted,
				token_sha256, expires)
			VALUES (p_account, p_id, p_destination, p_credentials, p_filename,
				clock_timestamp(), p_token_sha256, p_expires);
	ELSE
		UPDATE buckets b SET credentials = p_credentials, token_sha256 = p_token_sha256, expires = p_expires
			WHERE b.account_id = p_account AND b.id = p_id;
	END IF;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'bucket.create', p_id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN QUERY SELECT 'saved', b.id, bucket_status(b.validated, b.expires), b.destination, b.filename,
		b.submitted, b.validated FROM buckets b WHERE b.account_id = p_account AND b.id = p_id;
END
$$;

-- The content of a challenge was shown. outcome: 'saved', 'absent' (no such bucket) or 'replaced' (there is a later
-- challenge). The first time counts.
CREATE FUNCTION bucket_validate(p_account uuid, p_destination text, p_token_sha256 bytea,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS TABLE (outcome text, id uuid, status text, destination text, filename text, submitted timestamptz,
	validated timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
	v_id uuid;
	v_token_sha256 bytea;
BEGIN
	SELECT b.id, b.token_sha256 INTO v_id, v_token_sha256 FROM buckets b
		WHERE b.account_id = p_account AND b.destination = p_destination FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'absent', NULL::uuid, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz;
		RETURN;
	ELSIF v_token_sha256 <> p_token_sha256 THEN
		RETURN QUERY SELECT 'replaced', NULL::uuid, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz;
		RETURN;
	END IF;
	UPDATE buckets b SET validated = coalesce(b.validated, clock_timestamp())
		WHERE b.account_id = p_account AND b.id = v_id;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'bucket.validate', v_id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN QUERY SELECT 'saved', b.id, bucket_status(b.validated, b.expires), b.destination, b.filename,
		b.submitted, b.validated FROM buckets b WHERE b.account_id = p_account AND b.id = v_id;
END
$$;

-- outcome: 'removed', 'absent' or 'in_use'. A call that comes again after it was committed (its answer was lost) is known by its
-- audit row.
CREATE FUNCTION bucket_delete(p_account uuid, p_id uuid, p_audit uuid, p_actor_id uuid,
	p_actor text, p_source_address text, p_request_id text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	v_destination text;
BEGIN
	IF EXISTS (SELECT FROM audit_events e WHERE e.account_id = p_account AND e.id = p_audit) THEN
		RETURN 'removed';
	END IF;
	SELECT b.destination INTO v_destination FROM buckets b
		WHERE b.account_id = p_account AND b.id = p_id FOR UPDATE;
	IF NOT FOUND THEN
		RETURN 'absent';
	ELSIF bucket_in_use(p_account, v_destination) THEN
		RETURN 'in_use';
	END IF;
	DELETE FROM buckets b WHERE b.account_id = p_account AND b.id = p_id;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'bucket.delete', p_id, 'ok');
	RETURN 'removed';
END
$$;

-- What the API writes: a job's and its parts' beginning (pcap_submit), a stop (pcap_stop), a deletion (pcap_delete), what the edge
-- says (edge_flush, jobs_settle), buckets. Whole rows of jobs are read to make answers; selection_secret goes to the samplers with
-- the job. Of credentials it reads what is not secret; a tenant's tokens are changed by functions (0018).
REVOKE INSERT, UPDATE ON pcaps, pcap_parts, api_replicas FROM edgecap_api;
REVOKE SELECT ON api_tokens, api_keys, users, memberships, samplers FROM edgecap_api;
REVOKE ALL ON buckets FROM edgecap_api;
GRANT INSERT (account_id, id, type, system, time_limit_s, packet_limit, byte_limit, colo_name, destination, filter,
	selection_method, selection_interval, selection_space, selection_probability_ppb, selection_secret, submitted,
	deadline, stage, parts_total, parts_assigned, claim_at) ON pcaps TO edgecap_api;
GRANT UPDATE (stop_requested, stop_requested_at, delete_requested_at, erase_at, expires, stage, claim_at, parts_assigned,
	parts_running, parts_done, parts_failed, parts_lost, observed, accepted, delivered, matched, selected, captured, bytes,
	budget_packets, budget_bytes, dropped_kernel, dropped_interface, dropped_spool, dropped_limit) ON pcaps TO edgecap_api;
GRANT INSERT (account_id, pcap_id, sampler_id, sampler_name, colo, software, state) ON pcap_parts TO edgecap_api;
GRANT UPDATE (state, reason, error, boot, started, ended, clock_offset_us, chunks_stored, observed, accepted, delivered,
	matched, selected, captured, bytes, dropped_kernel, dropped_interface, dropped_spool, dropped_limit)
	ON pcap_parts TO edgecap_api;
GRANT INSERT, UPDATE (heartbeat, serving_since) ON api_replicas TO edgecap_api;
GRANT SELECT (account_id, id, destination, validated, filename, submitted, token_sha256, expires), INSERT, DELETE,
	UPDATE (credentials, token_sha256, expires, validated) ON buckets TO edgecap_api;
GRANT SELECT (account_id, id, name, permissions, sources, created_at, expires_at, revoked_at, last_used_at)
	ON api_tokens TO edgecap_api;
GRANT SELECT (id, name, colo, enabled, created_at, last_seen, host, software, interfaces, miscounted_at)
	ON samplers TO edgecap_api;
GRANT SELECT ON audit_events TO edgecap_api; -- and nobody changes a row

-- The assembler's: claims, what became of them (job_complete, job_fail, job_retry, job_give_back, garbage_removed, garbage_erased),
-- parts that are given up (edge_reap, jobs_settle), and the hourly housekeeping.
REVOKE ALL ON accounts, samplers, buckets, pcaps, pcap_parts FROM edgecap_assembler;
GRANT SELECT (id, unrestricted, retention_s, scope_narrowed_at) ON accounts TO edgecap_assembler;
GRANT SELECT (id, last_seen, miscounted_at) ON samplers TO edgecap_assembler;
GRANT SELECT (account_id, destination, validated, credentials) ON buckets TO edgecap_assembler;
GRANT SELECT ON pcaps, pcap_parts TO edgecap_assembler;
GRANT UPDATE (stage, claim_at, lease_owner, lease_id, fence, attempts, last_error, completed, expires, stop_reason,
	error_message, warnings, packets_in_file, packets_cut, packets_rejected, pcap_key, pcapng_key, pcap_bytes,
	pcapng_bytes, pcap_sha256, pcapng_sha256, chunks_removed, deleted_at, erase_at, parts_assigned, parts_running,
	parts_done, parts_failed, parts_lost, observed, accepted, delivered, matched, selected, captured, bytes,
	budget_packets, budget_bytes, dropped_kernel, dropped_interface, dropped_spool, dropped_limit)
	ON pcaps TO edgecap_assembler;
GRANT UPDATE (state, reason, packets_stored, chunks_found) ON pcap_parts TO edgecap_assembler;

-- edgecap-admin's: an account is the operator's in all its columns. Credentials are written and never read. Audit rows are read and
-- added.
GRANT SELECT ON schema_migrations, permissions, role_permissions, sampler_alarms TO edgecap_admin;
GRANT SELECT, INSERT, UPDATE ON accounts TO edgecap_admin;
GRANT SELECT, INSERT, DELETE ON account_prefixes TO edgecap_admin;
GRANT SELECT, INSERT, UPDATE (email, disabled) ON users TO edgecap_admin;
GRANT SELECT, INSERT, UPDATE (role), DELETE ON memberships TO edgecap_admin;
GRANT SELECT (user_id, id, created_at, revoked_at, last_used_at), INSERT, UPDATE (revoked_at) ON api_keys TO edgecap_admin;
GRANT SELECT (account_id, id, name, permissions, sources, created_at, expires_at, revoked_at, last_used_at), INSERT,
	UPDATE (revoked_at) ON api_tokens TO edgecap_admin;
GRANT SELECT (id, name, colo, enabled, created_at, last_seen, host, software, interfaces, miscounted_at), INSERT,
	UPDATE (enabled, miscounted_at) ON samplers TO edgecap_admin;
GRANT SELECT (sampler_id, valid_until), DELETE ON sampler_old_tokens TO edgecap_admin;
GRANT SELECT, INSERT ON audit_events TO edgecap_admin;
GRANT EXECUTE ON FUNCTION pcap_reassemble(uuid) TO edgecap_admin;
