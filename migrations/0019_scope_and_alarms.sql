-- Two tenants share address space only when the operator says so; a sampler's lies are counted, kept and bounded.

-- ---- scope

-- shared: added although it overlapped another account's prefix (edgecap-admin --shared). What is not was alone when it was added.
ALTER TABLE account_prefixes ADD COLUMN shared boolean NOT NULL DEFAULT false;
CREATE INDEX account_prefixes_prefix ON account_prefixes (prefix);

-- When the account lost some of its scope last: packets that were captured before are out of scope now, and nobody lied.
ALTER TABLE accounts ADD COLUMN scope_narrowed_at timestamptz;

-- Other accounts' prefixes that overlap these: those that contain one, and of those that lie in one the first. By equality and by
-- order, which an index serves under row-level security too; the operator && is not leakproof, so a policy would have every row
-- read for each prefix. And not by reading all rows where statistics are old: one does for a few prefixes, and never ends for
-- thousands.
CREATE FUNCTION prefixes_met(p_account uuid, p_prefix cidr[])
RETURNS TABLE (prefix cidr, other_prefix cidr, other_id uuid)
LANGUAGE sql STABLE SET enable_seqscan = off
AS $$
	SELECT t.p, x.prefix, x.account_id
	FROM unnest(p_prefix) AS t(p)
	CROSS JOIN LATERAL generate_series(0, masklen(t.p)) AS l(bits)
	JOIN account_prefixes x ON x.prefix = set_masklen(t.p, l.bits) AND x.account_id <> p_account
	UNION ALL
	SELECT t.p, x.prefix, x.account_id
	FROM unnest(p_prefix) AS t(p)
	CROSS JOIN LATERAL (
		SELECT y.prefix, y.account_id FROM account_prefixes y
		WHERE y.prefix > t.p
			AND y.prefix <= set_masklen(broadcast(t.p), CASE family(t.p) WHEN 4 THEN 32 ELSE 128 END)
			AND y.account_id <> p_account
		ORDER BY y.prefix LIMIT 1) AS x
$$;

-- The first overlap of new prefixes of an account with another's, or no row. Who has asked is alone until the end of the
-- transaction: what two admins add at one moment is judged one after the other. SECURITY DEFINER: all accounts' prefixes are looked
-- at.
CREATE FUNCTION prefixes_overlap(p_account uuid, p_prefix cidr[])
RETURNS TABLE (prefix cidr, other_prefix cidr, other_id uuid, other_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	PERFORM pg_advisory_xact_lock(hashtext('edgecap prefixes'));
	RETURN QUERY
		SELECT m.prefix, m.other_prefix, a.id, a.name
		FROM prefixes_met(p_account, ARRAY(
			SELECT t.p FROM unnest(p_prefix) AS t(p)
			WHERE NOT EXISTS (SELECT FROM account_prefixes own
				WHERE own.account_id = p_account AND own.prefix = t.p))) m
		JOIN accounts a ON a.id = m.other_id
		ORDER BY m.prefix, m.other_prefix, a.name LIMIT 1;
	PERFORM set_config('edgecap.scope', v_scope, true);
END
$$;

-- The rule, whoever inserts. It is judged after the lock is had, by a statement of its own, which sees what was committed before.
CREATE FUNCTION account_prefixes_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
	v_new record;
	v_found record;
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'prefixes are added in READ COMMITTED only' USING ERRCODE = 'EC001';
	END IF;
	PERFORM set_config('edgecap.scope', 'fleet', true);
	PERFORM pg_advisory_xact_lock(hashtext('edgecap prefixes'));
	FOR v_new IN
		SELECT n.account_id, array_agg(n.prefix) AS prefixes FROM added n WHERE NOT n.shared GROUP BY n.account_id
	LOOP
		SELECT m.prefix, m.other_prefix, a.name INTO v_found
			FROM prefixes_met(v_new.account_id, v_new.prefixes) m
			JOIN accounts a ON a.id = m.other_id
			ORDER BY m.prefix, m.other_prefix, a.name LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION 'prefix % overlaps % of account "%" and is not declared shared', v_found.prefix,
				v_found.other_prefix, v_found.name USING ERRCODE = 'EC001';
		END IF;
	END LOOP;
	PERFORM set_config('edgecap.scope', v_scope, true);
	RETURN NULL;
END
$$;

-- Overlaps that are there already stay, as if they had been declared.
UPDATE account_prefixes p SET shared = true
	FROM (SELECT x.account_id, m.prefix
		FROM (SELECT account_id, array_agg(prefix) AS prefixes FROM account_prefixes GROUP BY account_id) AS x
		CROSS JOIN LATERAL prefixes_met(x.account_id, x.prefixes) m) AS found
	WHERE p.account_id = found.account_id AND p.prefix = found.prefix;

CREATE TRIGGER account_prefixes_guard_insert AFTER INSERT ON account_prefixes
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION account_prefixes_guard();
CREATE TRIGGER account_prefixes_guard_update AFTER UPDATE ON account_prefixes
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION account_prefixes_guard();

CREATE FUNCTION account_scope_narrowed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
BEGIN
	IF TG_TABLE_NAME = 'accounts' THEN
		NEW.scope_narrowed_at := clock_timestamp();
		RETURN NEW;
	END IF;
	PERFORM set_config('edgecap.scope', 'fleet', true);
	UPDATE accounts a SET scope_narrowed_at = clock_timestamp()
		WHERE a.id IN (SELECT account_id FROM removed);
	PERFORM set_config('edgecap.scope', v_scope, true);
	RETURN NULL;
END
$$;
CREATE TRIGGER account_prefixes_removed AFTER DELETE ON account_prefixes
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION account_scope_narrowed();
CREATE TRIGGER accounts_restricted BEFORE UPDATE ON accounts
	FOR EACH ROW WHEN (OLD.unrestricted AND NOT NEW.unrestricted) EXECUTE FUNCTION account_scope_narrowed();

REVOKE ALL ON FUNCTION prefixes_met(uuid, cidr[]), prefixes_overlap(uuid, cidr[]), account_prefixes_guard(),
	account_scope_narrowed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prefixes_overlap(uuid, cidr[]) TO edgecap_admin;

-- ---- what a sampler was caught at

-- miscounted_at: it said of a part that it had captured more than was found. From then on its counters end no job, until the
-- operator trusts it again.
ALTER TABLE samplers ADD COLUMN miscounted_at timestamptz;

-- Sums since the sampler was registered, and where the last one was.
CREATE TABLE sampler_alarms (
	sampler_id uuid PRIMARY KEY REFERENCES samplers ON DELETE CASCADE,
	packets_out_of_scope bigint NOT NULL DEFAULT 0,
	parts_miscounted bigint NOT NULL DEFAULT 0,
	chunks_unusable bigint NOT NULL DEFAULT 0,
	last_at timestamptz NOT NULL,
	last_account_id uuid NOT NULL,
	last_pcap_id uuid NOT NULL
);

-- Seen as samplers are.
ALTER TABLE sampler_alarms ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY sampler_alarms_scope ON sampler_alarms USING (
	(SELECT current_setting('edgecap.scope', true)) IN ('fleet', 'auth', 'admin'));

-- For the API's /metrics: those that alarmed last, by name. SECURITY DEFINER: it tells no more than this.
CREATE FUNCTION samplers_alarmed(p_max integer)
RETURNS TABLE (name text, packets_out_of_scope bigint, parts_miscounted bigint, chunks_unusable bigint, trusted boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	RETURN QUERY
		SELECT s.name, a.packets_out_of_scope, a.parts_miscounted, a.chunks_unusable, s.miscounted_at IS NULL
		FROM (SELECT * FROM sampler_alarms ORDER BY last_at DESC, sampler_id LIMIT p_max) AS a
		JOIN samplers s ON s.id = a.sampler_id
		ORDER BY s.name;
	PERFORM set_config('edgecap.scope', v_scope, true);
END
$$;
REVOKE ALL ON FUNCTION samplers_alarmed(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION samplers_alarmed(integer) TO edgecap_api;

-- What an assembly caught its samplers at; called with the job's completion, in its transaction and before it, so that a call which
-- is repeated counts once: the job is not being assembled any more. SECURITY DEFINER: the assembler changes no sampler otherwise.
CREATE FUNCTION job_alarms(p_account uuid, p_id uuid, p_fence bigint, p_sampler uuid[],
	p_out_of_scope bigint[], p_miscounted bigint[], p_unusable bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_scope text := coalesce(current_setting('edgecap.scope', true), '');
BEGIN
	PERFORM set_config('edgecap.scope', 'fleet', true);
	PERFORM FROM pcaps WHERE account_id = p_account AND id = p_id AND fence = p_fence
		AND stage = 'assembling' FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM set_config('edgecap.scope', v_scope, true);
		RETURN;
	END IF;
	INSERT INTO sampler_alarms AS s (sampler_id, packets_out_of_scope, parts_miscounted, chunks_unusable, last_at,
			last_account_id, last_pcap_id)
		SELECT t.id, t.out_of_scope, t.miscounted, t.unusable, clock_timestamp(), p_account, p_id
		FROM unnest(p_sampler, p_out_of_scope, p_miscounted, p_unusable) AS t(id, out_of_scope, miscounted, unusable)
		WHERE t.out_of_scope + t.miscounted + t.unusable > 0
			AND EXISTS (SELECT FROM samplers x WHERE x.id = t.id)
		ORDER BY t.id
	ON CONFLICT (sampler_id) DO UPDATE SET
		packets_out_of_scope = s.packets_out_of_scope + excluded.packets_out_of_scope,
		parts_miscounted = s.parts_miscounted + excluded.parts_miscounted,
		chunks_unusable = s.chunks_unusable + excluded.chunks_unusable,
		last_at = excluded.last_at, last_account_id = excluded.last_account_id,
		last_pcap_id = excluded.last_pcap_id;
	PERFORM FROM samplers s JOIN unnest(p_sampler, p_miscounted) AS t(id, miscounted) ON s.id = t.id
		WHERE t.miscounted > 0 ORDER BY s.id FOR NO KEY UPDATE OF s;
	UPDATE samplers s SET miscounted_at = coalesce(s.miscounted_at, clock_timestamp())
		FROM unnest(p_sampler, p_miscounted) AS t(id, miscounted)
		WHERE s.id = t.id AND t.miscounted > 0;
	PERFORM set_config('edgecap.scope', v_scope, true);
END
$$;
REVOKE ALL ON FUNCTION job_alarms(uuid, uuid, bigint, uuid[], bigint[], bigint[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION job_alarms(uuid, uuid, bigint, uuid[], bigint[], bigint[], bigint[]) TO edgecap_assembler;

-- What counts toward the job's budget: of captured and bytes, what samplers said that were not caught at a wrong count.
ALTER TABLE pcaps
	ADD COLUMN budget_packets bigint NOT NULL DEFAULT 0,
	ADD COLUMN budget_bytes bigint NOT NULL DEFAULT 0;
UPDATE pcaps SET budget_packets = captured, budget_bytes = bytes WHERE stage = 'capturing';

-- A sum of what hosts said, which may be absurd: no host's number makes another's report fail.
CREATE FUNCTION counter_sum(p_sum numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT least(p_sum, 9007199254740992)::bigint $$;

-- As before, but for the budget (budget_packets, budget_bytes) and for sums that are capped.
CREATE OR REPLACE FUNCTION jobs_settle(p_account uuid[], p_pcap uuid[])
RETURNS TABLE (account_id uuid, pcap_id uuid, captured bigint, stop boolean, ended boolean)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
	v_job record;
BEGIN
	FOR v_job IN
		WITH asked AS (
			SELECT DISTINCT t.a, t.i FROM unnest(p_account, p_pcap) AS t(a, i)
		), job AS (
			SELECT p.account_id, p.id, p.stage, p.captured, p.stop_requested,
				budget_reached(p.budget_packets, p.packet_limit, p.budget_bytes, p.byte_limit) AS reached
			FROM asked JOIN pcaps p ON p.account_id = asked.a AND p.id = asked.i
		), total AS (
			SELECT x.account_id, x.pcap_id,
				count(*) FILTER (WHERE x.state = 'assigned') AS assigned,
				count(*) FILTER (WHERE x.state = 'running') AS running,
				count(*) FILTER (WHERE x.state = 'done') AS done,
				count(*) FILTER (WHERE x.state = 'failed') AS failed,
				count(*) FILTER (WHERE x.state = 'lost') AS lost,
				counter_sum(sum(x.observed)) AS observed,
				counter_sum(sum(x.accepted)) AS accepted,
				counter_sum(sum(x.delivered)) AS delivered,
				counter_sum(sum(x.matched)) AS matched,
				counter_sum(sum(x.selected)) AS selected,
				counter_sum(sum(x.captured)) AS captured,
				counter_sum(sum(x.bytes)) AS bytes,
				counter_sum(coalesce(sum(x.captured) FILTER (WHERE s.miscounted_at IS NULL), 0))
					AS budget_packets,
				counter_sum(coalesce(sum(x.bytes) FILTER (WHERE s.miscounted_at IS NULL), 0))
					AS budget_bytes,
				counter_sum(sum(x.dropped_kernel)) AS dropped_kernel,
				counter_sum(sum(x.dropped_interface)) AS dropped_interface,
				counter_sum(sum(x.dropped_spool)) AS dropped_spool,
				counter_sum(sum(x.dropped_limit)) AS dropped_limit
			FROM job JOIN pcap_parts x ON x.account_id = job.account_id AND x.pcap_id = job.id
			LEFT JOIN samplers s ON s.id = x.sampler_id
			WHERE job.stage = 'capturing'
			GROUP BY x.account_id, x.pcap_id
		), moved AS (
			UPDATE pcaps p SET
				parts_assigned = t.assigned, parts_running = t.running,
				parts_done = t.done, parts_failed = t.failed, parts_lost = t.lost,
				observed = t.observed, accepted = t.accepted, delivered = t.delivered,
				matched = t.matched, selected = t.selected, captured = t.captured,
				bytes = t.bytes, budget_packets = t.budget_packets, budget_bytes = t.budget_bytes,
				dropped_kernel = t.dropped_kernel,
				dropped_interface = t.dropped_interface,
				dropped_spool = t.dropped_spool, dropped_limit = t.dropped_limit,
				stage = CASE WHEN t.assigned + t.running = 0 THEN 'ready' ELSE p.stage END,
				claim_at = CASE WHEN t.assigned + t.running = 0 THEN clock_timestamp() END
			FROM total t
			WHERE p.account_id = t.account_id AND p.id = t.pcap_id AND p.stage = 'capturing'
			RETURNING p.account_id, p.id, p.captured, p.stage,
				budget_reached(p.budget_packets, p.packet_limit, p.budget_bytes, p.byte_limit) AS reached
		)
		SELECT asked.a, asked.i, coalesce(m.captured, j.captured, 0) AS captured,
			coalesce(j.stop_requested OR coalesce(m.reached, j.reached), true) AS stop,
			coalesce(coalesce(m.stage, j.stage) <> 'capturing', true) AS ended,
			m.stage = 'ready' AS became_ready,
			m.reached AND NOT j.reached AS reached
		FROM asked
		LEFT JOIN job j ON j.account_id = asked.a AND j.id = asked.i
		LEFT JOIN moved m ON m.account_id = asked.a AND m.id = asked.i
	LOOP
		IF v_job.became_ready THEN
			PERFORM pg_notify('edgecap_ready', id_text(v_job.a) || ' ' || id_text(v_job.i));
		ELSIF v_job.reached THEN
			PERFORM pg_notify('edgecap_job', id_text(v_job.a) || ' ' || id_text(v_job.i));
		END IF;
		account_id := v_job.a;
		pcap_id := v_job.i;
		captured := v_job.captured;
		stop := v_job.stop;
		ended := v_job.ended;
		RETURN NEXT;
	END LOOP;
END
$$;
