// What the guide's processes have in common: where Redis and Postgres are, the queue's name, the tables.
import { Redis } from 'ioredis'
import pg from 'pg'

export const QUEUE = 'messages'

// How a BullMQ application of this kind configures its jobs: some attempts, backoff, no results kept.
export const JOB_OPTIONS = { attempts: 3, backoff: { type: 'exponential', delay: 1000 }, removeOnComplete: true }

function required(name) {
  const value = process.env[name]
  if (!value) {
    console.error(`${name} is not set`)
    process.exit(2)
  }
  return value
}

export const openRedis = () => new Redis(required('REDIS_URL'), { maxRetriesPerRequest: null })

export async function openDatabase(connections) {
  const pool = new pg.Pool({ connectionString: required('DATABASE_URL'), max: connections })
  // Two processes may start at once, and IF NOT EXISTS does not keep them apart.
  await pool.query(`
    BEGIN;
    SELECT pg_advisory_xact_lock(1);
    CREATE TABLE IF NOT EXISTS guide_conversations (
      id text PRIMARY KEY, last_message text, last_message_at timestamptz);
    CREATE TABLE IF NOT EXISTS guide_messages (
      id bigserial PRIMARY KEY, conversation_id text NOT NULL, sender_id text NOT NULL, content text NOT NULL,
      status text NOT NULL DEFAULT 'sent', created_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX IF NOT EXISTS guide_messages_by_conversation ON guide_messages (conversation_id, id);
    COMMIT;`)
  return pool
}
