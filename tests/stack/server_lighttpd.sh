# shellcheck shell=bash
# lighttpd for the stack. Sourced, not run. A server's file gives server_configure(), which sets SERVER_COMMAND.

server_configure() {
    local program
    program=$(command -v lighttpd) || die "lighttpd is not installed"
    put "$VAR/lighttpd.conf" 0600 <<CONF
server.modules = ("mod_fastcgi")
server.bind = "127.0.0.1"
server.port = $PORT
server.document-root = "$VAR/www"
server.errorlog = "$LOG/lighttpd.log"
server.upload-dirs = ("$VAR/tmp")
# Larger than webhook.max_body, so that the responder answers 413 itself. In KiB.
server.max-request-size = $((LARGEST_BODY / 1024))
server.max-keep-alive-requests = 1000
# Paths and queries reach the responders as they came, which judge broken escapes and control characters themselves.
server.http-parseopts = ("url-normalize" => "disable", "url-normalize-unreserved" => "disable", "url-normalize-required" => "disable",
    "url-ctrls-reject" => "disable", "url-invalid-utf8-reject" => "disable", "url-path-2f-decode" => "disable",
    "url-path-dotseg-remove" => "disable")
# The prefix of fastcgi.server is plain text: without the condition /webhooks would match /webhooksx too.
\$HTTP["url"] =~ "^/webhooks(/|\$)" {
    fastcgi.server = ("/webhooks" => (("socket" => "$SOCKDIR/webhook.sock", "check-local" => "disable")))
}
\$HTTP["url"] =~ "^/status(/|\$)" {
    fastcgi.server = ("/status" => (("socket" => "$SOCKDIR/status.sock", "check-local" => "disable")))
}
CONF
    # shellcheck disable=SC2034 # the caller starts it
    SERVER_COMMAND=("$program" -D -f "$VAR/lighttpd.conf")
}
