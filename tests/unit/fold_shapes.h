/*
 * The tables as the migrations make them, read from their text: shapes for rows without a database.
 * Run from the top of the checkout.
 */
#ifndef TESTS_FOLD_SHAPES_H
#define TESTS_FOLD_SHAPES_H

#include "base/limits.h"
#include "engine/state_rows.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is tested at present, to begin the message of a failure. */
static char fold_subject[256];

/* What is found wrong outside of a test function: in helpers, in processes of their own. */
PRINTF_LIKE(1, 2)
static inline _Noreturn void fold_fail(const char *format, ...) {
    va_list args;
    (void)fprintf(stderr, "%s: ", fold_subject);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    abort();
}

#define MIGRATIONS "schema/migrations"

struct table_names {
    struct slice columns[SHAPE_COLUMNS_MAX];
    bool required[SHAPE_COLUMNS_MAX]; /* NOT NULL */
};

struct fold_tables {
    struct row_shape shapes[ROW_KINDS];
    struct table_names names[ROW_KINDS];
};

static inline struct slice table_name(enum row_kind kind) {
    static const struct slice names[ROW_KINDS] = {
        [ROWS_DELIVERIES] = SLICE("deliveries"),
        [ROWS_BODIES] = SLICE("bodies"),
        [ROWS_ORDERS] = SLICE("orders"),
        [ROWS_BOXES] = SLICE("boxes"),
        [ROWS_EVENTS] = SLICE("tracking_events"),
        [ROWS_DOCUMENTS] = SLICE("documents"),
        [ROWS_ORDER_CHANGES] = SLICE("order_changes"),
        [ROWS_MANIFESTS] = SLICE("manifests"),
        [ROWS_FEED] = SLICE("feed"),
    };
    return names[kind];
}

static inline size_t table_column(const struct fold_tables *tables, enum row_kind kind,
                                  const char *name) {
    for (size_t i = 0; i < tables->shapes[kind].count; i++) {
        if (slice_eq(tables->names[kind].columns[i], slice_from_cstr(name))) {
            return i;
        }
    }
    fold_fail("%s has no column %s", table_name(kind).data, name);
}

/* Oids of the types that differ in how they are written. */
static inline uint32_t type_oid(struct slice type) {
    static const struct {
        struct slice name;
        uint32_t oid;
    } types[] = {{SLICE("smallint"), PG_TYPE_INT2}, {SLICE("integer"), PG_TYPE_INT4}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (slice_starts_with(type, types[i].name)) {
            return types[i].oid;
        }
    }
    return 25;
}

static inline void add_schema_column(struct fold_tables *tables, struct slice table,
                                     struct slice line) {
    struct slice name, type;
    struct err err = ERR_INIT;
    (void)slice_split(line, ' ', &name, &type);
    if (!shapes_add(tables->shapes, table, 1, name, type_oid(type), &err)) {
        fold_fail("%s", err.message);
    }
    for (enum row_kind kind = 0; kind < ROW_KINDS; kind++) {
        if (slice_eq(table, table_name(kind))) {
            size_t last = tables->shapes[kind].count - 1;
            tables->names[kind].columns[last] = name;
            tables->names[kind].required[last] =
                memmem(type.data, type.len, "NOT NULL", 8) != NULL ||
                memmem(type.data, type.len, "PRIMARY KEY", 11) != NULL;
        }
    }
}

/* Lines of CREATE TABLE name ( ... ); columns stand in lines of their own, four spaces in. */
static inline void read_migration(struct fold_tables *tables, struct slice text) {
    static const struct slice create = SLICE("CREATE TABLE waybill_data.");
    static const struct slice alter = SLICE("ALTER TABLE waybill_data."),
                              add = SLICE("ADD COLUMN ");
    struct slice line, table = SLICE_EMPTY, rest;
    while (text.len > 0) {
        (void)slice_split(text, '\n', &line, &text);
        if (slice_starts_with(line, create)) {
            (void)slice_split(slice_from(line, create.len), ' ', &table, &rest);
        } else if (slice_starts_with(line, alter)) {
            struct slice altered;
            (void)slice_split(slice_from(line, alter.len), ' ', &altered, &rest);
            if (slice_starts_with(rest, add)) {
                add_schema_column(tables, altered, slice_from(rest, add.len));
            }
        } else if (slice_starts_with(line, SLICE_OF(")"))) {
            table = SLICE_EMPTY;
        } else if (table.len > 0 && slice_starts_with(line, SLICE_OF("    ")) && line.len > 4 &&
                   line.data[4] >= 'a' && line.data[4] <= 'z') {
            add_schema_column(tables, table, slice_from(line, 4));
        }
    }
}

/* The whole of PATH, appended to OUT. */
static inline void read_file(const char *path, struct strbuf *out) {
    char chunk[4096];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fold_fail("%s cannot be read: run from the top of the checkout", path);
    }
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;) {
        strbuf_add(out, chunk, n);
    }
    (void)fclose(file);
    if (strbuf_failed(out)) {
        fold_fail("%s is too long", path);
    }
}

static inline int is_migration(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

/* Read once a process. */
static inline const struct fold_tables *fold_tables(void) {
    static struct fold_tables tables;
    static struct strbuf texts[64]; /* the names point into them */
    struct dirent **entries;
    if (tables.shapes[ROWS_ORDERS].type != 0) {
        return &tables;
    }
    int count = scandir(MIGRATIONS, &entries, is_migration, alphasort);
    for (int i = 0; i < count && i < (int)ARRAY_LEN(texts); i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), MIGRATIONS "/%.255s", entries[i]->d_name);
        strbuf_init(&texts[i], (size_t)1 << 24);
        read_file(path, &texts[i]);
        read_migration(&tables, strbuf_slice(&texts[i]));
    }
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
    for (enum row_kind kind = 0; kind < ROW_KINDS; kind++) {
        for (size_t i = 0; i < tables.shapes[kind].count; i++) {
            if (tables.shapes[kind].columns[i].column == NULL) {
                fold_fail("engine/state_rows.c does not know %s.%.*s", table_name(kind).data,
                          SLICE_ARGS(tables.names[kind].columns[i]));
            }
        }
        if (tables.shapes[kind].count == 0) {
            fold_fail("no migration makes the table %s", table_name(kind).data);
        }
    }
    return &tables;
}

#endif
