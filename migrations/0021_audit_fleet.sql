-- What an operator does that is no account's: samplers, users without an account, the schema. A table of its own, so that no
-- mistake in a policy or in a condition shows it to a tenant: neither the API's role nor the assembler's has any right to it.

CREATE TABLE audit_fleet (
	id uuid PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	actor text NOT NULL,
	source text NOT NULL,
	action text NOT NULL,
	object_id uuid,
	result text NOT NULL,
	detail text NOT NULL DEFAULT '' CHECK (octet_length(detail) <= 1024)
) PARTITION BY RANGE (id);
CREATE INDEX audit_fleet_list ON audit_fleet (at DESC, id DESC);

-- Protect a table that is the operator's alone, or a partition of one.
CREATE FUNCTION operator_policy_make(p_table text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
	EXECUTE format('CREATE POLICY %I ON %I USING ((SELECT current_setting(''edgecap.scope'', true) = ''admin''))',
		p_table || '_scope', p_table);
END
$$;
REVOKE ALL ON FUNCTION operator_policy_make(text) FROM PUBLIC;

SELECT operator_policy_make('audit_fleet');
GRANT SELECT, INSERT ON audit_fleet TO edgecap_admin;

-- Invariant: as with audit_events, a row stays as it was written, and leaves with its month.
CREATE TRIGGER audit_fleet_guard BEFORE UPDATE OR DELETE ON audit_fleet
	FOR EACH ROW EXECUTE FUNCTION audit_events_guard(); -- partitions get it as well
CREATE TRIGGER audit_fleet_guard_truncate BEFORE TRUNCATE ON audit_fleet
	FOR EACH STATEMENT EXECUTE FUNCTION audit_events_guard();

-- ---- months

CREATE OR REPLACE FUNCTION partition_parents() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY['pcaps', 'pcap_parts', 'idempotency_keys', 'audit_events', 'audit_fleet'] $$;

-- Tables of audit rows: their months are kept for longer than the jobs', and wait for no job's files.
CREATE FUNCTION audit_parents() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY['audit_events', 'audit_fleet'] $$;

-- As before; a partition has its table's policy.
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
	IF p_parent = 'audit_fleet' THEN
		PERFORM operator_policy_make(v_name);
	ELSE
		PERFORM tenant_policy_make(v_name);
	END IF;
	EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_parent,
		v_name, uuid_floor(v_from), uuid_floor(v_to));
END
$$;

-- As before, with both tables of audit rows.
CREATE OR REPLACE FUNCTION partitions_old(p_history integer, p_audit integer) RETURNS SETOF text
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

-- As before, with both tables of audit rows.
CREATE OR REPLACE FUNCTION partition_drop(p_name text, p_history integer, p_audit integer) RETURNS boolean
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
