-- Tenants' buckets, where full captures go: the proof of ownership, and with r2 the tenant's keys, sealed by the API.

CREATE TABLE buckets (
	account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
	id uuid NOT NULL,
	destination text NOT NULL CHECK (octet_length(destination) BETWEEN 1 AND 768), -- canonical, without keys
	credentials bytea, -- sealed (storage/bucket_keys.h); NULL: the operator's
	validated timestamptz, -- NULL: not yet
	filename text NOT NULL,
	submitted timestamptz NOT NULL,
	-- the latest challenge
	token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
	expires timestamptz NOT NULL,
	PRIMARY KEY (account_id, id),
	UNIQUE (account_id, destination)
);

-- A full job's destination, canonical; NULL with simple. A job in a bucket keeps the bucket from being removed.
ALTER TABLE pcaps ADD COLUMN destination text;

GRANT SELECT, INSERT, UPDATE, DELETE ON buckets TO edgecap_api;
GRANT SELECT ON buckets TO edgecap_assembler;

ALTER TABLE buckets ENABLE ROW LEVEL SECURITY;
CREATE POLICY buckets_scope ON buckets TO edgecap_api, edgecap_assembler USING (
	((SELECT current_setting('edgecap.scope', true)) = 'account'
		AND account_id = (SELECT nullif(current_setting('edgecap.account_id', true), '')::uuid))
	OR (SELECT current_setting('edgecap.scope', true)) = 'fleet');

-- The public status. A challenge that nobody answered in time has failed; a new one can be had.
CREATE FUNCTION bucket_status(b buckets) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT CASE WHEN b.validated IS NOT NULL THEN 'success'
		WHEN b.expires <= now() THEN 'failed' ELSE 'pending' END
$$;

-- Is a job under way that writes there?
CREATE FUNCTION bucket_in_use(b buckets) RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT EXISTS (SELECT FROM pcaps p
		WHERE p.account_id = b.account_id AND p.destination = b.destination
			AND p.stage IN ('capturing', 'ready', 'assembling'))
$$;

-- A challenge was written into the bucket: keep it. A bucket that is there gets the new challenge and the new keys; one that
-- was validated stays so. outcome: 'saved', 'full' (the account has p_max), 'conflict' (the same destination was
-- just added under another id) or 'no_account' (jq_bucket_outcome). Repeating a call is harmless.
CREATE FUNCTION bucket_save(p_account uuid, p_id uuid, p_destination text, p_credentials bytea,
	p_filename text, p_token_sha256 bytea, p_expires timestamptz, p_max integer,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS TABLE (outcome text, bucket buckets)
LANGUAGE plpgsql
AS $$
DECLARE
	v_id uuid;
	v_bucket buckets;
BEGIN
	PERFORM FROM accounts a WHERE a.id = p_account AND NOT a.disabled FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'no_account', NULL::buckets;
		RETURN;
	END IF;
	SELECT b.id INTO v_id FROM buckets b
		WHERE b.account_id = p_account AND b.destination = p_destination;
	IF FOUND AND v_id <> p_id THEN
		RETURN QUERY SELECT 'conflict', NULL::buckets;
		RETURN;
	ELSIF v_id IS NULL
			AND (SELECT count(*) FROM buckets b WHERE b.account_id = p_account) >= p_max THEN
		RETURN QUERY SELECT 'full', NULL::buckets;
		RETURN;
	END IF;
	INSERT INTO buckets AS b (account_id, id, destination, credentials, filename, submitted,
			token_sha256, expires)
		VALUES (p_account, p_id, p_destination, p_credentials, p_filename,
			clock_timestamp(), p_token_sha256, p_expires)
		ON CONFLICT (account_id, id) DO UPDATE SET credentials = excluded.credentials,
			token_sha256 = excluded.token_sha256, expires = excluded.expires
		RETURNING b.* INTO v_bucket;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'bucket.create', p_id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN QUERY SELECT 'saved', v_bucket;
END
$$;

-- The content of a challenge was shown. outcome: 'saved', 'absent' (no such bucket) or 'replaced' (there is a later
-- challenge). The first time counts.
CREATE FUNCTION bucket_validate(p_account uuid, p_destination text, p_token_sha256 bytea,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS TABLE (outcome text, bucket buckets)
LANGUAGE plpgsql
AS $$
DECLARE
	v_bucket buckets;
BEGIN
	SELECT * INTO v_bucket FROM buckets b
		WHERE b.account_id = p_account AND b.destination = p_destination FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'absent', NULL::buckets;
		RETURN;
	ELSIF v_bucket.token_sha256 <> p_token_sha256 THEN
		RETURN QUERY SELECT 'replaced', NULL::buckets;
		RETURN;
	END IF;
	UPDATE buckets b SET validated = coalesce(b.validated, clock_timestamp())
		WHERE b.account_id = p_account AND b.id = v_bucket.id
		RETURNING b.* INTO v_bucket;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'bucket.validate', v_bucket.id, 'ok')
		ON CONFLICT (account_id, id) DO NOTHING;
	RETURN QUERY SELECT 'saved', v_bucket;
END
$$;

-- outcome: 'removed', 'absent' or 'in_use'. A call that comes again after it was committed (its answer was lost) is known by its
-- audit row.
CREATE FUNCTION bucket_delete(p_account uuid, p_id uuid, p_audit uuid, p_actor_id uuid,
	p_actor text, p_source_address text, p_request_id text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	v_bucket buckets;
BEGIN
	IF EXISTS (SELECT FROM audit_events e WHERE e.account_id = p_account AND e.id = p_audit) THEN
		RETURN 'removed';
	END IF;
	SELECT * INTO v_bucket FROM buckets b
		WHERE b.account_id = p_account AND b.id = p_id FOR UPDATE;
	IF NOT FOUND THEN
		RETURN 'absent';
	ELSIF bucket_in_use(v_bucket) THEN
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
