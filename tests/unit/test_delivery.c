#include "base/hex.h"
#include "engine/delivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* One order with two boxes, an event and a document; each test changes one thing and looks which
 * identities follow. */
struct sample {
    struct arena *arena;
    struct delivery delivery;
    struct box_change boxes[2];
    struct tracking_event events[2];
    struct document document;
};

static void prepare(struct sample *sample) {
    memset(sample, 0, sizeof(*sample));
    sample->arena = arena_new(1u << 20);
    assert_non_null(sample->arena);
    for (size_t i = 0; i < 2; i++) {
        box_change_init(&sample->boxes[i]);
        tracking_event_init(&sample->events[i]);
    }
    sample->boxes[0].box_id = SLICE_OF("box 1");
    sample->boxes[1].box_id = SLICE_OF("box 2");
    sample->events[0].box_id = SLICE_OF("box 1");
    sample->events[1].box_id = SLICE_OF("box 1");
    sample->document.box_id = SLICE_OF("box 2");
    sample->delivery =
        (struct delivery){.source = SLICE("shop"), .content = SLICE("{}"), .body = SLICE(" {} ")};
    struct changes *changes = &sample->delivery.changes;
    changes_init(changes);
    sample->delivery.reading = READING_APPLIED;
    changes->event_id = SLICE_OF("evt");
    changes->live = changes->live_known = true;
    changes->order_id = SLICE_OF("order");
    changes->boxes = sample->boxes;
    changes->box_count = 2;
    changes->events = sample->events;
    changes->event_count = 2;
    changes->documents = &sample->document;
    changes->document_count = 1;
}

static void identify(struct sample *sample) {
    assert_true(delivery_identify(&sample->delivery, sample->arena));
}

static bool same(const struct uuid *a, const struct uuid *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void rows_belong_to_their_boxes(void **state) {
    struct sample sample;
    (void)state;
    prepare(&sample);
    identify(&sample);
    const struct delivery *delivery = &sample.delivery;
    assert_true(delivery->has_order);
    assert_false(same(&delivery->box_keys[0], &delivery->box_keys[1]));
    assert_true(same(&delivery->event_box_keys[0], &delivery->box_keys[0]));
    assert_true(same(&delivery->document_box_keys[0], &delivery->box_keys[1]));
    arena_free(sample.arena);
}

/* Whether both events of a webhook are one row, when the second differs by what CHANGE does. */
static bool are_one_row(void (*change)(struct tracking_event *event)) {
    struct sample sample;
    prepare(&sample);
    if (change != NULL) {
        change(&sample.events[1]);
    }
    identify(&sample);
    bool one = same(&sample.delivery.event_keys[0], &sample.delivery.event_keys[1]);
    arena_free(sample.arena);
    return one;
}
static void happen_later(struct tracking_event *event) {
    event->occurred_at = 1;
}
static void happen_to_another_box(struct tracking_event *event) {
    event->box_id = SLICE_OF("box 2");
}
static void say_another_word(struct tracking_event *event) {
    event->provider_status = SLICE_OF("word");
}
static void have_an_id(struct tracking_event *event) {
    event->sender_event_id = SLICE_OF("1");
}
static void say_more(struct tracking_event *event) {
    event->status = STATUS_DELIVERED;
    event->message = SLICE_OF("message");
}

static void one_happening_is_one_row(void **state) {
    (void)state;
    assert_true(are_one_row(NULL));
    assert_true(are_one_row(say_more));
    assert_false(are_one_row(happen_later));
    assert_false(are_one_row(happen_to_another_box));
    assert_false(are_one_row(say_another_word));
    assert_false(are_one_row(have_an_id));
}

static void the_order_that_moves_is_of_the_same_source(void **state) {
    struct sample moving, provisional, plain;
    (void)state;
    prepare(&moving);
    prepare(&provisional);
    prepare(&plain);
    moving.delivery.changes.moved_from = SLICE_OF("tracker-1");
    provisional.delivery.changes.order_id = SLICE_OF("tracker-1");
    identify(&moving);
    identify(&provisional);
    identify(&plain);
    assert_true(moving.delivery.moves_order);
    assert_false(plain.delivery.moves_order);
    assert_true(same(&moving.delivery.order, &plain.delivery.order));
    assert_true(same(&moving.delivery.moved_order, &provisional.delivery.order));
    assert_true(delivery_quarantine(&moving.delivery, SLICE_OF("why")));
    assert_false(moving.delivery.moves_order);
    arena_free(moving.arena);
    arena_free(provisional.arena);
    arena_free(plain.arena);
}

static void a_resend_is_the_same_delivery(void **state) {
    struct sample first, again;
    (void)state;
    prepare(&first);
    prepare(&again);
    again.delivery.body = SLICE_OF("{\n}");
    again.delivery.received_at = 12345;
    identify(&first);
    identify(&again);
    assert_true(same(&first.delivery.id, &again.delivery.id));
    assert_true(same(&first.delivery.event_keys[1], &again.delivery.event_keys[1]));
    arena_free(first.arena);
    arena_free(again.arena);
}

static void other_content_stands_beside_it(void **state) {
    struct sample first, other;
    (void)state;
    prepare(&first);
    prepare(&other);
    other.delivery.content = SLICE_OF("{\"a\":1}");
    identify(&first);
    identify(&other);
    assert_false(same(&first.delivery.id, &other.delivery.id));
    assert_memory_equal(first.delivery.id.bytes, other.delivery.id.bytes, 8);
    assert_true(same(&first.delivery.order, &other.delivery.order));
    arena_free(first.arena);
    arena_free(other.arena);
}

static void sandbox_is_another_order(void **state) {
    struct sample live, sandbox;
    (void)state;
    prepare(&live);
    prepare(&sandbox);
    sandbox.delivery.changes.live = false;
    identify(&live);
    identify(&sandbox);
    assert_false(same(&live.delivery.order, &sandbox.delivery.order));
    assert_false(same(&live.delivery.id, &sandbox.delivery.id));
    arena_free(live.arena);
    arena_free(sandbox.arena);
}

/* An event of "shop" that names an order of another source. */
struct naming {
    const char *source; /* "" names none */
    bool live;
    const char *known_provider; /* what was found before; NULL: nothing */
    const char *detail;         /* NULL: applied */
    const char *order_source, *order_provider;
};

static void only_granted_orders_of_others_are_written(void **state) {
    static const struct order_owner owners[] = {
        {SLICE("cross"), SLICE("crossborderly"), SLICE("https://cross"), true, true},
        {SLICE("real"), SLICE("shipup"), SLICE(""), true, false},
        {SLICE("test"), SLICE("shipup"), SLICE(""), false, true},
    };
    static const struct naming rows[] = {
        {"", true, NULL, NULL, "shop", "waybill"},
        {"shop", true, NULL, NULL, "shop", "waybill"},
        {"cross", true, NULL, NULL, "cross", "crossborderly"},
        {"cross", false, NULL, NULL, "cross", "crossborderly"},
        {"real", true, NULL, NULL, "real", "shipup"},
        {"real", false, NULL, "data.source: this source takes live traffic only", NULL, NULL},
        {"test", false, NULL, NULL, "test", "shipup"},
        {"test", true, NULL, "data.source: this source takes sandbox traffic only", NULL, NULL},
        {"Cross", true, NULL, "data.source: writes_to does not name this source", NULL, NULL},
        {"other", true, NULL, "data.source: writes_to does not name this source", NULL, NULL},
        {"other", true, "swiftpod", NULL, "other", "swiftpod"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sample sample;
        prepare(&sample);
        struct delivery *delivery = &sample.delivery;
        delivery->provider = SLICE_OF("waybill");
        delivery->tracking_url_template = SLICE_OF("https://shop");
        delivery->owners = owners;
        delivery->owner_count = ARRAY_LEN(owners);
        delivery->order_provider = slice_from_cstr(rows[i].known_provider);
        delivery->changes.live = rows[i].live;
        delivery->changes.order_source = slice_from_cstr(rows[i].source);
        delivery->changes.order_source_path = "data.source";
        identify(&sample);
        assert_int_equal(delivery->has_order, rows[i].detail == NULL);
        if (rows[i].detail) {
            struct uuid id;
            assert_int_equal(delivery->reading, READING_QUARANTINED);
            assert_true(slice_eq(delivery->changes.detail, slice_from_cstr(rows[i].detail)));
            assert_true(quarantined_delivery_id(delivery->source, delivery->body, &id));
            assert_true(same(&delivery->id, &id));
        } else {
            struct uuid order;
            struct slice template = SLICE_OF("https://shop");
            assert_true(order_key(slice_from_cstr(rows[i].order_source), rows[i].live,
                                  SLICE_OF("order"), &order));
            assert_true(same(&delivery->order, &order));
            assert_true(
                slice_eq(delivery->order_provider, slice_from_cstr(rows[i].order_provider)));
            if (slice_eq(delivery->order_provider, SLICE_OF("crossborderly"))) {
                template = SLICE_OF("https://cross");
            } else if (slice_eq(delivery->order_provider, SLICE_OF("shipup"))) {
                template = SLICE_EMPTY;
            }
            assert_true(slice_eq(delivery->tracking_url_template, template));
        }
        arena_free(sample.arena);
    }
}

static void what_is_not_understood_is_known_by_its_bytes(void **state) {
    struct sample understood, quarantined, refused;
    (void)state;
    prepare(&understood);
    prepare(&quarantined);
    prepare(&refused);
    quarantined.delivery.reading = READING_QUARANTINED;
    identify(&understood);
    identify(&quarantined);
    identify(&refused);
    assert_true(delivery_quarantine(&refused.delivery, SLICE_OF("because")));
    assert_false(quarantined.delivery.has_order);
    assert_false(refused.delivery.has_order);
    assert_true(same(&quarantined.delivery.id, &refused.delivery.id));
    assert_false(same(&quarantined.delivery.id, &understood.delivery.id));
    arena_free(understood.arena);
    arena_free(quarantined.arena);
    arena_free(refused.arena);
}

static void ignored_ones_have_no_rows(void **state) {
    struct sample sample;
    (void)state;
    prepare(&sample);
    sample.delivery.reading = READING_IGNORED;
    identify(&sample);
    assert_false(sample.delivery.has_order);
    arena_free(sample.arena);
}

/* A webhook may speak of one box as often as it likes: each time is a change of its own. */
static void one_box_many_times_is_one_box(void **state) {
    struct sample sample;
    struct box_change boxes[200];
    (void)state;
    prepare(&sample);
    for (size_t i = 0; i < ARRAY_LEN(boxes); i++) {
        box_change_init(&boxes[i]);
        boxes[i].box_id = SLICE_OF("box 1");
    }
    sample.delivery.changes.boxes = boxes;
    sample.delivery.changes.box_count = ARRAY_LEN(boxes);
    identify(&sample);
    assert_int_equal(sample.delivery.reading, READING_APPLIED);
    for (size_t i = 0; i < ARRAY_LEN(boxes); i++) {
        assert_true(same(&sample.delivery.box_keys[i], &sample.delivery.box_keys[0]));
    }
    arena_free(sample.arena);
}

static void papers_are_known_by_box_kind_and_url(void **state) {
    static const struct {
        const char *box, *kind, *url;
        size_t like; /* the row with the same key; itself: there is none before */
    } rows[] = {
        {"box 1", "label", "https://a", 0},   {"box 2", "label", "https://a", 1},
        {"box 1", "invoice", "https://a", 2}, {"box 1", "label", "https://b", 3},
        {"box 1", "label", "https://a", 0},
    };
    struct document documents[ARRAY_LEN(rows)];
    struct sample sample;
    (void)state;
    prepare(&sample);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        documents[i] =
            (struct document){slice_from_cstr(rows[i].box), slice_from_cstr(rows[i].kind),
                              slice_from_cstr(rows[i].url)};
    }
    sample.delivery.changes.documents = documents;
    sample.delivery.changes.document_count = ARRAY_LEN(rows);
    identify(&sample);
    const struct uuid *keys = sample.delivery.document_keys;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t j = 0; j < i; j++) {
            if (same(&keys[i], &keys[j]) != (rows[i].like == rows[j].like)) {
                fail_msg("rows %zu and %zu", j, i);
            }
        }
    }
    assert_true(same(&sample.delivery.document_box_keys[1], &sample.delivery.box_keys[1]));
    arena_free(sample.arena);
}

static void links_have_the_template_of_the_source(void **state) {
    struct sample sample;
    (void)state;
    prepare(&sample);
    sample.delivery.tracking_url_template = SLICE_OF("https://shop/{tracking_number}");
    identify(&sample);
    for (size_t i = 0; i < ARRAY_LEN(sample.boxes); i++) {
        assert_true(slice_eq(sample.boxes[i].tracking_url_template,
                             SLICE_OF("https://shop/{tracking_number}")));
    }
    arena_free(sample.arena);
}

/* sha256sum of " {} " */
static void the_digest_is_that_of_the_bytes(void **state) {
    struct sample sample;
    char hex[2 * SHA256_LEN + 1];
    (void)state;
    prepare(&sample);
    identify(&sample);
    hex_encode(sample.delivery.body_sha256, SHA256_LEN, hex);
    assert_string_equal(hex, "557f9139185990e294bfa33b7425d6a49528c24cd05917b00424353226b8b3fb");
    arena_free(sample.arena);
}

static void running_out_of_memory_is_reported(void **state) {
    struct sample sample;
    struct arena *none = arena_new(0);
    (void)state;
    assert_non_null(none);
    prepare(&sample);
    assert_false(delivery_identify(&sample.delivery, none));
    arena_free(none);
    arena_free(sample.arena);
}

static void outcomes_have_the_words_of_the_contract(void **state) {
    static const char *const words[] = {"applied", "ignored", "quarantined", "duplicate",
                                        "refused"};
    enum delivery_outcome outcome;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_string_equal(delivery_outcome_name((enum delivery_outcome)i).data, words[i]);
        assert_true(delivery_outcome_find(slice_from_cstr(words[i]), &outcome));
        assert_int_equal(outcome, i);
    }
    assert_false(delivery_outcome_find(SLICE_OF("lost"), &outcome));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_belong_to_their_boxes),
        cmocka_unit_test(one_happening_is_one_row),
        cmocka_unit_test(the_order_that_moves_is_of_the_same_source),
        cmocka_unit_test(a_resend_is_the_same_delivery),
        cmocka_unit_test(other_content_stands_beside_it),
        cmocka_unit_test(sandbox_is_another_order),
        cmocka_unit_test(only_granted_orders_of_others_are_written),
        cmocka_unit_test(what_is_not_understood_is_known_by_its_bytes),
        cmocka_unit_test(ignored_ones_have_no_rows),
        cmocka_unit_test(one_box_many_times_is_one_box),
        cmocka_unit_test(papers_are_known_by_box_kind_and_url),
        cmocka_unit_test(links_have_the_template_of_the_source),
        cmocka_unit_test(the_digest_is_that_of_the_bytes),
        cmocka_unit_test(running_out_of_memory_is_reported),
        cmocka_unit_test(outcomes_have_the_words_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
