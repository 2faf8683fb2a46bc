-- The body is parsed here and now, so it needs no search_path and can be inlined.
CREATE OR REPLACE FUNCTION waybill_data.instant(at timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
COMMENT ON FUNCTION waybill_data.instant IS 'RFC 3339 in UTC with milliseconds.';
