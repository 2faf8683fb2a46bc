#include "engine/store_connection.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/*
 * A batch is one transaction of two round trips: the deliveries go in and the state of their orders
 * comes back, under the lock of the lane; what the new ones say is folded into it here; the rows
 * that differ are written. Schema: take_deliveries() and write_states().
 */

/* A delivery of the batch, once. */
struct unique {
    struct uuid key; /* first */
    struct delivery *delivery;
    int64_t times;
    enum delivery_outcome outcome;
};

struct batch_work {
    struct delivery *const *deliveries;
    size_t count;
    const struct uuid *replayed; /* the stored delivery that is read again; NULL: webhooks */
    /* Of one attempt: */
    struct store *store;
    struct states states;
    struct uuid_map uniques;
    struct pg_params params;
    int64_t *positions;
    size_t position_count;
    int64_t stamped_at;
};

/* ---- what goes in ---- */

static bool find_uniques(struct batch_work *work, struct err *err) {
    for (size_t i = 0; i < work->count; i++) {
        struct unique *unique = uuid_map_find(&work->uniques, &work->deliveries[i]->id);
        if (unique == NULL) {
            unique = arena_alloc(work->states.arena, sizeof(*unique));
            if (unique == NULL) {
                return err_set(err, ERR_MEMORY, "out of memory");
            }
            *unique =
                (struct unique){.key = work->deliveries[i]->id, .delivery = work->deliveries[i]};
            if (!uuid_map_add(&work->uniques, unique, work->states.arena)) {
                return err_set(err, ERR_MEMORY, "out of memory");
            }
        }
        unique->times++;
    }
    return true;
}

static const struct unique *unique_at(const struct batch_work *work, size_t i) {
    return work->uniques.items[i];
}

static void add_deliveries(struct batch_work *work, enum row_kind kind) {
    struct pg_rows out;
    pg_rows_begin(&out, &work->params, work->store->shapes[kind].type);
    for (size_t i = 0; i < work->uniques.count; i++) {
        const struct delivery_row row = delivery_row_of(unique_at(work, i)->delivery);
        shape_encode(&work->store->shapes[kind], &out, &row);
    }
    pg_rows_end(&out);
}

static bool add_numbers(struct batch_work *work, struct err *err) {
    int64_t *numbers = arena_array(work->states.arena, work->uniques.count, sizeof(*numbers));
    if (numbers == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < work->uniques.count; i++) {
        numbers[i] = unique_at(work, i)->times;
    }
    pg_add_int8_array(&work->params, numbers, work->uniques.count);
    for (size_t i = 0; i < work->uniques.count; i++) {
        numbers[i] = (int64_t)unique_at(work, i)->delivery->quarantine_max;
    }
    pg_add_int8_array(&work->params, numbers, work->uniques.count);
    return true;
}

/* Keys that the batch asks for, beside the keys of their orders. */
struct wanted {
    struct strbuf orders, keys;
};

static void want(struct wanted *wanted, const struct delivery *delivery, const struct uuid *key) {
    strbuf_add(&wanted->orders, delivery->order.bytes, sizeof(delivery->order.bytes));
    strbuf_add(&wanted->keys, key->bytes, sizeof(key->bytes));
}

static void want_boxes(struct wanted *wanted, const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->changes.box_count; i++) {
        want(wanted, delivery, &delivery->box_keys[i]);
    }
}

static void want_events(struct wanted *wanted, const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->changes.event_count; i++) {
        want(wanted, delivery, &delivery->event_keys[i]);
    }
}

static void want_documents(struct wanted *wanted, const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->changes.document_count; i++) {
        want(wanted, delivery, &delivery->document_keys[i]);
    }
}

static int compare_pairs(const void *left, const void *right) {
    return memcmp(left, right, 2 * sizeof(struct uuid));
}

/* Each pair once, in two arrays. */
static bool add_pairs(struct batch_work *work, const struct wanted *wanted, struct err *err) {
    struct slice orders = strbuf_slice(&wanted->orders), keys = strbuf_slice(&wanted->keys);
    size_t count = keys.len / sizeof(struct uuid), distinct = 0;
    struct uuid(*pairs)[2] = arena_array(work->states.arena, count + 1, sizeof(*pairs));
    struct uuid *column = arena_array(work->states.arena, count + 1, sizeof(*column));
    if (pairs == NULL || column == NULL || strbuf_failed(&wanted->orders) ||
        strbuf_failed(&wanted->keys)) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(&pairs[i][0], orders.data + i * sizeof(struct uuid), sizeof(struct uuid));
        memcpy(&pairs[i][1], keys.data + i * sizeof(struct uuid), sizeof(struct uuid));
    }
    qsort(pairs, count, sizeof(*pairs), compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (distinct == 0 || compare_pairs(pairs[distinct - 1], pairs[i]) != 0) {
            memmove(pairs[distinct++], pairs[i], sizeof(*pairs));
        }
    }
    for (size_t part = 0; part < 2; part++) {
        for (size_t i = 0; i < distinct; i++) {
            column[i] = pairs[i][part];
        }
        pg_add_uuid_array(&work->params, (const uint8_t *)column, distinct);
    }
    return true;
}

static bool add_wanted(struct batch_work *work,
                       void (*want_of)(struct wanted *, const struct delivery *), struct err *err) {
    struct wanted wanted = {STRBUF_INIT(LIMIT_STATES), STRBUF_INIT(LIMIT_STATES)};
    for (size_t i = 0; i < work->uniques.count; i++) {
        const struct delivery *delivery = unique_at(work, i)->delivery;
        if (delivery->has_order) {
            want_of(&wanted, delivery);
        }
    }
    bool ok = add_pairs(work, &wanted, err);
    strbuf_free(&wanted.orders);
    strbuf_free(&wanted.keys);
    return ok;
}

/* The keys of the deliveries that it applies to, each once. */
static bool add_keys(struct batch_work *work, bool (*applies)(const struct delivery *),
                     const struct uuid *(*key_of)(const struct delivery *), struct err *err) {
    struct uuid *keys = arena_array(work->states.arena, work->uniques.count, sizeof(*keys));
    size_t count = 0;
    if (keys == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < work->uniques.count; i++) {
        const struct delivery *delivery = unique_at(work, i)->delivery;
        bool is_there = !applies(delivery);
        for (size_t j = 0; !is_there && j < count; j++) {
            is_there = uuid_eq(&keys[j], key_of(delivery));
        }
        if (!is_there) {
            keys[count++] = *key_of(delivery);
        }
    }
    pg_add_uuid_array(&work->params, (const uint8_t *)keys, count);
    return true;
}

static bool has_box_list(const struct delivery *delivery) {
    return delivery->has_order && delivery->changes.order.has_box_list;
}

static const struct uuid *order_of(const struct delivery *delivery) {
    return &delivery->order;
}

static bool has_manifest(const struct delivery *delivery) {
    return delivery->reading == READING_APPLIED && delivery->changes.has_manifest;
}

static const struct uuid *manifest_of(const struct delivery *delivery) {
    return &delivery->manifest;
}

/* The deliveries that speak of a provisional order too, beside its key. */
static bool add_moves(struct batch_work *work, struct err *err) {
    size_t count = 0;
    struct uuid *ids = arena_array(work->states.arena, work->uniques.count, sizeof(*ids));
    struct uuid *orders = arena_array(work->states.arena, work->uniques.count, sizeof(*orders));
    if (ids == NULL || orders == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < work->uniques.count; i++) {
        const struct delivery *delivery = unique_at(work, i)->delivery;
        if (delivery->moves_order) {
            ids[count] = delivery->id;
            orders[count++] = delivery->moved_order;
        }
    }
    pg_add_uuid_array(&work->params, (const uint8_t *)ids, count);
    pg_add_uuid_array(&work->params, (const uint8_t *)orders, count);
    return true;
}

/* The parameters of take_deliveries() or, for one that is read again, take_replayed(). */
static bool add_batch(struct batch_work *work, struct err *err) {
    if (work->replayed != NULL) {
        pg_add_uuid(&work->params, work->replayed->bytes);
        add_deliveries(work, ROWS_DELIVERIES);
    } else {
        add_deliveries(work, ROWS_DELIVERIES);
        add_deliveries(work, ROWS_BODIES);
    }
    return (work->replayed != NULL || add_numbers(work, err)) &&
           add_keys(work, has_box_list, order_of, err) && add_wanted(work, want_boxes, err) &&
           add_wanted(work, want_events, err) && add_wanted(work, want_documents, err) &&
           add_keys(work, has_manifest, manifest_of, err) && add_moves(work, err);
}

/* ---- what comes back ---- */

static bool take_outcomes(struct batch_work *work, struct slice value, struct err *err) {
    struct pg_reader reader;
    struct slice name;
    if (!pg_read_array(value, &reader) || reader.left != work->uniques.count) {
        return err_set(err, ERR_DATABASE, "the database gave %zu outcomes for %zu deliveries",
                       reader.left, work->uniques.count);
    }
    for (size_t i = 0; i < work->uniques.count; i++) {
        struct unique *unique = work->uniques.items[i];
        if (!pg_read_next(&reader, &name) || !delivery_outcome_find(name, &unique->outcome)) {
            return err_set(err, ERR_DATABASE,
                           "the database gave an outcome that this release does not know");
        }
    }
    return true;
}

static bool take_positions(struct batch_work *work, struct slice value, struct err *err) {
    struct pg_reader reader;
    struct slice number;
    if (!pg_read_array(value, &reader)) {
        return err_set(err, ERR_DATABASE, "the database gave no positions of the feed");
    }
    work->positions = arena_array(work->states.arena, reader.left + 1, sizeof(*work->positions));
    if (work->positions == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    while (pg_read_next(&reader, &number)) {
        work->positions[work->position_count++] = pg_value_integer(number);
    }
    return true;
}

static bool take_state(struct batch_work *work, const struct pg_result *result, struct err *err) {
    work->stamped_at = pg_timestamp(result, 0, 2);
    return take_outcomes(work, pg_bytes(result, 0, 0), err) &&
           take_positions(work, pg_bytes(result, 0, 1), err) &&
           store_load_states(&work->states, result, 3, err);
}

/* ---- what comes of it ---- */

static bool fold_new(struct batch_work *work, struct err *err) {
    for (size_t i = 0; i < work->uniques.count; i++) {
        const struct unique *unique = unique_at(work, i);
        if (unique->outcome == OUTCOME_APPLIED &&
            !states_fold(&work->states, unique->delivery, err)) {
            return false;
        }
    }
    return true;
}

/* Each delivery's, on success: of one that came several times in the batch the first is the new
 * one. */
static void spread_outcomes(struct batch_work *work) {
    for (size_t i = 0; i < work->count; i++) {
        struct delivery *delivery = work->deliveries[i];
        const struct unique *unique = uuid_map_find(&work->uniques, &delivery->id);
        bool repeats = unique->delivery != delivery && unique->outcome != OUTCOME_REFUSED;
        delivery->outcome = repeats ? OUTCOME_DUPLICATE : unique->outcome;
    }
}

static bool write_and_commit(struct batch_work *work, int64_t deadline_ms, struct err *err) {
    struct pg_step steps[] = {{.sql = STORE_WRITE_STATES, .params = &work->params},
                              {.sql = STORE_COMMIT}};
    bool nothing = work->states.orders.count == 0 && work->states.manifests.count == 0;
    pg_params_free(&work->params);
    pg_params_init(&work->params, LIMIT_STATEMENT);
    states_add_rows(&work->states, &work->params);
    bool ok = nothing ? pg_pipeline(work->store->pg, &steps[1], 1, deadline_ms, err)
                      : pg_pipeline(work->store->pg, steps, ARRAY_LEN(steps), deadline_ms, err);
    pg_result_clear(steps[0].result);
    pg_result_clear(steps[1].result);
    return ok;
}

static bool run_transaction(struct batch_work *work, int64_t deadline_ms, struct err *err) {
    static const char take[] =
        "SELECT t.outcomes, t.positions, t.stamped_at, t.state"
        " FROM waybill_data.take_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        " t";
    static const char take_replayed[] =
        "SELECT t.outcomes, t.positions, t.stamped_at, t.state"
        " FROM waybill_data.take_replayed($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) t";
    struct store *store = work->store;
    struct pg_step steps[] = {
        {.sql = STORE_BEGIN},
        {.sql = work->replayed != NULL ? take_replayed : take, .params = &work->params}};
    bool ok = find_uniques(work, err) && add_batch(work, err);
    if (!ok) {
        return false;
    }
    ok = pg_pipeline(store->pg, steps, ARRAY_LEN(steps), deadline_ms, err);
    ok = ok && take_state(work, steps[1].result, err) && fold_new(work, err) &&
         store_read_spans(store, &work->states, &work->uniques, deadline_ms, err) &&
         states_show(&work->states, work->positions, work->position_count, work->stamped_at, err) &&
         write_and_commit(work, deadline_ms, err);
    pg_result_clear(steps[0].result);
    pg_result_clear(steps[1].result);
    if (!ok) {
        store_roll_back(store, deadline_ms);
    }
    return ok;
}

static bool run_ingest(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    const struct batch_work *given = context;
    struct batch_work work = {.deliveries = given->deliveries,
                              .count = given->count,
                              .replayed = given->replayed,
                              .store = store,
                              .states = store_states(store, true)};
    pg_params_init(&work.params, LIMIT_STATEMENT);
    bool ok = work.states.arena != NULL ? run_transaction(&work, deadline_ms, err)
                                        : err_set(err, ERR_MEMORY, "out of memory");
    if (ok) {
        spread_outcomes(&work);
    }
    pg_params_free(&work.params);
    arena_free(work.states.arena);
    return ok;
}

enum store_result store_ingest(struct store *store, struct delivery *const *deliveries,
                               size_t count, struct err *err) {
    struct batch_work work = {.deliveries = deliveries, .count = count};
    return store_run(store, run_ingest, &work, err);
}

enum store_result store_replay(struct store *store, const struct uuid *id,
                               struct delivery *delivery, struct err *err) {
    struct batch_work work = {.deliveries = &delivery, .count = 1, .replayed = id};
    return store_run(store, run_ingest, &work, err);
}
