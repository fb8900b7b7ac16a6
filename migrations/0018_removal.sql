-- Taken by the removal of captures, which comes next.
SELECT 1;
