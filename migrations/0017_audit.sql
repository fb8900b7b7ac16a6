-- The audit trail: what an operator does is in it too, an account's admins can read it, and nobody can change it.

-- What an operator changed ("running_max=4", prefixes); '' for a tenant's actions.
ALTER TABLE audit_events ADD COLUMN detail text NOT NULL DEFAULT '' CHECK (octet_length(detail) <= 1024);

-- A tenant's list, newest first; with what is needed to count it without reading the rows.
CREATE INDEX audit_events_list ON audit_events (account_id, at DESC, id DESC) INCLUDE (action, actor);

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
