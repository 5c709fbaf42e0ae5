-- A conversation with $events events, each of which is a new message. For SQLite and Postgres alike.

INSERT INTO conversations (id, last_seq, last_message, last_message_at, created_at)
VALUES ('$conversation', $events, 'hello $events', '$now', '$now');

INSERT INTO messages (id, conversation_id, seq, sender_id, content, created_at, persisted_at)
WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < $events)
SELECT '$prefix-0000-7000-8000-' || CAST(100000000000 + seq AS VARCHAR), '$conversation', seq, 'alice',
  'hello ' || seq, '$now', '$now'
FROM n;

INSERT INTO events (conversation_id, seq, type, message_id, job_id, payload, created_at)
SELECT conversation_id, seq, 'newMessage', id, id,
  '{"type":"newMessage","conversationId":"$conversation","seq":' || seq || ',"message":{"id":"' || id
    || '","conversationId":"$conversation","seq":' || seq || ',"senderId":"alice","clientMessageId":null,'
    || '"content":"' || content || '","metadata":null,"status":"sent","createdAt":"$now",'
    || '"persistedAt":"$now","editedAt":null,"deletedAt":null}}',
  '$now'
FROM messages WHERE conversation_id = '$conversation' ORDER BY seq;
