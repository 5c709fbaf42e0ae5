// How each side's websocket is listened to: joined to one conversation, a call for each message's content.
import { once } from 'node:events'
import { io } from 'socket.io-client'
import WebSocket from 'ws'

// The guide's: Socket.IO.
async function socketIo(url, conversationId, onContent) {
  const socket = io(url, { transports: ['websocket'], forceNew: true })
  socket.on('newMessage', (message) => onContent(message.content))
  await once(socket, 'connect')
  await socket.emitWithAck('join', conversationId)
}

// chatq's: a plain websocket, a JSON object a frame.
async function plain(url, conversationId, onContent) {
  const socket = new WebSocket(url.replace(/^http/, 'ws') + '/ws')
  const say = (frame) => socket.send(JSON.stringify(frame))
  await new Promise((resolve, reject) => {
    const steps = {
      hello: () => say({ type: 'auth', userId: 'bob' }),
      authenticated: () => say({ type: 'join', conversationId }),
      joined: resolve,
      newMessage: (frame) => onContent(frame.message.content),
      error: (frame) => reject(new Error(frame.detail)),
    }
    socket.on('message', (data) => {
      const frame = JSON.parse(data)
      steps[frame.type]?.(frame)
    })
    socket.on('close', (code) => reject(new Error(`the websocket was closed: ${code}`)))
    socket.on('error', reject)
  })
}

export const LISTENERS = { 'socket.io': socketIo, websocket: plain }
