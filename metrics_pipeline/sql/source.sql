-- name: advance_identity
-- Ids handed out from now on are above :newest. Never goes back, and does nothing without a sequence.
SELECT setval(generator.sequence, :newest)
FROM (SELECT CAST(pg_get_serial_sequence(:table_name, 'id') AS regclass) AS sequence) AS generator
WHERE generator.sequence IS NOT NULL
  AND coalesce(pg_sequence_last_value(generator.sequence), 0) < :newest;

-- name: category_parents
-- The tree of categories.
SELECT id, parent_id FROM categories;

-- name: lock_sample
-- Two samples at once wait for each other.
SELECT pg_advisory_xact_lock(:lock);

-- name: tables_with_data
-- Which of the expense tables hold any row.
SELECT name
FROM (
    VALUES
        ('email_accounts', EXISTS (SELECT FROM email_accounts)),
        ('categories', EXISTS (SELECT FROM categories)),
        ('expenses', EXISTS (SELECT FROM expenses)),
        ('budgets', EXISTS (SELECT FROM budgets))
) AS filled (name, filled)
WHERE filled.filled;
