-- From version 3 to 4: where an occasion comes from, and its words as they were when it was scheduled.
ALTER TABLE message ADD COLUMN mailbox BLOB;
ALTER TABLE message ADD COLUMN schedule TEXT;
ALTER TABLE message ADD COLUMN origin TEXT;
ALTER TABLE message ADD COLUMN frozen BLOB;
CREATE INDEX message_held ON message (project, rule, id) WHERE state = 'held';
