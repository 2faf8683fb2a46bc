#include "app/commit.h"

#include "app/responder.h"

#include <stdio.h>

/* A delivery whose changes the database refuses is kept all the same: its bytes go to quarantine.
 */
static enum batch_result quarantine_refused(struct store *store, struct delivery *delivery,
                                            struct arena *arena, struct err *err) {
    char detail[64];
    struct strbuf text;
    strbuf_init(&text, sizeof(detail));
    strbuf_addf(&text, "refused by the database: SQLSTATE %s", err->sqlstate);
    err_clear(err);
    bool ok =
        !strbuf_failed(&text) && arena_dup(arena, strbuf_slice(&text), &delivery->changes.detail);
    strbuf_free(&text);
    if (!ok || !delivery_quarantine(delivery, delivery->changes.detail)) {
        err_set(err, ERR_MEMORY, "out of memory");
        return BATCH_FAILED;
    }
    enum store_result result = store_ingest(store, &delivery, 1, err);
    if (result == STORE_REFUSED) {
        /* It goes into the log, and may quote what was sent; the SQLSTATE does not. */
        (void)snprintf(err->message, sizeof(err->message), "refused even as quarantined");
    }
    return result == STORE_OK ? BATCH_DONE : BATCH_FAILED;
}

enum batch_result commit_deliveries(struct store *store, struct delivery *const *deliveries,
                                    size_t count, struct arena *arena, struct err *err) {
    enum store_result result = store_ingest(store, deliveries, count, err);
    if (result != STORE_REFUSED) {
        return result == STORE_OK ? BATCH_DONE : BATCH_FAILED;
    }
    log_store_failure(result, err);
    return count > 1 ? BATCH_REFUSED : quarantine_refused(store, deliveries[0], arena, err);
}
