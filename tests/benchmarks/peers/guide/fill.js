// Fills the queue by addBulk, 1000 jobs at a time, and prints how long that took as one line of JSON.
//
//   REDIS_URL=… node fill.js MESSAGES CONVERSATIONS     made-up messages
//   REDIS_URL=… node fill.js FILE.jsonl.gz              a message for each line
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { Queue } from 'bullmq'
import { JOB_OPTIONS, QUEUE, openRedis } from './parts.js'

const AT_ONCE = 1000

async function* madeUp(messages, conversations) {
  for (let number = 0; number < messages; number++) {
    const messageData = { senderId: 'alice', content: `hello ${number}` }
    yield { conversationId: `c${number % conversations}`, messageData }
  }
}

async function* fromFile(path) {
  for await (const line of createInterface({ input: createReadStream(path).pipe(createGunzip()) })) {
    const { conversationId, ...messageData } = JSON.parse(line)
    yield { conversationId, messageData }
  }
}

const [first, conversations] = process.argv.slice(2)
const source = conversations ? madeUp(Number(first), Number(conversations)) : fromFile(first)
const redis = openRedis()
const queue = new Queue(QUEUE, { connection: redis })

let jobs = []
let count = 0
async function flush() {
  await queue.addBulk(jobs)
  count += jobs.length
  jobs = []
}

const began = performance.now()
for await (const data of source) {
  jobs.push({ name: 'sendMessage', data, opts: JOB_OPTIONS })
  if (jobs.length === AT_ONCE) await flush()
}
if (jobs.length) await flush()
console.log(JSON.stringify({ jobs: count, seconds: (performance.now() - began) / 1000 }))
await queue.close()
await redis.quit()
