-- name: account_names
-- A page of accounts in order of their ids; :account_ids NULL means all.
SELECT id, email, bank_name
FROM email_accounts
WHERE id > :after
  AND (CAST(:account_ids AS bigint[]) IS NULL OR id = ANY(CAST(:account_ids AS bigint[])))
ORDER BY id
LIMIT :count;
