#!/bin/bash
# /metrics is what Prometheus reads, and each series moves when its event happens.
. "$(dirname "$0")/service_steps.sh"
reader=$(dirname "$0")/exposition.awk
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models
echo 'no model at all' >"$models/broken.safetensors"

# The reader sees what is wrong.
is_refused() { ! printf '# HELP a_total x\n# TYPE a_total counter\n%b' "$1" | awk -f "$reader" >/dev/null 2>&1; }
for lie in 'a_total{b="c} 1\n' 'a_total{b="\\x"} 1\n' 'a_total 1\na_total 2\n' 'b_total 1\n' 'a_total one\n' 'a_total -1\n' \
    '# HELP b_total x\n# TYPE b_total gauge\n' '# HELP a_total x\n' '\n' '# HELP b x\n# TYPE b histogram\nb_bucket{le="1"} 1\n' \
    '# HELP b x\n# TYPE b histogram\nb_bucket{le="1"} 2\nb_bucket{le="+Inf"} 1\nb_sum 1\nb_count 1\n'; do
    is_refused "$lie" || fail "the reader takes $lie"
done

scrape() {
    get /metrics >"$scratch/metrics" && awk -f "$reader" "$scratch/metrics" >"$scratch/series" ||
        fail "not what Prometheus reads"
}
now() { awk -v series="$1" '$0 == series " " $NF { print $NF }' "$scratch/series"; } # SERIES, of the latest scrape
reads() { scrape; [ "$(now "$1")" = "$2" ]; }                                        # SERIES VALUE
shows() { reads "$1" "$2" || fail "$1 is $(now "$1") and not $2"; }
above() { scrape; awk -v a="$(now "$1")" -v b="$2" 'BEGIN { exit !(a != "" && a > b) }'; } # SERIES VALUE
rises() { above "$1" "$2" || fail "$1 is $(now "$1") and not above $2"; }

start_service --workers 1 --threads 1 --max-connections 16 --header-timeout 500ms --quota 1G
type=$(curl -sS -o "$scratch/metrics" -w '%{content_type}' "$url/metrics")
[ "$type" = 'text/plain; version=0.0.4; charset=utf-8' ] || fail "media type $type"
if command -v promtool >/dev/null; then
    promtool check metrics <"$scratch/metrics" || fail "promtool does not take it"
else
    echo "skipped: promtool is not there (Debian package prometheus)"
fi
shows diffaid_ready 1
shows diffaid_jobs_ended_total'{state="succeeded"}' 0
shows diffaid_storage_quota_bytes 1073741824
shows diffaid_workers'{state="idle"}' 1
[ -n "$(now diffaid_worker_walls'{wall="seccomp"}')" ] || fail "no word of the walls"
rises process_resident_memory_bytes 1000000
rises process_start_time_seconds $(($(date +%s) - 60))
rises process_open_fds 10

# A job that succeeds.
changes=$(now diffaid_store_changes_total)
job=$(submit a.safetensors b.safetensors)
within 10 state_is "$job" succeeded
shows diffaid_jobs'{state="succeeded"}' 1
shows diffaid_jobs_ended_total'{state="succeeded"}' 1
shows diffaid_job_attempts_total 1
shows diffaid_job_wait_seconds_count 1
within 5 reads diffaid_job_attempt_seconds_count 1
shows diffaid_scanned_bytes_total 8000
shows diffaid_scanned_tensors_total 1
shows diffaid_store_changes_total $((changes + 3)) # submitted, claimed, finished
rises diffaid_store_commits_total 0
rises diffaid_storage_used_bytes 100
shows diffaid_http_requests_total'{method="POST",route="/v1/jobs",status="202"}' 1
shows diffaid_http_request_duration_seconds_bucket'{method="POST",route="/v1/jobs",le="+Inf"}' 1

# One that fails, and requests that do.
job=$(submit broken.safetensors a.safetensors)
within 10 state_is "$job" failed
shows diffaid_job_failures_total'{problem="unsupported-model"}' 1
shows diffaid_jobs_ended_total'{state="failed"}' 1
[ "$(status_of "$url/nothing\"here\\")" = 404 ] || fail "not 404"
shows diffaid_http_requests_total'{method="",route="",status="404"}' 1

# A queue; its workers' deaths.
long=$(submit_long)
within 10 is_scanning "$long"
waiting=$(submit_long)
get "/v1/jobs/$waiting" >/dev/null
shows diffaid_workers'{state="busy"}' 1
shows diffaid_jobs'{state="running"}' 1
shows diffaid_queue_jobs 1
within 5 above diffaid_queue_oldest_age_seconds 0.05
curl -sS -o "$scratch/waited" --max-time 30 -H 'Prefer: wait=20' "$url/v1/jobs/$waiting" &
waiter=$!
within 5 reads diffaid_http_waiting_requests 1
for repeated in 1 2; do
    [ "$(status_of -X POST "$url/v1/jobs/$waiting:cancel")" = 200 ] || fail "cancel: $(cat "$scratch/body")"
    shows diffaid_jobs_ended_total'{state="cancelled"}' 1
done
wait $waiter
curl -sSN -o "$scratch/events" --max-time 30 "$url/v1/jobs/$long/events" &
follower=$!
within 5 reads diffaid_http_event_streams 1
kill $follower
within 5 reads diffaid_http_event_streams 0
shows diffaid_http_waiting_requests 0
shows diffaid_queue_oldest_age_seconds 0
starts=$(now diffaid_worker_starts_total)
kill_workers() { for worker in $(workers); do kill "-$1" "$worker"; done; }
kill_workers KILL
within 10 reads diffaid_worker_deaths_total'{cause="signal"}' 1
within 10 reads diffaid_worker_starts_total $((starts + 1))
within 10 is_scanning "$long"
kill_workers ABRT
within 10 reads diffaid_worker_deaths_total'{cause="crash"}' 1
within 10 is_scanning "$long"
[ "$(status_of -X POST "$url/v1/jobs/$long:cancel")" = 202 ] || fail "cancel: $(cat "$scratch/body")"
within 5 reads diffaid_jobs_ended_total'{state="cancelled"}' 2
shows diffaid_job_attempts_total 5
shows diffaid_job_wait_seconds_count 3

# An upload, while it is under way and afterwards.
mkfifo "$scratch/pipe"
curl -sS -o "$scratch/body" -T "$scratch/pipe" "$url/v1/uploads/piped" &
upload=$!
exec 7>"$scratch/pipe"
head -c 70000 /dev/zero >&7
within 5 above diffaid_upload_incomplete_bytes 0
shows diffaid_http_upload_connections 1
exec 7>&-
wait $upload
shows diffaid_upload_received_bytes_total 70000
shows diffaid_upload_incomplete_bytes 0
shows diffaid_uploads 1

# A header that does not end is cut; too many connections are shed.
port=${url##*:}
accepted=$(now diffaid_http_connections_accepted_total)
exec 7<>"/dev/tcp/127.0.0.1/$port"
printf 'GET / HTTP/1.1\r\nHost: ' >&7
within 5 reads diffaid_http_connections_cut_total 1
exec 7>&-
rises diffaid_http_connections_accepted_total "$accepted"
before=$(now diffaid_http_connections_shed_total)
held=() refused=0
for _ in {1..24}; do
    exec {fd}<>"/dev/tcp/127.0.0.1/$port"
    held+=("$fd")
    { printf 'GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$fd"; } 2>/dev/null || true
done
for fd in "${held[@]}"; do # each is kept until it has its answer: else one may make room for the next
    read -r -t 10 _ status _ <&"$fd" || fail "no answer on connection $fd"
    [ "$status" != 503 ] || refused=$((refused + 1))
done
for fd in "${held[@]}"; do exec {fd}>&-; done
has_room() { [ "$(status_of "$url/version")" = 200 ]; }
within 5 has_room
[ $refused -ge 8 ] || fail "$refused of 24 connections were refused, where at most 16 are taken"
rises diffaid_http_connections_shed_total $((before + refused - 1))
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"

# A deadline; without a quota there is no series for it.
start_service --workers 1 --threads 1 --job-timeout 300ms
shows diffaid_storage_quota_bytes ''
shows diffaid_jobs_ended_total'{state="succeeded"}' 0
shows diffaid_jobs'{state="succeeded"}' 1
within 10 state_is "$(submit_long)" failed
within 5 reads diffaid_job_failures_total'{problem="deadline-exceeded"}' 1
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
