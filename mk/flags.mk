# Compiler, warnings (each probed once), hardening, sanitizers.
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SANITIZE ?=
OPT ?= -O2

# (Without a compiler, as before `make deps`, nothing is remembered.)
# One probe per flag: kept when the compiler takes it without a word. The
# answers are cached in $(B)/flags.mk, which is made again when this file is.
WANTED_CFLAGS := -std=c11 -g -Wall -Wextra -Wpedantic -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations \
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wundef -Wvla -Wformat=2 -Wconversion -Wimplicit-fallthrough \
	-Wnull-dereference -Wduplicated-cond -Wlogical-op \
	-ftrivial-auto-var-init=zero -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection -fPIE -fno-common
WANTED_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed

WERROR ?= 1
CPPFLAGS += -D_GNU_SOURCE -I. -DPOSTERN_VERSION='"$(VERSION)"' \
	-DPOSTERN_LIBEXEC='"$(LIBEXECDIR)"' -DPOSTERN_SYSCONF='"$(SYSCONFDIR)"'
ifneq ($(SANITIZE),)
OPT := -O1
CPPFLAGS += -DPOSTERN_NO_SANDBOX
EXTRA_CFLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all
EXTRA_LDFLAGS := -fsanitize=$(SANITIZE)
else
CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif

$(B)/flags.mk: mk/flags.mk
	@mkdir -p $(@D)
	@command -v $(CC) >/dev/null || exit 0; { printf 'PROBED_CFLAGS :='; \
	for f in $(WANTED_CFLAGS); do \
		echo 'int main(void){return 0;}' | $(CC) -Werror $(OPT) $$f -x c -c -o /dev/null - 2>/dev/null \
		&& printf ' %s' "$$f"; done; echo; \
	printf 'PROBED_LDFLAGS :='; \
	for f in $(WANTED_LDFLAGS); do \
		echo 'int main(void){return 0;}' | $(CC) -Werror -fPIE $$f -x c -o /dev/null - 2>/dev/null \
		&& printf ' %s' "$$f"; done; echo; } >$@.tmp && mv $@.tmp $@
-include $(B)/flags.mk

CFLAGS_ALL = $(OPT) $(PROBED_CFLAGS) $(if $(filter 1,$(WERROR)),-Werror) \
	$(EXTRA_CFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(PROBED_LDFLAGS) $(EXTRA_LDFLAGS) $(LDFLAGS)
