-- The message is the outbox row: one table, one truth. What names a number or quotes a body is sealed; numbers
-- are found again by `recipient`, an HMAC under a key of the database's own. Instants are seconds.
CREATE TABLE message (
    id TEXT PRIMARY KEY,
    occasion TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    purpose TEXT NOT NULL,
    record TEXT,
    survey TEXT,
    wording TEXT,
    number BLOB,
    mailbox BLOB,
    schedule TEXT,
    origin TEXT,
    frozen BLOB,
    cause TEXT,
    depth INTEGER NOT NULL,
    due INTEGER NOT NULL,
    not_after INTEGER,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    method TEXT,
    recipient BLOB,
    draft BLOB,
    words BLOB,
    segments INTEGER NOT NULL,
    sender TEXT,
    sid TEXT,
    provider_status TEXT,
    error_code INTEGER,
    rule TEXT,
    reason TEXT,
    attempts TEXT NOT NULL,
    tries INTEGER NOT NULL,
    looks INTEGER NOT NULL,
    since INTEGER NOT NULL,
    submitted INTEGER,
    changed INTEGER NOT NULL,
    ended INTEGER,
    price INTEGER,
    currency TEXT,
    channel TEXT GENERATED ALWAYS AS (
        CASE method WHEN 'voice-call' THEN 'voice' WHEN 'voice-message' THEN 'voice' WHEN 'email' THEN 'email' ELSE 'sms' END
    ) VIRTUAL
) STRICT;
-- What must be looked at now, and nothing else, is in these indexes.
CREATE INDEX message_undecided ON message (project, look_at, id) WHERE state IN ('planned', 'deferred');
CREATE INDEX message_replies ON message (project, look_at, id)
    WHERE state IN ('planned', 'deferred') AND priority = 0;
CREATE INDEX message_due ON message (project, channel, priority, look_at, id) WHERE state IN ('due', 'claimed');
CREATE INDEX message_submitting ON message (project, look_at) WHERE state = 'submitting';
CREATE INDEX message_followed ON message (project, look_at)
    WHERE state IN ('accepted', 'sent', 'unknown') AND ended IS NULL;
CREATE INDEX message_in_doubt ON message (recipient) WHERE state IN ('submitting', 'unknown');
CREATE INDEX message_recipient ON message (recipient, submitted);
CREATE INDEX message_record ON message (project, record, id);
CREATE INDEX message_held ON message (project, rule, id) WHERE state = 'held';
CREATE INDEX message_ended ON message (project, ended, id) WHERE ended IS NOT NULL;
CREATE UNIQUE INDEX message_sid ON message (sid) WHERE sid IS NOT NULL;

-- Inbound messages are taken in once, for ever, by Twilio's id.
CREATE TABLE inbound (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    sender BLOB NOT NULL,
    number BLOB,
    body BLOB,
    provider TEXT NOT NULL,
    sent INTEGER NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    intent TEXT
) STRICT;
CREATE INDEX inbound_new ON inbound (at, seq) WHERE state = 'new';
CREATE INDEX inbound_unread ON inbound (sender) WHERE state = 'new';
CREATE INDEX inbound_sender ON inbound (sender, sent);

-- Up to which instant the inbound messages of a project were taken in, and when that was committed.
CREATE TABLE swept (project TEXT PRIMARY KEY, until INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;

-- An opt-out belongs to the number, so to every record that holds it. `project` is '' for the institution.
CREATE TABLE opt_out (
    id TEXT PRIMARY KEY,
    recipient BLOB NOT NULL,
    channel TEXT NOT NULL,
    project TEXT NOT NULL,
    at INTEGER NOT NULL,
    number BLOB NOT NULL,
    source TEXT NOT NULL,
    cause TEXT,
    ended INTEGER,
    UNIQUE (recipient, channel, project, at)
) STRICT;

-- Which records hold which number, as last read from REDCap.
CREATE TABLE phone (
    project TEXT NOT NULL,
    record TEXT NOT NULL,
    recipient BLOB NOT NULL,
    PRIMARY KEY (project, record)
) STRICT;
CREATE INDEX phone_recipient ON phone (recipient);

-- What policies and the gateway ask to be written to REDCap. Keyed by its cause, so it is done once.
CREATE TABLE write_back (
    id TEXT PRIMARY KEY,
    cause TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    record TEXT NOT NULL,
    event TEXT,
    field TEXT,
    field_values BLOB,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    error TEXT
) STRICT;
CREATE INDEX write_back_new ON write_back (project, look_at, id) WHERE state = 'new';

-- What waits for a person. An open task about a number keeps it from being texted.
CREATE TABLE task (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    cause TEXT NOT NULL UNIQUE,
    recipient BLOB,
    sentence TEXT NOT NULL,
    at INTEGER NOT NULL,
    resolved INTEGER,
    resolution TEXT
) STRICT;
CREATE INDEX task_recipient ON task (recipient) WHERE resolved IS NULL;
CREATE INDEX task_open ON task (at, id) WHERE resolved IS NULL;

-- What nothing is sent of, and why: '' is everything.
CREATE TABLE stop (
    scope TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT;

-- What Twilio still holds of ours: texts both ways and calls, until a fetch finds nothing any more.
CREATE TABLE copy (
    sid TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    message TEXT,
    recipient BLOB NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    gone INTEGER
) STRICT;
CREATE INDEX copy_due ON copy (project, look_at) WHERE state IN ('final', 'redacted');
CREATE INDEX copy_calls ON copy (at) WHERE kind = 'call';
CREATE INDEX copy_kept ON copy (project, kind, at) WHERE state <> 'gone';

-- Pieces of the work that one daemon does at a time. `fence` counts the holders.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

-- Figures that outlive a restart: rejected signatures.
CREATE TABLE figure (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;

-- The keys that seal, each under the institution's key.
CREATE TABLE data_key (id INTEGER PRIMARY KEY, under TEXT NOT NULL, wrapped BLOB NOT NULL) STRICT;

-- Append-only. A row commits to its private part by an HMAC under a key of its own, which is sealed beside it:
-- both can be destroyed and the chain still holds. A row is chained when it has a number and a hash.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seq INTEGER UNIQUE,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    public TEXT NOT NULL,
    commitment BLOB,
    private BLOB,
    hash BLOB
) STRICT;
CREATE INDEX ledger_subject ON ledger (subject, id);
CREATE INDEX ledger_unsealed ON ledger (id) WHERE seq IS NULL;
