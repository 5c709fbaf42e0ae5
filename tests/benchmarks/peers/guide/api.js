// The web process: an Express controller that enqueues and answers 202, and the Socket.IO server. The worker is
// another process, so the sockets hear of its messages through the Redis adapter.
//
//   REDIS_URL=… PORT=… node api.js
import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { Queue } from 'bullmq'
import express from 'express'
import { Server } from 'socket.io'
import { JOB_OPTIONS, QUEUE, openRedis } from './parts.js'

const queue = new Queue(QUEUE, { connection: openRedis(), defaultJobOptions: JOB_OPTIONS })

const app = express()
app.use(express.json())
app.post('/api/messages', async (request, response) => {
  try {
    const { conversationId, messageData } = request.body
    await queue.add('sendMessage', { conversationId, messageData })
    response.status(202).json({ status: 'Message queued', message: 'Your message is being processed' })
  } catch {
    response.status(500).json({ error: 'Failed to queue message' })
  }
})

const server = createServer(app)
const publisher = openRedis()
const io = new Server(server, { transports: ['websocket'], adapter: createAdapter(publisher, publisher.duplicate()) })
io.on('connection', (socket) => {
  socket.on('join', async (conversationId, joined) => {
    await socket.join(conversationId)
    joined()
  })
})

server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'))
