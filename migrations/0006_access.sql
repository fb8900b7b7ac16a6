-- Who may do what. The programs' roles cannot log in by themselves: the operator grants LOGIN, or
-- membership to a login role. The owner of the tables (edgecap-admin) is above all of this.
--
-- Every operation says in its transaction what it acts for:
--   edgecap.scope = 'account'  one tenant: edgecap.account_id
--                   'fleet'    the service itself: parts, leases, retention
--                   'auth'     looking up a credential
-- A statement that says nothing sees nothing.

DO $$
DECLARE
	v_role text;
BEGIN
	FOREACH v_role IN ARRAY ARRAY['edgecap_api', 'edgecap_assembler'] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
			BEGIN
				EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
			EXCEPTION WHEN duplicate_object OR unique_violation THEN
				NULL; -- another database of this cluster was faster
			END;
		END IF;
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO edgecap_api, edgecap_assembler;
GRANT SELECT ON schema_migrations, job_stages, job_moves, part_states, part_moves, permissions,
	role_permissions TO edgecap_api, edgecap_assembler;

GRANT SELECT ON accounts, account_prefixes, users, memberships, api_keys, api_tokens, samplers,
	api_replicas, pcaps, pcap_parts, idempotency_keys TO edgecap_api;
GRANT UPDATE (last_collect_at) ON accounts TO edgecap_api;
GRANT UPDATE (last_seen, host, software, interfaces) ON samplers TO edgecap_api;
GRANT INSERT, UPDATE ON api_replicas, pcaps, pcap_parts TO edgecap_api;
GRANT INSERT ON idempotency_keys, audit_events TO edgecap_api;
GRANT SELECT (account_id, id) ON audit_events TO edgecap_api; -- for ON CONFLICT (account_id, id)

GRANT SELECT ON accounts, account_prefixes, api_replicas, pcaps, pcap_parts, idempotency_keys
	TO edgecap_assembler;
GRANT SELECT (id, name, colo, enabled, last_seen) ON samplers TO edgecap_assembler;
GRANT UPDATE ON pcaps, pcap_parts TO edgecap_assembler;
GRANT DELETE ON api_replicas, idempotency_keys TO edgecap_assembler;

-- Row-level security. The sub-selects make PostgreSQL read the settings once a statement.
DO $$
DECLARE
	v_table text;
	v_scope text := '(SELECT current_setting(''edgecap.scope'', true))';
	v_account text := '(SELECT nullif(current_setting(''edgecap.account_id'', true), '''')::uuid)';
	v_roles text := 'edgecap_api, edgecap_assembler';
BEGIN
	FOREACH v_table IN ARRAY ARRAY['pcaps', 'pcap_parts', 'idempotency_keys', 'audit_events',
			'account_prefixes'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
		EXECUTE format('CREATE POLICY %I ON %I TO %s USING (
			(%s = ''account'' AND account_id = %s) OR %s = ''fleet'')',
			v_table || '_scope', v_table, v_roles, v_scope, v_account, v_scope);
	END LOOP;

	-- an account is also seen while a credential is looked up
	ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
	EXECUTE format('CREATE POLICY accounts_scope ON accounts TO %s USING (
		(%s = ''account'' AND id = %s) OR %s IN (''fleet'', ''auth''))',
		v_roles, v_scope, v_account, v_scope);

	FOREACH v_table IN ARRAY ARRAY['users', 'memberships', 'api_keys', 'api_tokens'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
		EXECUTE format('CREATE POLICY %I ON %I TO %s USING (%s = ''auth'')',
			v_table || '_scope', v_table, v_roles, v_scope);
	END LOOP;

	ALTER TABLE samplers ENABLE ROW LEVEL SECURITY;
	EXECUTE format('CREATE POLICY samplers_scope ON samplers TO %s USING (
		%s IN (''fleet'', ''auth''))', v_roles, v_scope);
END
$$;

-- The edge hosts that a new job gets parts on. SECURITY DEFINER: a tenant's scope does not see samplers.
CREATE FUNCTION samplers_available(p_silence_s integer)
RETURNS TABLE (id uuid, name text, colo text, software text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
	SELECT id, name, colo, software
	FROM samplers
	WHERE enabled AND last_seen > clock_timestamp() - make_interval(secs => p_silence_s)
	ORDER BY id
$$;

REVOKE ALL ON FUNCTION partition_make(text, timestamptz), partitions_make(integer),
	partitions_old(integer), partition_drop(text, integer), samplers_available(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION partitions_make(integer), partitions_old(integer),
	partition_drop(text, integer) TO edgecap_assembler;
GRANT EXECUTE ON FUNCTION samplers_available(integer) TO edgecap_api;
