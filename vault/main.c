/*
 * vault: uses secrets for those who may not see them.
 *
 * Runs twice, each as its own process of the same user, in an empty
 * directory: no file, no network, no connection but those to smtpd, delivery,
 * control and the parent; the smallest filter of all. VAULT_KEYS has the
 * private keys and signs, VAULT_PASSWORDS has the values of the tables of
 * `auth': it says whether a password is right, and lends delivery what a next
 * hop wants to hear; a slow hash never delays a signature.
 * Trusts: the parent (configuration, keys, tables). Trusted by: smtpd, that a
 * client is who it says.
 * Faces: smtpd and delivery, which may be somebody else by now: smtpd can have
 * things signed and passwords tried, and learns neither a key nor a hash by
 * it; delivery can have things signed with the keys of client certificates,
 * and learns the credentials of relays.
 * Edges: smtpd_vault, delivery_vault, control_all, all_parent.
 * If it dies: handshakes and AUTH under way fail, sessions and deliveries go
 * on; its successor is handed everything again.
 * Read next: from_smtpd.c, from_delivery.c, askers.c; keys.c, key_uses.c,
 * signing.c; passwords.c, accounts.c, scram.c, credentials.c.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "edges/smtpd_vault.h"
#include "lib/base/log.h"
#include "lib/proc/child.h"
#include "lib/proc/tell_stats.h"
#include "vault/credentials.h"
#include "vault/from_delivery.h"
#include "vault/from_smtpd.h"
#include "vault/key_uses.h"
#include "vault/keys.h"
#include "vault/passwords.h"
#include "vault/signing.h"
#include "vault/tally.h"

static bool
has_keys(void)
{
	return child_instance() == VAULT_KEYS;
}

/* Nothing gets to the swap. With a bound no memory could be had beyond it, so
 * only who may lift it does this. */
static void
lock_memory(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	if (setrlimit(RLIMIT_MEMLOCK, &all) == -1 ||
	    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == -1)
		log_debug(NULL, "memory", "why=%s",
		    log_cstr("it cannot be locked as a whole"));
}

static void
prepare(struct loop *l)
{
	lock_memory();
	from_smtpd_init(l, (enum vault_instance)child_instance());
	from_delivery_init((enum vault_instance)child_instance());
	if (has_keys()) {
		keys_init();
		signing_warm_up();
	} else {
		passwords_init();
	}
}

static void
on_key(struct str name, int fd)
{
	if (has_keys())
		keys_bring(name, fd);
	else
		close(fd);
}

static void
on_config(struct config *c)
{
	if (has_keys()) {
		key_uses_set_config(c);
		keys_change();
	} else {
		passwords_set_config(c);
		credentials_set_config(c);
	}
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_SMTPD:
		return from_smtpd_add(instance, socket);
	case ROLE_DELIVERY:
		return from_delivery_add(instance, socket);
	case ROLE_CONTROL:
		return tell_stats_serve(
		    child_loop(), socket, "vault", tally_counters);
	default:
		return NULL;
	}
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_VAULT,
		.promises = 0,
		.prepare = prepare,
		.on_key = on_key,
		.on_config = on_config,
		.on_peer = on_peer,
	};

	child_main(argc, argv, &ops);
}
