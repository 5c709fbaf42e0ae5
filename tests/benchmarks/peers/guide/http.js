// As little of an HTTP client as a load client needs: one keep-alive connection, one request at a time, answers with a
// Content-Length. Node's own takes three times the processor time, on machines where the servers need it.
import { once } from 'node:events'
import { connect } from 'node:net'

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const STATUS = /^HTTP\/1\.1 (\d{3})/
const LENGTH = /^content-length: *(\d+)/im

export class Connection {
  static async open(url) {
    const { hostname, port, host } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket, host)
  }

  constructor(socket, host) {
    this.socket = socket
    this.host = host
    this.received = null
    this.answer = null
    socket.on('data', (data) => this.read(data))
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('the server closed the connection')))
  }

  // Resolves to the answer's status once all of the answer is there.
  post(path, body) {
    const head = `POST ${path} HTTP/1.1\r\nHost: ${this.host}\r\nContent-Type: application/json\r\n`
    this.socket.write(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    return new Promise((resolve, reject) => {
      this.answer = { resolve, reject }
    })
  }

  read(data) {
    this.received = this.received ? Buffer.concat([this.received, data]) : data
    const end = this.received.indexOf(END_OF_HEAD)
    if (end < 0) return
    const head = this.received.latin1Slice(0, end)
    const status = STATUS.exec(head)
    const length = LENGTH.exec(head)
    if (!status || !length) return this.fail(new Error(`an answer that this client does not understand: ${head}`))
    if (this.received.length < end + END_OF_HEAD.length + Number(length[1])) return
    this.received = null
    const { resolve } = this.answer
    this.answer = null
    resolve(Number(status[1]))
  }

  fail(error) {
    this.answer?.reject(error)
    this.answer = null
  }
}
