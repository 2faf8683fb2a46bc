CREATE OR REPLACE FUNCTION waybill_data.comparable_document(the_order uuid) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT (r.document::jsonb - 'version' - 'updated_at')::text FROM waybill_data.read_orders(ARRAY[the_order], true, true) r);
END
$$;
COMMENT ON FUNCTION waybill_data.comparable_document IS 'The document of an order without what says when it changed here: equal after any order of the same events.';
