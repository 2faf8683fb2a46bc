-- Roles, schemas and what PUBLIC loses. A superuser runs it, or the owner of the database where the roles exist already. It is all ASCII, so that a database of
-- another encoding than UTF8 can read the reason why it is refused.

DO $$
DECLARE
    encoding CONSTANT text := pg_catalog.current_setting('server_encoding');
    database CONSTANT text := pg_catalog.current_database();
    is_superuser CONSTANT boolean := (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user);
    may_create_roles CONSTANT boolean := (SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user);
    role_name text;
    setting text;
    function regprocedure;
BEGIN
    IF encoding <> 'UTF8' THEN
        RAISE EXCEPTION 'database % has the encoding %, not UTF8', database, encoding
            USING HINT = 'Make another one: CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0', ERRCODE = 'feature_not_supported';
    END IF;

    FOREACH role_name IN ARRAY ARRAY['waybill_owner', 'waybill_ingest', 'waybill_status', 'waybill_report', 'waybill_audit'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            IF NOT may_create_roles THEN
                RAISE EXCEPTION 'role % does not exist and % may not create roles', role_name, current_user
                    USING HINT = 'Run waybill migrate once as a superuser.';
            END IF;
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;

    -- What holds a report back, so that one that runs away does not take the server with it. PostgreSQL lets a role change its own defaults; the number of
    -- connections and, for a superuser set them, the bytes of temporary files are out of its reach. docs/reporting.md says what else holds.
    IF may_create_roles THEN
        ALTER ROLE waybill_report CONNECTION LIMIT 20;
        ALTER ROLE waybill_audit CONNECTION LIMIT 10;
        FOREACH role_name IN ARRAY ARRAY['waybill_report', 'waybill_audit'] LOOP
            FOREACH setting IN ARRAY ARRAY[
                'default_transaction_read_only = on',
                'statement_timeout = ''60s''',
                -- An old snapshot keeps dead rows alive, which writers then drag along.
                'idle_in_transaction_session_timeout = ''60s''',
                -- Reports wait for nothing but migrations.
                'lock_timeout = ''5s''',
                -- One report, one processor; and this much memory for each sort or hash of it.
                'max_parallel_workers_per_gather = 0',
                'work_mem = ''16MB''',
                -- A disk that is full of sorts takes no webhooks.
                CASE WHEN is_superuser THEN 'temp_file_limit = ''1GB''' END]
            LOOP
                CONTINUE WHEN setting IS NULL;
                EXECUTE pg_catalog.format('ALTER ROLE %I SET %s', role_name, setting);
            END LOOP;
        END LOOP;
    END IF;

    -- A fresh role may otherwise make temporary tables and objects in public, fill the disk with large objects, and write into the write-ahead log.
    EXECUTE pg_catalog.format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', database);
    EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO waybill_ingest, waybill_status, waybill_report, waybill_audit', database);
    IF is_superuser THEN
        EXECUTE pg_catalog.format('GRANT CREATE, TEMPORARY ON DATABASE %I TO waybill_owner', database);
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        FOR function IN
            SELECT p.oid FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace
              AND (p.proname LIKE 'lo\_%' OR p.proname IN ('loread', 'lowrite', 'pg_logical_emit_message'))
        LOOP
            EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
        END LOOP;
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

-- What waybill migrate has done here (src/engine/store_migrate.c).
CREATE TABLE waybill_data.schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE waybill_data.schema_migrations IS 'The migrations that ran here, each once.';
CREATE TABLE waybill_data.schema_files (
    name text COLLATE "C" PRIMARY KEY,
    digest bytea NOT NULL,
    functions text[] COLLATE "C" NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE waybill_data.schema_files IS 'The files of functions and views as they ran here last.';
COMMENT ON COLUMN waybill_data.schema_files.digest IS 'SHA-256 of the file.';
COMMENT ON COLUMN waybill_data.schema_files.functions IS 'The functions that it defined, with their signatures: what no file defines is dropped.';
