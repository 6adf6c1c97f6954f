#!/bin/bash
# The table of settings as people meet it: --check-config, the manual page, and what each refuses.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
mkdir models
key=$("$diffaid" keys new ci --scope read,submit --queued 5 2>/dev/null)
tail -n 1 <<<"$key" >keys
chmod 600 keys

expect 0 "$diffaid" serve --check-config --models-root models --state-dir new/state --listen 0.0.0.0:80 \
    --api-keys-file keys --retention 36h --quota 3072M
out '^listen = 0\.0\.0\.0:80$'
out '^# from a flag$'
out '^retention = 36h$'
out '^quota = 3G$'
out '^queue-limit = 10000$'
out '^# found: 1 models roots, 1 API keys$'
[ ! -e new ] || fail "a check made the state directory"
# What was printed is a file that says the same; the environment beats it.
cp "$work/out" settings
DIFFAID_WORKERS=3 DIFFAID_CONFIG=settings expect 0 "$diffaid" serve --check-config
out '^retention = 36h$'
out '^workers = 3$'
out '^# from the environment$'
out '^# from the file$'

# Every fault is told, not only the first.
mkdir sealed
echo "ci deadbeef read" >bad-keys
expect 2 "$diffaid" serve --check-config --models-root nowhere --listen 0.0.0.0:80 --state-dir keys/state \
    --admin-port many --api-keys-file bad-keys --no-auth
err 'nowhere'
err 'the state directory keys/state'
err 'bad-keys, line 1: the SHA-256 of ci has 8 characters'
err '--admin-port'
expect 2 "$diffaid" serve --check-config --listen 0.0.0.0:80
err '0\.0\.0\.0:80 can be reached from other machines: give --api-keys-file, or say --no-auth'
expect 2 "$diffaid" serve --check-config --api-keys-file nowhere
err 'nowhere: No such file'
expect 2 "$diffaid" serve --check-config --quueue-limit 5
err 'did you mean --queue-limit'
echo "quueue-limit = 5" >typo
expect 2 "$diffaid" serve --check-config --config typo
err 'typo, line 1: quueue-limit is not known; did you mean queue-limit'
DIFFAID_PORT=tcp://10.0.0.1:80 expect 0 "$diffaid" serve --check-config
err 'DIFFAID_PORT is no setting'

# Keys: shown once, refused when the file would refuse them.
expect 0 "$diffaid" keys new ops --scope admin
out '^diffaid_[A-Za-z0-9_-]{43}$'
out '^ops [0-9a-f]{64} admin$'
[ "$(head -n 1 "$work/out" | tr -d '\n' | sha256sum | cut -d' ' -f1)" = "$(tail -n 1 "$work/out" | cut -d' ' -f2)" ] ||
    fail "the line is not of the key"
expect 2 "$diffaid" keys new ops --scope root
expect 2 "$diffaid" keys new 'a b'
expect 2 "$diffaid" keys new ops --queued 0
expect 2 "$diffaid" keys new
expect 2 "$diffaid" keys

# The manual page holds every setting, flag, analysis and command, and renders without a complaint.
expect 0 "$diffaid" man
cp "$work/out" page
"$diffaid" serve --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' >flags
"$diffaid" compare --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' >>flags
[ "$(wc -l <flags)" -gt 60 ] || fail "only $(wc -l <flags) flags were found"
while read -r flag; do
    grep -qF -- "\\-\\-${flag//-/\\-}\\fR" page || [ "$flag" = config ] || fail "the page lacks --$flag"
done <flags
while read -r variable; do
    grep -qF "$variable" page || fail "the page lacks $variable"
done < <("$diffaid" serve --help | grep -o 'DIFFAID_[A-Z_]*')
while read -r analysis; do
    grep -qx "\.SS $analysis" page || fail "the page lacks $analysis"
done < <("$diffaid" analyses | sed -n 's/^\([a-z_]*\)  --.*/\1/p')
if command -v groff >/dev/null; then
    groff -ww -man -Tutf8 page 2>complaints >rendered || fail "groff: $(cat complaints)"
    [ ! -s complaints ] || fail "groff: $(cat complaints)"
fi
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning page >complaints || fail "mandoc: $(cat complaints)"
fi
