#!/bin/sh
# Send a message and read its conversation, with curl and nothing else.
#
#     sh send_and_listen.sh http://127.0.0.1:8000 general alice hello
set -eu
server=$1 conversation=$2 user=$3 content=$4

# 202: the message is accepted; Location says where to see what became of it.
status=$(curl --silent --show-error --fail --dump-header - --output /dev/null "$server/api/messages" \
    --header 'Content-Type: application/json' --header "Idempotency-Key: $(date +%s)-$$" \
    --data "{\"conversationId\": \"$conversation\", \"messageData\": {\"senderId\": \"$user\", \"content\": \"$content\"}}" |
    sed -n 's/^[Ll]ocation: *//p' | tr -d '\r')

# It is a matter of milliseconds, unless no worker is running.
until curl --silent --fail "$server$status" | grep --quiet '"state":"persisted"'; do sleep 0.1; done

curl --silent --fail "$server/api/conversations/$conversation/messages?limit=10"
echo
