// Socket.IO alone, one process, with its own adapter: what delivers fastest that can be had of it. Prints "ready PORT";
// on that port it takes a line "ROOM NUMBER" for each message that it is to emit to a room.
//
//   PORT=… BYTES=… node rooms.js
//
// The messages look like chatq's events, and are padded so that each frame's payload has BYTES bytes.
import { createServer } from 'node:http'
import { createServer as createListener } from 'node:net'
import { createInterface } from 'node:readline'
import { Server } from 'socket.io'

const AROUND = '42["newMessage",]'.length
const bytes = Number(process.env.BYTES)
const now = '2026-01-01T00:00:00.000Z'

function event(conversationId, seq, content) {
  const id = '00000000-0000-7000-8000-000000000000'
  const message = { id, conversationId, seq, senderId: 'alice', clientMessageId: null, content, metadata: null }
  Object.assign(message, { status: 'sent', createdAt: now, persistedAt: now, editedAt: null, deletedAt: null })
  return { conversationId, seq, message }
}

function padded(conversationId, seq) {
  const size = JSON.stringify(event(conversationId, seq, '')).length
  return event(conversationId, seq, 'x'.repeat(bytes - AROUND - size))
}

const server = createServer()
const io = new Server(server, { transports: ['websocket'] })
io.on('connection', (socket) => {
  socket.on('join', async (conversationId, joined) => {
    await socket.join(conversationId)
    joined()
  })
})

const orders = createListener((connection) => {
  connection.setNoDelay()
  createInterface({ input: connection }).on('line', (line) => {
    const [room, number] = line.split(' ')
    io.to(room).emit('newMessage', padded(room, Number(number)))
  })
})

server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 }, () => {
  orders.listen(0, '127.0.0.1', () => console.log(`ready ${orders.address().port}`))
})
