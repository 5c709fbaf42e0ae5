// The worker process: stores each message in a transaction of its own, then emits it to the conversation's room.
//
//   REDIS_URL=… DATABASE_URL=… CONCURRENCY=50 node worker.js
import { Emitter } from '@socket.io/redis-emitter'
import { Worker } from 'bullmq'
import { QUEUE, openDatabase, openRedis } from './parts.js'
import { persist } from './persist.js'

const concurrency = Number(process.env.CONCURRENCY ?? 1)
const pool = await openDatabase(Math.max(2, Math.min(concurrency, 20)))
const emitter = new Emitter(openRedis())

async function work(job) {
  if (job.name !== 'sendMessage') throw new Error(`no handler for ${job.name}`)
  const message = await persist(pool, job.data)
  emitter.to(job.data.conversationId).emit('newMessage', message)
}

const worker = new Worker(QUEUE, work, { connection: openRedis(), concurrency })
worker.on('failed', (_job, error) => console.error(error))
worker.on('error', (error) => console.error(error))
await worker.waitUntilReady()
console.log('ready')
