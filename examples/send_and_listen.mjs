// Send a message and listen to its conversation, from JavaScript: Node 22 and later.
//
//     node send_and_listen.mjs http://127.0.0.1:8000 general alice 'hello, world'
//
// Where the server asks for tokens, the variable TOKEN has one, such as `chatq token --user alice` prints.
// Browsers and Deno import the client from its address; Node imports no addresses, but it does import text.

const [url, conversationId, userId, content] = process.argv.slice(2);
const wrong = !content
  ? "usage: node send_and_listen.mjs SERVER CONVERSATION USER TEXT"
  : !globalThis.WebSocket && `Node 22 or later is needed: ${process.version} has no WebSocket.`;
if (wrong) {
  console.error(wrong);
  process.exit(2);
}
const source = await (await fetch(`${url}/static/chatq.js`)).text();
const { Chatq } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const chat = new Chatq({ url, userId, token: process.env.TOKEN });
const clientMessageId = crypto.randomUUID();

chat.on("newMessage", ({ seq, message }) => {
  console.log(`${String(seq).padStart(4)} ${message.senderId}: ${message.content}`);
  if (message.clientMessageId === clientMessageId) chat.close();
});

// Everything after event 0: what was said before, then what is said now.
await chat.join(conversationId, { since: 0 });
await chat.send(conversationId, { content, clientMessageId });
