-- From version 2 to 3: what is due is found by its channel, however long the queue of another channel is.
ALTER TABLE message ADD COLUMN channel TEXT GENERATED ALWAYS AS (
        CASE method WHEN 'voice-call' THEN 'voice' WHEN 'voice-message' THEN 'voice' WHEN 'email' THEN 'email' ELSE 'sms' END
    ) VIRTUAL;
DROP INDEX message_due;
CREATE INDEX message_due ON message (project, channel, priority, look_at, id) WHERE state IN ('due', 'claimed');
