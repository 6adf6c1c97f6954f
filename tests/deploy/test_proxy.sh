#!/bin/bash
# deploy/proxy: each proxy's own program takes its configuration; where nginx is there, a service is used through it.
. "$(dirname "$0")/../http/service_steps.sh"
there() { command -v "$1" >/dev/null || { echo "skipped: $1 is not there"; return 1; }; }

cp -r deploy/proxy "$scratch/proxy"
if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=diffaid.example.com \
        -keyout "$scratch/key.pem" -out "$scratch/fullchain.pem" 2>/dev/null
    cat "$scratch/fullchain.pem" "$scratch/key.pem" >"$scratch/diffaid.pem"
    sed -i "s|/etc/ssl/diffaid|$scratch|" "$scratch"/proxy/*
else
    echo "skipped: takes openssl for a certificate"
    exit 77
fi
if there haproxy; then haproxy -c -q -f "$scratch/proxy/haproxy.cfg" || fail "haproxy does not take its configuration"; fi
if there caddy; then
    caddy validate --adapter caddyfile --config "$scratch/proxy/Caddyfile" >"$scratch/caddy" 2>&1 || fail "caddy: $(cat "$scratch/caddy")"
fi
there nginx || exit 0

start_service --workers 1 --allowed-host diffaid.example.com
make_model "$models/a.safetensors" 1000
plain=$((20000 + $$ % 20000)) # a port that is likely free; nginx says if it is not
secure=$((plain + 1))
sed -i "s|127.0.0.1:8080|${url#http://}|; s|listen 80|listen 127.0.0.1:$plain|; s|listen 443|listen 127.0.0.1:$secure|" \
    "$scratch/proxy/nginx.conf"
cat >"$scratch/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $scratch/nginx.pid; error_log $scratch/nginx.log;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path $scratch/body-temp; proxy_temp_path $scratch/proxy-temp;
    fastcgi_temp_path $scratch/t1; uwsgi_temp_path $scratch/t2; scgi_temp_path $scratch/t3;
    include $scratch/proxy/nginx.conf;
}
CONF
chmod 755 "$scratch" # nginx's worker is nobody
nginx -t -q -c "$scratch/nginx.conf" || fail "nginx does not take its configuration"
nginx -c "$scratch/nginx.conf" &
proxy=$!
trap 'kill "$proxy" 2>/dev/null || true; finish' EXIT
through() { curl -sS --max-time 20 --cacert "$scratch/fullchain.pem" --resolve "diffaid.example.com:$secure:127.0.0.1" "$@"; }
front=https://diffaid.example.com:$secure
is_up() { through -o "$scratch/body" "$front/readyz" 2>/dev/null; }
within 5 is_up
[ "$(cat "$scratch/body")" = ready ] || fail "not ready through nginx: $(cat "$scratch/body")"
[ "$(through -o /dev/null -w '%{http_code}' "$front/metrics")" = 404 ] || fail "metrics are public"
[ "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Host: diffaid.example.com' "http://127.0.0.1:$plain/v1/jobs")" = 308 ] || fail "plain HTTP is answered"
head -c 5000000 /dev/urandom >"$scratch/upload"
through -T "$scratch/upload" "$front/v1/uploads/random" >"$scratch/body"
[ "$(member sha256 <"$scratch/body")" = "$(sha256sum <"$scratch/upload" | cut -d' ' -f1)" ] || fail "the upload differs: $(cat "$scratch/body")"
through -H 'Prefer: wait=20' -H 'Content-Type: application/json' "$front/v1/jobs" \
    -d '{"models":["a.safetensors","a.safetensors"]}' >"$scratch/body"
grep -q '"verdict":"identical"' "$scratch/body" || fail "no result through nginx: $(cat "$scratch/body")"
id=$(through -D - -o /dev/null "$front/version" | tr -d '\r' | sed -n 's/^x-request-id: //p')
logged() { grep -q "\"request_id\":\"$id\"" "$scratch/log"; }
[ -n "$id" ] && within 5 logged
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
