-- The vocabulary: stages of a job, states of a part, legal moves, permissions, and helpers for ids.
-- jobqueue/job_state.h and jobqueue/jq_auth.h have the same tables; a test compares them.

CREATE TABLE job_stages (
	stage text PRIMARY KEY,
	status text NOT NULL -- as the tenant sees it
);
INSERT INTO job_stages (stage, status) VALUES
	('capturing', 'pending'),
	('ready', 'pending'),
	('assembling', 'pending'),
	('done', 'success'),
	('failed', 'failed'),
	('expired', 'success');

CREATE TABLE job_moves (
	from_stage text NOT NULL REFERENCES job_stages,
	to_stage text NOT NULL REFERENCES job_stages,
	PRIMARY KEY (from_stage, to_stage)
);
INSERT INTO job_moves (from_stage, to_stage) VALUES
	('capturing', 'ready'),
	('ready', 'assembling'),
	('assembling', 'assembling'),
	('assembling', 'ready'),
	('assembling', 'done'),
	('assembling', 'failed'),
	('done', 'expired');

CREATE TABLE part_states (
	state text PRIMARY KEY,
	ended boolean NOT NULL
);
INSERT INTO part_states (state, ended) VALUES
	('assigned', false),
	('running', false),
	('done', true),
	('failed', true),
	('lost', true);

CREATE TABLE part_moves (
	from_state text NOT NULL REFERENCES part_states,
	to_state text NOT NULL REFERENCES part_states,
	PRIMARY KEY (from_state, to_state)
);
INSERT INTO part_moves (from_state, to_state) VALUES
	('assigned', 'running'),
	('assigned', 'done'),
	('assigned', 'failed'),
	('assigned', 'lost'),
	('running', 'done'),
	('running', 'failed'),
	('running', 'lost');

CREATE TABLE permissions (
	permission text PRIMARY KEY,
	bit integer NOT NULL UNIQUE
);
INSERT INTO permissions (permission, bit) VALUES
	('read', 1),
	('download', 2),
	('collect', 4),
	('admin', 8);

CREATE TABLE role_permissions (
	role text NOT NULL,
	permission text NOT NULL REFERENCES permissions,
	PRIMARY KEY (role, permission)
);
INSERT INTO role_permissions (role, permission) VALUES
	('reader', 'read'),
	('reader', 'download'),
	('collector', 'read'),
	('collector', 'download'),
	('collector', 'collect'),
	('admin', 'read'),
	('admin', 'download'),
	('admin', 'collect'),
	('admin', 'admin');

-- The lowest id (UUIDv7, RFC 9562 section 5.7) that a clock can give at that moment: the time in
-- milliseconds is its first 48 bits. Bounds of partitions and of searches by time.
CREATE FUNCTION uuid_floor(p_at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
	SELECT (lpad(to_hex(floor(extract(epoch FROM p_at) * 1000)::bigint), 12, '0')
		|| '00000000000000000000')::uuid
$$;

-- An id as everything outside the database writes it: 32 lower-case hex characters.
CREATE FUNCTION id_text(p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT replace(p_id::text, '-', '') $$;
