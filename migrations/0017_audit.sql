-- The audit trail: what an operator does is in it too, an account's admins can read it, nobody can change it, and it is kept
-- for longer than the jobs.

-- What an operator changed ("running_max=4", prefixes); '' for a tenant's actions.
ALTER TABLE audit_events ADD COLUMN detail text NOT NULL DEFAULT '' CHECK (octet_length(detail) <= 1024);

-- A tenant's list, newest first; with what is needed to count it without reading the rows.
CREATE INDEX audit_events_list ON audit_events (account_id, at DESC, id DESC) INCLUDE (action, actor);

GRANT SELECT ON audit_events TO edgecap_api; -- edgecap_admin has it; nobody may change rows

-- Invariant: a row stays as it was written, whoever asks. Rows leave with their month (partition_drop).
CREATE FUNCTION audit_events_guard() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	RAISE EXCEPTION 'audit rows are not changed: % is refused', lower(TG_OP) USING ERRCODE = 'EC002';
END
$$;
CREATE TRIGGER audit_events_guard BEFORE UPDATE OR DELETE ON audit_events
	FOR EACH ROW EXECUTE FUNCTION audit_events_guard(); -- partitions get it as well
CREATE TRIGGER audit_events_guard_truncate BEFORE TRUNCATE ON audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION audit_events_guard();

-- Whose job it is, NULL when there is none: for the operator's audit rows.
CREATE FUNCTION pcap_account(p_id uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
	v_account uuid;
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	SELECT account_id INTO v_account FROM pcaps WHERE id = p_id;
	PERFORM set_config('edgecap.scope', v_scope, true);
	RETURN v_account;
END
$$;
REVOKE ALL ON FUNCTION pcap_account(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pcap_account(uuid) TO edgecap_admin;

DROP FUNCTION partition_drop(text, integer);
DROP FUNCTION partitions_old(integer);

-- Names of the partitions that only hold ids older than p_history months before this one (of audit rows: p_audit), oldest first.
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
			CASE parent.relname WHEN 'audit_events' THEN p_audit ELSE p_history END), 'YYYYMM')
	ORDER BY right(c.relname, 6), c.relname
$$;

-- Drop one of partitions_old. False when the month still has a job whose files or chunks are in the store: they could
-- never be found again; a full job's file is in the tenant's bucket. Audit rows name no object, so they wait for nobody. The scope
-- is set here whatever the caller's is: a month whose jobs are not seen would be dropped. One
-- table in a transaction, and it waits for a second at the most, so that a long reader does not hold up everybody else
-- behind the lock.
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
	IF p_name NOT LIKE 'audit\_events\_%' AND to_regclass(v_jobs) IS NOT NULL THEN
		PERFORM set_config('edgecap.scope', 'fleet', true);
		EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE NOT chunks_removed
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
