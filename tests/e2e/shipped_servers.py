"""The web servers with the configuration examples of apache-conf/ as they are shipped, over a distribution's defaults, in front of a stack's responders."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from http_plain import Site
from waiting import wait_until
from waybill_stack import CHECKOUT, RESPONDERS, Stack, free_port

EXAMPLES = CHECKOUT / "apache-conf"


Sockets = dict[str, str]


def shipped(sockets: Sockets, name: str) -> str:
    """The example, with the stack's sockets in the place of the installed ones."""
    text = (EXAMPLES / name).read_text()
    for responder, socket in sockets.items():
        installed = f"/run/waybill/{responder}.sock"
        assert installed in text
        text = text.replace(installed, socket)
    return text


def lighttpd(sockets: Sockets, folder: Path, port: int) -> list[str]:
    # As Debian's lighttpd.conf has it.
    (folder / "lighttpd.conf").write_text(f"""
server.modules = ("mod_indexfile", "mod_access", "mod_alias", "mod_redirect")
server.document-root = "{folder}"
server.upload-dirs = ("{folder}")
server.errorlog = "{folder}/lighttpd.log"
server.bind = "127.0.0.1"
server.port = {port}
{shipped(sockets, "lighttpd/50-waybill.conf")}""")
    return ["lighttpd", "-D", "-f", f"{folder}/lighttpd.conf"]


def apache(sockets: Sockets, folder: Path, port: int) -> list[str]:
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
{shipped(sockets, "waybill.conf")}
</VirtualHost>
""")
    return ["apache2", "-D", "FOREGROUND", "-f", f"{folder}/apache.conf"]


def nginx(sockets: Sockets, folder: Path, port: int) -> list[str]:
    (folder / "snippet.conf").write_text(shipped(sockets, "nginx/waybill.conf").replace("include fastcgi_params", "include /etc/nginx/fastcgi_params"))
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


SHIPPED: dict[str, Callable[[Sockets, Path, int], list[str]]] = {"lighttpd": lighttpd, "apache": apache, "nginx": nginx}


@contextmanager
def running(stack: Stack, server: str, folder: Path, **elsewhere: str) -> Iterator[Site]:
    """SERVER in front of STACK's responders, or of the sockets ELSEWHERE, with its files in FOLDER, which the stack's user owns; where it listens."""
    site = Site("127.0.0.1", free_port())
    sockets = {name: stack.responder_socket(name) for name in RESPONDERS} | elsewhere
    process = subprocess.Popen(
        SHIPPED[server](sockets, folder, site.port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **stack.owner)
    try:
        wait_until(lambda: listens(site), f"{server} listens")
        yield site
    finally:
        process.terminate()
        process.wait(30)


def listens(site: Site) -> bool:
    try:
        with site.connect():
            return True
    except OSError:
        return False
