#include "adapter/exchange.h"

enum body_status exchange_read_body(struct exchange *exchange, size_t max, struct strbuf *body) {
    return exchange->read_body(exchange, max, body);
}

void exchange_discard_body(struct exchange *exchange) {
    exchange->discard_body(exchange);
}

bool exchange_answer(struct exchange *exchange, struct http_answer *answer) {
    return exchange->answer(exchange, answer);
}
