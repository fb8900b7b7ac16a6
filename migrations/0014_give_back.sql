-- An assembler that is stopped in good order gives its jobs back: that is no try, however often it happens. Available at once.
-- False when another has taken over.
CREATE FUNCTION job_give_back(p_account uuid, p_id uuid, p_fence bigint, p_message text)
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE pcaps SET stage = 'ready', last_error = p_message, attempts = attempts - 1,
		claim_at = clock_timestamp()
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'assembling';
	RETURN FOUND OR EXISTS (SELECT FROM pcaps
		WHERE account_id = p_account AND id = p_id AND fence = p_fence AND stage = 'ready');
END
$$;
