/*
 * The listening socket of a responder (contract: --listen, systemd socket activation, or descriptor
 * 0).
 */
#ifndef ADAPTER_LISTENER_H
#define ADAPTER_LISTENER_H

#include "base/err.h"
#include "base/slice.h"

/*
 * "unix:/path" or "address:port" (IPv4, or IPv6 in brackets): a new listening socket with backlog
 * 4096. A Unix socket gets mode 0660; a stale file of a dead process is replaced, a live one is
 * not. -1 with ERR_USAGE or ERR_SYSTEM.
 */
MUST_CHECK int listener_open(struct slice where, struct err *err);
/* Removes the file of a Unix socket that listener_open() made; does nothing for the others. */
void listener_remove(struct slice where);
/* The inherited listening socket: of systemd (LISTEN_FDS with our LISTEN_PID), else descriptor 0
 * when it listens. -1: none. */
MUST_CHECK int listener_inherited(void);

#endif
