-- Roles, schemas and what PUBLIC loses. Run by a superuser, or by the owner of the database where the roles exist already.

DO $$
DECLARE
    role_name text;
    may_create boolean := (SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user);
BEGIN
    FOREACH role_name IN ARRAY ARRAY['waybill_owner', 'waybill_ingest', 'waybill_status', 'waybill_report', 'waybill_audit']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            IF NOT may_create THEN
                RAISE EXCEPTION 'role % does not exist and % may not create roles', role_name, current_user
                    USING HINT = 'Run waybill migrate once as a superuser.';
            END IF;
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;

    IF may_create THEN
        -- A report that runs away must not take the server with it.
        ALTER ROLE waybill_report CONNECTION LIMIT 20;
        ALTER ROLE waybill_audit CONNECTION LIMIT 10;
        ALTER ROLE waybill_report SET statement_timeout = '60s';
        ALTER ROLE waybill_audit SET statement_timeout = '60s';
        ALTER ROLE waybill_report SET default_transaction_read_only = on;
        ALTER ROLE waybill_audit SET default_transaction_read_only = on;
    END IF;

    -- A fresh role may otherwise make temporary tables, objects in public and large objects.
    EXECUTE pg_catalog.format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
    EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO waybill_ingest, waybill_status, waybill_report, waybill_audit',
                              pg_catalog.current_database());
    IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        EXECUTE pg_catalog.format('GRANT CREATE, TEMPORARY ON DATABASE %I TO waybill_owner', pg_catalog.current_database());
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        DECLARE
            large_object_function regprocedure;
        BEGIN
            FOR large_object_function IN
                SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
                WHERE p.pronamespace = 'pg_catalog'::regnamespace
                  AND (p.proname LIKE 'lo\_%' OR p.proname IN ('loread', 'lowrite'))
            LOOP
                EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', large_object_function);
            END LOOP;
        END;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS waybill_data AUTHORIZATION waybill_owner;
CREATE SCHEMA IF NOT EXISTS waybill AUTHORIZATION waybill_owner;
CREATE SCHEMA IF NOT EXISTS waybill_audit AUTHORIZATION waybill_owner;

SET LOCAL ROLE waybill_owner;

ALTER DEFAULT PRIVILEGES FOR ROLE waybill_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT USAGE ON SCHEMA waybill_data TO waybill_ingest, waybill_status;
GRANT USAGE ON SCHEMA waybill TO waybill_report, waybill_audit;
GRANT USAGE ON SCHEMA waybill_audit TO waybill_audit;

COMMENT ON SCHEMA waybill IS 'Orders, boxes and tracking events for reporting tools: read-only views without personal data.';
COMMENT ON SCHEMA waybill_audit IS 'Personal data and raw webhooks, for the role waybill_audit only.';

CREATE TABLE waybill_data.schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE waybill_data.schema_migrations IS 'The migrations that ran here, each once.';
