-- From version 2 to 3: what is due is found by its channel, however long the queue of another channel is.
ALTER TABLE message ADD COLUMN channel TEXT;
UPDATE message SET channel = CASE WHEN method LIKE 'voice-%' THEN 'voice' WHEN method = 'email' THEN 'email' ELSE 'sms' END
    WHERE method IS NOT NULL;
DROP INDEX message_due;
CREATE INDEX message_due ON message (project, channel, priority, look_at, id) WHERE state IN ('due', 'claimed');
