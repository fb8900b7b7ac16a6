-- Jobs and their parts, audit and idempotency keys: what grows with time. All four are partitioned
-- by the month of the capture's (or the event's) id, which is a UUIDv7, so that retention is a
-- dropped partition. There are no foreign keys between them for the same reason.

CREATE TABLE pcaps (
	account_id uuid NOT NULL,
	id uuid NOT NULL,
	-- the request
	type text NOT NULL,
	system text NOT NULL,
	time_limit_s integer NOT NULL CHECK (time_limit_s > 0),
	packet_limit integer NOT NULL CHECK (packet_limit > 0),
	filter json NOT NULL, -- filter_v1 as sent
	selection_method text NOT NULL,
	selection_interval bigint NOT NULL,
	selection_space bigint NOT NULL,
	selection_probability_ppb bigint NOT NULL,
	selection_secret bytea NOT NULL CHECK (octet_length(selection_secret) = 16),
	submitted timestamptz NOT NULL,
	deadline timestamptz NOT NULL, -- no part outlives it
	-- what became of it
	stage text NOT NULL CHECK (
		stage IN ('capturing', 'ready', 'assembling', 'done', 'failed', 'expired')),
	stop_requested boolean NOT NULL DEFAULT false,
	error_message text,
	warnings json NOT NULL DEFAULT '[]',
	stop_reason text NOT NULL DEFAULT '',
	completed timestamptz,
	expires timestamptz,
	-- sums over the parts
	parts_total integer NOT NULL,
	parts_assigned integer NOT NULL,
	parts_running integer NOT NULL DEFAULT 0,
	parts_done integer NOT NULL DEFAULT 0,
	parts_failed integer NOT NULL DEFAULT 0,
	parts_lost integer NOT NULL DEFAULT 0,
	observed bigint NOT NULL DEFAULT 0,
	accepted bigint NOT NULL DEFAULT 0,
	delivered bigint NOT NULL DEFAULT 0,
	matched bigint NOT NULL DEFAULT 0,
	selected bigint NOT NULL DEFAULT 0,
	captured bigint NOT NULL DEFAULT 0,
	bytes bigint NOT NULL DEFAULT 0,
	dropped_kernel bigint NOT NULL DEFAULT 0,
	dropped_interface bigint NOT NULL DEFAULT 0,
	dropped_spool bigint NOT NULL DEFAULT 0,
	dropped_limit bigint NOT NULL DEFAULT 0,
	-- the files
	packets_in_file bigint,
	packets_cut bigint NOT NULL DEFAULT 0,
	packets_rejected bigint NOT NULL DEFAULT 0,
	pcap_key text,
	pcapng_key text,
	pcap_bytes bigint,
	pcapng_bytes bigint,
	pcap_sha256 text,
	pcapng_sha256 text,
	chunks_removed boolean NOT NULL DEFAULT false,
	-- the assembler's lease; claim_at is when the job may be claimed (again)
	claim_at timestamptz,
	lease_owner uuid,
	lease_id uuid, -- of the claiming call
	fence bigint NOT NULL DEFAULT 0,
	attempts integer NOT NULL DEFAULT 0,
	last_error text,
	PRIMARY KEY (account_id, id)
) PARTITION BY RANGE (id);

-- Only what is not ended is in these, so they stay small beside millions of ended jobs.
CREATE INDEX pcaps_pending ON pcaps (account_id)
	WHERE stage IN ('capturing', 'ready', 'assembling');
CREATE INDEX pcaps_claim ON pcaps (claim_at) WHERE stage IN ('ready', 'assembling');
CREATE INDEX pcaps_lease ON pcaps (lease_id) WHERE stage = 'assembling';
CREATE INDEX pcaps_deadline ON pcaps (deadline) WHERE stage = 'capturing';
CREATE INDEX pcaps_expires ON pcaps (expires) WHERE stage = 'done';
CREATE INDEX pcaps_chunks ON pcaps (completed) WHERE stage IN ('done', 'failed') AND NOT chunks_removed;
-- A tenant's list, newest first; with what is needed to count it without reading the rows.
CREATE INDEX pcaps_list ON pcaps (account_id, submitted DESC, id DESC) INCLUDE (stage, type);

CREATE TABLE pcap_parts (
	account_id uuid NOT NULL,
	pcap_id uuid NOT NULL,
	sampler_id uuid NOT NULL,
	-- as they were at submission: the files must not depend on a later rename
	sampler_name text NOT NULL,
	colo text NOT NULL,
	software text NOT NULL,
	state text NOT NULL CHECK (state IN ('assigned', 'running', 'done', 'failed', 'lost')),
	reason text NOT NULL DEFAULT '',
	error text,
	boot uuid, -- the sampler's process that runs it
	started timestamptz, -- the host's clock, as is ended
	ended timestamptz,
	clock_offset_us bigint NOT NULL DEFAULT 0,
	observed bigint NOT NULL DEFAULT 0,
	accepted bigint NOT NULL DEFAULT 0,
	delivered bigint NOT NULL DEFAULT 0,
	matched bigint NOT NULL DEFAULT 0,
	selected bigint NOT NULL DEFAULT 0,
	captured bigint NOT NULL DEFAULT 0,
	bytes bigint NOT NULL DEFAULT 0,
	dropped_kernel bigint NOT NULL DEFAULT 0,
	dropped_interface bigint NOT NULL DEFAULT 0,
	dropped_spool bigint NOT NULL DEFAULT 0,
	dropped_limit bigint NOT NULL DEFAULT 0,
	chunks_stored integer NOT NULL DEFAULT 0, -- as the sampler said
	chunks_found integer NOT NULL DEFAULT 0,  -- as the assembler found
	packets_stored bigint NOT NULL DEFAULT 0, -- in those
	PRIMARY KEY (account_id, pcap_id, sampler_id)
) PARTITION BY RANGE (pcap_id);

CREATE INDEX pcap_parts_open ON pcap_parts (sampler_id) WHERE state IN ('assigned', 'running');

CREATE TABLE idempotency_keys (
	account_id uuid NOT NULL,
	key text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
	pcap_id uuid NOT NULL,
	body_sha256 bytea NOT NULL CHECK (octet_length(body_sha256) = 32),
	created_at timestamptz NOT NULL,
	PRIMARY KEY (account_id, key, pcap_id) -- one row a key while it lives: the account's row lock sees to it
) PARTITION BY RANGE (pcap_id);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE audit_events (
	account_id uuid NOT NULL,
	id uuid NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	actor_id uuid,
	actor text NOT NULL,
	source text NOT NULL,
	request_id text NOT NULL,
	action text NOT NULL,
	object_id uuid,
	result text NOT NULL,
	PRIMARY KEY (account_id, id)
) PARTITION BY RANGE (id);

-- Invariant: a job moves only along job_moves. A lease that is taken over is a move as well.
CREATE FUNCTION pcaps_guard() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.stage NOT IN ('capturing', 'ready') THEN
			RAISE EXCEPTION 'job %: cannot begin as %', id_text(NEW.id), NEW.stage
				USING ERRCODE = 'EC001';
		END IF;
		RETURN NEW;
	END IF;
	IF NOT EXISTS (
		SELECT FROM job_moves
		WHERE from_stage = OLD.stage AND to_stage = NEW.stage
	) OR NEW.fence < OLD.fence THEN
		RAISE EXCEPTION 'job %: no move from % (fence %) to % (fence %)', id_text(NEW.id),
			OLD.stage, OLD.fence, NEW.stage, NEW.fence
			USING ERRCODE = 'EC001';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER pcaps_guard_insert BEFORE INSERT ON pcaps
	FOR EACH ROW EXECUTE FUNCTION pcaps_guard();
CREATE TRIGGER pcaps_guard_update BEFORE UPDATE ON pcaps
	FOR EACH ROW WHEN (OLD.stage <> NEW.stage OR OLD.fence <> NEW.fence)
	EXECUTE FUNCTION pcaps_guard();

-- Invariant: a part moves only along part_moves, and an ended part does not change any more, except
-- for what the assembler found in its chunks.
CREATE FUNCTION pcap_parts_guard() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
	v_same pcap_parts;
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.state <> 'assigned' THEN
			RAISE EXCEPTION 'part of job %: cannot begin as %', id_text(NEW.pcap_id),
				NEW.state USING ERRCODE = 'EC001';
		END IF;
		RETURN NEW;
	END IF;
	IF OLD.state <> NEW.state THEN
		IF NOT EXISTS (
			SELECT FROM part_moves
			WHERE from_state = OLD.state AND to_state = NEW.state
		) THEN
			RAISE EXCEPTION 'part of job %: no move from % to %', id_text(NEW.pcap_id),
				OLD.state, NEW.state USING ERRCODE = 'EC001';
		END IF;
		RETURN NEW;
	END IF;
	v_same := NEW;
	v_same.packets_stored := OLD.packets_stored;
	v_same.chunks_found := OLD.chunks_found;
	IF v_same IS DISTINCT FROM OLD THEN
		RAISE EXCEPTION 'part of job %: it has ended (%) and cannot change',
			id_text(NEW.pcap_id), OLD.state USING ERRCODE = 'EC001';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER pcap_parts_guard_insert BEFORE INSERT ON pcap_parts
	FOR EACH ROW EXECUTE FUNCTION pcap_parts_guard();
-- Not fired by ordinary progress: that is most updates.
CREATE TRIGGER pcap_parts_guard_update BEFORE UPDATE ON pcap_parts
	FOR EACH ROW WHEN (OLD.state <> NEW.state OR OLD.state NOT IN ('assigned', 'running'))
	EXECUTE FUNCTION pcap_parts_guard();
