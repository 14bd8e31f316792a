# webstill: build, test, and run the stages.  `make help` lists the targets.
#
# A floor is a library of rooms, a folder each; a floor with a main.c is a program too. A file sees -Iinclude, its own room
# and its floor's other rooms ("room/name.h"), so an include that would run up a floor does not compile;
# tests/unit/test_floors.c holds the arrows between rooms.

MODE     ?= release
CONFIG   ?= configs/web-fashion.yaml
SYMBOLS  := configs/web-symbols.yaml
B        := build/$(MODE)
BIN      := $(B)/bin
Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

# --- what is built ----------------------------------------------------------------------------------------------------
FLOORS   := base store crawler curate nn distill
PROGRAMS := webstill webstill-crawl webstill-store webstill-curate webstill-distill

ROOMS_base    := store/base store/conf store/stage
ROOMS_store   := $(addprefix store/,table warc picture images tensors ingest look report)
ROOMS_crawler := crawler $(addprefix crawler/,net page books source turn job)
ROOMS_curate  := curate
ROOMS_nn      := $(addprefix distill/nn/,graph plan op cpu loss onnx zoo)
ROOMS_distill := $(addprefix distill/,keys data measure model learn prepare method method/kd3 stage)

sources   = $(filter-out %/main.c,$(wildcard $(addsuffix /*.c,$(ROOMS_$(1)))))
objects   = $(patsubst %.c,$(B)/%.o,$(call sources,$(1)))
archive   = $(B)/lib/lib$(1).a
BASE      := $(call archive,base)
STORE     := $(call archive,store) $(BASE)
CRAWLER   := $(call archive,crawler) $(STORE)
CURATE    := $(call archive,curate) $(STORE)
DISTILL   := $(call archive,distill) $(call archive,curate) $(call archive,nn) $(STORE)

# --- flags ------------------------------------------------------------------------------------------------------------
ifeq ($(origin CC),default)
CC       := gcc
endif
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
            -Wpointer-arith -Wcast-qual -Werror
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2
FLAGS_clang   := $(FLAGS_release)
FLAGS_debug   := -O0 -g3
FLAGS_asan    := -O1 -g -fsanitize=address -fno-omit-frame-pointer
FLAGS_ubsan   := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
FLAGS_sanitize := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
FLAGS    := $(FLAGS_$(MODE)) -fstack-protector-strong -fPIE
CPPFLAGS_ALL := -D_POSIX_C_SOURCE=200809L -Iinclude $(CPPFLAGS)
CFLAGS_ALL   := -std=c17 $(FLAGS) $(WARN) $(CFLAGS)
LDFLAGS_ALL  := $(FLAGS) -pie -Wl,-z,relro,-z,now $(LDFLAGS)

PKGS_base    := yaml-0.1 jansson libcrypto libxxhash
PKGS_store   := $(PKGS_base) lmdb libjpeg libpng libwebp libseccomp zlib
PKGS_crawler := $(PKGS_store) libcurl libxml-2.0
PKGS_curate  := $(PKGS_base) lmdb zlib
PKGS_distill := $(PKGS_base) lmdb zlib libjpeg libpng libwebp openblas libprotobuf-c
PKGS_all     := $(sort $(PKGS_crawler) $(PKGS_distill))
pkg_cflags    = $(shell pkg-config --cflags $(1) 2>/dev/null)
pkg_libs      = $(call needed,$(1))$(shell pkg-config --libs $(1) 2>/dev/null) -lm -pthread
# Within recipes only: a target that installs packages must not fail for want of them. pkg-config says nothing at all of
# any package when it lacks one, so that one is named here, not by the linker in everybody's undefined references.
missing       = $(if $(shell pkg-config --exists $(1) 2>/dev/null && echo none),,$(strip $(foreach p,$(1),$(shell pkg-config --exists $p 2>/dev/null || echo $p))))
needed        = $(if $(call missing,$(1)),$(error pkg-config does not find $(call missing,$(1)); on Debian `tests/install.sh build test` installs what has it))

.DEFAULT_GOAL := all
.SECONDARY:
all: $(addprefix $(BIN)/,$(PROGRAMS))

# --- objects ----------------------------------------------------------------------------------------------------------
PKG_CFLAGS := $(call pkg_cflags,$(PKGS_all))
PROTO      := $(B)/distill/nn/onnx/onnx.pb-c
# Whose rooms a file sees by their names: its own floor's, a test every floor's.
floor_of   = $(if $(filter distill/nn/%,$(1)),distill/nn,$(filter-out tests,$(firstword $(subst /, ,$(1)))))
floors_of  = $(or $(call floor_of,$(1)),store crawler distill/nn distill)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(PKG_CFLAGS),,$(call needed,$(PKGS_all)))$(call needed,$(FILE_PKGS))
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(addprefix -I,$(call floors_of,$<)) -I$(dir $(PROTO)) $(PKG_CFLAGS) $(CFLAGS_ALL) $(FILE_FLAGS) -MMD -MP -c $< -o $@

comma := ,
# Kernels: one source, one object per instruction set, chosen at run time.
# Under both sanitizers at -O2, and without three of the checks, which keep a tile's sums from registers and take a third of
# an hour from the tests: an address that these would find wrong, ASan finds at the access.
KERNEL_LEVEL := $(if $(filter sanitize,$(MODE)),-O2 -fno-sanitize=null$(comma)object-size$(comma)pointer-overflow,-O3)
KERNEL_FLAGS := $(KERNEL_LEVEL) -ffp-contract=fast -fno-math-errno $(if $(findstring clang,$(CC)),-Wno-unknown-pragmas,-fno-tree-loop-distribute-patterns)
$(B)/distill/nn/cpu/kernels_plain.o:  FILE_FLAGS := $(KERNEL_FLAGS)
$(B)/distill/nn/cpu/kernels_avx2.o:   FILE_FLAGS := $(KERNEL_FLAGS) -mavx2 -mfma
$(B)/distill/nn/cpu/kernels_avx512.o: FILE_FLAGS := $(KERNEL_FLAGS) -mavx512f -mavx512vl -mavx512dq -mavx512bw -mprefer-vector-width=512

# ONNX messages, generated from the system's onnx.proto (Debian: libonnx-dev).
ONNX_PROTO := $(firstword $(wildcard /usr/include/onnx/onnx.proto) /usr/include/onnx/onnx.proto)
$(PROTO).c $(PROTO).h &: $(ONNX_PROTO)
	@mkdir -p $(@D)
	$(call say,PROTO,$<)
	$(Q)cp $< $(@D)/onnx.proto && cd $(@D) && protoc-c --c_out=. onnx.proto
$(PROTO).o: $(PROTO).c
	$(call say,CC,$<)
	$(Q)$(CC) -I$(@D) -std=c17 $(FLAGS) -c $< -o $@
$(call objects,nn): | $(PROTO).h
# Tests of the reader make models out of the same messages.
ONNX_TESTS := $(patsubst %,$(B)/tests/%.o,format/test_onnx_read format/test_onnx_refuse format/test_onnx_nodes unit/test_fuzz_nn)
$(ONNX_TESTS): | $(PROTO).h

$(foreach floor,$(FLOORS),$(eval $(call archive,$(floor)): $(call objects,$(floor))))
$(call archive,nn): $(PROTO).o
$(B)/lib/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

# --- programs ---------------------------------------------------------------------------------------------------------
link = $(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) $^ $(call pkg_libs,$(1)) -o $@
$(BIN)/webstill: $(B)/store/front/main.o $(BASE)
	$(call say,LINK,$@)
	$(call link,$(PKGS_base))
$(BIN)/webstill-crawl: $(B)/crawler/main.o $(CRAWLER)
	$(call say,LINK,$@)
	$(call link,$(PKGS_crawler))
$(BIN)/webstill-store: $(B)/store/main.o $(STORE)
	$(call say,LINK,$@)
	$(call link,$(PKGS_store))
$(BIN)/webstill-curate: $(B)/curate/main.o $(CURATE)
	$(call say,LINK,$@)
	$(call link,$(PKGS_curate))
$(BIN)/webstill-distill: $(B)/distill/main.o $(DISTILL)
	$(call say,LINK,$@)
	$(call link,$(PKGS_distill))

# --- tests ------------------------------------------------------------------------------------------------------------
TEST_KINDS   := unit kernel grad golden format net
TESTS        := $(patsubst %.c,$(B)/%,$(foreach k,$(TEST_KINDS),$(wildcard tests/$(k)/test_*.c)))
TEST_SCRIPTS := $(foreach k,cli format net e2e,$(wildcard tests/$(k)/*.sh))
ALL_LIBS     := $(call archive,crawler) $(DISTILL)
# link_test PACKAGES FLAGS
link_test     = $(Q)$(CC) $(LDFLAGS_ALL) $(2) $< $(filter %/start.o,$^) -Wl,--start-group $(ALL_LIBS) -Wl,--end-group $(call pkg_libs,$(1)) -o $@
$(B)/tests/%: $(B)/tests/%.o $(B)/tests/start.o $(ALL_LIBS)
	$(call say,LINK,$@)
	$(call link_test,$(PKGS_all) cmocka)
$(addsuffix .o,$(TESTS)) $(B)/tests/e2e/make_workdir.o: FILE_PKGS := cmocka
# A benchmark asserts nothing: it is built where the tests' packages are not installed. It is linked as the stage is whose
# memory it tells.
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/tests/start.o $(ALL_LIBS)
	$(call say,LINK,$@)
	$(call link_test,$(PKGS_distill))

# The miniature web's painter is a tool of the tests: it alone links librsvg.
$(B)/tests/web/render: tests/web/render.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=c17 -O2 $(WARN) -D_POSIX_C_SOURCE=200809L $< $$(pkg-config --cflags --libs librsvg-2.0 cairo libpng libwebp libjpeg) -lm -pthread -o $@

$(B)/tests/web/symbols/glyph: tests/web/symbols/glyph.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=c17 -O2 $(WARN) -D_XOPEN_SOURCE=700 $< $$(pkg-config --cflags --libs freetype2 libpng) -lm -o $@

# The judges of our files that npm ships; into build/npm, where the tests look for them and skip without them.
npm = for package in $(1); do [ -d build/npm/node_modules/$${package%@*} ] || { echo "installing $$package below build/npm"; \
	npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix build/npm $$package || exit 4; }; done

# Packages first, then the rest in a second make, which finds their pkg-config files.
test:
	@tests/install.sh build web test
	@$(call npm,onnxruntime-node@1.30.0 warcio@2.4.11 detypify-service@0.3.0)
	@$(MAKE) --no-print-directory -j$$(nproc) build-tests
	@$(MAKE) --no-print-directory run-tests
build-tests: all $(TESTS) $(B)/tests/web/render $(B)/tests/e2e/make_workdir $(B)/tests/web/symbols/glyph
run-tests: build-tests
	@tests/run.sh $(TESTS) $(TEST_SCRIPTS)
# Trains for a quarter of an hour under a sanitizer, through code that every other training test runs there: `make test` alone has it.
LONG_TESTS := $(B)/tests/unit/test_kd3_behaviour
CHECKED    := $(filter-out $(if $(filter asan ubsan sanitize tsan,$(MODE)),$(LONG_TESTS)),$(TESTS))
unit: all $(CHECKED)
	@tests/run.sh $(CHECKED)

demo:
	@tests/install.sh build web
	@$(MAKE) --no-print-directory -j$$(nproc) all $(B)/tests/web/render
	@tests/demo.sh

symbols:
	@tests/install.sh build web
	@$(MAKE) --no-print-directory -j$$(nproc) all $(B)/tests/web/render $(B)/tests/web/symbols/glyph
	@CONFIG=$(SYMBOLS) tests/demo.sh

data:
	@tests/install.sh web
	@tests/web/fetch-data.sh --fashion-only

bench: bench-distill
bench-distill:
	@tests/install.sh build bench
	@$(MAKE) --no-print-directory all $(patsubst %.c,$(B)/%,$(wildcard tests/bench/bench_*.c))
	@tests/bench/run.sh

# The proof: tests/reproduce/README.md has its settings (SEEDS, ONLY, JOBS, KEEP, README).
reproduce-kd3:
	@tests/install.sh build web
	@$(MAKE) --no-print-directory -j$$(nproc) all $(B)/tests/web/render $(B)/tests/web/symbols/glyph
	@tests/web/fetch-data.sh
	@node tests/reproduce/reproduce.mjs
reproduce-kd3-table:
	@node tests/reproduce/reproduce.mjs --table
reproduce-kd3-time:
	@node tests/reproduce/reproduce.mjs --time

# The keys stand in the programs' rows; the tracked page is printed from them, and tests/cli/config.sh holds it equal.
reference: all
	@$(WEBSTILL) config --reference >configs/reference.yaml.new && mv configs/reference.yaml.new configs/reference.yaml

golden:
	@tests/install.sh bench
	/usr/bin/python3 tests/golden/generate.py

asan ubsan sanitize tsan:
	@tests/install.sh build test
	@JOBS=$$(nproc) $(MAKE) --no-print-directory -j$$(nproc) MODE=$@ unit

# Each tests/fuzz/fuzz_*.c under clang's engine for FUZZ_S seconds; what it learns stays in build/corpus/ for the next time.
FUZZ_S  ?= 60
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(ALL_LIBS)
	$(call say,LINK,$@)
	$(call link_test,$(PKGS_all),-fsanitize=fuzzer)
fuzz:
	@tests/install.sh build fuzz
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang run-fuzz
run-fuzz: $(FUZZERS)
	@for target in $(FUZZERS); do \
	    name=$${target##*/}; log=build/corpus/$$name.log; mkdir -p build/corpus/$$name; \
	    $$target -max_total_time=$(FUZZ_S) -max_len=65536 -artifact_prefix=build/corpus/$$name- build/corpus/$$name >$$log 2>&1 || \
	        { tail -n 60 $$log; echo "$$name: found something; the input is kept as build/corpus/$$name-*"; exit 1; }; \
	    echo "$$name: $$(tail -n 1 $$log)"; done

# --- stages -----------------------------------------------------------------------------------------------------------
# A stage's manifest is its make target. Its part of the configuration is a file of its own, rewritten only when it changes,
# so a change in `distill:` reruns what depends on it and nothing else. OPTS goes to every stage: OPTS='-o seed=2'.
WORK     ?= work/$(basename $(notdir $(CONFIG)))
OPTS     ?=
WEBSTILL := $(BIN)/webstill
STAGES   := $(shell sed -n 's/^ *\.name = "\(.*\)",$$/\1/p' store/stage/table.c)
stage     = $(Q)$(WEBSTILL) $(1) $(CONFIG) --work $(WORK) $(OPTS)

# The programs, built first, write these files and the stages' rules (from the table in store/stage/table.c) before make
# plans anything: make includes the rules, and begins again where they changed.
ifneq ($(filter $(STAGES) pipeline,$(MAKECMDGOALS)),)
$(WORK)/config/stages.mk: $(addprefix $(BIN)/,$(PROGRAMS)) FORCE
	$(Q)$(WEBSTILL) config $(CONFIG) --work $(WORK) $(OPTS) --write $(@D) || \
	    { code=$$?; echo "make: the configuration is not usable (see above)" >&2; exit $$code; }
include $(WORK)/config/stages.mk
endif
FORCE:

pipeline: all
	@if $(MAKE) -s -q report CONFIG=$(CONFIG) WORK=$(WORK) OPTS='$(OPTS)' 2>/dev/null; then \
	    echo "pipeline: $(WORK) is up to date; its report is $(WORK)/report/index.html"; \
	else \
	    $(MAKE) --no-print-directory report CONFIG=$(CONFIG) WORK=$(WORK) OPTS='$(OPTS)'; \
	fi

# --- the rest ---------------------------------------------------------------------------------------------------------
PREFIX ?= /usr/local
install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(addprefix $(BIN)/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin

# What a change must pass beside `make test`: all run, and the last line names those that fell. Each installs what it lacks
# and closes with a line of its own.
GATES := format-check lint clang sanitize
gates:
	@failed=; for gate in $(GATES); do $(MAKE) --no-print-directory $$gate || failed="$$failed $$gate"; done; \
	[ -z "$$failed" ] && echo "gates: $(GATES) passed" || { echo "gates: failed:$$failed"; exit 1; }

# Recursive: few targets want it.
SOURCES = $(or $(shell git ls-files '*.c' '*.h'),$(error git lists no sources here: are you in a clone that git trusts?))
format:
	@tests/install.sh lint
	$(Q)clang-format -i $(SOURCES)
format-check:
	@tests/install.sh lint
	$(Q)clang-format --dry-run -Werror $(SOURCES)
	@echo "format-check: $(words $(SOURCES)) files are as clang-format writes them"
LINTED := store crawler curate distill tests
lint:
	@tests/install.sh lint
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c17 --enable=warning,portability --suppressions-list=tests/cppcheck.txt \
	    --library=tests/cppcheck.cfg -Iinclude $(addprefix -I,$(call floors_of,tests)) $(LINTED)
	@echo "lint: cppcheck finds nothing in $$(find $(LINTED) -name '*.c' | wc -l) files"
# The second compiler: its warnings are errors, too.
clang:
	@tests/install.sh build web test clang
	@$(MAKE) --no-print-directory -j$$(nproc) MODE=clang CC=clang build-tests
	@echo "clang: $$(find build/clang -name '*.o' | wc -l) files compiled and linked without a warning"
clean:
	rm -rf build/release build/debug build/asan build/ubsan build/sanitize build/tsan build/fuzz build/clang

help:
	@echo "For a fresh machine (each installs what is missing, and names it first):"
	@echo "  make demo        the whole still on a miniature web, with a table at the end"
	@echo "  make test        build and run every test"
	@echo "  make symbols     the same still with somebody else's teacher: a network of the npm registry, and drawn symbols"
	@echo
	@echo "Stages, from CONFIG=configs/NAME.yaml into work/NAME/ (OPTS='-o key=value …' goes to each):"
	@echo "  make pipeline    all of them, as far as something changed"
	@echo "  make $(STAGES)"
	@echo
	@echo "Building:"
	@echo "  make             the programs, into build/release/bin"
	@echo "  make unit        the C tests alone          make sanitize   the same under ASan and UBSan (asan, ubsan, tsan: one)"
	@echo "  make bench-distill  beside PyTorch (tests/bench/README.md)         make golden   PyTorch's tensors anew"
	@echo "  make reproduce-kd3  the proof: every method, three seeds, hours (tests/reproduce/README.md);"
	@echo "                      reproduce-kd3-table: its tables anew; reproduce-kd3-time: what runs cost beyond their steps"
	@echo "  make fuzz        each parser under clang's fuzzing engine for FUZZ_S=$(FUZZ_S) seconds"
	@echo "  make reference   configs/reference.yaml anew, from the programs' keys"
	@echo "  make data        Fashion-MNIST only         make install           into PREFIX=$(PREFIX)"
	@echo "  make gates       what a change must pass beside make test: $(GATES)"
	@echo "  make format clean            V=1 shows commands, MODE=debug|asan|… picks flags"

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all gates clang build-tests test run-tests unit demo symbols data bench bench-distill reproduce-kd3 reproduce-kd3-table reproduce-kd3-time reference golden asan ubsan sanitize tsan fuzz run-fuzz $(STAGES) pipeline install format format-check lint clean help FORCE
