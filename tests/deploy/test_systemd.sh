#!/bin/bash
# deploy/systemd: systemd takes the unit, and rates it as well walled in as its page says; its flags are this program's.
. "$(dirname "$0")/../cli/lib.sh" "$1"
unit=deploy/systemd/diffaid.service
"$diffaid" serve --help >"$work/help"
flags=$(grep -v '^ExecReload' "$unit" | grep -oE -- '(^|[ "])--[a-z-]+' | tr -d ' ')
[ "$(wc -w <<<"$flags")" -gt 3 ] || fail "hardly any flag in $unit"
for flag in $flags; do
    grep -q -- "$flag " "$work/help" || fail "$unit says $flag, which diffaid serve does not know"
done
if ! systemd-analyze --version >"$work/version" 2>/dev/null; then
    echo "skipped: takes systemd-analyze"
    exit 77
fi
sed "s|/usr/local/bin/diffaid|$diffaid|" "$unit" >"$work/diffaid.service"
systemd-analyze verify --man=no "$work/diffaid.service" >"$work/verify" 2>&1 || fail "systemd-analyze verify: $(cat "$work/verify")"
if grep -qF diffaid.service "$work/verify"; then fail "systemd-analyze verify: $(cat "$work/verify")"; fi
systemd-analyze security --offline=true --no-pager --threshold=15 "$work/diffaid.service" >"$work/security" 2>&1 ||
    fail "$(tail -n 3 "$work/security")"
tail -n 1 "$work/security"
