#include "vault/tally.h"

static struct counter counters[] = {
	[TALLY_SIGNATURES] = { "vault.signatures", 0 },
	[TALLY_PASSWORDS] = { "vault.passwords", 0 },
	[TALLY_CREDENTIALS] = { "vault.credentials", 0 },
	[TALLY_BUSY] = { "vault.busy", 0 },
	[TALLY_FAILURES] = { "vault.failures", 0 },
	[TALLY_COUNT] = { NULL, 0 },
};

void
tally_add(enum tally what)
{
	counters[what].value++;
}

const struct counter *
tally_counters(void)
{
	return counters;
}
