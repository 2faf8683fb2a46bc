#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS_MAX ((size_t)256 << 20)

/* The bytes of the character at the head of S that a terminal may see; 0: none of it. */
static size_t harmless(struct slice s) {
    unsigned char first = (unsigned char)s.data[0];
    size_t len = slice_utf8_character(s);
    bool control = first < 0x20 || first == 0x7f ||
                   /* C1: U+0080 to U+009F */
                   (len == 2 && first == 0xc2 && (unsigned char)s.data[1] < 0xa0);
    return control ? 0 : len;
}

void output_text(FILE *out, struct slice text) {
    if (text.len == 0) {
        fputc('-', out);
    }
    while (text.len > 0) {
        size_t len = harmless(text);
        size_t skip = slice_utf8_character(text);
        if (len == 0) {
            fputc('?', out);
        } else {
            fwrite(text.data, 1, len, out);
        }
        text = slice_from(text, skip > 0 ? skip : 1);
    }
}

void output_bytes(FILE *out, int64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    fprintf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* ---- rows of JSON objects ---- */

bool records_read(struct records *records, size_t count,
                  struct slice (*row)(const void *context, size_t n), const void *context,
                  struct err *err) {
    *records = (struct records){.arena = arena_new(TEXTS_MAX),
                                .docs = calloc(count + 1, sizeof(struct json_doc *))};
    if (records->arena == NULL || records->docs == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        struct json_position where;
        if (json_parse(row(context, i), &records->docs[i], &where) != JSON_OK) {
            return err_set(err, ERR_DATABASE, "the database gave a row that is no JSON");
        }
        records->count++;
    }
    return true;
}

void records_free(struct records *records) {
    for (size_t i = 0; i < records->count; i++) {
        json_doc_free(records->docs[i]);
    }
    free(records->docs);
    arena_free(records->arena);
    *records = (struct records){.arena = NULL};
}

const struct json *record(const struct records *records, size_t n) {
    return json_root(records->docs[n]);
}

struct slice record_text(const struct records *records, const struct json *row, const char *path) {
    const struct json *value = json_path(row, path);
    bool truth, failed = false;
    if (json_to_boolean(value, &truth)) {
        return truth ? SLICE_OF("yes") : SLICE_OF("no");
    }
    return json_text_or_integer(value, records->arena, &failed);
}

int64_t record_integer(const struct json *row, const char *path) {
    int64_t value = 0;
    return json_to_integer(json_path(row, path), &value) ? value : 0;
}

bool record_true(const struct json *row, const char *path) {
    bool value;
    return json_to_boolean(json_path(row, path), &value) && value;
}

/* ---- tables ---- */

void table_cell(struct table *table, struct slice text) {
    if (table->count == table->capacity) {
        size_t capacity = table->capacity > 0 ? 2 * table->capacity : 64;
        struct slice *cells = realloc(table->cells, capacity * sizeof(*cells));
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    table->cells[table->count++] = text;
}

/* Columns that TEXT takes: characters, as output_text() writes them. */
static size_t width_of(struct slice text) {
    size_t width = text.len == 0 ? 1 : 0;
    while (text.len > 0) {
        size_t len = slice_utf8_character(text);
        text = slice_from(text, len > 0 ? len : 1);
        width++;
    }
    return width;
}

static void print_row(const struct slice *cells, const size_t *widths, size_t columns, FILE *out) {
    for (size_t i = 0; i < columns; i++) {
        output_text(out, cells[i]);
        if (i + 1 < columns) {
            fprintf(out, "%*s", (int)(widths[i] - width_of(cells[i]) + 2), "");
        }
    }
    fputc('\n', out);
}

bool table_print(struct table *table, FILE *out) {
    struct slice heads[TABLE_COLUMNS] = {SLICE_EMPTY};
    size_t widths[TABLE_COLUMNS] = {0};
    size_t columns = table->columns;
    for (size_t i = 0; i < columns; i++) {
        heads[i] = slice_from_cstr(table->heads[i]);
        widths[i] = width_of(heads[i]);
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t width = width_of(table->cells[i]);
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): no table is without columns. */
        widths[i % columns] = width > widths[i % columns] ? width : widths[i % columns];
    }
    print_row(heads, widths, columns, out);
    for (size_t i = 0; i + columns <= table->count; i += columns) {
        print_row(table->cells + i, widths, columns, out);
    }
    free(table->cells);
    table->cells = NULL;
    return !table->failed;
}

/* ---- JSON for scripts ---- */

bool output_json(struct strbuf *out) {
    bool ok = !strbuf_failed(out);
    if (ok) {
        printf("%.*s\n", SLICE_ARGS(strbuf_slice(out)));
    }
    strbuf_free(out);
    return ok;
}
