-- Monthly partitions: pcaps_202611 holds the ids of November 2026 (UTC). SECURITY DEFINER, because
-- the assembler makes and drops them without owning the tables.

CREATE FUNCTION partition_parents() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY['pcaps', 'pcap_parts', 'idempotency_keys', 'audit_events'] $$;

-- The month that a timestamp lies in, as its first moment in UTC.
CREATE FUNCTION month_floor(p_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT date_trunc('month', p_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' $$;

-- Make one month's partition of one table. ATTACH does not stop readers and writers of the parent,
-- as CREATE ... PARTITION OF would.
CREATE FUNCTION partition_make(p_parent text, p_month timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_from timestamptz := month_floor(p_month);
	v_to timestamptz := month_floor(v_from + interval '32 days');
	v_name text := p_parent || '_' || to_char(v_from AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
	IF p_parent <> ALL (partition_parents()) THEN
		RAISE EXCEPTION 'no partitioned table %', p_parent;
	END IF;
	IF to_regclass(v_name) IS NOT NULL THEN
		RETURN;
	END IF;
	-- room on each page, so that the counters are updated in place
	EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = 80)', v_name,
		p_parent);
	EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_parent,
		v_name, uuid_floor(v_from), uuid_floor(v_to));
END
$$;

-- Make the partitions of the last, this and the next p_ahead months. The last one too: the id's
-- clock is not the database's.
CREATE FUNCTION partitions_make(p_ahead integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_parent text;
	v_month integer;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('edgecap partitions'));
	FOREACH v_parent IN ARRAY partition_parents() LOOP
		FOR v_month IN -1 .. p_ahead LOOP
			PERFORM partition_make(v_parent,
				((now() AT TIME ZONE 'UTC') + make_interval(months => v_month))
				AT TIME ZONE 'UTC');
		END LOOP;
	END LOOP;
END
$$;

-- Names of the partitions that only hold ids older than p_history months before this one, oldest first.
CREATE FUNCTION partitions_old(p_history integer) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
	SELECT c.relname::text
	FROM pg_inherits i
	JOIN pg_class c ON c.oid = i.inhrelid
	JOIN pg_class parent ON parent.oid = i.inhparent
	WHERE parent.relname = ANY (partition_parents())
		AND parent.relnamespace = 'public'::regnamespace
		AND c.relname ~ ('^' || parent.relname || '_[0-9]{6}$')
		AND right(c.relname, 6) < to_char(
			(now() AT TIME ZONE 'UTC') - make_interval(months => p_history), 'YYYYMM')
	ORDER BY right(c.relname, 6), c.relname
$$;

-- Drop one of partitions_old. False when the month still has a job whose files or chunks are in the
-- store: they could never be found again. One table in a transaction, and it waits for a second at
-- the most, so that a long reader does not hold up everybody else behind the lock.
CREATE FUNCTION partition_drop(p_name text, p_history integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
	v_jobs text := 'pcaps_' || right(p_name, 6);
	v_kept boolean := false;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('edgecap partitions'));
	IF p_name NOT IN (SELECT partitions_old(p_history)) THEN
		RETURN false;
	END IF;
	IF to_regclass(v_jobs) IS NOT NULL THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE stage NOT IN (''failed'', ''expired'')
			OR NOT chunks_removed)', v_jobs) INTO v_kept;
	END IF;
	IF v_kept THEN
		RETURN false;
	END IF;
	PERFORM set_config('lock_timeout', '1s', true);
	EXECUTE format('DROP TABLE %I', p_name);
	RETURN true;
END
$$;
