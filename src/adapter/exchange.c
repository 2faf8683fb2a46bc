#include "adapter/exchange.h"

static bool is_digits(struct slice s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
    }
    return true;
}

bool exchange_announced_length(const struct http_params *params, int64_t *length) {
    struct slice announced = http_param(params, "CONTENT_LENGTH");
    *length = -1;
    if (announced.len == 0) {
        return true;
    }
    if (!is_digits(announced)) {
        return false;
    }
    if (!slice_to_int64(announced, length)) {
        *length = INT64_MAX;
    }
    return true;
}

enum body_status exchange_read_body(struct exchange *exchange, size_t max, struct strbuf *body) {
    return exchange->read_body(exchange, max, body);
}

void exchange_discard_body(struct exchange *exchange) {
    exchange->discard_body(exchange);
}

bool exchange_answer(struct exchange *exchange, struct http_answer *answer) {
    return exchange->answer(exchange, answer);
}
