-- Taken by the audit, which comes next.
SELECT 1;
