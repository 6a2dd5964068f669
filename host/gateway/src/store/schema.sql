-- The message is the outbox row: one table, one truth. Numbers are in `number` and `address`, a body is in
-- `draft`. Beside this table, `inbound`, `opt_out`, `phone`, `task` and the ledger's private parts hold
-- numbers or bodies, and `write_back` holds values.
CREATE TABLE message (
    id TEXT PRIMARY KEY,
    occasion TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    purpose TEXT NOT NULL,
    record TEXT,
    survey TEXT,
    wording TEXT,
    number TEXT,
    cause TEXT,
    depth INTEGER NOT NULL,
    due INTEGER NOT NULL,
    not_after INTEGER,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    method TEXT,
    address TEXT,
    draft TEXT,
    sid TEXT,
    provider_status TEXT,
    error_code INTEGER,
    reason TEXT,
    attempts TEXT NOT NULL,
    submitted INTEGER,
    changed INTEGER NOT NULL
) STRICT;
-- What must be looked at now, and nothing else, is in this index.
CREATE INDEX message_look_at ON message (look_at, id)
    WHERE state IN ('planned', 'deferred', 'due', 'claimed', 'submitting');
CREATE INDEX message_address ON message (address, changed);
CREATE INDEX message_record ON message (project, record, changed);
CREATE UNIQUE INDEX message_sid ON message (sid) WHERE sid IS NOT NULL;

-- Inbound messages are taken in once, for ever, by Twilio's id.
CREATE TABLE inbound (
    sid TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    number TEXT NOT NULL,
    body TEXT NOT NULL,
    provider TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    intent TEXT
) STRICT;
CREATE INDEX inbound_new ON inbound (at, sid) WHERE state = 'new';
CREATE INDEX inbound_number ON inbound (number) WHERE state = 'new';

-- An opt-out belongs to the number, so to every record that holds it. `project` is '' for the institution.
CREATE TABLE opt_out (
    number TEXT NOT NULL,
    channel TEXT NOT NULL,
    project TEXT NOT NULL,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    cause TEXT,
    ended INTEGER,
    PRIMARY KEY (number, channel, project, at)
) STRICT;

-- Which records hold which number, as last read from REDCap.
CREATE TABLE phone (
    project TEXT NOT NULL,
    record TEXT NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (project, record)
) STRICT;
CREATE INDEX phone_number ON phone (number);

-- What policies and the gateway ask to be written to REDCap. Keyed by its cause, so it is done once.
CREATE TABLE write_back (
    id TEXT PRIMARY KEY,
    cause TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    record TEXT NOT NULL,
    event TEXT,
    field_values TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    error TEXT
) STRICT;
CREATE INDEX write_back_look_at ON write_back (look_at, id) WHERE state = 'new';

-- What waits for a person. An open task about a number keeps it from being texted.
CREATE TABLE task (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    cause TEXT NOT NULL UNIQUE,
    number TEXT,
    sentence TEXT NOT NULL,
    at INTEGER NOT NULL,
    resolved INTEGER,
    resolution TEXT
) STRICT;
CREATE INDEX task_number ON task (number) WHERE resolved IS NULL;

-- Projects that the operator stopped, and why. '' stops them all.
CREATE TABLE stop (project TEXT PRIMARY KEY, at INTEGER NOT NULL, why TEXT NOT NULL) STRICT;

-- Figures that outlive a restart: rejected signatures.
CREATE TABLE figure (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;

-- Append-only. A row commits to its private part by an HMAC under a key of its own, so the private part and
-- the key can be destroyed and the chain still holds.
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    public TEXT NOT NULL,
    commitment BLOB,
    key BLOB,
    private BLOB,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX ledger_subject ON ledger (subject, seq);
CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE OF seq, at, kind, subject, public, commitment, hash ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
