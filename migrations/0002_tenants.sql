-- Tenants, their address space and their credentials. Secrets are stored as SHA-256 of 256 random
-- bits; account_id leads the primary key of every tenant's table.

CREATE TABLE accounts (
	id uuid PRIMARY KEY,
	name text NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 128),
	collect_interval_s integer NOT NULL DEFAULT 60 CHECK (collect_interval_s BETWEEN 0 AND 86400),
	running_max integer NOT NULL DEFAULT 16 CHECK (running_max BETWEEN 1 AND 100000),
	unrestricted boolean NOT NULL DEFAULT false,
	disabled boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now(),
	last_collect_at timestamptz -- the rate limit's slot; this row's lock serializes submits
);

CREATE TABLE account_prefixes (
	account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
	prefix cidr NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (account_id, prefix)
);

CREATE TABLE users (
	id uuid PRIMARY KEY,
	email text NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 254),
	disabled boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE memberships (
	account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
	user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
	role text NOT NULL CHECK (role IN ('reader', 'collector', 'admin')),
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (account_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

-- A user's key (X-Auth-Key): one in use at a time.
CREATE TABLE api_keys (
	user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
	id uuid NOT NULL,
	key_sha256 bytea NOT NULL CHECK (octet_length(key_sha256) = 32),
	created_at timestamptz NOT NULL DEFAULT now(),
	revoked_at timestamptz,
	PRIMARY KEY (user_id, id)
);
CREATE UNIQUE INDEX api_keys_in_use ON api_keys (user_id) WHERE revoked_at IS NULL;

CREATE TABLE api_tokens (
	account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
	id uuid NOT NULL,
	name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 128),
	token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
	permissions text[] NOT NULL CHECK (
		cardinality(permissions) > 0
		AND permissions <@ ARRAY['read', 'download', 'collect', 'admin']),
	created_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz,
	revoked_at timestamptz,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX api_tokens_sha256 ON api_tokens (token_sha256);
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (account_id, name) WHERE revoked_at IS NULL;

-- Bits of a set of permissions as in jobqueue/jq_auth.h.
CREATE FUNCTION permission_bits(p_permissions text[]) RETURNS integer
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(bit_or(bit), 0) FROM permissions WHERE permission = ANY (p_permissions)
$$;
