/* Every maximum in one place. Bytes unless the name says otherwise. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Ids, numbers and status words are 1 to this many bytes: a longer one would not fit an index row.
 */
#define LIMIT_ID 255
/* A text the sender wrote for people (message, location, name): cut at a character boundary. */
#define LIMIT_TEXT 4096
/* A link. */
#define LIMIT_URL 2048
/* Words that one row of the history counts as beside its own. */
#define LIMIT_STANDS_FOR 16
/* A link made from a template: every byte of the tracking number may take three. */
#define LIMIT_TEMPLATE_URL (LIMIT_URL + 3 * LIMIT_ID * 16)
/* Boxes, history rows, documents or items of one webhook; more is quarantined. */
#define LIMIT_CHANGES 10000
/* The key of a register: the longest is that of a status with the longest word. */
#define LIMIT_REGISTER_KEY (LIMIT_ID + 64)
/* Derived memory of one request beside its body (parsed changes, answer). */
#define LIMIT_REQUEST_ARENA (32u << 20)
/* Ceiling of webhook.max_body, whatever the configuration says. */
#define LIMIT_BODY (64u << 20)
/* One log line. */
#define LIMIT_LOG_LINE 2048
/* The configuration file, and each secret file. */
#define LIMIT_CONFIG_FILE (1u << 20)
#define LIMIT_SECRET_FILE 4096
/* A time zone's file; the longest there are have 4 KiB. */
#define LIMIT_ZONE_FILE 65536
/* One HTTP answer: a list of 1000 order documents. */
#define LIMIT_ANSWER (64u << 20)
/* How long ago silence may have begun that the console asks for. */
#define LIMIT_SILENT_DAYS 365
/* The order documents that each connection of status.fcgi keeps, and one of them. */
#define LIMIT_DOCUMENT_CACHE (32u << 20)
#define LIMIT_CACHED_DOCUMENT 65536
/* Jobs and bytes that one transaction takes at most. */
#define LIMIT_BATCH_JOBS 256
#define LIMIT_BATCH_BYTES (8u << 20)
/* The states of the orders of one transaction: one of 10,000 boxes with their history, twice. */
#define LIMIT_STATES ((size_t)1 << 30)
/* The parameters of one statement. */
#define LIMIT_STATEMENT ((size_t)256 << 20)
/* Distinct values of one repeatable query parameter, orders in one page. */
#define LIMIT_QUERY_VALUES 100
#define LIMIT_PAGE_ORDERS 1000

#endif
