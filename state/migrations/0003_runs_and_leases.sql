-- Old entries of the journal go with their run, once that is marked; a lease has an expiry on a clock that nobody can set.
PRAGMA user_version = 3;

-- 1: its entries may be deleted, and are, bit by bit.
ALTER TABLE runs ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0 CHECK (pruned IN (0, 1));

DROP TRIGGER journal_keeps_entries;
CREATE TRIGGER journal_keeps_entries BEFORE DELETE ON journal
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE lineage = OLD.lineage AND id = OLD.run AND pruned = 1)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Milliseconds since the start of the computer that `boot` names; the wall clock counts where these say nothing.
ALTER TABLE leases ADD COLUMN boot TEXT;
ALTER TABLE leases ADD COLUMN expires_boot_ms INTEGER;
