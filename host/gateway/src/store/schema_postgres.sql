
-- The ledger is append-only: a row is never deleted, what it says is never changed, and it is sealed once.
-- Its private part may change, for it is sealed again under a newer key and destroyed at the end of retention.
CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$;
CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_is_not_emptied BEFORE TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE OF id, at, kind, subject, public, commitment ON ledger
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_is_sealed_once BEFORE UPDATE OF seq, hash ON ledger
    FOR EACH ROW WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION ledger_is_append_only();
