# SPDX-License-Identifier: Apache-2.0
#
# The build. New sources need no change here: files are found by their names.
#
# Why not libtool and apxs -c: both write .lo and .o files beside the source,
# so two builds (gcc, clang, sanitizers) cannot live in one tree, and apxs
# adds its own compiler flags, not ours. Here each ring is compiled as
# position independent, hidden objects under $(OUT)/obj, and the module is
# linked by the compiler with the linker flags that `apxs -q LDFLAGS` names.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:

APXS ?= apxs
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
SAN ?=
comma := ,
OUT ?= out$(if $(SAN),-$(subst $(comma),-,$(SAN)))
DESTDIR ?=

.DEFAULT_GOAL := all

# ---- what this machine has -------------------------------------------------
# $(OUT)/config.mk holds the answers of apxs, apr-1-config and pkg-config. The
# recipe first installs what is missing for the goals asked for, and leaves
# the file alone when nothing changed; make reads it again when it did.

GOALS := $(or $(MAKECMDGOALS),all)
NEEDS := build
ifneq ($(filter demo drill bench% check check-% deps deps-bench,$(GOALS)),)
NEEDS += demo
endif
ifneq ($(filter bench%,$(GOALS)),)
NEEDS += bench
endif
ifneq ($(filter deb deb-smoke,$(GOALS)),)
NEEDS += deb
endif
ifneq ($(filter bench bench-session deps-bench,$(GOALS)),)
NEEDS += rivals
endif
ifneq ($(filter bench bench-router deps-bench,$(GOALS)),)
NEEDS += routers
endif
ifneq ($(filter check check-% soak fuzz deps,$(GOALS)),)
NEEDS += check
endif
ifneq ($(filter check-san fuzz deps,$(GOALS)),)
NEEDS += san
endif
export APXS PYTHON

ifneq ($(filter-out clean help deps deps-bench,$(GOALS)),)
include $(OUT)/config.mk

$(OUT)/config.mk: FORCE
	@OUT='$(OUT)' sh build/config.sh $(NEEDS)
endif

# ---- flags -----------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wformat=2 \
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wnested-externs -Wredundant-decls -Wpointer-arith \
        -Wcast-qual -Wwrite-strings -Winit-self -Wnull-dereference \
        -Wimplicit-fallthrough -Wdouble-promotion
IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
ifeq ($(IS_CLANG),)
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wtrampolines
else
WARN += -Wcomma -Wassign-enum -Wunreachable-code
# "the compiler said nothing" must not depend on this compiler's default
WARN += -Wno-unknown-warning-option
endif
# WERROR= builds on with a compiler that knows new warnings.
# Sanitizers make gcc see overflows that are none.
WERROR ?= $(if $(SAN),,-Werror)

ifneq ($(SAN),)
CFLAGS ?= -g -O1 -fno-omit-frame-pointer
SAN_FLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all
else
CFLAGS ?= -g -O2
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
HARDEN_LINK := $(filter -Wl%,$(APXS_LDFLAGS)) -Wl,-z,relro -Wl,-z,now
endif

BASE := -std=c99 -fPIC $(WARN) $(WERROR) $(HARDEN) $(SAN_FLAGS) -MMD -MP
HIDE := -fvisibility=hidden

# The core sees APR, APR-util and libcrypto; httpd.h is not on its path.
CORE_FLAGS := $(BASE) $(HIDE) $(APR_CPPFLAGS) -Isrc/core $(APR_INCLUDES) \
              $(APU_INCLUDES)
IO_FLAGS := $(BASE) $(HIDE) $(APR_CPPFLAGS) -Isrc/core -Isrc/io \
            $(APR_INCLUDES) $(APU_INCLUDES) $(MEMCACHED_CFLAGS)
# httpd fixes the signatures of hooks and setters and the shape of its tables,
# and its macros cast const away.
HTTPD_FLAGS := $(BASE) -Wno-unused-parameter -Wno-missing-field-initializers \
               -Wno-cast-qual $(APXS_CPPFLAGS) -Isrc/core -Isrc/io -Isrc/httpd \
               $(APR_INCLUDES) $(APU_INCLUDES) $(HTTPD_INCLUDES)
TEST_FLAGS := $(BASE) $(APR_CPPFLAGS) -Isrc/core -Isrc/io -Itests/unit \
              $(APR_INCLUDES) $(APU_INCLUDES) $(MEMCACHED_CFLAGS) \
              $(CHECK_CFLAGS)

# ---- sources ---------------------------------------------------------------

HA_SRC := $(wildcard mod_session_ha.c src/core/ha_*.c src/io/ha_*.c \
                     src/httpd/session_*.c)
CLONE_SRC := $(wildcard mod_proxy_balancer_clone.c src/core/clone_*.c \
                        src/core/ha_place.c src/core/ha_interval.c \
                        src/core/ha_ring.c src/core/ha_cache.c \
                        src/io/ha_secret.c \
                        src/io/clone_*.c src/httpd/clone_*.c)
SO := $(OUT)/modules/mod_session_ha.so \
      $(OUT)/modules/mod_proxy_balancer_clone.so

objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

.PHONY: FORCE all modules deps tests check check-unit check-http check-lint \
        check-san fuzz fuzz-run soak demo drill bench \
        bench-ratio bench-router \
        bench-seal bench-session bench-tools deps-bench install \
        install-commands sim uninstall deb deb-smoke clean help
.SECONDARY:

# A program for administrators.
TOOLS := $(OUT)/tools/clonectl-conf

all: $(SO) $(TOOLS)
modules: $(SO)

# ---- compile ---------------------------------------------------------------
# A change of compiler or flags rebuilds everything: $(OUT)/obj/flags changes.

define FLAGS_NOW
CC := $(CC)
CFLAGS := $(CFLAGS) $(CPPFLAGS) $(LDFLAGS)
CORE_FLAGS := $(CORE_FLAGS)
IO_FLAGS := $(IO_FLAGS)
HTTPD_FLAGS := $(HTTPD_FLAGS)
TEST_FLAGS := $(TEST_FLAGS)
endef
export FLAGS_NOW
$(OUT)/obj/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' "$$FLAGS_NOW" | cmp -s - $@ || \
	    printf '%s\n' "$$FLAGS_NOW" > $@

define compile
@mkdir -p $(@D)
@echo "  CC $<"
@$(CC) $(CFLAGS) $(CPPFLAGS) $(1) -c -o $@ $<
endef

$(OUT)/obj/src/core/%.o: src/core/%.c $(OUT)/obj/flags
	$(call compile,$(CORE_FLAGS))
$(OUT)/obj/src/io/%.o: src/io/%.c $(OUT)/obj/flags
	$(call compile,$(IO_FLAGS))
$(OUT)/obj/src/httpd/%.o: src/httpd/%.c $(OUT)/obj/flags
	$(call compile,$(HTTPD_FLAGS) $(HIDE))
# The module record must be seen from outside and httpd's macro does not say
# so; the linker's version script below hides everything else in this file.
$(OUT)/obj/mod_%.o: mod_%.c $(OUT)/obj/flags
	$(call compile,$(HTTPD_FLAGS))
$(OUT)/obj/tests/%.o: tests/%.c $(OUT)/obj/flags
	$(call compile,$(TEST_FLAGS))
$(OUT)/obj/tools/%.o: tools/%.c $(OUT)/obj/flags
	$(call compile,$(CORE_FLAGS) -Itools)

# ---- link ------------------------------------------------------------------

# Linked and judged in a folder of its own, so that nobody loads half a file.
define link_module
@mkdir -p $(@D)
@echo "  LD $@"
@new=$$(mktemp -d $(OUT)/link.XXXXXX) && trap 'rm -rf "$$new"' EXIT && \
echo '{ global: $(1); local: *; };' > "$$new/map" && \
$(CC) -shared $(CFLAGS) $(SAN_FLAGS) -Wl,--version-script="$$new/map" \
    -o "$$new/$(@F)" $(filter %.o,$^) $(HARDEN_LINK) $(LDFLAGS) $(2) && \
if ! LINKED="$$new/$(@F)" $(PYTHON) build/lint/one_symbol.py --out $(OUT) \
    > "$$new/log"; then cat "$$new/log" >&2; exit 1; fi && \
mv "$$new/$(@F)" $@
endef

$(OUT)/modules/mod_session_ha.so: $(call objects,$(HA_SRC))
	$(call link_module,session_ha_module,$(MEMCACHED_LIBS) -lcrypto -lm)
$(OUT)/modules/mod_proxy_balancer_clone.so: $(call objects,$(CLONE_SRC))
	$(call link_module,proxy_balancer_clone_module,-lcrypto -lm)
$(SO): build/lint/one_symbol.py build/lint/lintlib.py

# ---- tests: out/tests/test_<file>, out/fuzz/fuzz_<parser> --------------------
# One archive for each family, so that a test links what it calls for.

HELP_SRC := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT := $(UNIT_SRC:tests/unit/%.c=$(OUT)/tests/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ := $(FUZZ_SRC:tests/fuzz/%.c=$(OUT)/fuzz/%)
IO_NAMES := $(patsubst src/io/%.c,%,$(wildcard src/io/*.c))
IO_TESTS := $(filter $(IO_NAMES:%=$(OUT)/tests/test_%%),$(UNIT))

$(OUT)/lib/core_ha.a: $(call objects,$(wildcard src/core/ha_*.c))
$(OUT)/lib/core_clone.a: $(call objects,$(wildcard src/core/clone_*.c))
$(OUT)/lib/io.a: $(call objects,$(wildcard src/io/*.c))
$(OUT)/lib/help.a: $(call objects,$(HELP_SRC))
$(OUT)/lib/%.a:
	@mkdir -p $(@D); rm -f $@
	@$(AR) rcs $@ $(filter %.o,$^)

TEST_LIBS := -Wl,--as-needed $(CHECK_LIBS) $(APU_LIBS) $(APR_LIBS) \
             -lcrypto -lm -pthread
define link_test
@mkdir -p $(@D)
@echo "  LD $@"
@$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
    $(filter %.a,$^) $(TEST_LIBS) $(1)
endef

$(filter-out $(OUT)/tests/test_clone_% $(IO_TESTS),$(UNIT)): $(OUT)/tests/%: \
    $(OUT)/obj/tests/unit/%.o $(OUT)/lib/help.a $(OUT)/lib/core_ha.a
	$(call link_test)
$(filter-out $(IO_TESTS),$(filter $(OUT)/tests/test_clone_%,$(UNIT))): \
    $(OUT)/tests/%: \
    $(OUT)/obj/tests/unit/%.o $(OUT)/lib/help.a $(OUT)/lib/core_clone.a \
    $(OUT)/lib/core_ha.a
	$(call link_test)
$(IO_TESTS): $(OUT)/tests/%: $(OUT)/obj/tests/unit/%.o $(OUT)/lib/help.a \
    $(OUT)/lib/io.a $(OUT)/lib/core_clone.a $(OUT)/lib/core_ha.a
	$(call link_test,$(MEMCACHED_LIBS))
# replay.c has the main() that feeds a fuzzer's function from files.
$(OUT)/fuzz/fuzz_%: $(OUT)/obj/tests/fuzz/fuzz_%.o \
    $(OUT)/obj/tests/fuzz/replay.o $(OUT)/lib/core_clone.a \
    $(OUT)/lib/core_ha.a
	$(call link_test)

# Load and copies at sizes that no test can run: docs/scale.md.
$(OUT)/sim/sim: $(OUT)/obj/tests/sim/sim.o $(OUT)/lib/core_clone.a \
    $(OUT)/lib/core_ha.a
	$(call link_test)
SIM_SESSIONS ?= 1000000
sim: $(OUT)/sim/sim
	@$(PYTHON) tests/sim/scale.py --sim $< --out $(OUT)/sim \
	    --sessions $(SIM_SESSIONS) $(if $(WRITE_DOC),--write)

tests: $(UNIT) $(FUZZ) bench-tools $(OUT)/sim/sim

# It is linked with the core of the module that it speaks for.
$(TOOLS): $(call objects,$(wildcard tools/*.c)) $(OUT)/lib/core_clone.a \
    $(OUT)/lib/core_ha.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $^ -Wl,--as-needed $(HARDEN_LINK) \
	    $(LDFLAGS) $(APU_LIBS) $(APR_LIBS) -lcrypto -lm

# ---- check -----------------------------------------------------------------

CHECK := $(PYTHON) build/check.py --out $(OUT)

check: all tests $(OUT)/obj/flags
	@$(CHECK) unit fuzz lint http demo drill
check-unit: tests
	@$(CHECK) unit fuzz
check-http: all bench-tools $(OUT)/sim/sim
	@$(CHECK) http
check-lint: all $(OUT)/obj/flags
	@$(CHECK) lint
check-san: all tests $(OUT)/obj/flags
	@$(CHECK) build asan tsan valgrind http_asan mpm static

# What libFuzzer finds new stays in out-fuzz/corpus; move there what matters.
FUZZ_SECONDS ?= 60
$(OUT)/fuzzer/%: $(OUT)/obj/tests/fuzz/%.o $(OUT)/lib/core_clone.a \
    $(OUT)/lib/core_ha.a
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(SAN_FLAGS) -fsanitize=fuzzer -o $@ $^ $(TEST_LIBS)
fuzz-run: $(FUZZ:$(OUT)/fuzz/%=$(OUT)/fuzzer/%)
	@for program in $^; do \
	    name=$${program##*/fuzz_}; \
	    mkdir -p $(OUT)/corpus/$$name; \
	    echo "== fuzz $$name"; \
	    $$program -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	        -verbosity=0 -artifact_prefix=$(OUT)/corpus/$$name- \
	        $(OUT)/corpus/$$name tests/fuzz/corpus/$$name || exit 1; \
	done
fuzz:
	@$(MAKE) --no-print-directory CC=clang OUT=out-fuzz \
	    SAN=fuzzer-no-link,address,undefined fuzz-run

# ---- soak ------------------------------------------------------------------

# SOAK=session, router, or both, half of the time each
SOAK ?= both
SOAK_SECONDS ?= 3600
SOAK_REPLICAS ?= 2
soak: all
	@MODULES=$(OUT)/modules $(PYTHON) tests/history/soak.py \
	    --what $(SOAK) --seconds $(SOAK_SECONDS) \
	    --replicas $(SOAK_REPLICAS) --out $(OUT)/soak \
	    $(if $(SOAK_SEED),--seed $(SOAK_SEED))

# ---- demonstration ---------------------------------------------------------

demo: all
	@$(PYTHON) demo/demo.py --modules $(OUT)/modules $(if $(PLAY),--play)

# The same shop, and session-ha-drill on it; see docs/drill.md.
DRILL_SECONDS ?= 300
drill: all
	@$(PYTHON) demo/drill.py --modules $(OUT)/modules --out $(OUT)/drill \
	    --seconds $(DRILL_SECONDS) $(if $(DRILL_SEED),--seed $(DRILL_SEED)) \
	    $(if $(WRITE_DOC),--write-doc)

# ---- bench -----------------------------------------------------------------
# A load generator, a relay that stands for a network, and the application.

BENCH_TOOLS := $(OUT)/bench/load $(OUT)/bench/relay $(OUT)/bench/clone \
               $(OUT)/bench/mod_bench_app.so
bench-tools: $(BENCH_TOOLS)
$(OUT)/bench/%: bench/%.c $(OUT)/obj/flags
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) -std=c99 $(WARN) $(WERROR) $(CFLAGS) -o $@ $<
$(OUT)/bench/mod_bench_app.so: bench/mod_bench_app.c $(OUT)/obj/flags
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) -shared $(HTTPD_FLAGS) $(CFLAGS) $(MEMCACHED_CFLAGS) -o $@ $< \
	    $(MEMCACHED_LIBS)

# BENCH=quick, full, or neither; what each measures: session_bench.py,
# router_bench.py. bench is both, one page of them, and a line more of
# bench/history.csv.
bench: all bench-tools
	@MODULES=$(OUT)/modules $(PYTHON) bench/bench.py \
	    --tools $(OUT)/bench --plan $(or $(BENCH),usual) \
	    $(if $(WRITE_DOC),--write-doc)
bench-session: all bench-tools
	@MODULES=$(OUT)/modules $(PYTHON) bench/session_bench.py \
	    --tools $(OUT)/bench --plan $(or $(BENCH),usual) \
	    $(if $(WRITE_DOC),--write-doc)
bench-router: all bench-tools
	@MODULES=$(OUT)/modules $(PYTHON) bench/router_bench.py \
	    --tools $(OUT)/bench --plan $(or $(BENCH),usual) \
	    $(if $(WRITE_DOC),--write-doc)
bench-ratio: $(OUT)/modules/mod_proxy_balancer_clone.so
	@MODULES=$(OUT)/modules $(PYTHON) bench/router_ratio.py

# What sealing a record costs, in microseconds; see SessionHAEncryption.
$(OUT)/obj/bench/%.o: bench/%.c $(OUT)/obj/flags
	$(call compile,$(TEST_FLAGS))
$(OUT)/bench/seal_speed: $(OUT)/obj/bench/seal_speed.o $(OUT)/lib/core_ha.a
	$(call link_test)
bench-seal: $(OUT)/bench/seal_speed
	@$<

# ---- packages --------------------------------------------------------------
# build/pkg/deb is what Debian calls debian/. The smoke test installs what was
# built, and takes it away again.

deb:
	@sh build/pkg/deb.sh build $(OUT)
	@sh build/pkg/deb.sh lint $(OUT)
deb-smoke: deb
	@sh build/pkg/deb.sh smoke $(OUT)

# ---- install ---------------------------------------------------------------

INSTALL := DESTDIR='$(DESTDIR)' OUT='$(OUT)' LIBEXECDIR='$(LIBEXECDIR)' \
           SYSCONFDIR='$(SYSCONFDIR)' BINDIR='$(BINDIR)' \
           MANDIR='$(MANDIR)' sh build/install.sh
install: all
	@$(INSTALL) install
install-commands: $(TOOLS)
	@$(INSTALL) commands
uninstall:
	@$(INSTALL) uninstall

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)

deps deps-bench:
	@sh build/deps.sh $(NEEDS)

clean:
	rm -rf out out-*

help:
	@sed -n 's/^#: //p' build/rules.mk
#: make             build both modules into out/modules, tools beside them
#: make deps        install what is missing, for building and for testing
#: make demo        a shop on three clones, three memcached, two httpd
#: make demo PLAY=1 the same, played through and judged
#: make drill       the shop under faults, DRILL_SECONDS=300; nothing is lost
#: make bench       sessions and routers, BENCH=quick or full; one page of both
#: make bench-ratio requests a second through the router and through stock
#: make bench-router routers, ours and others, while clones die; see README
#: make bench-session sessions of ours and of others, 10 minutes; see README
#: make deps-bench  install those others: PostgreSQL, PHP, HAProxy, nginx
#: make bench-seal  what sealing a record costs
#: make sim         load and copies at scale, computed; see docs/scale.md
#: make check       unit, HTTP and lint tests and the demonstration
#: make check-unit  make check-http  make check-lint     one of them
#: make check-san   sanitizers, valgrind, both compilers, every MPM
#: make fuzz        clang's fuzzer, FUZZ_SECONDS=60 for each parser
#: make soak        faults for hours, SOAK_SECONDS=3600; memory, files watched
#: make install     into the httpd that apxs names (DESTDIR= is honoured)
#: make install-commands   the commands and their manual pages alone
#: make uninstall   undo what make install did
#: make deb         packages for Debian and its kin, into out/deb
#: make deb-smoke   the same, installed, tried and purged
#: make clean
#: Variables: APXS=path/to/apxs CC=clang OUT=folder SAN=address|thread
