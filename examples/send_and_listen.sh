#!/bin/sh
# Send a message and read its conversation, with curl and nothing else.
#
#     sh send_and_listen.sh http://127.0.0.1:8000 general alice hello
#
# Where the server asks for tokens, the variable TOKEN has one, such as `chatq token --user alice` prints.
set -eu
[ $# = 4 ] || { echo "usage: sh $0 SERVER CONVERSATION USER TEXT" >&2 && exit 2; }
server=$1 conversation=$2 user=$3 content=$4

# The token goes through a pipe: a command line can be read by other users of the machine.
ask() {
    if [ -n "${TOKEN:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$TOKEN"; fi |
        curl --config - --silent --fail "$@"
}

# 202: the message is accepted; Location says where to see what became of it.
status=$(ask --show-error --dump-header - --output /dev/null "$server/api/messages" \
    --header 'Content-Type: application/json' --header "Idempotency-Key: $(date +%s)-$$" \
    --data "{\"conversationId\": \"$conversation\", \"messageData\": {\"senderId\": \"$user\", \"content\": \"$content\"}}" |
    sed -n 's/^[Ll]ocation: *//p' | tr -d '\r')

# It is a matter of milliseconds, unless no worker is running.
until ask "$server$status" | grep --quiet '"state":"persisted"'; do sleep 0.1; done

ask "$server/api/conversations/$conversation/messages?limit=10"
echo
