CREATE OR REPLACE VIEW waybill_audit.actions WITH (security_barrier) AS
SELECT a.action_id, a.started_at, a.ended_at, a.done, a.database_user, a.os_user, a.host, a.release, a.command, a.arguments, a.counts
FROM waybill_data.actions a;
GRANT SELECT ON waybill_audit.actions TO waybill_audit;

COMMENT ON VIEW waybill_audit.actions IS 'What administrators did with the command waybill: migrate, rebuild, replay, purge and the like.';
COMMENT ON COLUMN waybill_audit.actions.action_id IS 'Number of the action.';
COMMENT ON COLUMN waybill_audit.actions.started_at IS 'When it began.';
COMMENT ON COLUMN waybill_audit.actions.ended_at IS 'When it ended; null while it runs, or where it was cut off.';
COMMENT ON COLUMN waybill_audit.actions.done IS 'Whether it came to its end; false where it failed.';
COMMENT ON COLUMN waybill_audit.actions.database_user IS 'The role that connected.';
COMMENT ON COLUMN waybill_audit.actions.os_user IS 'The user of the operating system, as the command says; behind sudo also the caller.';
COMMENT ON COLUMN waybill_audit.actions.host IS 'The host on which the command ran.';
COMMENT ON COLUMN waybill_audit.actions.release IS 'The release of the command.';
COMMENT ON COLUMN waybill_audit.actions.command IS 'The command: migrate, rebuild, replay, purge, …';
COMMENT ON COLUMN waybill_audit.actions.arguments IS 'What it was asked to do; never a connection string.';
COMMENT ON COLUMN waybill_audit.actions.counts IS 'How many: orders, deliveries and so on, by name.';
