// The one transaction of a message: its row, and the conversation's last message.
const INSERT = `INSERT INTO guide_messages (conversation_id, sender_id, content) VALUES ($1, $2, $3) RETURNING *`
const TOUCH = `
  INSERT INTO guide_conversations (id, last_message, last_message_at) VALUES ($1, $2, now())
  ON CONFLICT (id) DO UPDATE SET last_message = excluded.last_message, last_message_at = excluded.last_message_at`

export async function persist(pool, { conversationId, messageData }) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const { rows } = await client.query(INSERT, [conversationId, messageData.senderId, messageData.content])
    await client.query(TOUCH, [conversationId, messageData.content])
    await client.query('COMMIT')
    return rows[0]
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}
