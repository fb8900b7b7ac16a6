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

CREATE OR REPLACE FUNCTION audit_parents() RETURNS text[]
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
