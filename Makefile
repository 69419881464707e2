# postern: everything there is to make. See README.md for the two commands.
VERSION := 0.1
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec/postern
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc/postern
B ?= build$(if $(SANITIZE),/asan)

.DEFAULT_GOAL := all
include mk/flags.mk
include mk/roles.mk

objs = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c))
$(foreach p,$(PARTS),$(eval OBJ_$(p) := $(call objs,$(DIR_$(p)))))
$(foreach r,$(ROLES),$(eval OBJ_$(r) := $(call objs,$(DIR_$(r))) $(foreach p,$(PARTS_$(r)),$(OBJ_$(p)))))
# A program may stand in $(B) under its folder's name: its objects go elsewhere,
# and by that name: OBJ_sendmail.
$(foreach r,$(PROGRAMS),$(eval OBJ_$(notdir $(DIR_$(r))) := $(patsubst $(B)/%,$(B)/obj/%,$(call objs,$(DIR_$(r)))) $(foreach p,$(PARTS_$(notdir $(DIR_$(r)))),$(OBJ_$(p)))))
# A filter's objects go by its folder's name: OBJ_rules.
$(foreach f,$(FILTERS),$(eval OBJ_$(notdir $(DIR_$(f))) := $(call objs,$(DIR_$(f))) $(call objs,$(DIR_filters))))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
EDGE_OBJ := $(EDGE_SRC:%.c=$(B)/%.o)
LINK = $(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@
Q := $(if $(V),,@)

ROLE_BIN := $(ROLES:%=$(B)/libexec/postern/%)
PROGRAM_BIN := $(PROGRAMS:%=$(B)/%)
FILTER_BIN := $(FILTERS:%=$(B)/%)

.PHONY: all
all: $(PROGRAM_BIN) $(ROLE_BIN) $(FILTER_BIN)

COMPILE = $(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(B)/%.o: %.c $(B)/flags.mk
	$(COMPILE)
$(B)/obj/%.o: %.c $(B)/flags.mk
	$(COMPILE)

# What is compiled in: `make install PREFIX=...' after `make' is right too.
BUILT_IN = $(LIBEXECDIR) $(SYSCONFDIR) $(VERSION)
.PHONY: always
$(B)/built-in: always
	@mkdir -p $(@D) && echo '$(BUILT_IN)' | cmp -s - $@ || echo '$(BUILT_IN)' >$@
$(OBJ_posternd) $(B)/smtpd/facts.o: $(B)/built-in

$(B)/lib.a: $(LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/edges.a: $(EDGE_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# lib.a twice: lib/proc stands on edges/all_parent, edges on lib/ipc.
define program
$(1): $$(OBJ_$(2)) $(B)/edges.a $(B)/lib.a
	$$(LINK) $$(OBJ_$(2)) $(B)/lib.a $(B)/edges.a $(B)/lib.a $$(LIBS_$(2)) $$(LIBS_COMMON)
endef
$(foreach r,$(ROLES),$(eval $(call program,$(B)/libexec/postern/$(r),$(r))))
$(foreach p,$(PROGRAMS),$(eval $(call program,$(B)/$(p),$(notdir $(DIR_$(p))))))

define filter_program
$(1): $$(OBJ_$(2)) $(B)/lib.a
	$$(LINK) $$(OBJ_$(2)) $(B)/lib.a $$(LIBS_$(2)) $$(LIBS_COMMON)
endef
$(foreach f,$(FILTERS),$(eval $(call filter_program,$(B)/$(f),$(notdir $(DIR_$(f))))))

include mk/tests.mk
include mk/targets.mk

-include $(shell test -d $(B) && find $(B) -name '*.d' -type f -not -path '$(B)/asan/*' -not -path '$(B)/peers/*')
