CREATE OR REPLACE FUNCTION waybill_data.digest(personal text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(personal, 'UTF8')), 'hex');
COMMENT ON FUNCTION waybill_data.digest IS 'What waybill_ingest sees of a personal text: whether it is the same as another.';
