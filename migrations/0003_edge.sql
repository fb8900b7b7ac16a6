-- The edge hosts, and the API replicas that listen to them.

CREATE TABLE samplers (
	id uuid PRIMARY KEY,
	name text NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 128),
	colo text NOT NULL CHECK (octet_length(colo) BETWEEN 1 AND 32),
	token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
	enabled boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT now(),
	last_seen timestamptz, -- the database's clock
	host text NOT NULL DEFAULT '',
	software text NOT NULL DEFAULT '',
	interfaces json NOT NULL DEFAULT '[]'
);

-- serving_since: no gap between heartbeats since then. An edge that nobody listened to is not
-- silent, so parts are given up only while some replica has been serving for a while.
CREATE TABLE api_replicas (
	id uuid PRIMARY KEY,
	heartbeat timestamptz NOT NULL,
	serving_since timestamptz NOT NULL
);
