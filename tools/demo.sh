#!/usr/bin/env bash
# Sync, audit and undo in front of your eyes: a sandbox plays Intercom and Supabase, the real command does the work.
set -euo pipefail

members="${DEMO_MEMBERS:-20000}"
place=.demo
mkdir -p "$place"
rm -rf "$place/runs" "$place/sandbox.log"

heading() { printf '\n\033[1m%s\033[0m\n' "$*"; }

heading "A sandbox of Intercom and Supabase with ${members} members and years of disorder"
mynatca-sandbox --port 0 --members "$members" 2>"$place/sandbox.log" &
sandbox=$!
trap 'kill "$sandbox" 2>/dev/null; wait "$sandbox" 2>/dev/null || true' EXIT

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

heading "What you can look at"
echo "  $place/runs/*/report.html    what each run did and left to a person, in a browser"
echo "  $place/runs/                 each run's plan, journal and result"
echo "  mynatca-syncjob --help, and README.md for settings and exit codes"
