-- The first version of the state. Never change a released migration: its checksum is recorded; add another one.
-- application_id spells "pool"; user_version is the number of the newest migration, read before anything is touched.
PRAGMA application_id = 1886351212;
PRAGMA user_version = 1;

-- One row per identity; `current` marks the one in use (an import can bring in another).
-- `serial` and `seq` are the last numbers given out.
CREATE TABLE lineages (
    lineage     TEXT    NOT NULL PRIMARY KEY,
    inventory   TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    created     INTEGER NOT NULL,
    current     INTEGER NOT NULL CHECK (current IN (0, 1)),
    serial      INTEGER NOT NULL DEFAULT 0,
    seq         INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX lineages_current ON lineages (current) WHERE current = 1;

-- What is recorded of each generation of each object; `body` is JSON of the version in `version`.
CREATE TABLE objects (
    lineage    TEXT    NOT NULL REFERENCES lineages (lineage),
    address    TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    tenant     TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    id         TEXT,
    serial     INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (lineage, address, generation)
) STRICT;
CREATE INDEX objects_tenant ON objects (lineage, tenant);

-- Saved plans; opaque bytes. `used_by` is set once, when a run begins.
CREATE TABLE plans (
    lineage TEXT    NOT NULL REFERENCES lineages (lineage),
    id      TEXT    NOT NULL,
    hash    TEXT    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used_by TEXT,
    bytes   BLOB    NOT NULL,
    PRIMARY KEY (lineage, id)
) STRICT;

CREATE TABLE runs (
    lineage   TEXT    NOT NULL REFERENCES lineages (lineage),
    id        TEXT    NOT NULL,
    plan      TEXT,
    command   TEXT    NOT NULL,
    holder    TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    audit     TEXT,
    demand    TEXT    NOT NULL,
    ended     INTEGER,
    outcome   TEXT,
    exit_code INTEGER,
    summary   TEXT,
    PRIMARY KEY (lineage, id)
) STRICT;
CREATE INDEX runs_unfinished ON runs (lineage, started) WHERE ended IS NULL;

-- The journal. `serial` is set on entries that changed an object.
CREATE TABLE journal (
    lineage    TEXT    NOT NULL REFERENCES lineages (lineage),
    seq        INTEGER NOT NULL,
    run        TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    step       INTEGER,
    address    TEXT,
    kind       TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    change     TEXT    CHECK (change IN ('put', 'remove', 'rename')),
    generation INTEGER,
    serial     INTEGER,
    PRIMARY KEY (lineage, seq)
) STRICT;
CREATE INDEX journal_run ON journal (lineage, run, seq);
CREATE TRIGGER journal_keeps_entries BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_keeps_contents BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- One row per scope, kept after release so that the epoch goes on rising. No id: nobody holds it.
CREATE TABLE leases (
    scope      TEXT    NOT NULL PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    id         TEXT,
    holder     TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    since_ms   INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
