#!/usr/bin/env bash
# Sync, audit, undo and the webhook service in front of your eyes: a sandbox plays Intercom and Supabase, the real
# programs do the work. On a terminal the inbox stays open at the end, for you to try.
set -euo pipefail

members="${DEMO_MEMBERS:-20000}"
place=.demo
mkdir -p "$place"
rm -rf "$place"/{runs,sandbox.log,webhook.log,webhook.db*}

heading() { printf '\n\033[1m%s\033[0m\n' "$*"; }

started=()
stop() {
    kill "${started[@]}" 2>/dev/null || true
    wait "${started[@]}" 2>/dev/null || true
}
trap stop EXIT

heading "A sandbox of Intercom and Supabase with ${members} members and years of disorder"
mynatca-sandbox --port 0 --members "$members" 2>"$place/sandbox.log" &
sandbox=$!
started+=("$sandbox")

url=""
while [ -z "$url" ]; do
    kill -0 "$sandbox" 2>/dev/null || { cat "$place/sandbox.log"; exit 1; }
    url=$(grep -oE 'http://[0-9.]+:[0-9]+' "$place/sandbox.log" | head -n 1 || true)
    [ -n "$url" ] || sleep 0.2
done
cat "$place/sandbox.log"

export INTERCOM_URL="$url" INTERCOM_ACCESS_TOKEN=sandbox-token
export SUPABASE_URL="$url" SUPABASE_KEY=sandbox-key RUNS_DIR="$place/runs"
export INTERCOM_SEARCH_LAG_SECONDS=2 # the sandbox's search of conversations is never late

heading "First night: what differs is mended"
mynatca-syncjob sync --output text

heading "Second night: what was mended stays mended"
mynatca-syncjob sync --output text

heading "The audit: what is nobody's goes, unless somebody waits for an answer there"
mynatca-syncjob audit --dry-run --output text
RUN_ID=audit mynatca-syncjob audit --output text

heading "Undo: the audit is taken back"
mynatca-syncjob undo audit --output text

heading "The webhook service: who writes in is known before an agent answers"
port=$(python -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
INTERCOM_CLIENT_SECRET=sandbox-secret WEBHOOK_STORE="sqlite:///$place/webhook.db" WEBHOOK_PORT="$port" \
    mynatca-webhook serve 2>"$place/webhook.log" &
started+=("$!")
python tools/demo_inbox.py "$url" "http://127.0.0.1:$port" || { cat "$place/webhook.log"; exit 1; }

heading "What you can look at"
echo "  $place/runs/*/report.html    what each run did and left to a person, in a browser"
echo "  $place/runs/                 each run's plan, journal and result"
echo "  mynatca-syncjob --help, and README.md for settings and exit codes"

if [ -t 0 ] && [ -t 1 ]; then
    heading "Try it yourself: $url/_sandbox/inbox"
    read -rp "  Write in as a member and see who it is. Press Enter here to end. " || true
fi
