# waybill: `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
SHELL := /bin/bash

VERSION := 0.1.0
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
# Where webhook.fcgi and status.fcgi are linked to; other builds (clang, sanitizers) keep theirs beside their objects.
CGIBIN ?= cgi-bin
PKGS := fcgi jansson libconfuse libcrypto libpq sqlite3
# Of `waybill` alone: the responders call nobody by HTTP.
CLI_PKGS := libcurl
PKG_CONFIG ?= pkg-config

OPTIMISE ?= -O2 -g
SANITIZE ?=
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Werror
# Some are x86's: other processors, or clang for them, know them by other names or not at all.
HARDENING = -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(HARDENING_OF_MACHINE)
HARDENING_OF_MACHINE = $(eval HARDENING_OF_MACHINE := $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),-fstack-clash-protection -fcf-protection))$(HARDENING_OF_MACHINE)
SANITIZING := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
# CPPFLAGS, CFLAGS and LDFLAGS are the caller's, and come last.
ALL_CPPFLAGS = -Isrc -D_GNU_SOURCE -DWAYBILL_VERSION='"$(VERSION)"' $(PKG_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=c17 -pthread -fPIE $(OPTIMISE) $(WARNINGS) $(if $(SANITIZE),$(SANITIZING),$(HARDENING)) $(CFLAGS)
ALL_LDFLAGS = -pthread -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
# Asked for when the first file is compiled, so that `make help` and `make deps` work before the packages are there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) $(CLI_PKGS)))$(PKG_CFLAGS)
CLI_LIBS = $(eval CLI_LIBS := $(shell $(PKG_CONFIG) --libs $(CLI_PKGS)))$(CLI_LIBS)
PKG_LIBS = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS)))$(PKG_LIBS)

LIB_SOURCES := $(sort $(wildcard src/base/*.c src/adapter/*.c src/domain/*.c src/domain/providers/*.c src/engine/*.c src/app/*.c))
CLI_SOURCES := $(sort $(wildcard src/cli/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
LIVES := $(sort $(wildcard src/cli/lives/*.life))
SCHEMA := migrations views functions
PAGES := $(sort $(wildcard src/app/pages/*)) docs/openapi.json
FORMATTED = $(sort $(shell find src cgi-bin tests -name '*.[ch]'))

# One fuzz target for each tests/fuzz/fuzz_<target>.c; fuzz_provider.c makes one for each provider.
FUZZ_TARGETS := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(filter-out %/fuzz_provider.c,$(wildcard tests/fuzz/fuzz_*.c))) \
	$(patsubst src/domain/providers/%.c,provider_%,$(wildcard src/domain/providers/*.c)))

LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/pages.o $(SCHEMA:%=$(BUILD)/%.o)
CLI_OBJECTS := $(CLI_SOURCES:%.c=$(BUILD)/%.o)
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/targets/%)
UNIT_TESTS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/unit/%)

# One line per file, so that a warning is seen; V=1 shows the commands.
V ?= 0
SHOW = $(if $(filter 0,$(V)),@printf '  %-5s %s\n' $(1) $@;)

PROGRAMS := $(CGIBIN)/webhook.fcgi $(CGIBIN)/status.fcgi $(BUILD)/waybill

# ---- building ----

.PHONY: all
all: $(PROGRAMS) ## build everything, without network

# Objects of other flags or another compiler are no use: this file changes when those do. Several makes may look at once.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS))' > $@.$$$$; \
	if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi
.PHONY: FORCE
FORCE:

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SHOW,CC)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libwaybill.a: $(LIB_OBJECTS)
	@rm -f $@
	$(call SHOW,AR)ar rcs $@ $^

$(CGIBIN)/webhook.fcgi $(CGIBIN)/status.fcgi: $(CGIBIN)/%.fcgi: $(BUILD)/cgi-bin/%.o $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(call SHOW,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/waybill: $(CLI_OBJECTS) $(BUILD)/samples.o $(BUILD)/lives.o $(BUILD)/libwaybill.a
	$(call SHOW,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) $(CLI_LIBS)

# The parcel lives of `waybill simulate` too, one after the other.
$(BUILD)/lives.S: $(LIVES) Makefile
	@mkdir -p $(@D)
	@printf '.section .rodata\n.globl lives_text\nlives_text:\n' > $@
	@printf '.incbin "%s"\n' $(LIVES) >> $@
	@printf '.byte 0\n.section .note.GNU-stack,"",%%progbits\n' >> $@
$(BUILD)/lives.o: $(BUILD)/lives.S
	$(call SHOW,AS)$(CC) -c -o $@ $<

# Files that travel inside the programs, as a table of name, text and length that ends with zeros: the schema, so that `waybill migrate` needs no
# folder, the pages of status.fcgi, and the sample configuration for `waybill init`.
# A folder changes when a file comes or goes.
$(foreach folder,$(SCHEMA),$(eval $(BUILD)/$(folder).S: schema/$(folder) $(sort $(wildcard schema/$(folder)/*.sql))))
$(BUILD)/pages.S: $(PAGES)
$(BUILD)/samples.S: apache-conf/waybill.conf.sample
$(SCHEMA:%=$(BUILD)/%.S) $(BUILD)/pages.S $(BUILD)/samples.S: $(BUILD)/%.S: Makefile
	@mkdir -p $(@D)
	@{ printf '.section .rodata\n.globl $(*:s=)_table\n.balign 8\n'; n=0; \
	  for f in $(filter-out Makefile $(SCHEMA:%=schema/%),$^); do n=$$((n+1)); \
	    printf 'n%d: .asciz "%s"\nt%d: .incbin "%s"\ne%d: .byte 0\n' $$n "$$(basename $$f)" $$n "$$f" $$n; done; \
	  printf '.section .data.rel.ro,"aw"\n.balign 8\n$(*:s=)_table:\n'; \
	  i=0; while [ $$i -lt $$n ]; do i=$$((i+1)); printf '.quad n%d, t%d, e%d - t%d\n' $$i $$i $$i $$i; done; \
	  printf '.quad 0, 0, 0\n.section .note.GNU-stack,"",%%progbits\n'; } > $@
$(SCHEMA:%=$(BUILD)/%.o) $(BUILD)/pages.o $(BUILD)/samples.o: %.o: %.S
	$(call SHOW,AS)$(CC) -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(call SHOW,TEST)$(CC) -Itests/unit $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libwaybill.a $(ALL_LDFLAGS) $(PKG_LIBS) -lcmocka

# What runs a fuzz target: here the inputs of its corpus, once; `make fuzz` puts libFuzzer in its place.
FUZZ_ENGINE ?= $(BUILD)/tests/fuzz/replay.o
.SECONDARY: $(BUILD)/tests/fuzz/replay.o
LINK_FUZZ = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(FUZZ_ENGINE) $(BUILD)/libwaybill.a $(ALL_LDFLAGS) $(PKG_LIBS)
$(filter $(BUILD)/targets/provider_%,$(FUZZ_PROGRAMS)): $(BUILD)/targets/provider_%: tests/fuzz/fuzz_provider.c $(filter %.o,$(FUZZ_ENGINE)) $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(call SHOW,FUZZ)$(LINK_FUZZ) -DFUZZ_PROVIDER='"$*"'
$(BUILD)/targets/%: tests/fuzz/fuzz_%.c $(filter %.o,$(FUZZ_ENGINE)) $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(call SHOW,FUZZ)$(LINK_FUZZ)

.PHONY: clean
clean: ## remove what was built (a stack's var/ stays)
	rm -rf build cgi-bin/*.fcgi

# Variants with objects and programs of their own: make build-clang, build-asan, build-tsan, build-coverage; unit-asan, replay-asan, e2e-asan and so on.
VARIANT_clang := CC=clang
VARIANT_asan := SANITIZE=address,undefined OPTIMISE='-O1 -g'
VARIANT_tsan := SANITIZE=thread OPTIMISE='-O1 -g'
# Without optimisation every line keeps code of its own; fortification would want it.
VARIANT_coverage := CC=gcc OPTIMISE='-O0 -g --coverage -fprofile-update=atomic' CFLAGS=-U_FORTIFY_SOURCE LDFLAGS=--coverage
VARIANTS := clang asan tsan coverage
IN_VARIANT = +@$(MAKE) --no-print-directory BUILD=build/$* CGIBIN=build/$*/cgi-bin $(VARIANT_$*)
.PHONY: hardening-clang timing-clang $(foreach v,$(VARIANTS),build-$v unit-$v replay-$v e2e-$v)
$(VARIANTS:%=build-%): build-%:
	$(IN_VARIANT) all unit-programs
hardening-clang: hardening-%:
	$(IN_VARIANT) hardening
timing-clang: timing-%:
	$(IN_VARIANT) timing
$(VARIANTS:%=unit-%): unit-%:
	$(IN_VARIANT) unit
$(VARIANTS:%=replay-%): replay-%:
	$(IN_VARIANT) replay
$(VARIANTS:%=e2e-%): e2e-%:
	$(IN_VARIANT) e2e

# ---- the stack: PostgreSQL, a web server and both responders on 127.0.0.1 ----

# The folder for all that it writes.
VAR ?= var
PORT ?= 8080
# lighttpd, apache or nginx
SERVER ?= lighttpd
# 0: send none
SAMPLES ?= 1
STACK = exec env BUILD='$(BUILD)' CGIBIN='$(CGIBIN)' VAR='$(VAR)' PORT='$(PORT)' SERVER='$(SERVER)' SAMPLES='$(SAMPLES)' tests/stack/stack.sh

.PHONY: run up down deps
run: stack-programs ## install what is missing, build, start the stack, send samples, show the state; Ctrl-C stops it
	@$(STACK) run
up: stack-programs ## the same in the background
	@$(STACK) up
down: ## stop it
	@$(STACK) down

# Packages first, for the compiler is one of them.
.PHONY: stack-programs
stack-programs:
	@SERVER='$(SERVER)' tests/stack/deps.sh run
	+@$(MAKE) --no-print-directory all

deps: ## install the Debian packages that run and check need, if any is missing
	@tests/stack/deps.sh check

# ---- tests ----

.PHONY: check unit unit-programs planted replay e2e browser reporting-doc examples hardening timing static floors format format-check
check: ## install what is missing, then every ring of tests
	@MAKE='$(MAKE)' tests/clean_room.sh tests/check.sh

unit-programs: $(UNIT_TESTS)
unit: unit-programs ## the unit tests
	@printf '%s\n' $(UNIT_TESTS) | xargs -P $(shell nproc) -I{} sh -c \
	  'if {} > {}.log 2>&1; then echo "ok {}: $$(grep -ac "  OK " {}.log) tests"; else cat {}.log; echo "FAILED: {}"; exit 255; fi'

# What the sources warn of once they are wrong is not looked at.
planted: $(BUILD)/libwaybill.a ## does the test of the fold find the errors that are planted into it?
	@tests/unit/planted.sh '$(BUILD)/planted' $(CC) -Itests/unit $(ALL_CPPFLAGS) $(ALL_CFLAGS) -O1 -w -- \
		$(BUILD)/libwaybill.a $(ALL_LDFLAGS) $(PKG_LIBS) -lcmocka

replay: $(FUZZ_PROGRAMS) ## every fuzz target over its corpus
	@OUT='$(BUILD)' tests/fuzz/run.sh replay $(FUZZ_TARGETS)

# The tests start stacks with a make of their own. It gets this build from the environment; what else this make hands down would disturb it.
PYTEST = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL PYTHONDONTWRITEBYTECODE=1 \
	BUILD='$(BUILD)' CGIBIN='$(CGIBIN)' CC='$(CC)' SANITIZE='$(SANITIZE)' OPTIMISE='$(OPTIMISE)' \
	CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' \
	/usr/bin/python3 -m pytest
PYTEST_ARGS ?=
# Most tests wait most of the time; a file stays with one worker.
E2E_WORKERS ?= 3
e2e: all ## the tests over real servers, processes and databases (PYTEST_ARGS='-k word' selects)
	@tests/clean_room.sh $(PYTEST) tests/e2e -q -n $(E2E_WORKERS) --dist loadfile $(PYTEST_ARGS)

browser: all ## the console in headless Chromium; its pictures go to docs/console/
	@tests/stack/deps.sh browser
	@$(PYTEST) tests/e2e/browser_console.py -q $(PYTEST_ARGS)

reporting-doc: all ## write the list of views in docs/reporting.md anew, from the comments of the schema
	@REPORTING_UPDATE=1 $(PYTEST) tests/e2e/test_reporting.py -q -k list_of_views

examples: $(BUILD)/waybill man ## are the configuration examples good?
	@BUILD='$(BUILD)' tests/check_examples.sh
hardening: $(PROGRAMS) ## are the programs built as hard as they should be?
	@tests/check_elf.sh $^
timing: $(BUILD)/timing/credentials ## does the time of a comparison tell anything about a secret? (valgrind counts)
	@tests/timing/check.sh $<
$(BUILD)/timing/credentials: tests/timing/credentials.c $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(call SHOW,TEST)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libwaybill.a $(ALL_LDFLAGS) \
		-Wl,--wrap=crypto_equal,--wrap=crypto_base64_decode $(PKG_LIBS)
static: floors format-check ## everything that is found by reading the sources
floors: ## the rules of the house: which floor includes what, banned calls, every unit test registered
	@tests/check_floors.sh
	@tests/check_registered.sh
format: ## bring the C sources into their format
	@clang-format -i $(FORMATTED)
format-check: ## is any C source out of format?
	@clang-format --dry-run -Werror $(FORMATTED)

# ---- analysis ----

C_SOURCES = $(sort $(shell find src cgi-bin tests -name '*.c'))
# What some of them are compiled with.
ANALYSED = -Itests/unit -DFUZZ_PROVIDER='"shipup"'
.PHONY: analyze analyze-cppcheck analyze-gcc analyze-tidy valgrind coverage
analyze: analyze-cppcheck analyze-gcc analyze-tidy ## static analysis of all C sources: cppcheck, gcc -fanalyzer, clang-tidy
# Where a variable is declared is a matter of taste, and what shadows another is -Wshadow's.
NOT_OF_CPPCHECK := variableScope shadowFunction shadowVariable
analyze-cppcheck: ## cppcheck alone
	@cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,style,performance,portability $(NOT_OF_CPPCHECK:%=--suppress=%) --std=c11 \
		-j $(shell nproc) --template=gcc -D_Thread_local= -D_GNU_SOURCE -Isrc $(ANALYSED) $(C_SOURCES)
analyze-gcc: ## gcc -fanalyzer alone
	+@$(MAKE) --no-print-directory BUILD='$(BUILD)/analyzer' CC=gcc CPPFLAGS='$(subst ','\'',$(CPPFLAGS) $(ANALYSED))' \
		CFLAGS='$(CFLAGS) -fanalyzer' $(C_SOURCES:%.c=$(BUILD)/analyzer/%.o)
analyze-tidy: ## clang-tidy alone (.clang-tidy says what it looks for)
	@tests/stack/deps.sh analyze
	@printf '%s\n' $(C_SOURCES) | xargs -P $(shell nproc) -n 1 tests/clang_tidy.sh -std=c17 $(ALL_CPPFLAGS) $(ANALYSED)

# Not the test in which allocations fail: under valgrind they are valgrind's, and do not.
valgrind: unit-programs ## the unit and golden tests under memcheck: no error, no leak
	@printf '%s\n' $(filter-out %/test_no_memory,$(UNIT_TESTS)) | xargs -P $(shell nproc) -n 1 tests/memcheck.sh
coverage: build-coverage ## line coverage of src/ by unit and end-to-end tests, per floor; fails when it is too low
	@tests/stack/deps.sh coverage
	+@MAKE='$(MAKE)' tests/coverage.sh build/coverage

# ---- fuzzing ----

FUZZ_SECONDS ?= 600
FUZZ_JOBS ?= $(shell nproc)
# One or some of them: FUZZ='time url'
FUZZ ?= $(FUZZ_TARGETS)
RUN_FUZZ = @OUT='$(BUILD)/fuzz' FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_JOBS='$(FUZZ_JOBS)' tests/fuzz/run.sh

.PHONY: fuzz fuzz-merge fuzz-programs fuzz-targets
fuzz: fuzz-programs ## every fuzz target for FUZZ_SECONDS (tests/fuzz/README.md)
	$(RUN_FUZZ) fuzz $(FUZZ)
fuzz-merge: fuzz-programs ## what they found out since is added to the corpora
	$(RUN_FUZZ) merge $(FUZZ)
fuzz-programs:
	@tests/stack/deps.sh fuzz
	+@$(MAKE) --no-print-directory BUILD='$(BUILD)/fuzz' CC=clang OPTIMISE='-O1 -g' SANITIZE=fuzzer-no-link,address,undefined \
		FUZZ_ENGINE=-fsanitize=fuzzer fuzz-targets
fuzz-targets: $(FUZZ_PROGRAMS)

# ---- torture ----

TORTURE_FAULTS ?= 266
TORTURE_SECONDS ?= 3600
TORTURE_SEED ?=
TORTURE_KINDS ?=

.PHONY: torture
torture: ## faults at random moments under load, and an audit after each (tests/torture/README.md)
	@tests/stack/deps.sh check
	+@$(MAKE) --no-print-directory all
	@exec env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL BUILD='$(BUILD)' CGIBIN='$(CGIBIN)' SERVER='$(SERVER)' TORTURE_FAULTS='$(TORTURE_FAULTS)' \
		TORTURE_SECONDS='$(TORTURE_SECONDS)' TORTURE_SEED='$(TORTURE_SEED)' TORTURE_KINDS='$(TORTURE_KINDS)' /usr/bin/python3 tests/torture/torture.py

# ---- benchmarks ----

BENCH_SECONDS ?= 8
BENCH_ROUNDS ?= 3
BENCH_ORDERS ?= 1000000
BENCH_ONLY ?=
BENCH_AGAINST ?=
BENCH_JSON ?=
BENCH_SVG ?= $(BUILD)/bench/chart.svg
BENCH_TMP ?= /var/tmp
RECOVERY_ROUNDS ?= 5

.PHONY: bench bench-recovery bench-programs
bench: ## the benchmarks, side by side (tests/bench/README.md)
	@tests/bench/deps.sh
	+@$(MAKE) --no-print-directory all bench-programs
	@exec env BUILD='$(BUILD)' CGIBIN='$(CGIBIN)' CC='$(CC)' SANITIZE='$(SANITIZE)' OPTIMISE='$(OPTIMISE)' \
		CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' \
		BENCH_SECONDS='$(BENCH_SECONDS)' BENCH_ROUNDS='$(BENCH_ROUNDS)' BENCH_ORDERS='$(BENCH_ORDERS)' \
		BENCH_ONLY='$(BENCH_ONLY)' BENCH_AGAINST='$(BENCH_AGAINST)' \
		BENCH_JSON='$(BENCH_JSON)' BENCH_SVG='$(BENCH_SVG)' BENCH_TMP='$(BENCH_TMP)' /usr/bin/python3 tests/bench/bench.py
bench-recovery: ## seconds from a kill to the next 200 (tests/bench/README.md)
	@tests/bench/deps.sh recovery
	+@$(MAKE) --no-print-directory all bench-programs
	@exec env BUILD='$(BUILD)' CGIBIN='$(CGIBIN)' RECOVERY_ROUNDS='$(RECOVERY_ROUNDS)' BENCH_JSON='$(BENCH_JSON)' BENCH_TMP='$(BENCH_TMP)' \
		/usr/bin/python3 tests/bench/recovery.py
bench-programs: $(BUILD)/bench/sign_events $(BUILD)/bench/null_responder $(BUILD)/bench/delay_proxy
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libwaybill.a
	@mkdir -p $(@D)
	$(call SHOW,BENCH)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libwaybill.a $(ALL_LDFLAGS) $(PKG_LIBS)

# ---- installing ----

prefix ?= /usr/local
LIBEXEC = $(DESTDIR)$(prefix)/lib/waybill
BIN = $(DESTDIR)$(prefix)/bin
SHARE = $(DESTDIR)$(prefix)/share/waybill
EXAMPLES = $(sort $(wildcard apache-conf/*.* apache-conf/*/*.*))

# The manual pages, with what the program itself knows: its commands and the options of its configuration.
MAN_PAGES := $(BUILD)/man/waybill.1 $(BUILD)/man/waybill.conf.5 man/webhook.fcgi.8 man/status.fcgi.8
MAN = $(DESTDIR)$(prefix)/share/man
COMPLETIONS = $(DESTDIR)$(prefix)/share/bash-completion/completions
# Where zsh looks by itself below /usr/local; Debian's own packages have another place.
ZSH_COMPLETIONS ?= $(prefix)/share/zsh/$(if $(filter /usr,$(prefix)),vendor-completions,site-functions)
.PHONY: man
man: $(MAN_PAGES) ## the manual pages
$(BUILD)/man/waybill.1: man/waybill.1.in $(BUILD)/waybill
	@mkdir -p $(@D)
	@$(BUILD)/waybill help --mdoc | sed 's/…/.../g' | sed -e '/^@COMMANDS@$$/{r /dev/stdin' -e 'd}' $< > $@
$(BUILD)/man/waybill.conf.5: man/waybill.conf.5.in $(BUILD)/waybill
	@mkdir -p $(@D)
	@$(BUILD)/waybill check --reference | awk -F '\t' '{ gsub(/\\/, "\\e"); \
	  printf ".It Ic %s : Va %s ( %s )\n%s.\n", $$1, $$2, $$3, $$7; if ($$4 != "-") printf "Default: %s.\n", $$4 }' | \
	  sed -e '/^@OPTIONS@$$/{r /dev/stdin' -e 'd}' $< > $@

.PHONY: install uninstall
install: all man ## programs, schema and configuration examples to $(DESTDIR)$(prefix)
	install -d '$(LIBEXEC)' '$(BIN)' $(SCHEMA:%='$(SHARE)/schema/%')
	install -m 0755 $(CGIBIN)/webhook.fcgi $(CGIBIN)/status.fcgi '$(LIBEXEC)'
	install -m 0755 $(BUILD)/waybill '$(BIN)'
	$(foreach folder,$(SCHEMA),install -m 0644 schema/$(folder)/*.sql '$(SHARE)/schema/$(folder)' &&) true
	for f in $(MAN_PAGES); do install -D -m 0644 "$$f" '$(MAN)'/man"$${f##*.}"/"$${f##*/}" || exit 1; done
	install -d '$(COMPLETIONS)' '$(DESTDIR)$(ZSH_COMPLETIONS)'
	$(BUILD)/waybill completion bash > '$(COMPLETIONS)/waybill'
	$(BUILD)/waybill completion zsh > '$(DESTDIR)$(ZSH_COMPLETIONS)/_waybill'
	for f in $(EXAMPLES); do install -D -m 0644 /dev/null '$(SHARE)'/"$$f" && \
		sed 's|/usr/local/|$(prefix)/|g' "$$f" > '$(SHARE)'/"$$f" || exit 1; done
uninstall: ## remove what install put there
	rm -f '$(BIN)/waybill' '$(COMPLETIONS)/waybill' '$(DESTDIR)$(ZSH_COMPLETIONS)/_waybill'
	for f in $(MAN_PAGES); do rm -f '$(MAN)'/man"$${f##*.}"/"$${f##*/}"; done
	rm -rf '$(LIBEXEC)' '$(SHARE)'

# ---- the Debian package ----

# Built from a copy of the sources, for dpkg-buildpackage writes beside and into them.
DEB_TREE = build/deb/waybill-$(VERSION)
.PHONY: deb deb-check
deb: ## the Debian package, to build/deb, read by lintian (debian/)
	@tests/stack/deps.sh deb
	@[ "$$(dpkg-parsechangelog -S Version)" = '$(VERSION)' ] || { echo 'debian/changelog is of another version than $(VERSION)' >&2; exit 1; }
	@rm -rf build/deb && mkdir -p $(DEB_TREE)
	@tar -c --exclude=./build --exclude=./var --exclude-vcs --exclude='*.fcgi' --exclude=__pycache__ . | tar -x -C $(DEB_TREE)
	@cd $(DEB_TREE) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage --build=binary --no-sign
	@lintian --fail-on error,warning build/deb/*.changes
	@rm -rf $(DEB_TREE)
deb-check: ## the package in clean chroots of Debian 12 and 13: built, installed, upgraded and back under load, removed; as root
	@[ "$$(id -u)" = 0 ] || { echo 'deb-check makes chroots: it needs root' >&2; exit 1; }
	@tests/stack/deps.sh deb-check
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -p no:cacheprovider tests/deb -q -x $(PYTEST_ARGS)

.PHONY: help
help: ## this list
	@echo 'Targets:'
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS=$$'\t' read -r target text; do printf '  %-14s %s\n' "$$target" "$$text"; done
	@printf '\nVariables:\n'
	@printf '  %-25s %s\n' 'PORT=$(PORT)' 'run, up: where the web server listens, on 127.0.0.1' \
		'VAR=$(VAR)' 'run, up, down: the folder for all that the stack writes' \
		'SERVER=$(SERVER)' 'run, up: lighttpd, apache or nginx' \
		'SAMPLES=$(SAMPLES)' 'run, up: 0 sends none' \
		'FUZZ_SECONDS=$(FUZZ_SECONDS)' 'fuzz: for each target' \
		'FUZZ_JOBS=$(FUZZ_JOBS)' 'fuzz: how many targets run at a time' \
		'FUZZ=…' 'fuzz, fuzz-merge: these targets; all of them by default' \
		'TORTURE_FAULTS=$(TORTURE_FAULTS)' 'torture: how many' \
		'TORTURE_SECONDS=$(TORTURE_SECONDS)' 'torture: no fault begins later' \
		'TORTURE_SEED=…' 'torture: another each time by default' \
		'TORTURE_KINDS=…' 'torture: only the kinds whose names match this pattern' \
		'BENCH_SECONDS=$(BENCH_SECONDS)' 'bench: the length of a phase' \
		'BENCH_ROUNDS=$(BENCH_ROUNDS)' 'bench: how often each phase runs' \
		'BENCH_ORDERS=$(BENCH_ORDERS)' 'bench: orders stored for the scale figures; 0: without those' \
		'BENCH_ONLY=…' 'bench: only the figures whose names match one of these patterns' \
		'BENCH_AGAINST=…' 'bench: another commit, measured beside this one' \
		'BENCH_JSON=$(BENCH_JSON)' 'bench, bench-recovery: the figures go to this file too' \
		'BENCH_SVG=$(BENCH_SVG)' 'bench: the chart' \
		'BENCH_TMP=$(BENCH_TMP)' 'bench, bench-recovery: where the database lives meanwhile' \
		'RECOVERY_ROUNDS=$(RECOVERY_ROUNDS)' 'bench-recovery: figures are medians of so many' \
		'CC=$(CC)' 'the compiler; CFLAGS, CPPFLAGS, LDFLAGS are added' \
		'BUILD=$(BUILD)' 'the folder for objects' \
		'CGIBIN=$(CGIBIN)' 'the folder for webhook.fcgi and status.fcgi' \
		'V=$(V)' '1: show the commands of the build' \
		'SANITIZE=$(SANITIZE)' 'for example address,undefined: build with these sanitizers' \
		'DESTDIR=$(DESTDIR)' 'install, uninstall: put in front of prefix' \
		'prefix=$(prefix)' 'install, uninstall'

-include $(shell find $(BUILD) -path 'build/deb*' -prune -o -name '*.d' -print 2>/dev/null)
