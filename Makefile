# waybill: `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

VERSION := 0.1.0
CC ?= gcc
BUILD ?= build
# Where webhook.fcgi and status.fcgi are linked to; other builds (clang, sanitizers) keep theirs beside their objects.
CGIBIN ?= cgi-bin
PKGS := fcgi jansson libconfuse libcrypto libpq
PKG_CONFIG ?= pkg-config

OPTIMISE ?= -O2 -g
SANITIZE ?=
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Werror
HARDENING := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
override CFLAGS := -std=c17 -pthread $(OPTIMISE) $(WARNINGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fPIE,$(HARDENING)) $(CFLAGS)
override CPPFLAGS := -Isrc -D_GNU_SOURCE -DWAYBILL_VERSION='"$(VERSION)"' $(CPPFLAGS)
override LDFLAGS := -pthread -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
# Asked for when the first file is compiled, so that `make help` and `make deps` work before the packages are there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS)))$(PKG_LIBS)

LIB_SOURCES := $(sort $(wildcard src/base/*.c src/adapter/*.c src/domain/*.c src/domain/providers/*.c src/engine/*.c src/app/*.c))
CLI_SOURCES := $(sort $(wildcard src/cli/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
MIGRATIONS := $(sort $(wildcard schema/*.sql))

LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
CLI_OBJECTS := $(CLI_SOURCES:%.c=$(BUILD)/%.o)
UNIT_TESTS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/unit/%)

PROGRAMS := $(CGIBIN)/webhook.fcgi $(CGIBIN)/status.fcgi $(BUILD)/waybill

.PHONY: all
all: $(PROGRAMS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libwaybill.a: $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(CGIBIN)/%.fcgi: $(BUILD)/cgi-bin/%.o $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/waybill: $(CLI_OBJECTS) $(BUILD)/migrations.o $(BUILD)/libwaybill.a
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# The migrations travel inside the program: `waybill migrate` needs no folder.
$(BUILD)/migrations.S: $(MIGRATIONS) Makefile
	@mkdir -p $(@D)
	@{ printf '.section .rodata\n.globl migration_table\n.balign 8\n'; n=0; \
	  for f in $(MIGRATIONS); do n=$$((n+1)); \
	    printf 'n%d: .asciz "%s"\nt%d: .incbin "%s"\ne%d: .byte 0\n' $$n "$$(basename $$f)" $$n "$$f" $$n; done; \
	  printf '.section .data.rel.ro,"aw"\n.balign 8\nmigration_table:\n'; \
	  i=0; while [ $$i -lt $$n ]; do i=$$((i+1)); printf '.quad n%d, t%d, e%d - t%d\n' $$i $$i $$i $$i; done; \
	  printf '.quad 0, 0, 0\n.section .note.GNU-stack,"",%%progbits\n'; } > $@
$(BUILD)/migrations.o: $(BUILD)/migrations.S
	$(CC) -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/unit $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libwaybill.a $(LDFLAGS) $(PKG_LIBS) -lcmocka

.PHONY: unit
unit: $(UNIT_TESTS)
	@for t in $(UNIT_TESTS); do echo "== $$t"; $$t || exit 1; done

.PHONY: clean
clean:
	rm -rf build cgi-bin/*.fcgi

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
