-- When a stop was requested: the API that ours is compatible with answers a time, not a yes.

ALTER TABLE pcaps ADD COLUMN stop_requested_at timestamptz;
UPDATE pcaps p SET stop_requested_at = coalesce(
	(SELECT min(e.at) FROM audit_events e
		WHERE e.account_id = p.account_id AND e.object_id = p.id AND e.action = 'pcap.stop'),
	p.completed, p.submitted)
	WHERE p.stop_requested;
ALTER TABLE pcaps ADD CONSTRAINT pcaps_stop_requested_check
	CHECK (stop_requested = (stop_requested_at IS NOT NULL));

-- As before, with the time.
CREATE OR REPLACE FUNCTION pcap_stop(p_account uuid, p_id uuid, p_audit uuid, p_actor_id uuid, p_actor text,
	p_source_address text, p_request_id text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
	v_stage text;
	v_stopped boolean;
BEGIN
	SELECT stage, stop_requested INTO v_stage, v_stopped FROM pcaps
		WHERE account_id = p_account AND id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF v_stage = 'capturing' AND NOT v_stopped THEN
		UPDATE pcaps SET stop_requested = true, stop_requested_at = clock_timestamp()
			WHERE account_id = p_account AND id = p_id;
		PERFORM pg_notify('edgecap_job', id_text(p_account) || ' ' || id_text(p_id));
	END IF;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'pcap.stop', p_id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN true;
END
$$;
