-- name: capture_body
-- The body of every trigger function, around a query for the accounts and instants that a statement's significant
-- changes concern; nothing is touched when there are none. One row a UTC day, so that the local day is exact in
-- whatever zone the log is read. Dates that clients can't represent are moved to the first or last they can.
DECLARE
    problem text;
BEGIN
    IF EXISTS (SELECT FROM ({changed}) AS changed) THEN
        INSERT INTO metrics.expense_changes (account_id, grain, first_at, last_at, operation)
        SELECT
            account_id,
            grain,
            greatest(least(min(first_at), '9999-12-30 00:00+00'), '0001-01-02 00:00+00'),
            greatest(least(max(last_at), '9999-12-30 00:00+00'), '0001-01-02 00:00+00'),
            {operation}
        FROM ({changed}) AS changed
        GROUP BY account_id, grain, date_bin('1 day', first_at, '2000-01-01 00:00+00');
    END IF;
    RETURN NULL;
EXCEPTION
    -- Serializable transactions are promised to see this, and to try again.
    WHEN serialization_failure THEN
        RAISE;
    -- Whatever else went wrong, the write it belongs to succeeds. A cancelled query is not among `others`.
    WHEN others THEN
        GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
        BEGIN
            -- Held until the transaction ends: before that, nobody else can find what was missed.
            PERFORM pg_advisory_xact_lock_shared({lock_class}, {lock_id});
            PERFORM nextval('metrics.missed_changes');
        EXCEPTION
            WHEN others THEN
                problem := format('%s; it could not be counted either: %s', problem, SQLERRM);
        END;
        RAISE WARNING 'metrics_pipeline could not log this % of %: %', TG_OP, TG_TABLE_NAME, problem
            USING HINT = 'The write itself succeeded. Run metrics-pipeline check.';
        RETURN NULL;
END

-- name: capture_function
-- What the writer's search_path or rights are does not matter. A locked log is not waited for.
CREATE OR REPLACE FUNCTION metrics.{function}() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, metrics, pg_temp
SET lock_timeout = '200ms'
AS {body};
-- It writes with its owner's rights: nobody else may attach it to a table of theirs.
REVOKE ALL ON FUNCTION metrics.{function}() FROM PUBLIC;

-- name: capture_trigger
-- Also enables a trigger that was disabled.
CREATE OR REPLACE TRIGGER {trigger}
AFTER {operation} ON {table} {transition_tables}
FOR EACH STATEMENT EXECUTE FUNCTION metrics.{function}();

-- name: written_expenses
-- Expenses inserted or deleted. Those that are soft-deleted never counted, those without an account are nobody's.
SELECT side.email_account_id::bigint AS account_id, NULL::text AS grain, {moment} AS first_at, {moment} AS last_at
FROM (SELECT * FROM changed_rows WHERE {counts}) AS side
WHERE side.email_account_id IS NOT NULL

-- name: updated_expenses
-- Where expenses were and where they are now. An image that is soft-deleted is as good as absent. A full join,
-- because it is never a nested loop: the plan of a session's first, small statement is kept for its large ones.
SELECT side.email_account_id::bigint AS account_id, NULL::text AS grain, {moment} AS first_at, {moment} AS last_at
FROM (SELECT * FROM old_rows WHERE {counts}) AS was
FULL JOIN (SELECT * FROM new_rows WHERE {counts}) AS became ON became.id = was.id
CROSS JOIN LATERAL (
    VALUES (was.email_account_id, was.transaction_date), (became.email_account_id, became.transaction_date)
) AS side (email_account_id, transaction_date)
WHERE ROW({was}) IS DISTINCT FROM ROW({became})
  AND side.email_account_id IS NOT NULL

-- name: budget_changes
-- The validity of budgets, with a day on either side: in some zone it begins or ends that much apart from UTC.
SELECT
    budget.email_account_id::bigint AS account_id,
    CASE budget.period::text
        WHEN 'daily' THEN 'day' WHEN 'weekly' THEN 'week' WHEN 'monthly' THEN 'month' WHEN 'yearly' THEN 'year'
    END AS grain,
    (greatest(least(budget.start_date::date, '9999-12-29'), '0001-01-02') - 1)::timestamp AT TIME ZONE 'UTC'
        AS first_at,
    (greatest(least(budget.end_date::date, '9999-12-29'), '0001-01-02') + 1)::timestamp AT TIME ZONE 'UTC'
        AS last_at
FROM ({budgets}) AS budget
WHERE budget.email_account_id IS NOT NULL

-- name: written_budgets
-- Budgets inserted or deleted. Inactive ones never counted.
SELECT * FROM changed_rows WHERE {counts}

-- name: updated_budgets
-- Budgets as they were and as they are now.
SELECT side.email_account_id, side.period, side.start_date, side.end_date
FROM (SELECT * FROM old_rows WHERE {counts}) AS was
FULL JOIN (SELECT * FROM new_rows WHERE {counts}) AS became ON became.id = was.id
CROSS JOIN LATERAL (
    VALUES
        (was.email_account_id, was.period, was.start_date, was.end_date),
        (became.email_account_id, became.period, became.start_date, became.end_date)
) AS side (email_account_id, period, start_date, end_date)
WHERE ROW({was}) IS DISTINCT FROM ROW({became})

-- name: budgets_of_written_links
-- The budgets whose categories were added or taken away. One that is gone was logged when it went.
SELECT budget.*
FROM (SELECT * FROM {budget_table} WHERE {budget_counts}) AS budget
JOIN (SELECT DISTINCT budget_id FROM changed_rows) AS link ON link.budget_id = budget.id

-- name: budgets_of_updated_links
-- The budgets that a link left and those that it joined.
SELECT budget.*
FROM (SELECT * FROM {budget_table} WHERE {budget_counts}) AS budget
JOIN (
    SELECT DISTINCT coalesce(was.budget_id, became.budget_id) AS budget_id
    FROM old_rows AS was
    FULL JOIN new_rows AS became ON became.budget_id = was.budget_id AND became.category_id = was.category_id
    WHERE was.budget_id IS NULL OR became.budget_id IS NULL
) AS link ON link.budget_id = budget.id

-- name: updated_accounts
-- Accounts whose currency changed: it stands in each of their payloads, empty ones too.
SELECT
    side.id::bigint AS account_id,
    NULL::text AS grain,
    '-infinity'::timestamptz AS first_at,
    'infinity'::timestamptz AS last_at
FROM old_rows AS was
FULL JOIN new_rows AS became ON became.id = was.id
CROSS JOIN LATERAL (VALUES (was.id), (became.id)) AS side (id)
WHERE ROW({was}) IS DISTINCT FROM ROW({became})
  AND side.id IS NOT NULL

-- name: updated_categories
-- A category's name is in the payloads of everybody who spent on it. Who that is, is found when absorbing.
SELECT
    0::bigint AS account_id,
    NULL::text AS grain,
    timestamptz '-infinity' AS first_at,
    timestamptz 'infinity' AS last_at
FROM old_rows AS was
FULL JOIN new_rows AS became ON became.id = was.id
WHERE ROW({was}) IS DISTINCT FROM ROW({became})

-- name: deleted_categories
-- The same for a category that is gone.
SELECT
    0::bigint AS account_id,
    NULL::text AS grain,
    timestamptz '-infinity' AS first_at,
    timestamptz 'infinity' AS last_at
FROM changed_rows

-- name: truncated_table
-- Every account, always: which rows a TRUNCATE removes is not known afterwards.
SELECT
    0::bigint AS account_id,
    NULL::text AS grain,
    timestamptz '-infinity' AS first_at,
    timestamptz 'infinity' AS last_at

-- name: capture_tables
-- The relations that the product's own queries mean by these names, with the types of their columns.
SELECT
    wanted.name,
    relation.oid AS table_oid,
    namespace.nspname AS schema_name,
    relation.relname AS table_name,
    relation.relkind IN ('r', 'p') AS can_be_captured,
    coalesce(
        (
            SELECT json_object_agg(attname, format_type(atttypid, NULL))
            FROM pg_attribute
            WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
        ),
        '{}'
    ) AS columns
FROM unnest(CAST(:names AS text[])) AS wanted (name)
LEFT JOIN pg_class AS relation ON relation.oid = to_regclass(wanted.name)
LEFT JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace;

-- name: capture_functions
-- The trigger functions that are there.
SELECT function.proname AS name, function.prosrc AS body
FROM pg_proc AS function
JOIN pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE namespace.nspname = 'metrics'
  AND function.proname LIKE 'capture\_%'
  AND function.prorettype = CAST('trigger' AS regtype);

-- name: capture_triggers
-- The triggers that call them.
SELECT
    attached.tgrelid AS table_oid, attached.tgname AS name, attached.tgenabled::text AS enabled,
    function.proname AS function
FROM pg_trigger AS attached
JOIN pg_proc AS function ON function.oid = attached.tgfoid
JOIN pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE namespace.nspname = 'metrics' AND NOT attached.tgisinternal;

-- name: missing_log
-- What the functions write to and is not there.
SELECT name FROM unnest(ARRAY['metrics.expense_changes', 'metrics.missed_changes']) AS written (name)
WHERE to_regclass(name) IS NULL;

-- name: count_unwatched_changes
-- Changes made while triggers were absent were missed. With an empty store there is nothing that they made stale.
SELECT nextval('metrics.missed_changes') WHERE EXISTS (SELECT FROM metrics.period_metrics);

-- name: missed_changes
-- How often a change could not be logged.
SELECT coalesce(pg_sequence_last_value('metrics.missed_changes'), 0);

-- name: misses_in_flight
-- Whether a transaction is still open whose change could not be logged.
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = :lock_class
      AND objid = :lock_id
      AND objsubid = 2
);
