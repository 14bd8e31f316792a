#!/usr/bin/env bash
# Serve a miniature web on loopback with nginx, as the current user, on a high port.
#
# usage: tests/web/serve.sh start|stop|status DIR WORKDIR
#
#   DIR      a web made by build-web.mjs (build/web, build/web-small)
#   WORKDIR  all that nginx writes goes to WORKDIR/nginx/: configuration, pid, logs, temporary files
#   WEB_PORT in the environment: another port than DIR/port
#
# start waits until every host answers; started twice, it keeps what runs. stop is quiet when nothing runs.
# WORKDIR/nginx/access.log has one line a request: host, path, status, time, user agent, parted by tabs.
#
# Exit codes: 0 done (status: running), 1 nginx failed (status: stopped), 2 usage or a missing program, 4 the port is
# busy.
set -euo pipefail

usage() {
    sed -n '4,8p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
    exit 2
}

fail() { # CODE MESSAGE...
    local code=$1
    shift
    printf 'serve: %s\n' "$@" >&2
    exit "$code"
}

[ $# = 3 ] || usage
action=$1
web=$(realpath -m "$2")
run=$(realpath -m "$3")/nginx
conf=$run/nginx.conf

# The process of our own nginx, or nothing: a stale pid file may name a stranger.
running_pid() {
    local pid
    pid=$(cat "$run/nginx.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$conf" || return 1
    echo "$pid"
}

stop() {
    local pid workers
    pid=$(running_pid) || { rm -f "$run/nginx.pid"; return 0; }
    workers=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true)
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 50); do
        [ -d "/proc/$pid" ] || { rm -f "$run/nginx.pid"; return 0; }
        sleep 0.1
    done
    # shellcheck disable=SC2086  # a list of workers; left alone they would keep the port
    kill -KILL "$pid" $workers 2>/dev/null || true
    rm -f "$run/nginx.pid"
}

answers() { # ADDRESS
    (exec 3<>"/dev/tcp/$1/$port") 2>/dev/null
}

# Pages name other hosts with their port: fill it in, keeping the texts' time so that ETags hold from start to start.
fill_in_port() {
    rm -rf "$run/text"
    cp -a "$web/text" "$run/text"
    grep -rlZF '@PORT@' "$run/text" | xargs -0r sed -i "s/@PORT@/$port/g"
    find "$run/text" -type f -exec touch -d '2026-01-01 00:00:00 UTC' {} +
}

write_conf() {
    local user_line=
    # A root master would give its workers to "nobody", who may not read the web below /root.
    [ "$(id -u)" != 0 ] || user_line="user $(id -un) $(id -gn);"
    {
        cat <<EOF
$user_line
worker_processes 1;
pid "$run/nginx.pid";
error_log "$run/error.log" warn;
events { worker_connections 1024; }
http {
    log_format lines '\$host\t\$request_uri\t\$status\t\$msec\t\$http_user_agent';
    access_log "$run/access.log" lines;
    client_body_temp_path "$run/temp/body";
    proxy_temp_path "$run/temp/proxy";
    fastcgi_temp_path "$run/temp/fastcgi";
    uwsgi_temp_path "$run/temp/uwsgi";
    scgi_temp_path "$run/temp/scgi";
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    charset utf-8;
    charset_types text/plain text/xml;
    default_type application/octet-stream;
    types {
        text/html html;
        text/plain txt;
        text/xml xml;
        image/png png;
        image/jpeg jpg;
        image/webp webp;
        image/gif gif;
    }
    server_names_hash_bucket_size 128;
    variables_hash_bucket_size 128;
    map_hash_bucket_size 128;
EOF
        sed "s/@PORT@/$port/g" "$web/nginx/http.conf"
        while read -r host address; do
            cat <<EOF
    server {
        listen $address:$port;
        server_name $host;
        set \$text_root "$run/text/$host";
        set \$file_root "$web/files/$host";
        root "$run/text/$host";
        index index.html;
        location / { try_files \$uri \$uri/ @files; }
        location @files { root "$web/files/$host"; try_files \$uri =404; }
EOF
            sed "s/@PORT@/$port/g; s/^/        /" "$web/nginx/$host.conf"
            echo '    }'
        done <"$web/hosts.txt"
        echo '}'
    } >"$conf"
}

busy() { # ADDRESS
    fail 4 "port $port on $1 is busy: another program listens there." \
        "Stop it, or take another port: WEB_PORT=$((port + 10)) tests/web/serve.sh start ..." \
        "(and give the crawler the same port)."
}

start() {
    command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
    command -v nginx >/dev/null ||
        fail 2 "nginx is missing: install it with: apt-get install --no-install-recommends nginx"
    [ -f "$web/stamp" ] ||
        fail 2 "$web is no web: expected a folder made by tests/web/build-web.mjs, found no stamp in it." \
            "Build it with: node tests/web/build-web.mjs"
    port=${WEB_PORT:-$(cat "$web/port")}
    [[ $port =~ ^[0-9]+$ && $port -ge 1024 && $port -le 65535 ]] ||
        fail 2 "WEB_PORT: expected a port from 1024 to 65535, found '$port'"
    local serving
    serving="$port $(cat "$web/stamp") $web"
    if running_pid >/dev/null; then
        if [ "$(cat "$run/serving" 2>/dev/null)" = "$serving" ]; then
            echo "serve: already serving $web on port $port"
            return 0
        fi
        stop
    fi
    while read -r host address; do
        if answers "$address"; then busy "$address ($host)"; fi
    done <"$web/hosts.txt"
    mkdir -p "$run/temp"
    rm -f "$run/error.log"
    fill_in_port
    write_conf
    if ! nginx -p "$run" -e "$run/error.log" -c "$conf" >"$run/start.log" 2>&1; then
        grep -q 'Address already in use' "$run/start.log" "$run/error.log" 2>/dev/null && busy loopback
        fail 1 "nginx does not start: $(head -n 3 "$run/start.log")"
    fi
    echo "$serving" >"$run/serving"
    for _ in $(seq 100); do
        local silent=
        while read -r host address; do answers "$address" || silent=$host; done <"$web/hosts.txt"
        [ -n "$silent" ] || { echo "serve: serving $web on port $port, $(wc -l <"$web/hosts.txt") hosts"; return 0; }
        sleep 0.1
    done
    stop
    fail 1 "nginx started, but $silent did not answer on port $port within 10 s: see $run/error.log"
}

case $action in
start) start ;;
stop) stop ;;
status)
    if running_pid >/dev/null; then
        echo "serve: running, port $(cut -d' ' -f1 "$run/serving")"
    else
        echo "serve: stopped"
        exit 1
    fi
    ;;
*) usage ;;
esac
