/*
 * Text for people. What senders wrote may hold control characters, which a terminal obeys: they are
 * shown as '?'.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "adapter/json.h"

#include <stdint.h>
#include <stdio.h>

/* TEXT as one line without its end; "-" for the empty one. */
void output_text(FILE *out, struct slice text);
/* "1.5 MiB". */
void output_bytes(FILE *out, int64_t bytes);

/* ---- rows of JSON objects ---- */

/* Parsed rows and the texts read of them. Zeroed before use, freed by records_free(). */
struct records {
    struct arena *arena;
    struct json_doc **docs;
    size_t count;
};
/* Takes COUNT rows; ROW gives the JSON text of the n-th. False with ERR without memory, or when one
 * is no JSON. */
MUST_CHECK bool records_read(struct records *records, size_t count,
                             struct slice (*row)(const void *context, size_t n),
                             const void *context, struct err *err);
void records_free(struct records *records);
const struct json *record(const struct records *records, size_t n);
/* A member as text: strings as they are, numbers as digits, "yes" and "no", else empty. */
struct slice record_text(const struct records *records, const struct json *row, const char *path);
int64_t record_integer(const struct json *row, const char *path);
bool record_true(const struct json *row, const char *path);

/* ---- tables ---- */

#define TABLE_COLUMNS 10

/* Columns as wide as their widest cell; the last one is not filled up. */
struct table {
    const char *const *heads; /* COLUMNS of them */
    size_t columns;
    struct slice *cells;
    size_t count, capacity;
    bool failed;
};
/* The cell's text is kept, not copied; cells come row by row. */
void table_cell(struct table *table, struct slice text);
/* Prints and frees; false without memory. */
MUST_CHECK bool table_print(struct table *table, FILE *out);

/* ---- JSON for scripts ---- */

/* Prints what OUT holds with a line end, and frees it; false when it failed. */
MUST_CHECK bool output_json(struct strbuf *out);

#endif
