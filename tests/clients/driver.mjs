// A client for browsers, in a process of its own: takes commands and tells of events, one JSON document a line.
//
//     node driver.mjs '{"module": "…/chatq.js", "url": "http://…", "userId": "alice"}'
//
// With `tokenFile` in the options, tokens are read from there. An error is told by its code.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { module, tokenFile, ...options } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const { Chatq } = await import(module);

if (tokenFile) {
  options.getToken = async () => {
    tell({ event: { type: "token" } });
    return readFileSync(tokenFile, "utf8");
  };
}
const chat = new Chatq(options);
for (const kind of ["event", "reset", "messageFailed", "typing", "presence", "left", "retry", "error", "state"]) {
  chat.on(kind, (event) => tell({ event: { type: kind, ...event } }));
}

const commands = {
  join: ({ conversationId, since }) => chat.join(conversationId, { since }),
  leave: ({ conversationId }) => chat.leave(conversationId),
  send: ({ conversationId, ...message }) => chat.send(conversationId, message),
  sendAll: ({ conversationId, contents }) => Promise.all(contents.map((content) => chat.send(conversationId, { content }))),
  status: ({ messageId, status }) => chat.status(messageId, status),
  typing: ({ conversationId, active }) => chat.typing(conversationId, active),
  history: ({ conversationId, ...range }) => chat.history(conversationId, range),
  conversations: () => chat.conversations(),
  conversation: ({ conversationId }) => chat.conversation(conversationId),
  createConversation: ({ conversationId, ...rest }) => chat.createConversation({ id: conversationId, ...rest }),
  addMember: ({ conversationId, userId }) => chat.addMember(conversationId, userId),
  message: ({ messageId }) => chat.message(messageId),
  job: ({ jobId }) => chat.job(jobId),
  edit: ({ messageId, content }) => chat.edit(messageId, content),
  delete: ({ messageId }) => chat.delete(messageId),
  state: () => chat.state,
  close: () => chat.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...fields } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](fields))
    .then((result) => tell({ id, result: result ?? null }), (error) => tell({ id, error: error.code ?? String(error) }));
}
chat.close();
