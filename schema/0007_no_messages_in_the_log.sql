-- Everybody may otherwise write into the write-ahead log, as much as the disk holds, without a privilege on anything. Needs a superuser, like the large
-- objects in 0001; an owner who is none leaves it as it is.

SET LOCAL ROLE NONE;

DO $$
DECLARE
    function regprocedure;
BEGIN
    IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        FOR function IN
            SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = 'pg_logical_emit_message'
        LOOP
            EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
        END LOOP;
    END IF;
END
$$;

SET LOCAL ROLE waybill_owner;
