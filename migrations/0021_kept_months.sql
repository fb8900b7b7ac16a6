-- The month that is running and the one before it are dropped by nobody: partition_drop takes its caller's word for how long rows are
-- kept, and with 0 or less the assembler's role could drop the audit of today.

-- As before, but for that.
CREATE OR REPLACE FUNCTION partitions_old(p_history integer, p_audit integer) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
	SELECT c.relname::text
	FROM pg_inherits i
	JOIN pg_class c ON c.oid = i.inhrelid
	JOIN pg_class parent ON parent.oid = i.inhparent
	WHERE parent.relname = ANY (partition_parents())
		AND parent.relnamespace = 'public'::regnamespace
		AND c.relname ~ ('^' || parent.relname || '_[0-9]{6}$')
		AND right(c.relname, 6) < to_char((now() AT TIME ZONE 'UTC') - make_interval(months =>
			greatest(1, CASE parent.relname WHEN 'audit_events' THEN p_audit ELSE p_history END)), 'YYYYMM')
	ORDER BY right(c.relname, 6), c.relname
$$;
