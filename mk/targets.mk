# Everything around the build: dependencies, demo, tests, linters, install.
DEPS_BUILD := gcc make libc6-dev libevent-dev libseccomp-dev libbsd-dev \
	libssl-dev libcrypt-dev libidn2-dev libc-ares-dev \
	libcurl4-openssl-dev zlib1g-dev libmilter-dev check pkg-config
DEPS_CHECK := python3 swaks libnet-ssleay-perl openssl strace clang-14 \
	libclang-rt-14-dev clang-format clang-tidy cppcheck mandoc shellcheck \
	util-linux e2fsprogs xz-utils ca-certificates iproute2 haproxy

# Real filters, clients, balancers, mailboxes and name servers, that
# tests/interop starts.
DEPS_INTEROP := opendkim opendmarc rspamd clamav-milter clamav-daemon \
	spamass-milter spamassassin spamd python3-milter openssl \
	testssl.sh swaks dovecot-core dovecot-lmtpd dovecot-imapd \
	unbound ldnsutils prometheus debhelper debootstrap lintian systemd

FUZZ_TIME ?= 60
CRASH_ROUNDS ?= 100
SOAK_TIME ?= 7200
T ?=

C_FILES = $(wildcard lib/*/*.[ch] edges/*.[ch] tests/unit/*/*.[ch] \
	tests/fuzz/*.c tests/fuzz/*/*.[ch] tests/lib/*.[ch] bench/*.c) \
	$(foreach d,$(DIRS),$(wildcard $(d)/*.[ch]))
DIRS = $(foreach r,$(ROLES) $(PARTS) $(PROGRAMS) $(FILTERS) filters,$(DIR_$(r)))
SHELL_FILES = .ci/run tests/fetch tests/borders tools/demo \
	$(filter-out %.awk,$(wildcard tools/*))

.PHONY: deps check-deps demo check check-only lint asan fuzz crash soak bench \
	interop install clean test-programs

deps:
	@tools/install-packages $(DEPS_BUILD)
check-deps: deps
	@tools/install-packages $(DEPS_CHECK)
	@tests/fetch

demo: deps
	@tools/install-packages python3 openssl
	@tests/fetch nsd
	@$(MAKE) --no-print-directory B=$(B) all
	@tools/demo $(B)

# --- tests ---
test-programs: all $(UNIT) $(REPLAY) $(HELPERS) $(if $(SANITIZE),,$(CRASH))

check: deps check-deps
	@$(MAKE) --no-print-directory B=$(B) check-only
check-only: test-programs
	@tests/run -b $(B) $(if $(SANITIZE),-s) $(T)

asan:
	@$(MAKE) --no-print-directory SANITIZE=address,undefined \
		B=$(B)/asan check-only T='$(T)'

# With the filters, clients, next hops and name servers that people run,
# started for real; their services stay off.
interop: deps
	@tools/install-packages python3 util-linux $(DEPS_INTEROP)
	@tests/fetch nsd postfix exim gsasl opensmtpd mailers
	@$(MAKE) --no-print-directory B=$(B) all
	@tests/run -j 1 -t 900 -b $(B) interop

crash: all $(CRASH)
	@POSTERN_ROUNDS=$(CRASH_ROUNDS) POSTERN_STRIDE=1 \
		tests/run -b $(B) -t 7200 system/crash crash
soak: all
	@POSTERN_SOAK=$(SOAK_TIME) tests/run -b $(B) -t 100000 soak
BENCH := $(B)/bench/syncdelay.so $(B)/bench/passmilter $(B)/bench/handshake
bench: all check-deps $(BENCH)
	@tests/fetch opensmtpd
	@bench/run -b $(B)

.PHONY: bench-programs
bench-programs: $(BENCH)

$(B)/bench/syncdelay.so: bench/syncdelay.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -O2 -D_GNU_SOURCE -Wall -Wextra -fPIC -shared -o $@ $< -ldl

$(B)/bench/passmilter: bench/passmilter.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -O2 -D_GNU_SOURCE -Wall -Wextra -o $@ $< -lmilter -pthread

# Handshakes with a signer in the same process, beside the vault.
$(B)/bench/handshake: $(B)/bench/handshake.o $(B)/smtpd/from_vault.o $(filter-out %/main.o,$(OBJ_vault)) $(B)/edges.a $(B)/lib.a
	$(LINK) $^ $(B)/edges.a $(B)/lib.a $(LIBS_smtpd) $(LIBS_vault) $(LIBS_COMMON)

# A role's objects with one more, which calls into another role's folder:
# tests/borders runs this and wants it to fail.
.PHONY: $(ROLES:%=border-%)
define border
border-$(1): $(OBJ_$(1)) $(B)/edges.a $(B)/lib.a
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$(OUT) $$(OBJ_$(1)) $$(PROBE) $(B)/lib.a $(B)/edges.a $(B)/lib.a $$(LIBS_$(1)) $$(LIBS_COMMON)
endef
$(foreach r,$(ROLES),$(eval $(call border,$(r))))

# --- libFuzzer, with a compiler that has it ---
FUZZ_CC := clang-14
FUZZ_FLAGS = -std=c11 -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZERS := $(FUZZ_SRC:%.c=$(B)/libfuzzer/%)

$(B)/libfuzzer/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -D_GNU_SOURCE -I. -DPOSTERN_VERSION='"$(VERSION)"' \
		-DPOSTERN_LIBEXEC='"$(LIBEXECDIR)"' \
		-DPOSTERN_SYSCONF='"$(SYSCONFDIR)"' -DPOSTERN_NO_SANDBOX \
		$(FUZZ_FLAGS) -MMD -MP -c -o $@ $<
to_fuzz = $(patsubst $(B)/%,$(B)/libfuzzer/%,$(patsubst $(B)/obj/%,$(B)/%,$(1)))
define fuzzer
$(B)/libfuzzer/$(1:.c=): $(B)/libfuzzer/$(1:.c=.o) $(call to_fuzz,$(call role_objs,$(call folder,$(1))) $(EDGE_OBJ) $(LIB_OBJ))
	$$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $$@ $$^ $$(LIBS_$(call folder,$(1))) $$(LIBS_lib) $$(LIBS_COMMON)
endef
$(foreach t,$(FUZZ_SRC),$(eval $(call fuzzer,$(t))))

# New inputs gather in $(B)/fuzz; what extends the coverage is merged into
# the corpus that make check replays. Leaks are looked for at the end: after
# each input it takes longer than the input.
fuzz: $(FUZZERS)
	@for f in $(FUZZERS); do n=$${f##*/}; \
		mkdir -p $(B)/fuzz/$$n tests/fuzz/corpus/$$n; \
		echo "$$n: $(FUZZ_TIME) s"; \
		$$f -max_total_time=$(FUZZ_TIME) -timeout=5 -rss_limit_mb=1024 \
			-detect_leaks=0 \
			-artifact_prefix=$(B)/fuzz/$$n. -verbosity=0 \
			-print_final_stats=1 $(B)/fuzz/$$n \
			tests/fuzz/corpus/$$n >$(B)/fuzz/$$n.log 2>&1 || \
			{ tail -n 40 $(B)/fuzz/$$n.log; exit 1; }; \
		grep -E 'number_of_executed|peak_rss' $(B)/fuzz/$$n.log; \
		$$f -merge=1 tests/fuzz/corpus/$$n $(B)/fuzz/$$n \
			>>$(B)/fuzz/$$n.log 2>&1; \
	done

# --- lint: every step runs, the last line tells ---
LINT_STEPS := lint-format lint-tidy lint-cppcheck lint-includes lint-headers \
	lint-shell lint-man lint-size lint-words
.PHONY: $(LINT_STEPS)
lint:
	@failed=; for s in $(LINT_STEPS); do \
		if $(MAKE) --no-print-directory -s B=$(B) $$s; then echo "ok $$s"; \
		else echo "FAIL $$s"; failed="$$failed $$s"; fi; done; \
	test -z "$$failed" && echo "lint passed" || \
		{ echo "lint failed:$$failed"; exit 1; }

lint-format:
	@clang-format --dry-run -Werror $(C_FILES)

TIDY_SRC = $(filter %.c,$(C_FILES))
lint-tidy: $(TIDY_SRC:%.c=$(B)/tidy/%)
# Remembered by what the file depends on, so that only changes are looked at.
$(B)/tidy/%: %.c .clang-tidy $(wildcard */*.h */*/*.h)
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- -std=c11 $(CPPFLAGS) 2>$@.err || \
		{ grep -v 'warnings generated' $@.err; exit 1; }
	@rm -f $@.err && touch $@

# Of the system's headers it sees the lists and trees of libbsd alone.
lint-cppcheck:
	@mkdir -p $(B)/cppcheck && ln -sfn /usr/include/bsd $(B)/cppcheck/bsd
	@cppcheck --quiet -j 2 --std=c11 --language=c --error-exitcode=1 \
		--enable=warning,portability --inline-suppr \
		--suppress=missingIncludeSystem \
		--suppress=nullPointerRedundantCheck --library=bsd -I. -I$(B)/cppcheck \
		-D_GNU_SOURCE -D__GNUC__ -DPOSTERN_VERSION='""' \
		-DPOSTERN_LIBEXEC='""' -DPOSTERN_SYSCONF='""' \
		$(filter-out tests/unit/%,$(TIDY_SRC))

lint-includes:
	@tools/check-includes

HEADERS = $(filter %.h,$(C_FILES))
lint-headers:
	@mkdir -p $(B)/headers; for h in $(HEADERS); do \
		echo "#include \"$$h\"" >$(B)/headers/one.c; \
		$(CC) -std=c11 $(CPPFLAGS) -Wall -Wextra -Werror \
			-fsyntax-only $(B)/headers/one.c || exit 1; done

lint-shell:
	@for f in $(SHELL_FILES); do head -n 1 $$f | grep -q 'sh$$' || continue; \
		shellcheck $$f || exit 1; done

lint-man:
	@mandoc -Tlint -W warning $(wildcard man/*.[1-8])
	@test ! -x tools/check-man || tools/check-man

lint-size:
	@tools/check-size

# Open ends have an issue, not a marker in the text.
lint-words:
	@! grep -rnE '\b(X''XX|TO''DO|FIX''ME)\b' --include='*.[ch1-8]' \
		--include='*.mk' --include='*.py' --include='*.md' \
		--exclude-dir=build --exclude-dir=.git . 

# --- install ---
# What is there already below SYSCONFDIR stays.
INSTALL := install
INSTALL_FILE = $(INSTALL) -D -m 644
FILL_IN = sed 's,@SBINDIR@,$(SBINDIR),g'
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system

.PHONY: install-programs install-man install-conf install-service
install: install-programs install-man install-conf install-service

install-programs: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR)
	$(INSTALL) -m 755 $(PROGRAM_BIN) $(FILTER_BIN) $(DESTDIR)$(SBINDIR)
	$(INSTALL) -m 755 $(ROLE_BIN) $(DESTDIR)$(LIBEXECDIR)
	for c in $(wildcard etc/posternctl.bash-completion); do \
		$(INSTALL_FILE) $$c $(DESTDIR)$(COMPLETIONDIR)/posternctl || \
			exit 1; \
	done

install-man:
	for m in $(wildcard man/*.[1-8]); do \
		$(INSTALL_FILE) $$m \
			$(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/} || exit 1; \
	done

install-conf:
	$(INSTALL) -d $(DESTDIR)$(SYSCONFDIR)
	for c in $(wildcard etc/*.conf); do \
		test -e $(DESTDIR)$(SYSCONFDIR)/$${c##*/} || \
			$(INSTALL_FILE) -t $(DESTDIR)$(SYSCONFDIR) $$c || \
			exit 1; \
	done

# Of the system's own parts: systemd's, logrotate's.
install-service:
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)/etc/logrotate.d
	$(FILL_IN) etc/postern.service >$(DESTDIR)$(UNITDIR)/postern.service
	$(INSTALL_FILE) etc/postern.sysusers \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf
	$(INSTALL_FILE) etc/postern.tmpfiles \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/postern.conf
	test -e $(DESTDIR)/etc/logrotate.d/postern || $(FILL_IN) \
		etc/postern.logrotate >$(DESTDIR)/etc/logrotate.d/postern

# --- Debian packages, in $(B)/deb ---
DEPS_DEB := build-essential debhelper
DEB_VERSION ?= $(VERSION)
.PHONY: deb
deb: deps
	@tools/install-packages $(DEPS_DEB)
	@tools/make-deb $(B) $(DEB_VERSION)

clean:
	rm -rf $(B)
