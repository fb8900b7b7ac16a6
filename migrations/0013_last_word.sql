-- A part's end is the last word of the process that ran it. While it runs, the greater value of a counter is the newer one, because messages may come late. But a chunk that
-- the host's spool had no room for was captured first, and perhaps said so; at the end it is dropped_spool, and was in both for ever.

-- As before, but for captured and bytes.
CREATE OR REPLACE FUNCTION edge_flush(
	p_replica uuid, p_gap_s integer,
	p_seen_sampler uuid[], p_seen_age_us bigint[], p_seen_host text[], p_seen_software text[],
	p_seen_interfaces text[],
	p_account uuid[], p_pcap uuid[], p_sampler uuid[], p_boot uuid[], p_state text[],
	p_reason text[], p_error text[], p_started timestamptz[], p_ended timestamptz[],
	p_clock_offset_us bigint[], p_chunks integer[],
	p_observed bigint[], p_accepted bigint[], p_delivered bigint[], p_matched bigint[],
	p_selected bigint[], p_captured bigint[], p_bytes bigint[], p_dropped_kernel bigint[],
	p_dropped_interface bigint[], p_dropped_spool bigint[], p_dropped_limit bigint[])
RETURNS TABLE (account_id uuid, pcap_id uuid, captured bigint, stop boolean, ended boolean)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
	PERFORM replica_heartbeat(p_replica, p_gap_s);
	PERFORM samplers_seen(p_seen_sampler, p_seen_age_us, p_seen_host, p_seen_software,
		p_seen_interfaces);
	IF cardinality(p_pcap) = 0 THEN
		RETURN;
	END IF;
	PERFORM jobs_lock(p_account, p_pcap);
	UPDATE pcap_parts x SET
		state = said.state,
		reason = said.reason,
		error = said.error,
		boot = coalesce(x.boot, said.boot),
		started = coalesce(x.started, said.started),
		ended = coalesce(said.ended, x.ended),
		clock_offset_us = said.clock_offset_us,
		chunks_stored = greatest(x.chunks_stored, said.chunks),
		observed = greatest(x.observed, said.observed),
		accepted = greatest(x.accepted, said.accepted),
		delivered = greatest(x.delivered, said.delivered),
		matched = greatest(x.matched, said.matched),
		selected = greatest(x.selected, said.selected),
		captured = CASE WHEN said.state = 'done' OR said.state = 'failed' AND x.boot = said.boot THEN said.captured
			ELSE greatest(x.captured, said.captured) END,
		bytes = CASE WHEN said.state = 'done' OR said.state = 'failed' AND x.boot = said.boot THEN said.bytes
			ELSE greatest(x.bytes, said.bytes) END,
		dropped_kernel = greatest(x.dropped_kernel, said.dropped_kernel),
		dropped_interface = greatest(x.dropped_interface, said.dropped_interface),
		dropped_spool = greatest(x.dropped_spool, said.dropped_spool),
		dropped_limit = greatest(x.dropped_limit, said.dropped_limit)
	FROM (
		SELECT DISTINCT ON (t.account_id, t.pcap_id, t.sampler_id) t.*
		FROM unnest(p_account, p_pcap, p_sampler, p_boot, p_state, p_reason, p_error, p_started,
				p_ended, p_clock_offset_us, p_chunks, p_observed, p_accepted, p_delivered,
				p_matched, p_selected, p_captured, p_bytes, p_dropped_kernel,
				p_dropped_interface, p_dropped_spool, p_dropped_limit)
			AS t(account_id, pcap_id, sampler_id, boot, state, reason, error, started, ended,
				clock_offset_us, chunks, observed, accepted, delivered, matched, selected,
				captured, bytes, dropped_kernel, dropped_interface, dropped_spool,
				dropped_limit)
		-- should one call name a part twice: the end, else the most
		ORDER BY t.account_id, t.pcap_id, t.sampler_id, t.state = 'running', t.captured DESC
	) AS said
	WHERE x.account_id = said.account_id AND x.pcap_id = said.pcap_id
		AND x.sampler_id = said.sampler_id
		AND x.state IN ('assigned', 'running')
		AND (x.boot IS NULL OR x.boot = said.boot OR said.state <> 'running');
	RETURN QUERY SELECT * FROM jobs_settle(p_account, p_pcap);
END
$$;
