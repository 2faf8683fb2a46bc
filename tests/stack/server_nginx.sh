# shellcheck shell=bash
# nginx for the stack. Sourced, not run. A server's file gives server_configure(), which sets SERVER_COMMAND.

server_configure() {
    local program mount
    program=$(command -v nginx) || die "nginx is not installed"
    {
        cat <<CONF
daemon off;
worker_processes 2;
pid "$RUN/nginx.pid";
error_log "$LOG/nginx.log";
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path "$VAR/tmp/body";
    fastcgi_temp_path "$VAR/tmp/fastcgi";
    proxy_temp_path "$VAR/tmp/proxy";
    scgi_temp_path "$VAR/tmp/scgi";
    uwsgi_temp_path "$VAR/tmp/uwsgi";
    # Larger than webhook.max_body, so that the responder answers 413 itself.
    client_max_body_size $LARGEST_BODY;
    merge_slashes off;
    server {
        listen 127.0.0.1:$PORT backlog=4096;
        root "$VAR/www";
CONF
        for mount in "webhooks webhook" "status status"; do
            nginx_location "/${mount% *}" "$SOCKDIR/${mount#* }.sock"
        done
        printf '    }\n}\n'
    } | put "$VAR/nginx.conf" 0600
    # -e: without it nginx first tries the log file it was built with, which only root may open.
    # shellcheck disable=SC2034 # the caller starts it
    SERVER_COMMAND=("$program" -e "$LOG/nginx.log" -p "$VAR" -c "$VAR/nginx.conf")
}

nginx_location() {
    local mount=$1 socket=$2
    cat <<CONF
        location ~ ^$mount(?:/|\$) {
            fastcgi_pass "unix:$socket";
            fastcgi_split_path_info ^($mount)((?s:.*))\$;
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param SERVER_SOFTWARE nginx/\$nginx_version;
            fastcgi_param SERVER_PROTOCOL \$server_protocol;
            fastcgi_param SERVER_NAME \$server_name;
            fastcgi_param SERVER_ADDR \$server_addr;
            fastcgi_param SERVER_PORT \$server_port;
            fastcgi_param REMOTE_ADDR \$remote_addr;
            fastcgi_param REMOTE_PORT \$remote_port;
            fastcgi_param HTTPS \$https if_not_empty;
            fastcgi_param REQUEST_METHOD \$request_method;
            fastcgi_param REQUEST_URI \$request_uri;
            fastcgi_param QUERY_STRING \$query_string;
            fastcgi_param SCRIPT_NAME \$fastcgi_script_name;
            fastcgi_param PATH_INFO \$fastcgi_path_info;
            fastcgi_param CONTENT_TYPE \$content_type;
            fastcgi_param CONTENT_LENGTH \$content_length;
        }
CONF
}
