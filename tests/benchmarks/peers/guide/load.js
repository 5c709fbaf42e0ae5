// The load client of both sides: posts messages over keep-alive connections and, if told how to listen, waits for
// each at a websocket of its conversation. Prints one line of JSON: rates a second, latencies in milliseconds.
//
//   node load.js URL --messages N [--warm-up N] [--connections 32] [--conversations 20] [--rate R]
//                [--listen socket.io|websocket]
//
// Without --rate each connection posts again as soon as it has its answer; with it, message k is posted k/R seconds
// after the first. The warm-up's messages are posted before, as fast as possible, and not counted.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Connection } from './http.js'
import { LISTENERS } from './listeners.js'

const PATIENCE_MS = 120_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: 'string' },
    'warm-up': { type: 'string', default: '0' },
    connections: { type: 'string', default: '32' },
    conversations: { type: 'string', default: '20' },
    rate: { type: 'string', default: '0' },
    listen: { type: 'string' },
  },
})
const [url] = positionals
const messages = Number(values.messages)
const warmUp = Number(values['warm-up'])
const connections = Number(values.connections)
const conversations = Number(values.conversations)
const rate = Number(values.rate)

// One round of messages: when each was sent, and how long its answer and its arrival took.
class Round {
  constructor(label, count) {
    Object.assign(this, { label, count, sent: [], accepted: [], delivered: [], next: 0 })
    this.complete = new Promise((resolve) => (this.resolve = resolve))
  }

  async post(rate) {
    this.began = performance.now()
    await Promise.all(pool.map((connection) => this.postOver(connection, rate)))
    this.acceptedAfter = performance.now() - this.began
  }

  async postOver(connection, rate) {
    while (this.next < this.count) {
      const number = this.next++
      if (rate) {
        const early = this.began + (number * 1000) / rate - performance.now()
        if (early > 0) await sleep(early)
      }
      const messageData = { senderId: 'alice', content: `${this.label} ${number}` }
      const body = JSON.stringify({ conversationId: `c${number % conversations}`, messageData })
      this.sent[number] = performance.now()
      const status = await connection.post('/api/messages', body)
      if (status !== 202) throw new Error(`answered with ${status}`)
      this.accepted.push(performance.now() - this.sent[number])
    }
  }

  arrived(number) {
    this.delivered.push(performance.now() - this.sent[number])
    if (this.delivered.length === this.count) {
      this.deliveredAfter = performance.now() - this.began
      this.resolve()
    }
  }
}

function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

function summary(name, latencies, elapsed) {
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    [`${name}_rate`]: (sorted.length / elapsed) * 1000,
    [`${name}_p50`]: quantile(sorted, 0.5),
    [`${name}_p99`]: quantile(sorted, 0.99),
  }
}

const rounds = {}
function onContent(content) {
  const [label, number] = content.split(' ')
  rounds[label]?.arrived(Number(number))
}

async function run(label, count, rate) {
  const round = (rounds[label] = new Round(label, count))
  await round.post(rate)
  if (values.listen) {
    const late = AbortSignal.timeout(PATIENCE_MS)
    await Promise.race([
      round.complete,
      new Promise((_, reject) =>
        late.addEventListener('abort', () =>
          reject(new Error(`${round.delivered.length} of ${count} messages arrived in ${PATIENCE_MS} ms`)),
        ),
      ),
    ])
  }
  return round
}

const pool = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)))
if (values.listen) {
  const listen = LISTENERS[values.listen]
  const ids = Array.from({ length: conversations }, (_, number) => `c${number}`)
  await Promise.all(ids.map((id) => listen(url, id, onContent)))
}
if (warmUp) await run('warm-up', warmUp, 0)
const round = await run('hello', messages, rate)
const result = summary('accept', round.accepted, round.acceptedAfter)
if (values.listen) Object.assign(result, summary('deliver', round.delivered, round.deliveredAfter))
console.log(JSON.stringify(result))
process.exit(0)
