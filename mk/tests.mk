# Unit tests: tests/unit/FOLDER/test_X.c is one program, linked with the
# library and the objects of role FOLDER but for its main.o (FOLDER lib: the
# library alone). Fuzz targets: tests/fuzz/FOLDER/fuzz_X.c likewise; make
# check replays their corpora through tests/fuzz/replay.c.
UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT := $(UNIT_SRC:%.c=$(B)/%)
FUZZ_SRC := $(wildcard tests/fuzz/*/fuzz_*.c)
REPLAY := $(FUZZ_SRC:%.c=$(B)/%.replay)
HELPER_SRC := $(wildcard tests/lib/*.c)
HELPERS := $(HELPER_SRC:%.c=$(B)/%)

# What is tested is compiled as it ships; the tests themselves, in a third of
# the time that -O2 takes for them.
$(B)/tests/unit/%.o: private OPT := -Og

folder = $(notdir $(patsubst %/,%,$(dir $(1))))
role_objs = $(if $(filter lib edge crash,$(1)),,$(filter-out %/main.o,$(OBJ_$(1))))

define test_program
$(B)/$(1:.c=)$(3): $(B)/$(1:.c=.o) $(2) $(call role_objs,$(call folder,$(1))) $(B)/edges.a $(B)/lib.a
	$$(LINK) $$(filter %.o,$$^) $(B)/lib.a $(B)/edges.a $(B)/lib.a $$(LIBS_$(call folder,$(1))) $$(LIBS_COMMON) $(4)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call test_program,$(t),,,-lcheck_pic -lrt -lm -lsubunit -pthread)))
$(foreach t,$(FUZZ_SRC),$(eval $(call test_program,$(t),$(B)/tests/fuzz/replay.o,.replay,)))
# The store, and the whole queue, under the fault shim: programs of their own,
# with a ledger. X_crash.c, and X_crash_*.c.
CRASH_SRC := $(wildcard tests/crash/*_crash.c)
CRASH := $(CRASH_SRC:%.c=$(B)/%) $(B)/tests/crash/faultshim.so
crash_parts = $(patsubst %.c,$(B)/%.o,$(wildcard $(1:.c=)_*.c))
$(foreach t,$(CRASH_SRC),$(eval $(call test_program,$(t),$(call crash_parts,$(t)) $(filter-out %/main.o,$(OBJ_queue)),,$(LIBS_queue))))
$(B)/tests/crash/faultshim.so: tests/crash/faultshim.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -O2 -D_GNU_SOURCE -Wall -Wextra -fPIC -shared -o $@ $< -ldl
$(B)/tests/lib/%: $(B)/tests/lib/%.o $(B)/edges.a $(B)/lib.a
	$(LINK) $< $(B)/lib.a $(B)/edges.a $(B)/lib.a $(LIBS_COMMON)
