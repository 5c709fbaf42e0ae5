// Send a message and listen to its conversation, from JavaScript: browsers, Deno, Bun, Node 22 and later.
//
//     node send_and_listen.mjs http://127.0.0.1:8000 general alice 'hello, world'
//
// Where the server asks for tokens, the variable TOKEN has one, such as `chatq token --user alice` prints.

const token = process.env.TOKEN;
const [server, conversationId, userId, content] = process.argv.slice(2);

const socket = new WebSocket(server.replace(/^http/, "ws") + "/ws");
const tell = (frame) => socket.send(JSON.stringify(frame));

socket.onopen = async () => {
  tell({ type: "auth", ...(token ? { token } : { userId }) });
  // Everything after event 0: what was said before, then what is said now.
  tell({ type: "join", conversationId, since: 0 });
  await send();
};

socket.onmessage = async ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.type !== "newMessage") return;
  console.log(`${String(frame.seq).padStart(4)} ${frame.message.senderId}: ${frame.message.content}`);
  if (frame.message.clientMessageId === clientMessageId) socket.close();
};

// The same clientMessageId may be posted again without harm.
const clientMessageId = crypto.randomUUID();

async function send() {
  const answer = await fetch(`${server}/api/messages`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ conversationId, messageData: { senderId: userId, content, clientMessageId } }),
  });
  if (answer.status !== 202) throw new Error((await answer.json()).detail);
  return (await answer.json()).messageId;
}
