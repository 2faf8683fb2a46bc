#include "cli/order.h"

#include "cli/output.h"

static struct slice name_of(const void *context, size_t n) {
    const struct store_orders *found = context;
    return found->orders[n].json;
}

/* source/id of each, with the ones of the sandbox marked: enough to ask again. */
static bool several(const struct store_orders *found, const char *text, struct err *err) {
    struct records records;
    struct strbuf names = STRBUF_INIT(64 * 1024);
    if (records_read(&records, found->count, name_of, found, err)) {
        for (size_t i = 0; i < records.count; i++) {
            char key[UUID_TEXT];
            const struct json *row = record(&records, i);
            uuid_format(&found->orders[i].key, key);
            strbuf_addf(&names, "%s%.*s/%.*s%s (%s)", i > 0 ? ", " : "",
                        SLICE_ARGS(record_text(&records, row, "source")),
                        SLICE_ARGS(record_text(&records, row, "id")),
                        record_true(row, "live") ? "" : " in the sandbox", key);
        }
        err_set(err, ERR_INPUT, "%s is the name of several orders: %.*s", text,
                SLICE_ARGS(strbuf_slice(&names)));
    }
    strbuf_free(&names);
    records_free(&records);
    return false;
}

bool order_named(struct store *store, const char *text, struct uuid *key, struct err *err) {
    struct store_orders found;
    if (store_orders_named(store, slice_from_cstr(text), &found, err) != STORE_OK) {
        return false;
    }
    bool ok = found.count == 1;
    if (found.count == 0) {
        err_set(err, ERR_INPUT, "there is no order %s", text);
    } else if (!ok) {
        ok = several(&found, text, err);
    } else {
        *key = found.orders[0].key;
    }
    store_orders_free(&found);
    return ok;
}
