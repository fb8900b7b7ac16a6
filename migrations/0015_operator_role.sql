-- The operator's role, edgecap_admin, beside those of 0006; and nobody but the owner makes objects here. This comes first, so that
-- nothing has changed where it cannot be had. What each role may do is in 0020.
--
-- Scopes are as in 0006, and one more:
--   edgecap.scope = 'admin'    the operator: edgecap-admin, and the data that a migration changes
--
-- A SECURITY DEFINER function runs as the owner and sees what its caller's scope shows, unless it sets one of its own and gives the
-- caller's back. (SET edgecap.scope as an option of the function would do that by itself, but only a superuser may write it.)

DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'edgecap_admin') THEN
		BEGIN
			CREATE ROLE edgecap_admin NOLOGIN;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL; -- another database of this cluster was faster
		END;
	END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO edgecap_admin;

-- A database's owner may take these rights away; else it takes a superuser, and a REVOKE that does nothing is only a warning.
DO $$
DECLARE
	v_role text;
BEGIN
	EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
	REVOKE CREATE ON SCHEMA public FROM PUBLIC;
	FOREACH v_role IN ARRAY ARRAY['edgecap_api', 'edgecap_assembler', 'edgecap_admin'] LOOP
		IF has_schema_privilege(v_role, 'public', 'CREATE')
				OR has_database_privilege(v_role, current_database(), 'CREATE')
				OR has_database_privilege(v_role, current_database(), 'TEMPORARY') THEN
			RAISE EXCEPTION 'role % can make objects here. As a superuser: REVOKE CREATE ON SCHEMA public FROM '
				'PUBLIC; REVOKE CREATE, TEMPORARY ON DATABASE % FROM PUBLIC',
				v_role, quote_ident(current_database()) USING ERRCODE = 'object_not_in_prerequisite_state';
		END IF;
	END LOOP;
END
$$;
