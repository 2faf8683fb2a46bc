"""The web servers with the configuration examples of apache-conf/ as they are shipped, over a distribution's defaults, in front of a stack's responders."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from http_plain import Site, request
from waiting import wait_until
from waybill_stack import CHECKOUT, RESPONDERS, Stack, free_port

EXAMPLES = CHECKOUT / "apache-conf"


def shipped(stack: Stack, name: str) -> str:
    """The example, with the stack's sockets in the place of the installed ones."""
    text = (EXAMPLES / name).read_text()
    for responder in RESPONDERS:
        installed = f"/run/waybill/{responder}.sock"
        assert installed in text
        text = text.replace(installed, stack.responder_socket(responder))
    return text


def lighttpd(stack: Stack, folder: Path, port: int) -> list[str]:
    # As Debian's lighttpd.conf has it.
    (folder / "lighttpd.conf").write_text(f"""
server.modules = ("mod_indexfile", "mod_access", "mod_alias", "mod_redirect")
server.document-root = "{folder}"
server.upload-dirs = ("{folder}")
server.errorlog = "{folder}/lighttpd.log"
server.bind = "127.0.0.1"
server.port = {port}
{shipped(stack, "lighttpd/50-waybill.conf")}""")
    return ["lighttpd", "-D", "-f", f"{folder}/lighttpd.conf"]


def apache(stack: Stack, folder: Path, port: int) -> list[str]:
    modules = Path("/usr/lib/apache2/modules")
    # The modules that Debian enables, and those the example asks for.
    names = [name for name in ("mpm_event", "unixd", "authz_core", "reqtimeout", "alias", "env", "setenvif", "proxy", "proxy_fcgi")
             if (modules / f"mod_{name}.so").exists()]
    loads = "\n".join(f'LoadModule {name}_module "{modules}/mod_{name}.so"' for name in names)
    # Debian's apache2.conf, mpm_event.conf and reqtimeout.conf.
    (folder / "apache.conf").write_text(f"""
ServerRoot "{folder}"
DefaultRuntimeDir "{folder}"
PidFile "{folder}/apache.pid"
Mutex "file:{folder}" default
ErrorLog "{folder}/apache.log"
LogLevel warn
ServerName 127.0.0.1
{loads}
Timeout 300
KeepAlive On
MaxKeepAliveRequests 100
KeepAliveTimeout 5
StartServers 2
MinSpareThreads 25
MaxSpareThreads 75
ThreadLimit 64
ThreadsPerChild 25
MaxRequestWorkers 150
RequestReadTimeout header=20-40,minrate=500
RequestReadTimeout body=10,minrate=500
{(EXAMPLES / "waybill-workers.conf").read_text()}
Listen 127.0.0.1:{port}
<VirtualHost *:{port}>
{shipped(stack, "waybill.conf")}
</VirtualHost>
""")
    return ["apache2", "-D", "FOREGROUND", "-f", f"{folder}/apache.conf"]


def nginx(stack: Stack, folder: Path, port: int) -> list[str]:
    (folder / "snippet.conf").write_text(shipped(stack, "nginx/waybill.conf").replace("include fastcgi_params", "include /etc/nginx/fastcgi_params"))
    temporary = "\n".join(f'{kind}_temp_path "{folder}/{kind}";' for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
    # Debian's nginx.conf.
    (folder / "nginx.conf").write_text(f"""
daemon off;
worker_processes auto;
pid "{folder}/nginx.pid";
error_log "{folder}/nginx.log";
events {{ worker_connections 768; }}
http {{
    access_log off;
    {temporary}
    server {{ listen 127.0.0.1:{port}; root "{folder}"; include {folder}/snippet.conf; }}
}}
""")
    return ["nginx", "-e", f"{folder}/nginx.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


SHIPPED: dict[str, Callable[[Stack, Path, int], list[str]]] = {"lighttpd": lighttpd, "apache": apache, "nginx": nginx}


@contextmanager
def running(stack: Stack, server: str, folder: Path) -> Iterator[Site]:
    """SERVER in front of STACK's responders, with its files in FOLDER, which the stack's user owns; where it listens."""
    site = Site("127.0.0.1", free_port())
    process = subprocess.Popen(
        SHIPPED[server](stack, folder, site.port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **stack.owner)
    try:
        wait_until(lambda: answers(site), f"{server} answers")
        yield site
    finally:
        process.terminate()
        process.wait(30)


def answers(site: Site) -> bool:
    try:
        return request(site, "GET", "/webhooks/livez", {}).status == 200
    except OSError:
        return False
