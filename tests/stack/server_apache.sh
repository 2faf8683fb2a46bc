# shellcheck shell=bash
# Apache for the stack. Sourced, not run. A server's file gives server_configure(), which sets SERVER_COMMAND.

apache_modules_folder() {
    local folder
    for folder in /usr/lib/apache2/modules /usr/lib64/httpd/modules /usr/lib/httpd/modules; do
        if [ -e "$folder/mod_proxy_fcgi.so" ]; then
            printf '%s' "$folder"
            return
        fi
    done
    die "Apache's modules are not installed"
}

server_configure() {
    local program modules module mount
    program=$(command -v apache2 || command -v httpd) || die "Apache is not installed"
    modules=$(apache_modules_folder)
    {
        for module in mpm_event unixd authz_core proxy proxy_fcgi alias cgid env setenvif; do
            # Some builds have a module inside the program.
            [ ! -e "$modules/mod_$module.so" ] || printf 'LoadModule %s_module "%s/mod_%s.so"\n' "$module" "$modules" "$module"
        done
        cat <<CONF
ServerRoot "$VAR"
DefaultRuntimeDir "$RUN"
PidFile "$RUN/apache.pid"
ScriptSock "$SOCKDIR/cgid.sock"
Mutex "file:$RUN" default
ErrorLog "$LOG/apache.log"
LogLevel warn
ServerName 127.0.0.1
Listen 127.0.0.1:$PORT
DocumentRoot "$VAR/www"
ThreadsPerChild 64
ServerLimit 8
MaxRequestWorkers 512
# %2F and the like in an order's id reach the responder as they came.
AllowEncodedSlashes NoDecode
# Larger than webhook.max_body, so that the responder answers 413 itself.
LimitRequestBody $LARGEST_BODY
CONF
        for mount in "webhooks webhook" "status status"; do
            apache_mount "/${mount% *}" "${mount#* }"
        done
    } | put "$VAR/apache.conf" 0600
    # shellcheck disable=SC2034 # the caller starts it
    SERVER_COMMAND=("$program" -D FOREGROUND -f "$VAR/apache.conf")
}

# The mount through FastCGI, and the same program as plain CGI under /cgi.
apache_mount() {
    local mount=$1 name=$2
    cat <<CONF
ProxyPass "$mount" "unix:$SOCKDIR/$name.sock|fcgi://waybill-$name$mount" retry=0
<Location "$mount">
    CGIPassAuth On
    ProxyFCGIBackendType GENERIC
    # mod_proxy_fcgi puts the whole path into SCRIPT_NAME.
    ProxyFCGISetEnvIf "reqenv('SCRIPT_NAME') =~ m#^$mount(/.*)?\$#" PATH_INFO "\$1"
    ProxyFCGISetEnvIf "true" SCRIPT_NAME "$mount"
</Location>
ScriptAlias "/cgi$mount" "$BIN/$name.fcgi"
<Location "/cgi$mount">
    CGIPassAuth On
    SetEnv WAYBILL_CONFIG "$CONFIG"
</Location>
CONF
}
