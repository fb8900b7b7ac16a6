-- Credentials: where a token may be used from, when a credential was last used, tokens that an account's admins manage, samplers'
-- tokens that are replaced without a gap. Looking one up is the owner's business: the API's role asks these functions and reads no
-- hash.

ALTER TABLE api_tokens
	ADD COLUMN sources cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(sources) <= 32), -- empty: any
	ADD COLUMN last_used_at timestamptz; -- to about a minute, as below
ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;

-- Tokens that were replaced, good until valid_until; samplers.token_sha256 is the one in use.
CREATE TABLE sampler_old_tokens (
	sampler_id uuid NOT NULL REFERENCES samplers ON DELETE CASCADE,
	token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
	valid_until timestamptz NOT NULL
);
CREATE INDEX sampler_old_tokens_sampler ON sampler_old_tokens (sampler_id);

-- Seen as samplers are.
ALTER TABLE sampler_old_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY sampler_old_tokens_scope ON sampler_old_tokens USING (
	(SELECT current_setting('edgecap.scope', true)) IN ('fleet', 'auth', 'admin'));

-- The three look-ups run in the scope 'auth', which the caller sets as ever: a function cannot, because only a superuser may
-- attach a setting of ours to one. They give no row for a secret that nobody has, and `fault` is '' when the credential is good; else
-- it is for the operator's log: whoever asked is told nothing of it. `member`: the account is there, enabled, and seen by the
-- credential. `holder`: whose requests they are where it is none: the token's account, or the user.
--
-- The time of last use is written when the one that is known is a minute old, by whoever gets the row's lock without waiting, and
-- without waiting for the disk: the transaction does nothing else, and a crash of the server loses a moment of it at the most. So
-- call them in a transaction of their own.

CREATE FUNCTION auth_token(p_sha256 bytea, p_account uuid, p_source inet)
RETURNS TABLE (fault text, credential uuid, holder uuid, actor text, member boolean, bits integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_token api_tokens;
	v_fault text;
BEGIN
	SELECT * INTO v_token FROM api_tokens t WHERE t.token_sha256 = p_sha256;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	v_fault := CASE
		WHEN v_token.revoked_at IS NOT NULL THEN 'revoked'
		WHEN v_token.expires_at <= v_now THEN 'expired'
		-- of an unknown source nothing is true
		WHEN v_token.sources <> '{}' AND NOT EXISTS (
			SELECT FROM unnest(v_token.sources) s WHERE p_source <<= s) THEN 'not for this source'
		ELSE '' END;
	IF v_fault = '' AND (v_token.last_used_at > v_now - interval '1 minute') IS NOT TRUE THEN
		PERFORM set_config('synchronous_commit', 'off', true);
		UPDATE api_tokens t SET last_used_at = v_now
			WHERE t.account_id = v_token.account_id AND t.id = (
				SELECT u.id FROM api_tokens u
				WHERE u.account_id = v_token.account_id AND u.id = v_token.id
					AND (u.last_used_at > v_now - interval '1 minute') IS NOT TRUE
				FOR NO KEY UPDATE SKIP LOCKED);
	END IF;
	RETURN QUERY SELECT v_fault, v_token.id, v_token.account_id, 'token:' || v_token.name,
		EXISTS (SELECT FROM accounts a
			WHERE a.id = p_account AND a.id = v_token.account_id AND NOT a.disabled),
		permission_bits(v_token.permissions);
END
$$;

-- No row only when nobody has the e-mail address.
CREATE FUNCTION auth_key(p_email text, p_sha256 bytea, p_account uuid)
RETURNS TABLE (fault text, credential uuid, holder uuid, actor text, member boolean, bits integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_user users;
	v_key api_keys;
	v_role text;
	v_fault text;
BEGIN
	SELECT * INTO v_user FROM users u WHERE lower(u.email) = lower(p_email);
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO v_key FROM api_keys k
		WHERE k.user_id = v_user.id AND k.key_sha256 = p_sha256
		ORDER BY k.revoked_at DESC NULLS FIRST LIMIT 1;
	v_fault := CASE
		WHEN v_key.id IS NULL THEN 'wrong key'
		WHEN v_key.revoked_at IS NOT NULL THEN 'revoked key'
		WHEN v_user.disabled THEN 'disabled'
		ELSE '' END;
	IF v_fault = '' AND (v_key.last_used_at > v_now - interval '1 minute') IS NOT TRUE THEN
		PERFORM set_config('synchronous_commit', 'off', true);
		UPDATE api_keys k SET last_used_at = v_now
			WHERE k.user_id = v_user.id AND k.id = (
				SELECT u.id FROM api_keys u
				WHERE u.user_id = v_user.id AND u.id = v_key.id
					AND (u.last_used_at > v_now - interval '1 minute') IS NOT TRUE
				FOR NO KEY UPDATE SKIP LOCKED);
	END IF;
	SELECT m.role INTO v_role
		FROM memberships m JOIN accounts a ON a.id = m.account_id AND NOT a.disabled
		WHERE m.user_id = v_user.id AND m.account_id = p_account;
	RETURN QUERY SELECT v_fault, v_user.id, v_user.id, v_user.email, v_role IS NOT NULL,
		(SELECT permission_bits(array_agg(p.permission))
			FROM role_permissions p WHERE p.role = v_role);
END
$$;

-- Also by a replaced token that is still good (old_token).
CREATE FUNCTION auth_sampler(p_sha256 bytea)
RETURNS TABLE (fault text, id uuid, name text, colo text, old_token boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
	SELECT CASE WHEN s.enabled THEN '' ELSE 'disabled' END, s.id, s.name, s.colo, s.token_sha256 <> p_sha256
	FROM samplers s
	WHERE s.token_sha256 = p_sha256
		OR s.id = (SELECT t.sampler_id FROM sampler_old_tokens t
			WHERE t.token_sha256 = p_sha256 AND t.valid_until > clock_timestamp())
$$;

-- What an account's admins do with tokens. SECURITY DEFINER, because the API's role may not write the table; the scope is the
-- caller's, so the policies hold here as well. The account's row lock makes names and numbers exact over all replicas. A call that
-- comes again after it was committed (its answer was lost) is known by the token's id or by its audit row.

-- outcome: 'created', 'name' (a token in use has it), 'full' (p_max are in use, expired ones among them) or 'no_account'. Of
-- revoked tokens the last p_kept are remembered.
CREATE FUNCTION token_create(p_account uuid, p_id uuid, p_name text, p_sha256 bytea, p_bits integer,
	p_expires timestamptz, p_sources cidr[], p_max integer, p_kept integer,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
	PERFORM FROM accounts a WHERE a.id = p_account AND NOT a.disabled FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 'no_account';
	ELSIF EXISTS (SELECT FROM api_tokens t WHERE t.account_id = p_account AND t.id = p_id) THEN
		RETURN 'created';
	ELSIF EXISTS (SELECT FROM api_tokens t WHERE t.account_id = p_account AND t.name = p_name
			AND t.revoked_at IS NULL) THEN
		RETURN 'name';
	ELSIF (SELECT count(*) FROM api_tokens t
			WHERE t.account_id = p_account AND t.revoked_at IS NULL) >= p_max THEN
		RETURN 'full';
	END IF;
	INSERT INTO api_tokens (account_id, id, name, token_sha256, permissions, sources, created_at,
			expires_at)
		VALUES (p_account, p_id, p_name, p_sha256,
			ARRAY(SELECT p.permission FROM permissions p WHERE p.bit & p_bits <> 0 ORDER BY p.bit),
			p_sources, clock_timestamp(), p_expires);
	DELETE FROM api_tokens t WHERE t.account_id = p_account AND t.id IN (
		SELECT u.id FROM api_tokens u WHERE u.account_id = p_account AND u.revoked_at IS NOT NULL
		ORDER BY u.revoked_at DESC, u.id DESC OFFSET p_kept);
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'token.create', p_id, 'ok');
	RETURN 'created';
END
$$;

-- outcome: 'revoked' or 'absent'. Once more changes nothing.
CREATE FUNCTION token_revoke(p_account uuid, p_id uuid, p_audit uuid, p_actor_id uuid,
	p_actor text, p_source_address text, p_request_id text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_revoked timestamptz;
BEGIN
	PERFORM FROM accounts a WHERE a.id = p_account FOR NO KEY UPDATE;
	SELECT t.revoked_at INTO v_revoked FROM api_tokens t
		WHERE t.account_id = p_account AND t.id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 'absent';
	ELSIF v_revoked IS NOT NULL THEN
		RETURN 'revoked';
	END IF;
	UPDATE api_tokens t SET revoked_at = clock_timestamp()
		WHERE t.account_id = p_account AND t.id = p_id;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'token.revoke', p_id, 'ok');
	RETURN 'revoked';
END
$$;

-- A new secret for a token; the old one is void. p_bits: what the caller may do. outcome: 'rolled', 'absent', 'disabled' (it was
-- revoked) or 'beyond' (it may do what the caller may not).
CREATE FUNCTION token_roll(p_account uuid, p_id uuid, p_sha256 bytea, p_bits integer,
	p_audit uuid, p_actor_id uuid, p_actor text, p_source_address text, p_request_id text)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_token api_tokens;
BEGIN
	PERFORM FROM accounts a WHERE a.id = p_account FOR NO KEY UPDATE;
	SELECT * INTO v_token FROM api_tokens t
		WHERE t.account_id = p_account AND t.id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 'absent';
	ELSIF v_token.token_sha256 = p_sha256 THEN
		RETURN 'rolled';
	ELSIF v_token.revoked_at IS NOT NULL THEN
		RETURN 'disabled';
	ELSIF permission_bits(v_token.permissions) & ~p_bits <> 0 THEN
		RETURN 'beyond';
	END IF;
	UPDATE api_tokens t SET token_sha256 = p_sha256
		WHERE t.account_id = p_account AND t.id = p_id;
	INSERT INTO audit_events (account_id, id, actor_id, actor, source, request_id, action,
			object_id, result)
		VALUES (p_account, p_audit, p_actor_id, p_actor, p_source_address, p_request_id,
			'token.roll', p_id, 'ok');
	RETURN 'rolled';
END
$$;

-- Replace a sampler's token. Those it had are good for p_overlap_s more at most. False, and nothing is changed, when more than p_max
-- replaced ones would be good. SECURITY DEFINER: the operator's role reads no token's hash.
CREATE FUNCTION sampler_token_replace(p_sampler uuid, p_overlap_s integer, p_sha256 bytea, p_max integer)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_until timestamptz := clock_timestamp() + make_interval(secs => p_overlap_s);
BEGIN
	PERFORM FROM samplers WHERE id = p_sampler FOR NO KEY UPDATE;
	DELETE FROM sampler_old_tokens
		WHERE sampler_id = p_sampler AND (p_overlap_s = 0 OR valid_until <= clock_timestamp());
	IF p_overlap_s > 0 THEN
		IF (SELECT count(*) FROM sampler_old_tokens WHERE sampler_id = p_sampler) >= p_max THEN
			RETURN false;
		END IF;
		UPDATE sampler_old_tokens SET valid_until = least(valid_until, v_until) WHERE sampler_id = p_sampler;
		INSERT INTO sampler_old_tokens (sampler_id, token_sha256, valid_until)
			SELECT id, token_sha256, v_until FROM samplers WHERE id = p_sampler;
	END IF;
	UPDATE samplers SET token_sha256 = p_sha256 WHERE id = p_sampler;
	RETURN true;
END
$$;

REVOKE ALL ON FUNCTION auth_token(bytea, uuid, inet), auth_key(text, bytea, uuid), auth_sampler(bytea),
	token_create(uuid, uuid, text, bytea, integer, timestamptz, cidr[], integer, integer,
		uuid, uuid, text, text, text),
	token_revoke(uuid, uuid, uuid, uuid, text, text, text),
	token_roll(uuid, uuid, bytea, integer, uuid, uuid, text, text, text),
	sampler_token_replace(uuid, integer, bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth_token(bytea, uuid, inet), auth_key(text, bytea, uuid), auth_sampler(bytea),
	token_create(uuid, uuid, text, bytea, integer, timestamptz, cidr[], integer, integer,
		uuid, uuid, text, text, text),
	token_revoke(uuid, uuid, uuid, uuid, text, text, text),
	token_roll(uuid, uuid, bytea, integer, uuid, uuid, text, text, text) TO edgecap_api;
GRANT EXECUTE ON FUNCTION sampler_token_replace(uuid, integer, bytea, integer) TO edgecap_admin;
